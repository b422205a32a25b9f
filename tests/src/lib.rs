//! What the suites share: a cloud of their own, commands with their output, waiting with a limit.
//! Every suite starts real clouds and needs root; each cloud is taken down with everything it made.

mod cloud;
mod command;
mod host;
mod http;
mod images;
mod packages;
mod suite;

pub use cloud::Cloud;
pub use command::{Outcome, run, run_with_input};
pub use host::{Traces, traces};
pub use http::{Answer, Kept, get};
pub use images::{app_context, busybox_context};
pub use packages::need;
pub use suite::{Check, Suite, free_port, until};

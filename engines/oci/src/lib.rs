//! Container images: references, registries, layers, archives, building.
//!
//! Everything an image goes through before it becomes the root file system of a container. The
//! result is always the same: an [`Image`] whose layers are unpacked directories, ready to be the
//! lower directories of an overlay mount. This crate never mounts and never starts a container;
//! the `RUN` steps of a build go through the [`build::Run`] trait.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise"))]

mod archive;
pub mod build;
pub mod credentials;
mod debian;
mod digest;
mod error;
mod pack;
pub mod progress;
mod reference;
mod registry;
mod stack;
mod store;
mod unpack;
pub mod users;

pub use credentials::Credentials;
pub use error::Error;
pub use progress::{Progress, ProgressSink};
pub use reference::Reference;
pub use registry::{PullOptions, RegistryConfig};
pub use stack::Stack;
pub use store::{Freed, Image, Images, Source};

//! Event notifications: what happens to objects is told to webhooks.
//!
//! A notification is a file in `outbox/` before the request that caused it is answered, and goes when the
//! webhook has answered with success. So a restart loses none; a webhook may hear one twice.

mod outbox;
mod record;
mod rules;
mod webhook;

pub(crate) use self::outbox::{Outbox, deliver};
pub(crate) use self::record::{Event, Kind};
pub(crate) use self::rules::check;

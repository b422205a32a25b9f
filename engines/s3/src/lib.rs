//! The S3 protocol over a disk. Knows nothing of Kubernetes.
//!
//! [`S3::open`] opens a directory, [`S3::serve`] answers stock S3 clients on a listener, and the other
//! methods of [`S3`] are for whoever runs it: users, keys, buckets, usage. Reading order: `config`,
//! `server` (sockets), `front` (what is before S3: CORS, websites), `auth` and `access` (who may),
//! `api` (the operations), `lifecycle` and `events` (what happens in the background), `store` (the disk).

mod access;
mod admin;
mod api;
mod auth;
mod checksum;
mod config;
mod core;
mod documents;
mod error;
mod events;
mod front;
mod lifecycle;
mod presign;
mod refuse;
mod server;
mod sign;
pub mod store;
mod time;

pub use self::access::Canned;
pub use self::admin::S3;
pub use self::config::{Clock, Config};
pub use self::error::{Error, Result};
pub use self::presign::Presign;
pub use self::store::{AccessKey, Quota, Scope, Scrub, ScrubReport, Usage, User};

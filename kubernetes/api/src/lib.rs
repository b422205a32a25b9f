//! The Kubernetes API server: one generic engine for built-in kinds and custom resources.
//!
//! It is offered twice: in the process, as a `kube::Client` that acts as a given identity, and on a
//! TLS port. Both go through the same code. What kinds look like is known to `sealos-objects`; what
//! is durable, to `sealos-store`.

mod server;

mod net;
mod route;

mod call;
mod identity;
mod options;
mod request;

mod access;
mod admission;
mod discovery;
mod metrics;
mod node;
mod read;
mod subresources;
mod watching;
mod write;

mod bootstrap;
mod definitions;
mod effects;
mod expiry;
mod quotas;
mod registry;

mod body;
mod cidr;
mod encode;
mod error;
mod keys;
mod pki;
mod protobuf;
mod status;
mod table;
mod time;

pub use cidr::{Cidr, InvalidCidr};
pub use error::Error;
pub use identity::Identity;
pub use server::{Config, NodeService, Server};

//! Pod networks on one machine: a namespace, an address and routes per pod, services by nftables,
//! and a name server. Knows nothing of Kubernetes: callers say which address answers for which.
//!
//! Pods are routed, not bridged: every pod has a veth of its own and a /32 route to it, so all its
//! traffic passes the host's IP layer once in each direction. Address translation then works the
//! same with and without `br_netfilter`, and a pod reaches itself through its own service.

pub mod dns;

mod address;
mod cidr;
mod conntrack;
mod error;
mod gateway;
mod links;
mod name;
mod netns;
mod network;
mod rules;
mod services;
mod sysctl;

pub use cidr::{Cidrs, Ipv4Net, pick_cidrs};
pub use error::Error;
pub use network::{Config, Network, PodNet};
pub use services::{HostPort, PortRule, Protocol, ServiceRule};

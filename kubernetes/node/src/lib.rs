//! Pods on this machine: lifecycle, probes, volumes, logs, exec, statistics, Services and names.

mod backoff;
mod build_run;
mod command;
mod config;
mod downward;
mod env;
mod events;
mod expand;
mod garbage;
mod host;
mod host_ports;
mod images;
mod lookup;
mod names;
mod node;
mod pod;
mod pods;
mod probe;
mod quantity;
mod register;
mod security;
mod services;
mod shared;
mod sources;
mod state;
mod stats;
mod status;
mod streaming;
mod volumes;

pub use build_run::BuildRunner;
pub use config::{Config, Error, Reserved};
pub use node::{Node, NodeService};

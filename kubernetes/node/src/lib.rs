//! Pods on this machine: lifecycle, probes, volumes, logs, exec, statistics, Services and names.

mod backoff;
mod command;
mod config;
mod downward;
mod env;
mod events;
mod expand;
mod host;
mod images;
mod names;
mod probe;
mod quantity;
mod security;
mod services;
mod shared;
mod sources;
mod state;
mod status;
mod volumes;

pub use config::{Config, Error, Reserved};

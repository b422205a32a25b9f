//! The controllers and the scheduler against the real API server, with a kubelet that only pretends.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cluster;

mod daemons;
mod deployments;
mod disruption;
mod garbage;
mod jobs;
mod namespaces;
mod scheduling;
mod services;
mod stateful;
mod volumes;

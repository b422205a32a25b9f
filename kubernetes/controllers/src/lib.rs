//! Controllers and the scheduler of the built-in Kubernetes.
//!
//! Every controller is a client of the API: it reads shared caches (each kind is watched once for all
//! of them), decides in a pure function, and writes through the API. None of them knows the store,
//! the node or the machine; the one thing that needs the machine, a directory for a volume, comes in
//! through [`Provisioner`].

mod run;

mod autoscaler;
mod budgets;
mod cron_jobs;
mod daemon_sets;
mod deployments;
mod endpoints;
mod gc;
mod jobs;
mod namespaces;
mod nodes;
mod pod_gc;
mod replica_sets;
mod scheduler;
mod service_accounts;
mod stateful_sets;
mod volumes;

mod batch;
mod cache;
mod cluster;
mod discovery;
mod events;
mod kind;
mod meta;
mod numbers;
mod owners;
mod patch;
mod pods;
mod queue;
mod resources;
mod revisions;

pub use run::{Clients, Config, Provisioner, VolumeError, run};

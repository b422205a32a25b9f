//! Backups of databases: streamed out of the pods into a bucket, restored, and proved by drills.

mod actions;
mod archive;
mod chain;
mod cluster;
mod controller;
mod crds;
mod error;
pub mod format;
pub mod kinds;
pub mod names;
mod pods;
mod repo;
mod restore;
mod schedule;
mod shell;
mod stores;
mod take;

pub use actions::{
    BackupStatus, Backups, NewBackup, Phase, RestoreRequest, RestoreStatus, Schedule, Windows,
};
pub use controller::{Config, run};
pub use error::Error;

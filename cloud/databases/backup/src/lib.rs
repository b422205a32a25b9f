//! Backups of databases: streamed out of the pods into a bucket, restored, and proved by drills.

mod actions;
mod cluster;
mod crds;
mod error;
pub mod format;
pub mod kinds;
pub mod names;
mod pods;
mod repo;
mod schedule;
mod shell;

pub use actions::{
    BackupStatus, Backups, NewBackup, Phase, RestoreRequest, RestoreStatus, Schedule, Windows,
};
pub use error::Error;

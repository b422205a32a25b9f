//! Backups of databases: streamed out of the pods into a bucket, restored, and proved by drills.

mod error;
pub mod format;
mod repo;

pub use error::Error;

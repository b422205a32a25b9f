//! What can go wrong at the store's door.

use std::path::PathBuf;

/// Why an operation on the store did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key was to be absent and is not.
    #[error("`{key}` already exists")]
    Exists {
        /// The key asked for.
        key: String,
    },
    /// The key was to exist and does not.
    #[error("`{key}` does not exist")]
    Missing {
        /// The key asked for.
        key: String,
    },
    /// The key has been changed since the caller read it.
    #[error("`{key}` is at revision {current}, not at {expected}")]
    Conflict {
        /// The key asked for.
        key: String,
        /// What the caller had read.
        expected: u64,
        /// What is there.
        current: u64,
    },
    /// The history asked for has been forgotten.
    #[error("revision {from} is too old: history starts at {oldest}")]
    Compacted {
        /// The revision asked for.
        from: u64,
        /// The oldest that can be had.
        oldest: u64,
    },
    /// A key without a bucket.
    #[error("key `{key}` does not name a bucket")]
    Key {
        /// The key asked for.
        key: String,
    },
    /// There is no room; nothing was changed and later writes are tried again.
    #[error("write to {path}: no space left on the disk; free some space, writes then resume by themselves")]
    NoSpace {
        /// The database file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("use the database {path}: {reason}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// The file does not hold what was written.
    #[error(
        "the data file {path} is damaged ({reason}); restore it from a backup, or remove it together with \
         {marker} to start empty"
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// The marker beside it.
        marker: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A store has been here and its file is gone or empty.
    #[error(
        "the data file {path} is missing or empty although {marker} says that data was stored; restore it \
         from a backup, or remove {marker} to start empty"
    )]
    Lost {
        /// The database file.
        path: PathBuf,
        /// The marker beside it.
        marker: PathBuf,
    },
    /// Another process has the file open.
    #[error("the data file {path} is in use by another process")]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// The same answer for another caller of the same commit.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::NoSpace { path } => Self::NoSpace { path: path.clone() },
            Self::Io { path, source } => Self::Io {
                path: path.clone(),
                source: std::io::Error::new(source.kind(), source.to_string()),
            },
            Self::Database { path, reason } => Self::Database { path: path.clone(), reason: reason.clone() },
            Self::Corrupt { path, marker, reason } => {
                Self::Corrupt { path: path.clone(), marker: marker.clone(), reason: reason.clone() }
            }
            Self::InUse { path } => Self::InUse { path: path.clone() },
            _ => Self::Closed,
        }
    }
}

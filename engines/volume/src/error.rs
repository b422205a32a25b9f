//! What can go wrong with a volume.

use std::io;
use std::path::{Path, PathBuf};

/// Why an operation on a volume failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name is no plain file name.
    #[error("`{0}` is no name for a volume: use letters, digits, dashes and underscores")]
    Name(String),
    /// The volume or the snapshot is not there.
    #[error("there is no {what} `{name}`")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The snapshot is there already.
    #[error("volume `{volume}` already has a snapshot `{snapshot}`")]
    SnapshotExists {
        /// The volume.
        volume: String,
        /// The snapshot.
        snapshot: String,
    },
    /// A volume cannot lose room.
    #[error("volume {} has {from} bytes and cannot shrink to {to}: make a smaller one and copy the data", .volume.display())]
    Shrink {
        /// Its directory.
        volume: PathBuf,
        /// Its size.
        from: u64,
        /// The size asked for.
        to: u64,
    },
    /// Its record cannot be read.
    #[error("the record {} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file system refused.
    #[error("{attempt} {}: {source}", .path.display())]
    Io {
        /// What was attempted.
        attempt: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The program is stopping.
    #[error("the operation was interrupted because the program stops")]
    Interrupted,
}

impl Error {
    pub(crate) fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { attempt, path, source }
    }
}

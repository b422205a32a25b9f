//! What can go wrong, in the caller's words.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("container `{id}` already exists")]
    Exists { id: String },
    #[error("there is no container `{id}`")]
    NotFound { id: String },
    #[error("container `{id}` is not running")]
    NotRunning { id: String },
    #[error("`{id}` is no container id: letters, digits, `_`, `-` and `.` only")]
    InvalidId { id: String },
    /// The container could not be started; nothing of it is left.
    #[error("{reason}")]
    Start { id: String, failure: StartFailure, reason: String },
    /// A command could not be started inside a running container.
    #[error("{reason}")]
    Exec { id: String, failure: StartFailure, reason: String },
    #[error("{attempt} `{path}`")]
    File {
        attempt: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{attempt}")]
    Io {
        attempt: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("`{path}` is damaged: {source}")]
    Damaged {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("the shim of container `{id}` {what}")]
    Shim { id: String, what: String },
    #[error("seccomp profile: {reason}")]
    Seccomp { reason: String },
    #[error("user `{user}`: {reason}")]
    User { user: String, reason: String },
}

/// Why a process did not come to life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum StartFailure {
    /// The executable is not there.
    NotFound,
    /// It is there and must not or cannot be run.
    NotExecutable,
    /// Anything else.
    Other,
}

//! What can keep the API server from starting or serving.

use std::path::PathBuf;

/// Why the API server does not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key or certificate could not be read or written.
    #[error("use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A key or certificate on disk is not what it should be.
    #[error("read {path}: {reason}; remove the directory to have new keys made (kubeconfigs change then)")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The objects every cluster has could not be written.
    #[error("write {what}: {reason}")]
    Bootstrap {
        /// The object.
        what: String,
        /// The API's answer.
        reason: String,
    },
    /// The listener broke.
    #[error("accept connections")]
    Accept(#[source] std::io::Error),
}

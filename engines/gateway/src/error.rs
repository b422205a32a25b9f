//! What can go wrong before or beside serving requests.

use std::path::PathBuf;

/// The gateway could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{attempt} {path}: {source}")]
    File {
        attempt: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("create the gateway's certificates: {0}")]
    Generate(#[from] rcgen::Error),
    #[error("set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{path} is damaged: {reason}; delete the file, a new one is made at the next start")]
    Damaged { path: PathBuf, reason: String },
}

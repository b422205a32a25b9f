//! What those who run the service can be told. Clients of the protocol get `refuse`'s errors instead.

use crate::store;

/// An administrative call that was refused or went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("`{name}` cannot be a bucket's name: {reason}")]
    BucketName { name: String, reason: &'static str },
    #[error("`{domain}` cannot be a base domain: give a plain host name such as `s3.localhost`")]
    Domain { domain: String },
    #[error("presign a URL for `{key}`: {reason}")]
    Presign { key: String, reason: &'static str },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

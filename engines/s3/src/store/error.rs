//! What can go wrong in the store, in terms the protocol can translate.

use std::io;

use super::model::VersionId;

/// A boxed error of somebody else's, such as the stream a body comes from.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Every refusal and failure of the store. What the user named is in the text, the cause is the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("no user `{user}`: create the user first")]
    NoSuchUser { user: String },
    #[error("no access key `{access_key}`")]
    NoSuchAccessKey { access_key: String },
    #[error("access key `{access_key}` belongs to `{owner}` already: choose another")]
    AccessKeyTaken { access_key: String, owner: String },
    #[error("user `{user}` still owns {buckets} buckets: delete them first")]
    UserOwnsBuckets { user: String, buckets: u64 },
    #[error("no bucket `{bucket}`")]
    NoSuchBucket { bucket: String },
    #[error("bucket `{bucket}` exists already and belongs to `{owner}`: choose another name")]
    BucketExists { bucket: String, owner: String },
    #[error("bucket `{bucket}` is not empty: delete its objects, versions and uploads first")]
    BucketNotEmpty { bucket: String },
    #[error("`{key}` cannot be an object's name: {reason}")]
    InvalidKey { key: String, reason: &'static str },
    #[error("no object `{key}` in bucket `{bucket}`")]
    NoSuchKey { bucket: String, key: String },
    #[error("no version {version} of `{key}` in bucket `{bucket}`")]
    NoSuchVersion { bucket: String, key: String, version: VersionId },
    /// The version read is a delete marker: 404 when it is the latest and no version was named, else 405.
    #[error("`{key}` in bucket `{bucket}` is deleted: version {version} is a delete marker")]
    DeleteMarker { bucket: String, key: String, version: VersionId, modified: std::time::SystemTime },
    #[error("the condition on `{key}` in bucket `{bucket}` does not hold: {reason}")]
    PreconditionFailed { bucket: String, key: String, reason: &'static str },
    #[error("version {version} of `{key}` in bucket `{bucket}` is locked: {reason}")]
    Locked { bucket: String, key: String, version: VersionId, reason: String },
    #[error("no upload `{upload}` of `{key}` in bucket `{bucket}`")]
    NoSuchUpload { bucket: String, key: String, upload: String },
    #[error("part {number} is not a part of the upload: {reason}")]
    InvalidPart { number: u16, reason: String },
    #[error("part {number} is out of order: list the parts by ascending number")]
    PartOrder { number: u16 },
    #[error("part {number} has {size} bytes: all but the last need at least {minimum}")]
    PartTooSmall { number: u16, size: u64, minimum: u64 },
    #[error("{attempt} of `{owner}` is refused: {what} would exceed the quota of {limit} (used {used})")]
    Quota { attempt: &'static str, owner: String, what: &'static str, limit: u64, used: u64 },
    #[error("`{user}` may not write: {reason}")]
    DenyWrite { user: String, reason: &'static str },
    #[error("the body has {size} bytes: at most {limit} are allowed")]
    TooLarge { size: u64, limit: u64 },
    #[error("the body ended after {got} bytes instead of {expected}")]
    Incomplete { got: u64, expected: u64 },
    #[error("receive the body")]
    Body {
        #[source]
        source: BoxError,
    },
    #[error("the disk of the store is full: free space or grow the volume, then try again")]
    Full {
        #[source]
        source: io::Error,
    },
    /// What the disk gave back is not what was written. Never answered with wrong bytes.
    #[error("`{key}` (version {version}) in bucket `{bucket}` is damaged: {detail}")]
    Damaged { bucket: String, key: String, version: VersionId, detail: String },
    #[error("a record of the store is damaged: {detail}")]
    Record { detail: String },
    #[error("{attempt} {path}")]
    Io {
        attempt: &'static str,
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{attempt}")]
    Database {
        attempt: &'static str,
        #[source]
        source: Box<redb::Error>,
    },
    #[error("{reason}")]
    Unusable { reason: String },
    #[error("the store is closed")]
    Closed,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

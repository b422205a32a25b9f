//! What the store keeps, as its callers see it. How it lies on the disk is in `record`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// How a store is opened. `Config::at(dir)` has the defaults.
#[derive(Debug, Clone)]
pub struct Config {
    /// The directory that holds everything; created if it is missing.
    pub dir: PathBuf,
    /// Memory for the metadata's pages.
    pub cache_bytes: usize,
    /// Objects up to this size share pack files; larger ones are files of their own.
    pub small_bytes: usize,
    /// Size at which a pack file is finished and a new one begun.
    pub pack_bytes: u64,
    /// The smallest part of a multipart upload that is not the last (S3 says 5 MiB).
    pub minimum_part: u64,
    /// How often the background looks for orphans, dead packs and old uploads; `None`: only when asked.
    pub upkeep_every: Option<Duration>,
    /// Multipart uploads older than this are aborted by the background; `None`: never.
    pub uploads_expire: Option<Duration>,
}

impl Config {
    /// The defaults, with everything in `dir`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            cache_bytes: 64 << 20,
            small_bytes: 64 << 10,
            pack_bytes: 256 << 20,
            minimum_part: 5 << 20,
            upkeep_every: Some(Duration::from_secs(600)),
            uploads_expire: Some(Duration::from_secs(7 * 24 * 3600)),
        }
    }
}

/// Somebody who owns buckets: for the platform, a workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// None of the user's keys works.
    pub disabled: bool,
    /// The user's buckets take no new bytes; reading and deleting goes on. Enforced by the store.
    pub deny_write: bool,
    pub quota: Quota,
}

/// Upper limits per owner; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    pub bytes: Option<u64>,
    pub objects: Option<u64>,
    pub buckets: Option<u64>,
}

/// What an access key opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All buckets of its user.
    User,
    /// One bucket of its user, by name.
    Bucket(String),
}

/// An access key with its secret, which signatures need in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub access_key: String,
    pub secret: String,
    pub user: String,
    pub scope: Scope,
}

impl fmt::Debug for AccessKey {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("access_key", &self.access_key)
            .field("user", &self.user)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Whether a bucket keeps what is overwritten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Versioning {
    /// Never switched on.
    #[default]
    Unversioned,
    Enabled,
    /// Was on: old versions remain, new ones replace the `null` version.
    Suspended,
}

/// A bucket. Its documents (policy, CORS …) are read by name with `Store::document`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Never used again, also when a bucket of the same name is made anew.
    pub id: u32,
    pub name: String,
    pub owner: String,
    pub created: SystemTime,
    pub versioning: Versioning,
    /// Object lock was switched on; it stays on.
    pub object_lock: bool,
    /// Goes up with every change of the bucket or its documents: what was parsed under
    /// `(id, generation)` may be kept.
    pub generation: u64,
}

/// What a bucket or an owner holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub buckets: u64,
    /// Keys whose latest version is an object.
    pub objects: u64,
    /// All stored versions, delete markers included.
    pub versions: u64,
    /// Bytes of all versions.
    pub bytes: u64,
    /// Bytes of parts whose upload is not completed; they count towards the quota.
    pub upload_bytes: u64,
}

/// The name of one version of an object. Later versions compare greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VersionId {
    /// Written while the bucket kept no versions.
    Null,
    Id(u64),
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Id(id) => write!(f, "{id:016x}"),
        }
    }
}

/// The text is no version's name: S3 answers `InvalidArgument`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version id: take one from a listing of versions")]
pub struct NotAVersionId(String);

impl FromStr for VersionId {
    type Err = NotAVersionId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let plain = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(text, 16) {
            Ok(id) if plain => Ok(Self::Id(id)),
            _ => Err(NotAVersionId(text.to_owned())),
        }
    }
}

/// What the writer of an object says about it; kept and given back as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    pub content_type: Option<String>,
    /// Other standard headers by lower-case name: `cache-control`, `content-disposition`,
    /// `content-encoding`, `content-language`, `expires`, `x-amz-website-redirect-location`,
    /// `x-amz-storage-class`, an ACL: whatever the protocol wants back.
    pub headers: BTreeMap<String, String>,
    /// `x-amz-meta-*`, without that prefix.
    pub metadata: BTreeMap<String, String>,
    pub tags: Vec<(String, String)>,
    pub checksum: Option<Checksum>,
    pub retention: Option<Retention>,
    pub legal_hold: bool,
}

/// A checksum besides the ETag, as S3 writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1` or `SHA256`.
    pub algorithm: String,
    /// Base64, with `-N` behind it when composite.
    pub value: String,
    /// A checksum of the parts' checksums rather than of the bytes.
    pub composite: bool,
}

/// Until when a version may not be removed, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub mode: RetentionMode,
    pub until: SystemTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionMode {
    /// Those with the permission may bypass it.
    Governance,
    /// Nobody may, and it can only grow.
    Compliance,
}

/// One version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub version: VersionId,
    pub latest: bool,
    pub delete_marker: bool,
    pub size: u64,
    /// Without quotes: the MD5 in hex, or `md5-N` after a multipart upload. Empty for a marker.
    pub etag: String,
    pub modified: SystemTime,
    pub attributes: Attributes,
    /// The parts it was put together from; 0 for an object put in one piece.
    pub parts: u32,
}

/// A part of a completed object, for `GetObjectAttributes` and `partNumber`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPart {
    pub number: u16,
    /// Where it begins in the object.
    pub offset: u64,
    pub size: u64,
    pub checksum: Option<Checksum>,
}

/// A condition on the version that is the latest at the moment of the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    pub if_match: Option<Match>,
    pub if_none_match: Option<Match>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// `*`: any object at all.
    Any,
    /// One of these ETags, without quotes.
    Etags(Vec<String>),
}

/// A change of an object that leaves its bytes alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Replaces all tags.
    Tags(Vec<(String, String)>),
    LegalHold(bool),
    /// `bypass`: shorten or lift governance retention too.
    Retention {
        retention: Option<Retention>,
        bypass: bool,
    },
    /// Sets (`Some`) or removes one of `Attributes::headers`.
    Header {
        name: String,
        value: Option<String>,
    },
}

/// How an object is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delete {
    pub key: String,
    /// `None`: mark as deleted (or remove it from an unversioned bucket). `Some`: remove this version.
    pub version: Option<VersionId>,
    /// Remove although governance retention holds it.
    pub bypass: bool,
    pub condition: Condition,
    /// Only if this is the time it was written (to the second, as HTTP has it).
    pub if_modified: Option<SystemTime>,
    /// Only if it has this size.
    pub if_size: Option<u64>,
}

/// What a delete did. Deleting what is not there succeeds with `existed: false`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    pub key: String,
    pub existed: bool,
    /// The delete marker that was made, or that was removed.
    pub marker: Option<VersionId>,
    /// The version that was removed for good, when the bucket keeps versions.
    pub version: Option<VersionId>,
}

/// Which objects to list. Empty strings mean "none", as clients send them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    pub prefix: String,
    pub delimiter: String,
    /// Only names after this one. A name that ends with the delimiter and was rolled up (the marker S3
    /// gives out) skips all it stands for.
    pub after: String,
    /// Keys and common prefixes together.
    pub limit: usize,
}

/// A page of a listing, in the order of UTF-8 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    pub objects: Vec<Object>,
    pub common_prefixes: Vec<String>,
    /// There is more: ask again with this as `after`.
    pub next: Option<String>,
}

/// Which versions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListVersions {
    pub prefix: String,
    pub delimiter: String,
    pub after: String,
    /// Goes on behind this version of `after` instead of behind all of them.
    pub after_version: Option<VersionId>,
    pub limit: usize,
}

/// A page of versions: by key, and newest first within a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionListing {
    pub versions: Vec<Object>,
    pub common_prefixes: Vec<String>,
    /// There is more: ask again with these as `after` and `after_version`.
    pub next: Option<(String, Option<VersionId>)>,
}

/// A multipart upload that is not completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    pub key: String,
    pub id: String,
    pub initiated: SystemTime,
    pub attributes: Attributes,
    /// Whatever the protocol wants back with the upload, such as its checksum algorithm and who began it.
    pub notes: BTreeMap<String, String>,
}

/// Which uploads to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListUploads {
    pub prefix: String,
    pub delimiter: String,
    pub after: String,
    /// Goes on behind this upload of `after` instead of behind all of them.
    pub after_upload: String,
    pub limit: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadListing {
    pub uploads: Vec<Upload>,
    pub common_prefixes: Vec<String>,
    /// There is more: ask again with these as `after` and `after_upload`.
    pub next: Option<(String, String)>,
}

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub number: u16,
    pub size: u64,
    /// The MD5 in hex.
    pub etag: String,
    pub modified: SystemTime,
    pub checksum: Option<Checksum>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartListing {
    pub parts: Vec<Part>,
    /// There is more: ask again after this number.
    pub next: Option<u16>,
}

/// A part as the client names it when it completes the upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletePart {
    pub number: u16,
    pub etag: String,
    /// Must be that of the part when given.
    pub checksum: Option<String>,
}

/// A version as the lifecycle needs it: when did it stop being the latest, and how many are newer?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub object: Object,
    /// When the next newer version was written; `None` for the latest.
    pub noncurrent_since: Option<SystemTime>,
    /// How many noncurrent versions of the key are newer than this one.
    pub newer_noncurrent: u64,
    /// The key has no other version (a delete marker alone may go).
    pub only: bool,
}

/// Where a scan goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(super) key: String,
}

/// What a scrub looks at and how fast.
#[derive(Debug, Clone, Default)]
pub struct Scrub {
    /// One bucket; `None`: all of them.
    pub bucket: Option<String>,
    /// Reads at most this much per second; `None`: as fast as the disk.
    pub bytes_per_second: Option<u64>,
}

/// What a scrub found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubReport {
    pub buckets: u64,
    /// Versions whose bytes were read and compared.
    pub objects: u64,
    pub bytes: u64,
    pub damaged: Vec<Damage>,
    /// Buckets whose counted usage was wrong, and has been set right.
    pub recounted: Vec<String>,
}

/// An object whose bytes are not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub bucket: String,
    pub key: String,
    pub version: VersionId,
    pub detail: String,
}

/// What a round of upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Files that nothing referred to.
    pub orphans: u64,
    pub packs_compacted: u64,
    /// Bytes given back to the disk.
    pub bytes_freed: u64,
    pub uploads_expired: u64,
    /// Versions of deleted buckets that were removed.
    pub versions_removed: u64,
}

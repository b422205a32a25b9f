//! The storage engine: users, buckets, objects and uploads on one disk.
//!
//! Knows nothing of HTTP, XML or signatures: the protocol asks here and translates the answers. Metadata
//! is in one transactional file (`meta.redb`); the bytes of large objects are files of their own, those of
//! small ones share pack files. What is acknowledged is on the disk: bytes are synced before the
//! transaction that makes them visible, and one writer thread commits for all who wait.
//!
//! A put has two steps, so that the caller can compare digests before anything becomes visible:
//! [`Store::stage`] takes the bytes in, [`Store::put`] (or [`Store::put_part`]) makes them an object.
//! A get has two as well: [`Store::open_object`] tells what there is, [`Opened::read`] streams a range.

mod error;
mod model;

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;

pub use self::error::{BoxError, Error, Result};
pub use self::model::*;

/// The store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<()>,
}

/// Sees the bytes of a body as they come in: checksums besides the MD5. `()` sees nothing.
/// Runs on a thread of its own beside the MD5 and the writing.
pub trait Observe: Send + 'static {
    fn update(&mut self, bytes: &[u8]);
}

impl Observe for () {
    fn update(&mut self, _: &[u8]) {}
}

/// What a body is taken in for.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// Bytes to come, if known: the quota is asked at once, and another number of bytes is an error.
    pub size: Option<u64>,
    /// Larger bodies are refused.
    pub limit: Option<u64>,
}

/// Bytes that are on the disk (or small, and in memory) and not yet an object. Dropped, they are gone.
pub struct Staged {
    size: u64,
    md5: [u8; 16],
}

impl Staged {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn md5(&self) -> [u8; 16] {
        self.md5
    }

    /// The MD5 in hex: the ETag the object will have.
    pub fn etag(&self) -> String {
        self.md5.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// An object found, ready to be read. Its bytes stay readable even if it is deleted meanwhile.
pub struct Opened {
    pub object: Object,
}

impl Opened {
    /// Streams the bytes of `range` (cut to the object's size), each block compared with its checksum.
    pub fn read(self, range: Range<u64>) -> Reader {
        drop(range);
        Reader { remaining: 0 }
    }
}

/// The bytes of an object, as a stream. `Send + Sync + 'static`.
pub struct Reader {
    remaining: u64,
}

impl Reader {
    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }
}

impl Stream for Reader {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}

/// A new object out of staged bytes.
pub struct Put {
    pub key: String,
    pub staged: Staged,
    pub attributes: Attributes,
    pub condition: Condition,
}

/// A copy inside the store.
pub struct Copy {
    pub source_bucket: String,
    pub source_key: String,
    pub source_version: Option<VersionId>,
    /// Only if the source still has this ETag (from the head the caller decided upon).
    pub source_etag: Option<String>,
    pub bucket: String,
    pub key: String,
    /// `None`: those of the source, without its retention and legal hold.
    pub attributes: Option<Attributes>,
    pub condition: Condition,
}

/// Names one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRef {
    pub bucket: String,
    pub key: String,
    pub id: String,
}

#[expect(unused_variables, clippy::unused_async, reason = "being written")]
impl Store {
    fn later<T>(&self) -> Result<T> {
        let _ = &self.inner;
        Err(Error::Closed)
    }

    /// Opens the store in `config.dir`, creating it there if the directory is empty. Refuses a directory
    /// whose data has gone missing rather than starting anew.
    pub async fn open(config: Config) -> Result<Self> {
        Err(Error::Closed)
    }

    /// Waits for what is being written and closes the files. Later calls answer `Error::Closed`.
    pub async fn close(&self) {}

    // Users and keys.

    /// Creates the user or replaces its settings.
    pub async fn put_user(&self, user: User) -> Result<()> {
        self.later()
    }
    pub async fn user(&self, name: &str) -> Result<User> {
        self.later()
    }
    pub async fn users(&self) -> Result<Vec<User>> {
        self.later()
    }
    /// Removes the user and its keys. Refused while it owns buckets.
    pub async fn delete_user(&self, name: &str) -> Result<()> {
        self.later()
    }
    /// Creates or replaces a key. Refused when it belongs to another user.
    pub async fn put_key(&self, key: AccessKey) -> Result<()> {
        self.later()
    }
    /// A key and its user, for checking a signature. The caller looks at `User::disabled`.
    pub async fn key(&self, access_key: &str) -> Result<(AccessKey, User)> {
        self.later()
    }
    pub async fn keys(&self, user: &str) -> Result<Vec<AccessKey>> {
        self.later()
    }
    pub async fn delete_key(&self, access_key: &str) -> Result<()> {
        self.later()
    }

    // Buckets.

    /// Creates a bucket. `Error::BucketExists` also when it is the owner's own (compare `owner`).
    pub async fn create_bucket(&self, name: &str, owner: &str, object_lock: bool) -> Result<Bucket> {
        self.later()
    }
    pub async fn bucket(&self, name: &str) -> Result<Bucket> {
        self.later()
    }
    /// All buckets, or those of one owner, by name.
    pub async fn buckets(&self, owner: Option<&str>) -> Result<Vec<Bucket>> {
        self.later()
    }
    /// Deletes an empty bucket: no versions, no markers. Open uploads are aborted with it.
    pub async fn delete_bucket(&self, name: &str) -> Result<()> {
        self.later()
    }
    /// Deletes a bucket with all it holds, locked or not. It is gone at once; its contents follow in the
    /// background, in small transactions, also after a restart.
    pub async fn purge_bucket(&self, name: &str) -> Result<()> {
        self.later()
    }
    pub async fn set_versioning(&self, bucket: &str, versioning: Versioning) -> Result<()> {
        self.later()
    }
    /// Switches object lock on, for good.
    pub async fn enable_object_lock(&self, bucket: &str) -> Result<()> {
        self.later()
    }
    /// A document of the bucket (`policy`, `cors`, `lifecycle`, `website` …: the names are the caller's).
    pub async fn document(&self, bucket: &str, name: &str) -> Result<Option<Bytes>> {
        self.later()
    }
    /// Sets or, with `None`, removes a document.
    pub async fn set_document(&self, bucket: &str, name: &str, document: Option<Bytes>) -> Result<()> {
        self.later()
    }
    pub async fn bucket_usage(&self, bucket: &str) -> Result<Usage> {
        self.later()
    }
    pub async fn user_usage(&self, user: &str) -> Result<Usage> {
        self.later()
    }

    // Objects.

    /// Takes a body in: to the disk if it is large, synced; to memory if it is small. Refused at once, or
    /// as soon as it shows, when the owner may not write or the quota is exceeded.
    pub async fn stage<S, H>(&self, bucket: &str, stage: Stage, body: S, observer: H) -> Result<(Staged, H)>
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + Unpin,
        H: Observe,
    {
        self.later()
    }
    /// Makes staged bytes the latest version of an object. Returns when it is on the disk.
    pub async fn put(&self, bucket: &str, put: Put) -> Result<Object> {
        self.later()
    }
    /// The latest version, or the one named, without its bytes. `Error::DeleteMarker` for a marker.
    pub async fn head(&self, bucket: &str, key: &str, version: Option<VersionId>) -> Result<Object> {
        self.later()
    }
    /// As `head`, ready to be read.
    pub async fn open_object(&self, bucket: &str, key: &str, version: Option<VersionId>) -> Result<Opened> {
        self.later()
    }
    /// The parts of a completed multipart object; empty for one put in one piece.
    pub async fn object_parts(
        &self,
        bucket: &str,
        key: &str,
        version: Option<VersionId>,
    ) -> Result<Vec<ObjectPart>> {
        self.later()
    }
    /// Copies without moving bytes: the copy shares them.
    pub async fn copy(&self, copy: Copy) -> Result<Object> {
        self.later()
    }
    /// Changes tags, lock or a header of a version.
    pub async fn change(
        &self,
        bucket: &str,
        key: &str,
        version: Option<VersionId>,
        change: Change,
    ) -> Result<Object> {
        self.later()
    }
    pub async fn delete(&self, bucket: &str, delete: Delete) -> Result<Deleted> {
        self.later()
    }
    /// Deletes many in one transaction; one answer each, in order.
    pub async fn delete_many(&self, bucket: &str, deletes: Vec<Delete>) -> Result<Vec<Result<Deleted>>> {
        self.later()
    }

    // Listings.

    pub async fn list(&self, bucket: &str, list: List) -> Result<Listing> {
        self.later()
    }
    pub async fn list_versions(&self, bucket: &str, list: ListVersions) -> Result<VersionListing> {
        self.later()
    }
    /// All versions of up to about `limit` keys with what the lifecycle asks about them.
    pub async fn scan(
        &self,
        bucket: &str,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Option<Cursor>)> {
        self.later()
    }

    // Multipart uploads.

    /// Begins an upload and returns its id.
    pub async fn create_upload(
        &self,
        bucket: &str,
        key: &str,
        attributes: Attributes,
        notes: std::collections::BTreeMap<String, String>,
    ) -> Result<String> {
        self.later()
    }
    pub async fn upload(&self, upload: &UploadRef) -> Result<Upload> {
        self.later()
    }
    /// Adds or replaces a part (1 to 10,000).
    pub async fn put_part(
        &self,
        upload: &UploadRef,
        number: u16,
        staged: Staged,
        checksum: Option<Checksum>,
    ) -> Result<Part> {
        self.later()
    }
    pub async fn list_parts(&self, upload: &UploadRef, after: u16, limit: usize) -> Result<PartListing> {
        self.later()
    }
    pub async fn list_uploads(&self, bucket: &str, list: ListUploads) -> Result<UploadListing> {
        self.later()
    }
    /// Puts the parts together without moving bytes. `checksum` is that of the whole object, computed by
    /// the caller from the parts; it replaces the one given when the upload began. Completing again with
    /// the same parts, after the answer was lost, gives the same answer for a while.
    pub async fn complete_upload(
        &self,
        upload: &UploadRef,
        parts: Vec<CompletePart>,
        checksum: Option<Checksum>,
        condition: Condition,
    ) -> Result<Object> {
        self.later()
    }
    pub async fn abort_upload(&self, upload: &UploadRef) -> Result<()> {
        self.later()
    }

    // Upkeep.

    /// One round of the background's work, now: orphans, dead packs, expired uploads, purged buckets.
    pub async fn upkeep(&self) -> Result<Upkeep> {
        self.later()
    }
    /// Reads everything and compares it with its checksums; counts usage anew.
    pub async fn scrub(&self, scrub: Scrub) -> Result<ScrubReport> {
        self.later()
    }
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    fn future<T: Future + Send>(_: fn() -> T) {}
    shared::<Store>();
    shared::<Reader>();
    let _ = future::<std::future::Ready<()>>;
};

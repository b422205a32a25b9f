//! What the controller needs of a store: users, keys, buckets, policies, usage. The embedded engine is
//! one; an S3 service outside with an administration of its own can be another.

use async_trait::async_trait;

use crate::kinds::Policy;

/// A key and what it opens.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The public half.
    pub access: String,
    /// The secret half.
    pub secret: String,
    /// Whose it is.
    pub user: String,
    /// The one bucket that it opens; all of the user's without.
    pub bucket: Option<String>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("access", &self.access).field("user", &self.user).finish_non_exhaustive()
    }
}

/// What is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes.
    pub bytes: u64,
    /// Objects.
    pub objects: u64,
}

/// The store did not do it.
#[derive(Debug, thiserror::Error)]
#[error("{attempt}: {why}")]
pub struct Error {
    /// What was attempted.
    pub attempt: String,
    /// The store's words.
    pub why: String,
}

/// A store of objects. Every method may be called again with the same arguments.
#[async_trait]
pub trait Backend: Send + Sync + std::fmt::Debug + 'static {
    /// Makes a user, or changes the most bytes that it may store.
    async fn put_user(&self, user: &str, quota: u64) -> Result<(), Error>;
    /// Removes a user with its keys. Its buckets are gone before.
    async fn remove_user(&self, user: &str) -> Result<(), Error>;
    /// The secret half of a key that the store knows.
    async fn secret(&self, access: &str) -> Result<Option<String>, Error>;
    /// Adds a key, or replaces its secret half: the old one opens nothing from then on.
    async fn put_key(&self, key: &Key) -> Result<(), Error>;
    /// Removes a key.
    async fn remove_key(&self, access: &str) -> Result<(), Error>;
    /// Whose a bucket is, if there is one of the name.
    async fn owner(&self, bucket: &str) -> Result<Option<String>, Error>;
    /// Makes a bucket of a user's.
    async fn create_bucket(&self, bucket: &str, user: &str) -> Result<(), Error>;
    /// Sets who may use a bucket without a key.
    async fn set_policy(&self, bucket: &str, policy: Policy) -> Result<(), Error>;
    /// Removes a bucket with all that is in it.
    async fn remove_bucket(&self, bucket: &str) -> Result<(), Error>;
    /// What is in a bucket.
    async fn bucket_usage(&self, bucket: &str) -> Result<Usage, Error>;
    /// What is in all buckets of a user.
    async fn user_usage(&self, user: &str) -> Result<Usage, Error>;
}

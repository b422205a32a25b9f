//! Buckets and keys as entrances show them.

use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};

use crate::kinds::{BucketStatus, ObjectStorageBucket, ObjectStorageUser, Policy};
use crate::names::{bucket_of, url_of};

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BucketView {
    /// The name within the workspace.
    pub name: String,
    /// The workspace (namespace).
    pub workspace: String,
    /// The name in S3.
    pub bucket: String,
    /// Who may use it without a key.
    pub policy: Policy,
    /// Whether it can be used as it is asked for.
    pub ready: bool,
    /// Whether it is on its way out.
    pub deleting: bool,
    /// Why it cannot be used.
    pub message: String,
    /// Bytes in it.
    pub size: u64,
    /// Objects in it.
    pub objects: u64,
    /// When it was made, as RFC 3339.
    pub created_at: Option<String>,
}

/// What a workspace stores, and may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// The user.
    pub user: String,
    /// Bytes in all buckets.
    pub size: u64,
    /// Objects in all buckets.
    pub objects: u64,
    /// The most bytes there may be.
    pub quota: u64,
    /// Where pods reach the store.
    pub internal: String,
    /// Where everybody else does.
    pub external: String,
}

/// A key with where to use it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keys {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
    /// Where pods reach the store.
    pub internal: String,
    /// Where everybody else does.
    pub external: String,
    /// The one bucket that it opens, by its name in S3; all of the workspace's without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The Secret that holds all this.
    pub secret: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("access_key", &self.access_key)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl From<&ObjectStorageBucket> for BucketView {
    fn from(object: &ObjectStorageBucket) -> Self {
        let (name, workspace) = (object.name_any(), object.namespace().unwrap_or_default());
        let status = object.status.clone().unwrap_or_default();
        let current = status.observed_generation == object.metadata.generation.unwrap_or_default();
        Self {
            bucket: status.name.clone().or_else(|| bucket_of(&workspace, &name).ok()).unwrap_or_default(),
            policy: object.spec.policy,
            ready: current && is_ready(&status),
            deleting: object.metadata.deletion_timestamp.is_some(),
            message: message(&status),
            size: status.size,
            objects: status.objects_count,
            created_at: object.creation_timestamp().map(|time| time.0.to_string()),
            name,
            workspace,
        }
    }
}

impl From<&ObjectStorageUser> for UserView {
    fn from(object: &ObjectStorageUser) -> Self {
        let status = object.status.clone().unwrap_or_default();
        Self {
            user: object.name_any(),
            size: status.size,
            objects: status.objects_count,
            quota: status.quota,
            internal: url_of(&status.internal),
            external: url_of(&status.external),
        }
    }
}

fn is_ready(status: &BucketStatus) -> bool {
    status.conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn message(status: &BucketStatus) -> String {
    let refused = status.conditions.iter().find(|c| c.type_ == "Ready" && c.status == "False");
    refused.map(|condition| condition.message.clone()).unwrap_or_default()
}

//! The two kinds of `objectstorage.sealos.io/v1`, as tools and templates written for Sealos know them.

use std::borrow::Cow;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Serialize};

pub(crate) const GROUP: &str = "objectstorage.sealos.io";
pub(crate) const VERSION: &str = "v1";
const API_VERSION: &str = "objectstorage.sealos.io/v1";

/// Who may do what with a bucket's objects without a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// Nobody may do anything.
    #[default]
    Private,
    /// Everybody may read.
    PublicRead,
    /// Everybody may read and write.
    PublicReadwrite,
}

impl Policy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Private, Self::PublicRead, Self::PublicReadwrite];

    /// The word in `spec.policy`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "publicRead",
            Self::PublicReadwrite => "publicReadwrite",
        }
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("`{text}` is not one of private, publicRead, publicReadwrite"))
    }
}

/// The owner of a workspace's buckets.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStorageUser {
    /// `objectstorage.sealos.io/v1`
    pub api_version: String,
    /// `ObjectStorageUser`
    pub kind: String,
    /// The name is the id part of the namespace.
    pub metadata: ObjectMeta,
    /// What is asked for.
    #[serde(default)]
    pub spec: KeySpec,
    /// What is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<UserStatus>,
}

/// What can be asked of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySpec {
    /// A larger number than before makes a new secret key.
    #[serde(default)]
    pub secret_key_version: i64,
}

/// What a user has and uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserStatus {
    /// Bytes in all buckets.
    pub size: u64,
    /// The most bytes there may be.
    pub quota: u64,
    /// Objects in all buckets.
    pub objects_count: u64,
    /// The key's public half.
    pub access_key: String,
    /// The key's secret half.
    pub secret_key: String,
    /// Where pods reach the store, without a scheme.
    pub internal: String,
    /// Where everybody else reaches it.
    pub external: String,
    /// The version of the key that is in use.
    pub secret_key_version: i64,
    /// `Ready`, or why not.
    pub conditions: Vec<Condition>,
}

/// A bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStorageBucket {
    /// `objectstorage.sealos.io/v1`
    pub api_version: String,
    /// `ObjectStorageBucket`
    pub kind: String,
    /// The name within the workspace.
    pub metadata: ObjectMeta,
    /// What is asked for.
    #[serde(default)]
    pub spec: BucketSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<BucketStatus>,
}

/// What can be asked of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BucketSpec {
    /// Who may use it without a key.
    #[serde(default)]
    pub policy: Policy,
    /// A larger number than before makes a new secret key for this bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_version: Option<i64>,
}

/// What a bucket holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BucketStatus {
    /// The name in S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Bytes in it.
    pub size: u64,
    /// Objects in it.
    pub objects_count: u64,
    /// The version of the key that is in use.
    pub secret_key_version: i64,
    /// The generation of the spec that has been brought about.
    pub observed_generation: i64,
    /// `Ready`, or why not.
    pub conditions: Vec<Condition>,
}

impl ObjectStorageUser {
    /// A user as it is asked for.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            api_version: API_VERSION.into(),
            kind: "ObjectStorageUser".into(),
            metadata: metadata(namespace, name),
            spec: KeySpec::default(),
            status: None,
        }
    }
}

impl ObjectStorageBucket {
    /// A bucket as it is asked for.
    pub fn new(namespace: &str, name: &str, policy: Policy) -> Self {
        Self {
            api_version: API_VERSION.into(),
            kind: "ObjectStorageBucket".into(),
            metadata: metadata(namespace, name),
            spec: BucketSpec { policy, secret_key_version: None },
            status: None,
        }
    }
}

fn metadata(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}

macro_rules! resource {
    ($type:ty, $kind:literal, $plural:literal) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }
            fn group((): &()) -> Cow<'_, str> {
                GROUP.into()
            }
            fn version((): &()) -> Cow<'_, str> {
                VERSION.into()
            }
            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }
            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }
            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(ObjectStorageUser, "ObjectStorageUser", "objectstorageusers");
resource!(ObjectStorageBucket, "ObjectStorageBucket", "objectstoragebuckets");

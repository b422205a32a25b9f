//! The objects of `dataprotection.kubeblocks.io/v1alpha1` as far as they are read here, and the Cluster.

use std::borrow::Cow;

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::{GROUP, VERSION};

macro_rules! resource {
    ($type:ident, $spec:ty, $status:ty, $group:expr, $plural:literal, $scope:ty) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                stringify!($type).into()
            }
            fn group((): &()) -> Cow<'_, str> {
                $group.into()
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

        #[doc = concat!("A ", stringify!($type), ".")]
        #[derive(Debug, Clone, Default, Deserialize, Serialize)]
        pub struct $type {
            /// Name, labels, annotations.
            pub metadata: ObjectMeta,
            /// What is wanted.
            #[serde(default)]
            pub spec: $spec,
            /// What is.
            #[serde(default)]
            pub status: $status,
        }
    };
}

resource!(Backup, BackupSpec, BackupState, GROUP, "backups", NamespaceResourceScope);
resource!(BackupSchedule, ScheduleSpec, Value, GROUP, "backupschedules", NamespaceResourceScope);
resource!(BackupRepo, RepoSpec, Value, GROUP, "backuprepos", ClusterResourceScope);
resource!(Restore, Value, RestoreState, GROUP, "restores", NamespaceResourceScope);
resource!(Cluster, Value, Value, "apps.kubeblocks.io", "clusters", NamespaceResourceScope);

/// What is asked of a backup.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupSpec {
    /// The policy, and so the component.
    pub backup_policy_name: String,
    /// The method.
    pub backup_method: String,
    /// `Delete` removes the data with the object, `Retain` leaves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<String>,
    /// How long it is kept, as in `7d`; without it, until it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_period: Option<String>,
}

/// How a backup is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackupState {
    /// `Running`, `Completed`, `Failed` or `Deleting`.
    pub phase: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_timestamp: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_timestamp: Option<String>,
    /// When it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Bytes in the bucket, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_size: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// The BackupRepo; empty for the workspace's own bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_repo_name: Option<String>,
    /// Where the data lies in the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The id of the key that it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// Which times can be restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_range: Option<TimeRange>,
    /// Of the archived log: all windows, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// What the last drill with this backup found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
}

/// A stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct TimeRange {
    /// From.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// To.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

/// A stretch of time to any moment of which a database can be restored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// The unbroken chain of log segments.
    pub chain: u32,
    /// The earliest moment, RFC 3339.
    pub from: String,
    /// The latest moment, RFC 3339.
    pub to: String,
    /// The number of the last segment.
    #[serde(default)]
    pub last: u64,
    /// Why the window does not grow any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// What a drill found: the backup was restored into a throw-away database and checked there.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Drill {
    /// The backup.
    pub backup: String,
    /// `Running`, `Passed` or `Failed`.
    pub phase: String,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// How long it took.
    pub seconds: u64,
    /// Tables (or keys, collections) that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tables: Option<u64>,
    /// Rows that were read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// What was found, or what failed.
    pub message: String,
}

/// When backups are made.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScheduleSpec {
    /// The policy, and so the component.
    pub backup_policy_name: String,
    /// A backup that is this late is not made any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_deadline_minutes: Option<i64>,
    /// The times.
    pub schedules: Vec<ScheduleEntry>,
}

/// One time.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScheduleEntry {
    /// Whether it is on.
    pub enabled: bool,
    /// The method.
    pub backup_method: String,
    /// Five fields.
    pub cron_expression: String,
    /// How long the backups are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_period: Option<String>,
}

/// A repository away from here: any S3 bucket.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RepoSpec {
    /// `s3` and its likes.
    pub storage_provider_ref: String,
    /// `endpoint`, `bucket`, `region`.
    pub config: std::collections::BTreeMap<String, String>,
    /// The Secret with `accessKeyId` and `secretAccessKey`.
    pub credential: Option<SecretReference>,
}

/// A Secret.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct SecretReference {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// How a restore goes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreState {
    /// `Running`, `Completed` or `Failed`.
    pub phase: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_timestamp: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_timestamp: Option<String>,
    /// What is being done, or why it failed.
    pub message: String,
    /// Bytes of the backup that have been read.
    pub done_bytes: u64,
    /// Bytes that are to be read.
    pub total_bytes: u64,
}

//! Labels, annotations and names of this part. Those of KubeBlocks are an interface.

/// The API group.
pub const GROUP: &str = "dataprotection.kubeblocks.io";
/// The version.
pub const VERSION: &str = "v1alpha1";
/// Both, as objects name them.
pub const API_VERSION: &str = "dataprotection.kubeblocks.io/v1alpha1";
/// On a Backup: its data is removed before it is.
pub const FINALIZER: &str = "dataprotection.kubeblocks.io/finalizer";
/// On a Backup: the Cluster's labels, annotations and spec then, as JSON.
pub const CLUSTER_SNAPSHOT: &str = "kubeblocks.io/cluster-snapshot";
/// On a Backup: the Cluster's uid.
pub const CLUSTER_UID: &str = "dataprotection.kubeblocks.io/cluster-uid";
/// On a Backup: `Full`, or `Continuous` for the one that stands for the archived log.
pub const BACKUP_TYPE: &str = "dataprotection.kubeblocks.io/backup-type";
/// On a Backup: the schedule that made it.
pub const BACKUP_SCHEDULE: &str = "dataprotection.kubeblocks.io/backup-schedule";
/// On a Backup: the engine's version.
pub const ENGINE_VERSION: &str = "databases.sealos.io/engine-version";
/// On a Backup: a user's remark, in hex.
pub const REMARK: &str = "backup-remark";
/// On a Backup: the unbroken chain of log segments that goes on from it.
pub const LOG_CHAIN: &str = "databases.sealos.io/log-chain";
/// On a Backup: all segments of the chain after this number are needed.
pub const LOG_AFTER: &str = "databases.sealos.io/log-after";
/// On a Cluster and its BackupSchedule: the time zone of the schedule, as in `Europe/Berlin`; default UTC.
pub const TIME_ZONE: &str = "databases.sealos.io/time-zone";
/// On a Cluster that a drill made: `true`. Lists leave it out.
pub const DRILL: &str = "databases.sealos.io/drill";
/// On a Cluster: `off` keeps the platform from drilling by itself.
pub const DRILLS: &str = "databases.sealos.io/drills";
/// On a Cluster: asks for a drill now; RFC 3339.
pub const DRILL_REQUESTED: &str = "databases.sealos.io/drill-requested";
/// On a Cluster: what the last drill found, as JSON.
pub const LAST_DRILL: &str = "databases.sealos.io/last-drill";
/// On a definition that this platform made.
pub(crate) const OURS: &str = "databases.sealos.io/managed";
/// The bucket of a workspace that holds its backups.
pub const BUCKET: &str = "backups";
/// The Secret of a workspace with the key that seals its backups.
pub const KEY_SECRET: &str = "backup-key";

/// The BackupPolicy of a component.
pub fn policy(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}-backup-policy")
}

/// The BackupSchedule of a component.
pub fn schedule(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}-backup-schedule")
}

/// The Backup that stands for a component's archived log.
pub fn logs(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}-logs")
}

/// The Restore that shows how the restoring of a Cluster goes.
pub fn restore(cluster: &str) -> String {
    format!("{cluster}-restore")
}

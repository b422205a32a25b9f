//! The names, labels and annotations by which the parts of `cloud/databases` find each other's objects.
//! Those of KubeBlocks are an interface; tools and templates read them.

/// On every object of a cluster: the cluster's name.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// On every object of a cluster: `kubeblocks`.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY`].
pub const KUBEBLOCKS: &str = "kubeblocks";
/// On every object of a cluster: the engine's name, as in `postgresql`.
pub const ENGINE: &str = "app.kubernetes.io/name";
/// On pods, claims and Services: the component's name.
pub const COMPONENT: &str = "apps.kubeblocks.io/component-name";
/// On pods: `primary` or `secondary`; absent while not known.
pub const ROLE: &str = "kubeblocks.io/role";
/// The value of [`ROLE`] of the pod that takes writes.
pub const PRIMARY: &str = "primary";
/// The value of [`ROLE`] of the pods that follow.
pub const SECONDARY: &str = "secondary";
/// On a Cluster: what it is restored from, as KubeBlocks writes it:
/// `{"<component>": {"name": <Backup>, "namespace": …, "restoreTime": <RFC 3339, optional>}}`.
pub const RESTORE_FROM: &str = "kubeblocks.io/restore-from-backup";
/// On a Cluster whose data has been restored: when, as RFC 3339. Set once.
pub const RESTORED_AT: &str = "databases.sealos.io/restored-at";
/// On a Cluster: `sync` acknowledges a commit only when a replica has it; default `async`.
pub const REPLICATION: &str = "databases.sealos.io/replication";

/// The StatefulSet of a component; pods add `-0`, `-1`, …
pub fn workload(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}")
}

/// The Service that always leads to the primary.
pub fn primary_service(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}")
}

/// The headless Service that gives each pod a name.
pub fn headless_service(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}-headless")
}

/// The ConfigMap with the scripts, mounted at [`crate::scripts::SCRIPTS_DIR`].
pub fn scripts_config(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}-scripts")
}

/// The ConfigMap with the engine's parameters, mounted at [`crate::scripts::CONFIG_DIR`].
pub fn parameters_config(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}-config")
}

/// The ConfigMap that says who leads, mounted at [`crate::scripts::TOPOLOGY_DIR`].
/// Only `sealos-db-ha` changes it once it exists; the operator creates it with pod 0 as the primary.
pub fn topology_config(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}-topology")
}

/// The key of the topology ConfigMap that names the primary pod.
pub const TOPOLOGY_PRIMARY: &str = "primary";

/// The Secret with the credentials that users read.
pub fn credential_secret(cluster: &str) -> String {
    format!("{cluster}-conn-credential")
}

/// The Secret with the passwords that only the pods use: key `replication-password`.
pub fn internal_secret(cluster: &str, component: &str) -> String {
    format!("{cluster}-{component}-internal")
}

/// The key of the internal Secret.
pub const REPLICATION_PASSWORD: &str = "replication-password";

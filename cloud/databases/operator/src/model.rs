//! The objects of `apps.kubeblocks.io/v1alpha1` as far as they are read here. What is not named is kept
//! by the API and ignored by us: clients of KubeBlocks write more than we need.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The API group.
pub(crate) const GROUP: &str = "apps.kubeblocks.io";
/// The version.
pub(crate) const VERSION: &str = "v1alpha1";
/// Both, as objects name them.
pub(crate) const API_VERSION: &str = "apps.kubeblocks.io/v1alpha1";
/// Set by KubeBlocks and by templates; cleared once everything of a cluster is gone.
pub(crate) const FINALIZER: &str = "cluster.kubeblocks.io/finalizer";
/// On a Cluster: the operations under way, as `[{"name": …, "type": …}]`.
pub(crate) const OPS_REQUEST: &str = "kubeblocks.io/ops-request";
/// On a stopped Cluster: the replicas to go back to, as `{"<component>": n}`.
pub(crate) const SNAPSHOT_FOR_START: &str = "kubeblocks.io/snapshot-for-start";
/// On a Cluster: changed to restart its pods, RFC 3339.
pub(crate) const RESTARTED_AT: &str = "databases.sealos.io/restarted-at";
/// On a Cluster: the parameters that users set, as a JSON object of texts.
pub(crate) const PARAMETERS: &str = "databases.sealos.io/parameters";
/// On a Cluster: `on` keeps finished log segments for an archive.
pub(crate) const ARCHIVE: &str = "databases.sealos.io/archive";
/// Label of a Cluster that is a throw-away copy, on which a backup is tried.
pub(crate) const DRILL: &str = "databases.sealos.io/drill";
/// On a Cluster: the time zone of its backup schedule.
pub(crate) const TIME_ZONE: &str = "databases.sealos.io/time-zone";
/// On a Cluster: asks for another primary; a pod's name, or empty for any.
pub(crate) const SWITCHOVER_TO: &str = "databases.sealos.io/switchover-to";
/// On a Cluster: why the last switchover was refused.
pub(crate) const SWITCHOVER_ERROR: &str = "databases.sealos.io/switchover-error";
/// On a Cluster: a fingerprint of the parameters that run in the pods.
pub(crate) const LOADED: &str = "databases.sealos.io/parameters-loaded";
/// On Clusters: their definition, as KubeBlocks' tools select them.
pub(crate) const DEFINITION_LABEL: &str = "clusterdefinition.kubeblocks.io/name";
/// On Clusters: their version.
pub(crate) const VERSION_LABEL: &str = "clusterversion.kubeblocks.io/name";

macro_rules! resource {
    ($type:ident, $kind:literal, $plural:literal) => {
        impl kube::Resource for $type {
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

/// A database.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Cluster {
    /// Name, labels, annotations.
    pub metadata: ObjectMeta,
    /// What is wanted.
    #[serde(default)]
    pub spec: ClusterSpec,
    /// What is.
    #[serde(default)]
    pub status: Option<ClusterStatus>,
}

resource!(Cluster, "Cluster", "clusters");

/// What is wanted of a database.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterSpec {
    /// The engine, as KubeBlocks 0.8 names it: `postgresql`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_definition_ref: Option<String>,
    /// Engine and version, as in `postgresql-14.8.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_version_ref: Option<String>,
    /// What becomes of the data when the Cluster is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_policy: Option<String>,
    /// Its parts.
    pub component_specs: Vec<ComponentSpec>,
    /// Where pods may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Value>,
    /// Which taints they bear.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Value>,
    /// When backups are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Value>,
}

/// A part of a database.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentSpec {
    /// Its name.
    pub name: String,
    /// What it is (0.8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_def_ref: Option<String>,
    /// What it is (0.9).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub component_def: Option<String>,
    /// Its version (0.9).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_version: Option<String>,
    /// How many pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// What each may use.
    pub resources: Resources,
    /// What each keeps.
    pub volume_claim_templates: Vec<ClaimTemplate>,
    /// Where pods may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Value>,
    /// Which taints they bear.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Value>,
}

/// Limits and requests.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Resources {
    /// The most.
    pub limits: BTreeMap<String, Quantity>,
    /// What is set aside.
    pub requests: BTreeMap<String, Quantity>,
}

/// A volume of a component.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ClaimTemplate {
    /// Its name: `data`.
    pub name: String,
    /// What is claimed.
    pub spec: ClaimSpec,
}

/// What is claimed.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// Who may mount it.
    pub access_modes: Vec<String>,
    /// How much.
    pub resources: Resources,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<String>,
}

/// How a database is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterStatus {
    /// One word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The generation that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The definition's generation, for tools that compare it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_def_generation: Option<i64>,
    /// Each part.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, ComponentStatus>,
    /// What holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// How a part is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentStatus {
    /// One word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Whether all its pods are ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods_ready: Option<bool>,
    /// What its pods complain of.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub message: BTreeMap<String, String>,
    /// Its pods by role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_set_status: Option<ReplicationSet>,
}

/// Pods by role.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct ReplicationSet {
    /// The one that takes writes.
    pub primary: Member,
    /// Those that follow.
    pub secondaries: Vec<Member>,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Member {
    /// Its name.
    pub pod: String,
}

/// Something that holds or does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Its name.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word why.
    pub reason: String,
    /// A sentence why.
    pub message: String,
    /// Since when.
    pub last_transition_time: String,
    /// The generation that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// An operation on a database.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct OpsRequest {
    /// Name, labels, annotations.
    pub metadata: ObjectMeta,
    /// What is to be done. Its parts differ by type; `ops` reads them.
    #[serde(default)]
    pub spec: Value,
    /// How far it is.
    #[serde(default)]
    pub status: Option<OpsStatus>,
}

resource!(OpsRequest, "OpsRequest", "opsrequests");

impl OpsRequest {
    /// The type, as in `Restart`.
    pub fn type_(&self) -> &str {
        self.spec["type"].as_str().unwrap_or_default()
    }

    /// The Cluster it is about; 0.8 and 0.9 name the field differently.
    pub fn cluster(&self) -> &str {
        let named = self.spec["clusterRef"].as_str().filter(|name| !name.is_empty());
        named.or_else(|| self.spec["clusterName"].as_str()).unwrap_or_default()
    }

    /// The phase; empty before anybody looked at it.
    pub fn phase(&self) -> &str {
        self.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.phase(), "Succeed" | "Failed" | "Cancelled")
    }
}

/// How far an operation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OpsStatus {
    /// `Pending`, `Running`, `Succeed`, `Failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `done/all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The Cluster's generation once it was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_generation: Option<i64>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_timestamp: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_timestamp: Option<String>,
    /// What holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

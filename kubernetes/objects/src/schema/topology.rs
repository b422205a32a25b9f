//! How built-in lists and maps merge: the one table behind strategic merge, server-side apply and OpenAPI.
//!
//! A list that is not named here is replaced whole; an object that is not named here merges field by field.

use super::ListKind;

/// Facts about one field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// The key strategic merge finds items by.
    pub(crate) merge_key: Option<&'static str>,
    /// `merge`, `merge,retainKeys`, `retainKeys` or nothing.
    pub(crate) strategy: &'static str,
    /// `map`, `set` or `atomic`, as server-side apply sees it.
    pub(crate) list: &'static str,
    pub(crate) keys: &'static [&'static str],
}

impl Facts {
    pub(crate) fn kind(&self) -> ListKind {
        match self.list {
            "map" => ListKind::Map(self.keys.iter().map(|key| (*key).into()).collect()),
            "set" => ListKind::Set,
            _ => ListKind::Atomic,
        }
    }

    /// Whether strategic merge merges rather than replaces the list.
    pub(crate) fn merges(&self) -> bool {
        self.strategy.starts_with("merge")
    }
}

type Row = (&'static str, &'static str, Facts);

/// A list of objects found by one key, in both kinds of merge.
const fn by(key: &'static [&'static str; 1]) -> Facts {
    Facts { merge_key: Some(key[0]), strategy: "merge", list: "map", keys: key }
}

/// Like [`by`], for unions: keys not in the patch's item go away.
const fn by_retaining(key: &'static [&'static str; 1]) -> Facts {
    Facts { merge_key: Some(key[0]), strategy: "merge,retainKeys", list: "map", keys: key }
}

/// Strategic merge looks at the first key only; apply at all of them.
const fn by_keys(keys: &'static [&'static str]) -> Facts {
    Facts { merge_key: Some(keys[0]), strategy: "merge", list: "map", keys }
}

/// Merged by key in strategic merge, owned whole in apply.
const fn by_but_atomic(key: &'static str) -> Facts {
    Facts { merge_key: Some(key), strategy: "merge", list: "atomic", keys: &[] }
}

/// Replaced whole in strategic merge, merged by key in apply.
const fn apply_only(keys: &'static [&'static str]) -> Facts {
    Facts { merge_key: None, strategy: "", list: "map", keys }
}

/// A list of distinct scalars, merged in both.
const MERGED_SET: Facts = Facts { merge_key: None, strategy: "merge", list: "set", keys: &[] };
/// A list of distinct scalars, merged by apply only.
const SET: Facts = Facts { merge_key: None, strategy: "", list: "set", keys: &[] };
/// A map owned whole.
const ATOMIC: Facts = Facts { merge_key: None, strategy: "", list: "atomic", keys: &[] };
/// An object of which strategic merge keeps only the keys the patch names.
const RETAIN: Facts = Facts { merge_key: None, strategy: "retainKeys", list: "", keys: &[] };

const NAME: Facts = by(&["name"]);
const TYPE: Facts = by(&["type"]);
const IP: Facts = by(&["ip"]);

const CORE: &[Row] = &[
    ("PodSpec", "containers", NAME),
    ("PodSpec", "initContainers", NAME),
    ("PodSpec", "ephemeralContainers", NAME),
    ("PodSpec", "volumes", by_retaining(&["name"])),
    ("PodSpec", "resourceClaims", by_retaining(&["name"])),
    ("PodSpec", "imagePullSecrets", NAME),
    ("PodSpec", "schedulingGates", NAME),
    ("PodSpec", "hostAliases", IP),
    ("PodSpec", "topologySpreadConstraints", by_keys(&["topologyKey", "whenUnsatisfiable"])),
    ("PodSpec", "nodeSelector", ATOMIC),
    ("Container", "ports", by_keys(&["containerPort", "protocol"])),
    ("Container", "env", NAME),
    ("Container", "volumeMounts", by(&["mountPath"])),
    ("Container", "volumeDevices", by(&["devicePath"])),
    ("EphemeralContainer", "ports", by_keys(&["containerPort", "protocol"])),
    ("EphemeralContainer", "env", NAME),
    ("EphemeralContainer", "volumeMounts", by(&["mountPath"])),
    ("EphemeralContainer", "volumeDevices", by(&["devicePath"])),
    ("ResourceRequirements", "claims", apply_only(&["name"])),
    ("PodStatus", "conditions", TYPE),
    ("PodStatus", "podIPs", IP),
    ("PodStatus", "hostIPs", by_but_atomic("ip")),
    ("PodStatus", "resourceClaimStatuses", by_retaining(&["name"])),
    ("ContainerStatus", "volumeMounts", by(&["mountPath"])),
    ("ContainerStatus", "allocatedResourcesStatus", NAME),
    ("ResourceStatus", "resources", apply_only(&["resourceID"])),
    ("ServiceSpec", "ports", by_keys(&["port", "protocol"])),
    ("ServiceSpec", "selector", ATOMIC),
    ("ServiceStatus", "conditions", TYPE),
    ("ServiceAccount", "secrets", NAME),
    ("NodeSpec", "podCIDRs", MERGED_SET),
    ("NodeStatus", "conditions", TYPE),
    ("NodeStatus", "addresses", TYPE),
    ("NamespaceStatus", "conditions", TYPE),
    ("PersistentVolumeClaimStatus", "conditions", TYPE),
    ("ReplicationControllerStatus", "conditions", TYPE),
    ("ReplicationControllerSpec", "selector", ATOMIC),
];

const OTHERS: &[Row] = &[
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", MERGED_SET),
    ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", by(&["uid"])),
    ("io.k8s.api.apps.v1.DeploymentSpec", "strategy", RETAIN),
    ("io.k8s.api.apps.v1.DeploymentStatus", "conditions", TYPE),
    ("io.k8s.api.apps.v1.ReplicaSetStatus", "conditions", TYPE),
    ("io.k8s.api.apps.v1.StatefulSetStatus", "conditions", TYPE),
    ("io.k8s.api.apps.v1.DaemonSetStatus", "conditions", TYPE),
    ("io.k8s.api.batch.v1.JobStatus", "conditions", by_but_atomic("type")),
    ("io.k8s.api.batch.v1.UncountedTerminatedPods", "failed", SET),
    ("io.k8s.api.batch.v1.UncountedTerminatedPods", "succeeded", SET),
    ("io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement", "values", SET),
    ("io.k8s.api.discovery.v1.Endpoint", "addresses", SET),
    ("io.k8s.api.policy.v1.PodDisruptionBudgetStatus", "conditions", TYPE),
    ("io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus", "conditions", TYPE),
    ("io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration", "webhooks", NAME),
    ("io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration", "webhooks", NAME),
    ("io.k8s.api.admissionregistration.v1.MutatingWebhook", "matchConditions", NAME),
    ("io.k8s.api.admissionregistration.v1.ValidatingWebhook", "matchConditions", NAME),
    ("io.k8s.api.storage.v1.CSINodeSpec", "drivers", NAME),
    ("io.k8s.api.storage.v1.CSIDriverSpec", "volumeLifecycleModes", SET),
    (
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus",
        "conditions",
        apply_only(&["type"]),
    ),
    ("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceStatus", "conditions", TYPE),
];

const CORE_PREFIX: &str = "io.k8s.api.core.v1.";

/// Objects owned whole by whoever sets any part of them.
const ATOMIC_STRUCTS: &[&str] = &[
    "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
    "io.k8s.api.core.v1.ConfigMapKeySelector",
    "io.k8s.api.core.v1.EndpointAddress",
    "io.k8s.api.core.v1.EndpointPort",
    "io.k8s.api.core.v1.FileKeySelector",
    "io.k8s.api.core.v1.LocalObjectReference",
    "io.k8s.api.core.v1.NodeSelector",
    "io.k8s.api.core.v1.NodeSelectorTerm",
    "io.k8s.api.core.v1.ObjectFieldSelector",
    "io.k8s.api.core.v1.ObjectReference",
    "io.k8s.api.core.v1.ResourceFieldSelector",
    "io.k8s.api.core.v1.ScopedResourceSelectorRequirement",
    "io.k8s.api.core.v1.SecretKeySelector",
    "io.k8s.api.core.v1.SecretReference",
    "io.k8s.api.core.v1.TopologySelectorTerm",
    "io.k8s.api.core.v1.TypedLocalObjectReference",
    "io.k8s.api.autoscaling.v1.CrossVersionObjectReference",
    "io.k8s.api.discovery.v1.EndpointPort",
    "io.k8s.api.rbac.v1.RoleRef",
    "io.k8s.api.rbac.v1.Subject",
];

/// Facts about `field` of the definition `owner`.
pub(crate) fn list_facts(owner: &str, field: &str) -> Option<Facts> {
    let find = |rows: &'static [Row], owner: &str| {
        rows.iter().find(|(name, key, _)| *name == owner && *key == field).map(|(_, _, facts)| *facts)
    };
    match owner.strip_prefix(CORE_PREFIX) {
        Some(short) => find(CORE, short),
        None => find(OTHERS, owner),
    }
}

pub(crate) fn atomic_struct(owner: &str) -> bool {
    ATOMIC_STRUCTS.contains(&owner)
}

#[cfg(test)]
pub(crate) fn all() -> Vec<(&'static str, &'static str)> {
    let core =
        CORE.iter().map(|(owner, field, _)| (format!("{CORE_PREFIX}{owner}").leak() as &'static str, *field));
    core.chain(OTHERS.iter().map(|(owner, field, _)| (*owner, *field))).collect()
}

#[cfg(test)]
pub(crate) fn atomic_structs() -> &'static [&'static str] {
    ATOMIC_STRUCTS
}

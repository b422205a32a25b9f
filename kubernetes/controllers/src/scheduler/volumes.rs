//! What a pod's claims mean for its node: they must exist, be bound or be bindable on it.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::jiff::Timestamp;

use super::fit::any_term;
use super::ledger::Seat;
use crate::meta::{self, Key};

pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// A fresh claim is given this long to be bound before the pod's waiting is told.
const PATIENCE_SECONDS: i64 = 5;

type Lookup<'a, Q, K> = &'a dyn Fn(&Q) -> Option<Arc<K>>;

pub(super) struct Storage<'a> {
    pub(super) claims: Lookup<'a, Key, PersistentVolumeClaim>,
    pub(super) volumes: Lookup<'a, str, PersistentVolume>,
    pub(super) classes: Lookup<'a, str, StorageClass>,
}

#[derive(Default)]
pub(super) struct Needs {
    /// Volumes the pod will use.
    bound: Vec<Arc<PersistentVolume>>,
    /// Claims that are bound once a node is chosen.
    pub(super) unbound: Vec<Key>,
}

pub(super) enum Found {
    Ready(Needs),
    Wait(Duration),
    Never(String),
}

impl Storage<'_> {
    pub(super) fn of(&self, pod: &Pod, now: Timestamp) -> Found {
        let mut needs = Needs::default();
        let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
        for volume in volumes {
            let name = match (&volume.persistent_volume_claim, &volume.ephemeral) {
                (Some(source), _) => source.claim_name.clone(),
                (None, Some(_)) => format!("{}-{}", meta::name(&pod.metadata), volume.name),
                (None, None) => continue,
            };
            let key = Key::new(meta::namespace(&pod.metadata), &name);
            let Some(claim) = (self.claims)(&key) else {
                return Found::Never(format!("persistentvolumeclaim \"{name}\" not found"));
            };
            if meta::is_deleting(&claim.metadata) {
                return Found::Never(format!("persistentvolumeclaim \"{name}\" is being deleted"));
            }
            match self.claim(&claim) {
                Claim::Bound(volume) => needs.bound.push(volume),
                Claim::OnNode => needs.unbound.push(key),
                Claim::Waiting
                    if now.as_second() - meta::created(&claim.metadata).as_second() < PATIENCE_SECONDS =>
                {
                    return Found::Wait(Duration::from_secs(1));
                }
                Claim::Waiting => {
                    return Found::Never("pod has unbound immediate PersistentVolumeClaims".to_owned());
                }
            }
        }
        Found::Ready(needs)
    }

    fn claim(&self, claim: &PersistentVolumeClaim) -> Claim {
        let spec = claim.spec.clone().unwrap_or_default();
        let is_bound = claim.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound");
        let volume = spec.volume_name.as_deref().filter(|_| is_bound).and_then(|v| (self.volumes)(v));
        if let Some(volume) = volume {
            return Claim::Bound(volume);
        }
        let class = spec.storage_class_name.as_deref().and_then(|c| (self.classes)(c));
        let late = class.is_some_and(|c| c.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
        if late { Claim::OnNode } else { Claim::Waiting }
    }
}

enum Claim {
    Bound(Arc<PersistentVolume>),
    OnNode,
    Waiting,
}

impl Needs {
    pub(super) fn refuses(&self, seat: &Seat) -> Option<String> {
        let elsewhere = |volume: &Arc<PersistentVolume>| {
            let affinity = volume.spec.as_ref().and_then(|s| s.node_affinity.as_ref());
            let required = affinity.and_then(|a| a.required.as_ref());
            required.is_some_and(|r| !any_term(&r.node_selector_terms, &seat.node))
        };
        let refused = self.bound.iter().any(elsewhere);
        refused.then(|| "node(s) didn't match PersistentVolume's node affinity".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(claim: Option<serde_json::Value>, mode: &str) -> String {
        let claim: Option<Arc<PersistentVolumeClaim>> =
            claim.map(|c| Arc::new(serde_json::from_value(c).unwrap()));
        let class: Arc<StorageClass> = Arc::new(
            serde_json::from_value(
                json!({"metadata": {"name": "s"}, "provisioner": "x", "volumeBindingMode": mode}),
            )
            .unwrap(),
        );
        let storage = Storage {
            claims: &|_| claim.clone(),
            volumes: &|_| Some(Arc::default()),
            classes: &|_| Some(class.clone()),
        };
        let pod = serde_json::from_value(
            json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {"containers": [],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}}),
        )
        .unwrap();
        match storage.of(&pod, "2024-01-01T00:00:30Z".parse().unwrap()) {
            Found::Ready(needs) => format!("bound {} unbound {}", needs.bound.len(), needs.unbound.len()),
            Found::Wait(_) => "wait".to_owned(),
            Found::Never(reason) => reason,
        }
    }

    #[test]
    fn claims_decide_whether_a_pod_can_go() {
        let claim = |created: &str, phase: &str| {
            json!({"metadata": {"creationTimestamp": created}, "spec": {"storageClassName": "s", "volumeName": "v"},
                "status": {"phase": phase}})
        };
        let (old, fresh) = ("2024-01-01T00:00:00Z", "2024-01-01T00:00:29Z");
        assert_eq!(found(None, "Immediate"), "persistentvolumeclaim \"data\" not found");
        assert_eq!(found(Some(claim(fresh, "Pending")), "Immediate"), "wait");
        assert_eq!(
            found(Some(claim(old, "Pending")), "Immediate"),
            "pod has unbound immediate PersistentVolumeClaims"
        );
        assert_eq!(found(Some(claim(old, "Pending")), "WaitForFirstConsumer"), "bound 0 unbound 1");
        assert_eq!(found(Some(claim(old, "Bound")), "Immediate"), "bound 1 unbound 0");
    }
}

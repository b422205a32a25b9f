//! Which existing volume suits a claim. Pure.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};
use sealos_objects::quantity::Quantity;

use crate::meta;
use crate::resources;

/// What a claim asks for.
pub(super) fn wanted(claim: &PersistentVolumeClaim) -> Quantity {
    let resources = claim.spec.as_ref().and_then(|s| s.resources.as_ref());
    let requests = resources.and_then(|r| r.requests.as_ref());
    requests.and_then(|r| r.get("storage")).map_or_else(resources::zero, resources::quantity)
}

pub(super) fn capacity(volume: &PersistentVolume) -> Quantity {
    let capacity = volume.spec.as_ref().and_then(|s| s.capacity.as_ref());
    capacity.and_then(|c| c.get("storage")).map_or_else(resources::zero, resources::quantity)
}

pub(super) fn refers_to(reference: &ObjectReference, claim: &PersistentVolumeClaim) -> bool {
    reference.name == claim.metadata.name
        && reference.namespace == claim.metadata.namespace
        && reference.uid.as_ref().is_none_or(|u| u.is_empty() || Some(u) == claim.metadata.uid.as_ref())
}

/// The smallest volume that suits, one reserved for the claim before all others.
pub(super) fn find(
    claim: &PersistentVolumeClaim,
    volumes: &[Arc<PersistentVolume>],
) -> Option<Arc<PersistentVolume>> {
    let reserved = |v: &&Arc<PersistentVolume>| {
        v.spec.as_ref().and_then(|s| s.claim_ref.as_ref()).is_some_and(|r| refers_to(r, claim))
    };
    let suitable = || volumes.iter().filter(|v| suits(claim, v));
    let smallest = suitable().filter(|v| v.spec.as_ref().is_some_and(|s| s.claim_ref.is_none()));
    suitable().find(reserved).or_else(|| smallest.min_by_key(|v| capacity(v).millis())).cloned()
}

fn suits(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    let (Some(want), Some(have)) = (&claim.spec, &volume.spec) else { return false };
    let class = |name: &Option<String>| name.clone().unwrap_or_default();
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    let modes =
        want.access_modes.iter().flatten().all(|m| have.access_modes.iter().flatten().any(|h| h == m));
    let selected =
        want.selector.as_ref().is_none_or(|s| meta::selects(Some(s), volume.metadata.labels.as_ref()));
    !meta::is_deleting(&volume.metadata)
        && class(&want.storage_class_name) == class(&have.storage_class_name)
        && mode(&want.volume_mode) == mode(&have.volume_mode)
        && modes
        && selected
        && capacity(volume) >= wanted(claim)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn volume(name: &str, size: &str, more: &Value) -> Arc<PersistentVolume> {
        let mut value = json!({"metadata": {"name": name}, "spec": {
            "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "slow"}});
        for (key, field) in more.as_object().into_iter().flatten() {
            value["spec"][key] = field.clone();
        }
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn found(volumes: &[Arc<PersistentVolume>]) -> Option<String> {
        let claim = serde_json::from_value(json!({"metadata": {"name": "data", "namespace": "a", "uid": "u"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": "slow", "resources": {"requests": {"storage": "1Gi"}}}}))
        .unwrap();
        find(&claim, volumes).and_then(|v| v.metadata.name.clone())
    }

    #[test]
    fn the_smallest_that_suits_is_found() {
        let all = [
            volume("large", "10Gi", &json!({})),
            volume("fit", "2Gi", &json!({})),
            volume("small", "1Mi", &json!({})),
            volume("other", "1Gi", &json!({"storageClassName": "fast"})),
            volume("taken", "1Gi", &json!({"claimRef": {"name": "x", "namespace": "a", "uid": "1"}})),
        ];
        assert_eq!(found(&all).as_deref(), Some("fit"));
        assert_eq!(found(&all[2..]), None);
    }

    #[test]
    fn a_reserved_volume_comes_first() {
        let reserved = volume("mine", "10Gi", &json!({"claimRef": {"name": "data", "namespace": "a"}}));
        assert_eq!(found(&[volume("fit", "2Gi", &json!({})), reserved]).as_deref(), Some("mine"));
    }
}

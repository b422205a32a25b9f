//! Making a local volume for a claim.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    HostPathVolumeSource, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, ObjectReference,
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, VolumeNodeAffinity,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::binding::wanted;
use super::{PROVISIONED_BY, PROVISIONER, Storage, VOLUME_FINALIZER};
use crate::kind::Error;
use crate::meta::{self, Key};

pub(super) fn is_ours(volume: &PersistentVolume) -> bool {
    meta::annotation(&volume.metadata, PROVISIONED_BY) == Some(PROVISIONER)
}

pub(super) fn claim_reference(claim: &PersistentVolumeClaim) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("PersistentVolumeClaim".to_owned()),
        name: claim.metadata.name.clone(),
        namespace: claim.metadata.namespace.clone(),
        uid: claim.metadata.uid.clone(),
        resource_version: claim.metadata.resource_version.clone(),
        field_path: None,
    }
}

/// A new volume, reserved for the claim. The name comes from the claim, so a second try finds the first.
pub(super) async fn volume(
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
) -> Result<Arc<PersistentVolume>, Error> {
    let name = format!("pvc-{}", meta::uid(&claim.metadata));
    if claim.spec.as_ref().and_then(|s| s.volume_mode.as_deref()) == Some("Block") {
        return Err(Error::Refused(
            "local volumes are directories: volumeMode must be Filesystem".to_owned(),
        ));
    }
    let size = wanted(claim);
    let bytes = u64::try_from(size.ceil()).unwrap_or(0);
    let path = storage.provisioner.provision(&name, bytes).await;
    let path =
        path.map_err(|error| Error::Refused(format!("make a directory for volume `{name}`: {error}")))?;
    let source = HostPathVolumeSource {
        path: path.to_string_lossy().into_owned(),
        type_: Some("DirectoryOrCreate".to_owned()),
    };
    let volume = PersistentVolume {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            annotations: Some(BTreeMap::from([(PROVISIONED_BY.to_owned(), PROVISIONER.to_owned())])),
            finalizers: Some(vec![VOLUME_FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeSpec {
            access_modes: claim.spec.as_ref().and_then(|s| s.access_modes.clone()),
            capacity: Some(BTreeMap::from([("storage".to_owned(), Text(size.to_string()))])),
            claim_ref: Some(claim_reference(claim)),
            host_path: Some(source),
            mount_options: class.mount_options.clone(),
            node_affinity: Some(on_node(&storage.node_name)),
            persistent_volume_reclaim_policy: Some(
                class.reclaim_policy.clone().unwrap_or_else(|| "Delete".to_owned()),
            ),
            storage_class_name: class.metadata.name.clone(),
            volume_mode: Some("Filesystem".to_owned()),
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    };
    match storage.cluster.volumes.create(&volume).await {
        Err(error) if error.is_conflict() => {
            let known = storage.cluster.volumes.get(&Key::new("", &name));
            known.ok_or(error)
        }
        other => other,
    }
}

fn on_node(name: &str) -> VolumeNodeAffinity {
    let requirement = NodeSelectorRequirement {
        key: "kubernetes.io/hostname".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![name.to_owned()]),
    };
    let term = NodeSelectorTerm { match_expressions: Some(vec![requirement]), match_fields: None };
    VolumeNodeAffinity { required: Some(NodeSelector { node_selector_terms: vec![term] }) }
}

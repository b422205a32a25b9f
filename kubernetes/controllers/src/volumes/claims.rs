//! One claim: find or make its volume, bind both, let it grow, and let it go when no pod uses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimStatus};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use serde_json::json;

use super::binding::{self, capacity, refers_to, wanted};
use super::{
    BIND_COMPLETED, BOUND_BY_US, CLAIM_FINALIZER, PROVISIONER, Storage, class, protection, provision,
    with_finalizer,
};
use crate::kind::Error;
use crate::meta::{self, Key};
use crate::queue::Again;

const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";

pub(super) fn volume_of(claim: &PersistentVolumeClaim) -> Option<&str> {
    claim.spec.as_ref()?.volume_name.as_deref().filter(|v| !v.is_empty())
}

fn phase(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

pub(super) async fn reconcile(storage: Storage, key: Key) -> Result<Again, Error> {
    let Some(claim) = storage.cluster.claims.get(&key) else { return Ok(None) };
    if meta::is_deleting(&claim.metadata) {
        return protection::release_claim(&storage.cluster, &claim).await;
    }
    match volume_of(&claim) {
        Some(volume) => bound(&storage, &claim, volume).await,
        None => unbound(&storage, claim).await,
    }
}

async fn unbound(storage: &Storage, claim: Arc<PersistentVolumeClaim>) -> Result<Again, Error> {
    let cluster = &storage.cluster;
    let claim = with_class(storage, claim).await?;
    let name = claim.spec.as_ref().and_then(|s| s.storage_class_name.as_deref()).unwrap_or_default();
    let class = cluster.storage_classes.get(&Key::new("", name));
    let late =
        class.as_ref().is_some_and(|c| c.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
    if late && meta::annotation(&claim.metadata, SELECTED_NODE).is_none() {
        let message = "waiting for first consumer to be created before binding";
        return wait(storage, &claim, "WaitForFirstConsumer", message, Mood::Normal).await;
    }
    if let Some(volume) = binding::find(&claim, &cluster.volumes.all()) {
        return bind(storage, &claim, volume).await;
    }
    if name.is_empty() {
        let message = "no persistent volumes available for this claim and no storage class is set";
        return wait(storage, &claim, "FailedBinding", message, Mood::Normal).await;
    }
    let Some(class) = class else {
        let message = format!("storageclass.storage.k8s.io {name:?} not found");
        return wait(storage, &claim, "ProvisioningFailed", &message, Mood::Warning).await;
    };
    if class.provisioner != PROVISIONER {
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system administrator.",
            class.provisioner
        );
        return wait(storage, &claim, "ExternalProvisioning", &message, Mood::Normal).await;
    }
    provisioned(storage, &claim, &class).await
}

async fn provisioned(
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    class: &StorageClass,
) -> Result<Again, Error> {
    match provision::volume(storage, claim, class).await {
        Ok(volume) => {
            let message = format!("Successfully provisioned volume {}", meta::name(&volume.metadata));
            storage.cluster.events.normal(claim, "ProvisioningSucceeded", message);
            bind(storage, claim, volume).await
        }
        Err(error) => {
            let message = format!("failed to provision volume: {}", error.reason());
            wait(storage, claim, "ProvisioningFailed", &message, Mood::Warning).await?;
            Err(error)
        }
    }
}

/// A claim that names no class gets the default one.
async fn with_class(
    storage: &Storage,
    claim: Arc<PersistentVolumeClaim>,
) -> Result<Arc<PersistentVolumeClaim>, Error> {
    if claim.spec.as_ref().is_some_and(|s| s.storage_class_name.is_some()) {
        return Ok(claim);
    }
    let Some(class) = class::default_of(&storage.cluster) else { return Ok(claim) };
    let body = json!({"spec": {"storageClassName": class}});
    storage.cluster.claims.merge(&Key::of(&claim.metadata), &body).await
}

enum Mood {
    Normal,
    Warning,
}

async fn wait(
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    reason: &'static str,
    message: &str,
    mood: Mood,
) -> Result<Again, Error> {
    match mood {
        Mood::Normal => storage.cluster.events.normal(claim, reason, message),
        Mood::Warning => storage.cluster.events.warning(claim, reason, message),
    }
    if phase(claim).is_empty() {
        tell(storage, claim, None, "Pending").await?;
    }
    Ok(None)
}

/// Ties volume and claim to each other. Each write is a step that a later round can continue.
async fn bind(
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    volume: Arc<PersistentVolume>,
) -> Result<Again, Error> {
    let volume = claimed(storage, claim, volume).await?;
    let annotations = json!({BOUND_BY_US: "yes", BIND_COMPLETED: "yes"});
    let body = json!({
        "metadata": {"uid": claim.metadata.uid, "annotations": annotations, "finalizers": with_finalizer(claim, CLAIM_FINALIZER)},
        "spec": {"volumeName": volume.metadata.name},
    });
    let claim = storage.cluster.claims.merge(&Key::of(&claim.metadata), &body).await?;
    tell(storage, &claim, Some(&volume), "Bound").await?;
    Ok(None)
}

/// The volume with its reference to the claim.
async fn claimed(
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    volume: Arc<PersistentVolume>,
) -> Result<Arc<PersistentVolume>, Error> {
    let reference = volume.spec.as_ref().and_then(|s| s.claim_ref.as_ref());
    if reference.is_some_and(|r| r.uid.is_some() && r.uid == claim.metadata.uid) {
        return Ok(volume);
    }
    let body = json!({
        "metadata": {"resourceVersion": volume.metadata.resource_version, "annotations": {BOUND_BY_US: "yes"}},
        "spec": {"claimRef": provision::claim_reference(claim)},
    });
    storage.cluster.volumes.merge(&Key::of(&volume.metadata), &body).await
}

async fn bound(storage: &Storage, claim: &Arc<PersistentVolumeClaim>, name: &str) -> Result<Again, Error> {
    let Some(volume) = storage.cluster.volumes.get(&Key::new("", name)) else {
        if meta::annotation(&claim.metadata, BIND_COMPLETED).is_some() {
            storage.cluster.events.warning(
                &**claim,
                "ClaimLost",
                format!(
                    "Bound claim has lost its PersistentVolume. Data on the volume is lost! Volume: {name:?}"
                ),
            );
            tell(storage, claim, None, "Lost").await?;
        } else if phase(claim).is_empty() {
            tell(storage, claim, None, "Pending").await?;
        }
        return Ok(None);
    };
    let reference = volume.spec.as_ref().and_then(|s| s.claim_ref.as_ref());
    match reference {
        Some(r) if !refers_to(r, claim) => {
            let message = format!("volume {name:?} already bound to a different claim.");
            wait(storage, claim, "FailedBinding", &message, Mood::Warning).await
        }
        Some(r) if r.uid.is_some() => {
            grow(storage, claim, &volume).await?;
            Ok(None)
        }
        _ => bind(storage, claim, volume).await,
    }
}

/// Brings the volume to the size the claim asks for, then tells what there is.
async fn grow(
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    volume: &Arc<PersistentVolume>,
) -> Result<(), Error> {
    let (want, have) = (wanted(claim), capacity(volume));
    let mut volume = volume.clone();
    if want > have && provision::is_ours(&volume) {
        let name = meta::name(&volume.metadata).to_owned();
        let bytes = u64::try_from(want.ceil()).unwrap_or(0);
        if let Err(error) = storage.provisioner.resize(&name, bytes).await {
            let message = format!("resize volume {name:?}: {error}");
            storage.cluster.events.warning(claim, "VolumeResizeFailed", &message);
            return Err(Error::Refused(message));
        }
        let body = json!({"spec": {"capacity": {"storage": want.to_string()}}});
        volume = storage.cluster.volumes.merge(&Key::of(&volume.metadata), &body).await?;
        storage.cluster.events.normal(claim, "VolumeResizeSuccessful", "Resize volume succeeded");
    }
    if !meta::has_finalizer(&claim.metadata, CLAIM_FINALIZER) {
        let body = json!({"metadata": {"finalizers": with_finalizer(claim, CLAIM_FINALIZER)}});
        storage.cluster.claims.merge(&Key::of(&claim.metadata), &body).await?;
    }
    tell(storage, claim, Some(&volume), "Bound").await
}

async fn tell(
    storage: &Storage,
    claim: &PersistentVolumeClaim,
    volume: Option<&PersistentVolume>,
    phase: &str,
) -> Result<(), Error> {
    let mut status: PersistentVolumeClaimStatus = claim.status.clone().unwrap_or_default();
    status.phase = Some(phase.to_owned());
    if let Some(volume) = volume {
        status.access_modes = volume.spec.as_ref().and_then(|s| s.access_modes.clone());
        let size = Text(capacity(volume).to_string());
        status.capacity = Some(BTreeMap::from([("storage".to_owned(), size)]));
    }
    storage.cluster.claims.set_status(&Key::of(&claim.metadata), claim.status.as_ref(), &status).await
}

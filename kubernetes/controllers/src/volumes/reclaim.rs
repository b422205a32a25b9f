//! One volume: its phase, and what becomes of it when its claim is gone.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeStatus};
use serde_json::json;

use super::binding::refers_to;
use super::{Storage, VOLUME_FINALIZER, key_of, provision, with_finalizer, without_finalizer};
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::queue::Again;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Available,
    Bound,
    Released,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Bound => "Bound",
            Self::Released => "Released",
        }
    }
}

pub(super) async fn reconcile(storage: Storage, key: Key) -> Result<Again, Error> {
    let Some(volume) = storage.cluster.volumes.get(&key) else { return Ok(None) };
    let phase = phase(&storage, &volume);
    if meta::is_deleting(&volume.metadata) {
        return release(&storage, &volume, phase).await;
    }
    if !meta::has_finalizer(&volume.metadata, VOLUME_FINALIZER) {
        let body = json!({"metadata": {"finalizers": with_finalizer(&*volume, VOLUME_FINALIZER)}});
        storage.cluster.volumes.merge(&key, &body).await?;
    }
    tell(&storage, &volume, phase.name(), None).await?;
    if phase == Phase::Released && goes_with_its_claim(&volume) {
        remove_directory(&storage, &volume).await?;
        let how = Delete { uid: volume.metadata.uid.as_deref(), ..Delete::default() };
        storage.cluster.volumes.delete(&key, how).await?;
    }
    Ok(None)
}

fn goes_with_its_claim(volume: &PersistentVolume) -> bool {
    let policy = volume.spec.as_ref().and_then(|s| s.persistent_volume_reclaim_policy.as_deref());
    policy == Some("Delete") && provision::is_ours(volume)
}

fn phase(storage: &Storage, volume: &PersistentVolume) -> Phase {
    let Some(reference) = volume.spec.as_ref().and_then(|s| s.claim_ref.as_ref()) else {
        return Phase::Available;
    };
    if reference.uid.as_ref().is_none_or(String::is_empty) {
        return Phase::Available;
    }
    match storage.cluster.claims.get(&key_of(reference)) {
        Some(claim) if refers_to(reference, &claim) => Phase::Bound,
        _ => Phase::Released,
    }
}

async fn remove_directory(storage: &Storage, volume: &PersistentVolume) -> Result<(), Error> {
    let name = meta::name(&volume.metadata);
    if let Err(error) = storage.provisioner.remove(name).await {
        let message = format!("remove the directory of volume `{name}`: {error}");
        storage.cluster.events.warning(volume, "VolumeFailedDelete", &message);
        tell(storage, volume, "Failed", Some(&message)).await?;
        return Err(Error::Refused(message));
    }
    Ok(())
}

async fn release(storage: &Storage, volume: &PersistentVolume, phase: Phase) -> Result<Again, Error> {
    if phase == Phase::Bound || !meta::has_finalizer(&volume.metadata, VOLUME_FINALIZER) {
        return Ok(None);
    }
    if goes_with_its_claim(volume) {
        remove_directory(storage, volume).await?;
    }
    let body = json!({"metadata": {
        "resourceVersion": volume.metadata.resource_version,
        "finalizers": without_finalizer(volume, VOLUME_FINALIZER),
    }});
    match storage.cluster.volumes.merge(&Key::of(&volume.metadata), &body).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(None),
    }
}

async fn tell(
    storage: &Storage,
    volume: &PersistentVolume,
    phase: &str,
    message: Option<&str>,
) -> Result<(), Error> {
    let old = volume.status.as_ref();
    let mut status: PersistentVolumeStatus = old.cloned().unwrap_or_default();
    if status.phase.as_deref() != Some(phase) {
        status.last_phase_transition_time = Some(meta::now());
    }
    status.phase = Some(phase.to_owned());
    status.message = message.map(str::to_owned);
    storage.cluster.volumes.set_status(&Key::of(&volume.metadata), old, &status).await
}

//! A claim in use is not taken away from under its pods.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::json;

use super::{CLAIM_FINALIZER, without_finalizer};
use crate::cluster::Cluster;
use crate::kind::Error;
use crate::meta::{self, Key};
use crate::pods;
use crate::queue::{Again, Queue};

/// The names of the claims a pod uses.
fn claims_of(pod: &Pod) -> impl Iterator<Item = String> + '_ {
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    volumes.filter_map(|v| match (&v.persistent_volume_claim, &v.ephemeral) {
        (Some(source), _) => Some(source.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", meta::name(&pod.metadata), v.name)),
        (None, None) => None,
    })
}

/// The end of a pod may let a claim go.
pub(super) fn wake_by_pod(cluster: &Cluster, queue: &Queue<Key>) {
    let queue = queue.clone();
    cluster.pods.on_change(move |change| {
        if change.new.is_none_or(|p| pods::is_finished(p)) {
            let pod = change.latest();
            let namespace = meta::namespace(&pod.metadata);
            claims_of(pod).for_each(|name| queue.add(Key::new(namespace, &name)));
        }
    });
}

pub(super) async fn release_claim(cluster: &Cluster, claim: &PersistentVolumeClaim) -> Result<Again, Error> {
    let name = meta::name(&claim.metadata);
    let uses = |p: &Pod| !pods::is_finished(p) && claims_of(p).any(|c| c == name);
    let in_use = cluster.pods.in_namespace(meta::namespace(&claim.metadata)).iter().any(|p| uses(p));
    if !in_use && meta::has_finalizer(&claim.metadata, CLAIM_FINALIZER) {
        let body = json!({"metadata": {
            "resourceVersion": claim.metadata.resource_version,
            "finalizers": without_finalizer(claim, CLAIM_FINALIZER),
        }});
        match cluster.claims.merge(&Key::of(&claim.metadata), &body).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}

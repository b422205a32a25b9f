//! Persistent volumes: claims are bound to volumes, local ones are made on demand, grow and go.

mod binding;
mod claims;
mod class;
mod protection;
mod provision;
mod reclaim;

use std::sync::Arc;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ObjectReference;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::meta::{self, Key, Object};
use crate::owners;
use crate::queue::Queue;
use crate::run::Provisioner;

const AT_ONCE: usize = 8;

pub(super) const PROVISIONER: &str = "sealos.io/local";
pub(super) const BOUND_BY_US: &str = "pv.kubernetes.io/bound-by-controller";
pub(super) const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
pub(super) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
pub(super) const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
pub(super) const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";

/// The cluster, and what makes directories on this machine.
#[derive(Clone)]
pub(super) struct Storage {
    pub(super) cluster: Cluster,
    pub(super) provisioner: Arc<dyn Provisioner>,
    pub(super) node_name: String,
}

pub(crate) fn start(
    cluster: &Cluster,
    provisioner: Arc<dyn Provisioner>,
    node_name: String,
    shutdown: &CancellationToken,
) -> Vec<BoxFuture<'static, ()>> {
    let storage = Storage { cluster: cluster.clone(), provisioner, node_name };
    let (claims, volumes) = (Queue::new(), Queue::new());
    owners::wake_self(&cluster.claims, &claims);
    owners::wake_self(&cluster.volumes, &volumes);
    wake_each_other(cluster, &claims, &volumes);
    protection::wake_by_pod(cluster, &claims);
    let (s, t) = (storage.clone(), storage);
    vec![
        Box::pin(class::ensure(cluster.clone(), shutdown.clone())),
        Box::pin(
            claims.work("volumeclaims", AT_ONCE, shutdown.clone(), move |key| {
                claims::reconcile(s.clone(), key)
            }),
        ),
        Box::pin(
            volumes.work("volumes", AT_ONCE, shutdown.clone(), move |key| reclaim::reconcile(t.clone(), key)),
        ),
    ]
}

fn wake_each_other(cluster: &Cluster, claims: &Queue<Key>, volumes: &Queue<Key>) {
    let (wake_claims, all_claims) = (claims.clone(), cluster.claims.clone());
    cluster.volumes.on_change(move |change| {
        let claimed = change.latest().spec.as_ref().and_then(|s| s.claim_ref.clone());
        match claimed {
            Some(claim) => wake_claims.add(key_of(&claim)),
            // A volume that is free may serve any claim that waits.
            None => all_claims.all().iter().filter(|c| claims::volume_of(c).is_none()).for_each(|c| {
                wake_claims.add(Key::of(&c.metadata));
            }),
        }
    });
    let wake_volumes = volumes.clone();
    cluster.claims.on_change(move |change| {
        for claim in change.old.into_iter().chain(change.new) {
            if let Some(volume) = claims::volume_of(claim) {
                wake_volumes.add(Key::new("", volume));
            }
        }
    });
    let (wake_claims, all_claims) = (claims.clone(), cluster.claims.clone());
    cluster.storage_classes.on_change(move |_| {
        for claim in all_claims.all() {
            wake_claims.add(Key::of(&claim.metadata));
        }
    });
}

fn key_of(reference: &ObjectReference) -> Key {
    Key::new(
        reference.namespace.as_deref().unwrap_or_default(),
        reference.name.as_deref().unwrap_or_default(),
    )
}

/// The finalizers of an object with one more.
pub(super) fn with_finalizer<K: Object>(object: &K, finalizer: &str) -> Vec<String> {
    let mut all = object.meta().finalizers.clone().unwrap_or_default();
    if !meta::has_finalizer(object.meta(), finalizer) {
        all.push(finalizer.to_owned());
    }
    all
}

/// The finalizers of an object with one less.
pub(super) fn without_finalizer<K: Object>(object: &K, finalizer: &str) -> Vec<String> {
    let all = object.meta().finalizers.clone().unwrap_or_default();
    all.into_iter().filter(|f| f != finalizer).collect()
}

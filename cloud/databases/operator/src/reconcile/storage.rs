//! Volumes: they grow, never shrink, and those of replicas that are no longer wanted go.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use sealos_kit::quantity::Bytes;
use serde_json::json;

use super::Context;
use crate::Error;
use crate::observe::{Observed, ordinal};
use crate::wanted::Wanted;

/// Keeps the size that volumes have if a smaller one is wanted; the refusal in words.
pub(super) fn keep(wanted: &mut Wanted, observed: &Observed) -> Option<String> {
    let claimed = observed.claimed().filter(|claimed| *claimed > wanted.storage)?;
    let refused =
        format!("volumes cannot shrink: they stay at {claimed}, and {} was asked for", wanted.storage);
    wanted.storage = claimed;
    Some(refused)
}

/// Lets volumes grow, and takes a StatefulSet away whose description of them is older: it cannot be
/// changed. Its pods stay.
pub(super) async fn make_way(wanted: &Wanted, observed: &Observed, context: &Context) -> Result<(), Error> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &wanted.namespace);
    for claim in &observed.claims {
        let size = requested(claim);
        if size.is_some_and(|size| size >= wanted.storage) {
            continue;
        }
        let name = claim.name_any();
        let patch = json!({ "spec": { "resources": { "requests": { "storage": wanted.storage } } } });
        let grown = api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        grown.map_err(Error::api(format!("grow the volume `{name}` to {}", wanted.storage)))?;
    }
    let Some(set) = &observed.set else { return Ok(()) };
    let described = set.spec.volume_claim_templates.iter().flatten().next().and_then(requested);
    if described == Some(wanted.storage) {
        return Ok(());
    }
    let sets: Api<StatefulSet> = Api::namespaced(context.client.clone(), &wanted.namespace);
    match sets.delete(&wanted.workload(), &DeleteParams::orphan()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        done => drop(done.map_err(Error::api(format!("describe the volumes of `{}` anew", wanted.name)))?),
    }
    // Orphans are let go before the object goes.
    for _ in 0..100 {
        let gone = sets.get_metadata_opt(&wanted.workload()).await;
        if gone.map_err(Error::api(format!("look at `{}`", wanted.workload())))?.is_none() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Removes the volumes of replicas that are no longer wanted: others have their data. A stopped database
/// keeps all of its own.
pub(super) async fn tidy(wanted: &Wanted, observed: &Observed, context: &Context) -> Result<(), Error> {
    let steady = wanted.replicas > 0
        && observed.replicas() == wanted.replicas
        && observed.leader().is_some()
        && observed.pods.iter().all(|pod| ordinal(&pod.name_any()) < wanted.replicas);
    if !steady {
        return Ok(());
    }
    let api: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &wanted.namespace);
    let extra = observed.claims.iter().filter(|c| c.metadata.deletion_timestamp.is_none());
    for claim in extra.filter(|c| ordinal(&c.name_any()) >= wanted.replicas) {
        let name = claim.name_any();
        match api.delete(&name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            done => drop(done.map_err(Error::api(format!("remove the volume `{name}`")))?),
        }
    }
    Ok(())
}

fn requested(claim: &PersistentVolumeClaim) -> Option<Bytes> {
    let requests = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    Bytes::parse(&requests.get("storage")?.0).ok()
}

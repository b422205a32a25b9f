//! Images that something runs from, or would run from if it were started.

use std::collections::HashSet;

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::api::{Api, ListParams};
use kube::{Client, Resource};
use sealos_oci::Reference;
use serde::de::DeserializeOwned;

/// The names of all images that pods and workloads mention, and the ids of those that run.
pub(crate) async fn images(client: &Client) -> kube::Result<HashSet<String>> {
    let mut all = HashSet::new();
    for pod in list::<Pod>(client).await? {
        let status = pod.status.unwrap_or_default();
        let states = status.container_statuses.into_iter().chain(status.init_container_statuses).flatten();
        all.extend(states.map(|s| s.image_id));
        mention(&mut all, pod.spec.as_ref());
    }
    for d in list::<Deployment>(client).await? {
        mention(&mut all, d.spec.template.spec.as_ref());
    }
    for r in list::<ReplicaSet>(client).await? {
        mention(&mut all, r.spec.template.and_then(|t| t.spec).as_ref());
    }
    for s in list::<StatefulSet>(client).await? {
        mention(&mut all, s.spec.template.spec.as_ref());
    }
    for d in list::<DaemonSet>(client).await? {
        mention(&mut all, d.spec.template.spec.as_ref());
    }
    for j in list::<Job>(client).await? {
        mention(&mut all, j.spec.and_then(|s| s.template.spec).as_ref());
    }
    for c in list::<CronJob>(client).await? {
        mention(&mut all, c.spec.job_template.spec.and_then(|j| j.template.spec).as_ref());
    }
    Ok(all)
}

async fn list<K>(client: &Client) -> kube::Result<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    Ok(Api::<K>::all(client.clone()).list(&ListParams::default()).await?.items)
}

fn mention(all: &mut HashSet<String>, pod: Option<&PodSpec>) {
    let Some(pod) = pod else { return };
    let containers = pod.containers.iter().chain(pod.init_containers.iter().flatten());
    for image in containers.filter_map(|c| c.image.as_deref()) {
        // A name that cannot be read stands for no image.
        all.extend(Reference::parse(image).map(|r| r.to_string()));
    }
}

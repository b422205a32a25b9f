//! Deployments: moves from one set of pods to the next, at the pace the strategy allows.

mod history;
mod plan;
mod rollout;
mod scale;
mod status;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::owners;
use crate::pods;
use crate::queue::{Again, Queue};
use plan::{Action, View};

const AT_ONCE: usize = 8;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.deployments, &queue);
    owners::wake_owners(&cluster.replica_sets, &cluster.deployments, &queue, |d| Some(&d.spec.selector));
    wake_after_last_pod(&cluster, &queue);
    queue.work("deployments", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

/// A strategy of Recreate goes on when the old pods are gone, which no ReplicaSet shows.
fn wake_after_last_pod(cluster: &Cluster, queue: &Queue<Key>) {
    let (queue, sets) = (queue.clone(), cluster.replica_sets.clone());
    cluster.pods.on_change(move |change| {
        let pod = change.latest();
        if change.new.is_some_and(|p| !pods::is_finished(p)) {
            return;
        }
        let Some(set) = meta::controller(&pod.metadata).filter(|o| o.kind == "ReplicaSet") else { return };
        let namespace = meta::namespace(&pod.metadata);
        let Some(set) = sets.get(&Key::new(namespace, &set.name)) else { return };
        if let Some(owner) = meta::controller(&set.metadata) {
            queue.add(Key::new(namespace, &owner.name));
        }
    });
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(deployment) = cluster.deployments.get(&key) else { return Ok(None) };
    let spec = &deployment.spec;
    let sets = owners::claimed(&*deployment, &spec.selector, &cluster.replica_sets).await?;
    let view = View::new(&deployment, sets, |set| unfinished_pods(&cluster, set));
    let now = Timestamp::now();
    let plan = plan::plan(&view, now);
    if !plan.actions.is_empty() {
        for action in plan.actions {
            act(&cluster, &deployment, action).await?;
        }
        // What was written wakes this deployment again; its status is told from the new state.
        return Ok(None);
    }
    let status = status::status(&view, now);
    cluster.deployments.set_status(&key, deployment.status.as_ref(), &status).await?;
    Ok(status::deadline(&view, &status, now))
}

fn unfinished_pods(cluster: &Cluster, set: &ReplicaSet) -> bool {
    cluster.pods.controlled_by(meta::uid(&set.metadata)).iter().any(|p| !pods::is_finished(p))
}

async fn act(cluster: &Cluster, deployment: &Arc<Deployment>, action: Action) -> Result<(), Error> {
    match action {
        Action::Create(set) => create(cluster, deployment, *set).await,
        Action::Annotate { key, annotations } => {
            let body = json!({"metadata": {"annotations": annotations}});
            cluster.replica_sets.merge(&key, &body).await.map(drop)
        }
        Action::AnnotateDeployment(annotations) => {
            let body = json!({"metadata": {"annotations": annotations}});
            cluster.deployments.merge(&Key::of(&deployment.metadata), &body).await.map(drop)
        }
        Action::Scale { key, from, to, annotations } => {
            let body = json!({"metadata": {"annotations": annotations}, "spec": {"replicas": to}});
            cluster.replica_sets.merge(&key, &body).await?;
            if from != to {
                let direction = if to > from { "up" } else { "down" };
                let message = format!("Scaled {direction} replica set {} from {from} to {to}", key.name);
                cluster.events.normal(&**deployment, "ScalingReplicaSet", message);
            }
            Ok(())
        }
        Action::Delete(key) => {
            let how =
                Delete { propagation: Some(kube::api::PropagationPolicy::Background), ..Delete::default() };
            cluster.replica_sets.delete(&key, how).await
        }
    }
}

async fn create(cluster: &Cluster, deployment: &Arc<Deployment>, set: ReplicaSet) -> Result<(), Error> {
    let name = meta::name(&set.metadata).to_owned();
    match cluster.replica_sets.create(&set).await {
        Ok(_) => {
            let to = set.spec.replicas.unwrap_or(0);
            if to > 0 {
                let message = format!("Scaled up replica set {name} from 0 to {to}");
                cluster.events.normal(&**deployment, "ScalingReplicaSet", message);
            }
            Ok(())
        }
        Err(error) if error.is_conflict() => {
            // The name is taken by a set of another template: the next name counts one collision more.
            let old = deployment.status.clone().unwrap_or_default();
            let mut new = old.clone();
            new.collision_count = Some(old.collision_count.unwrap_or(0) + 1);
            let key = Key::of(&deployment.metadata);
            cluster.deployments.set_status(&key, Some(&old), &new).await?;
            Err(error)
        }
        Err(error) => {
            let message = format!("Failed to create new replica set {name:?}: {}", error.reason());
            cluster.events.warning(&**deployment, "ReplicaSetCreateError", &message);
            let new = status::creation_failed(deployment, message, Timestamp::now());
            let key = Key::of(&deployment.metadata);
            cluster.deployments.set_status(&key, deployment.status.as_ref(), &new).await?;
            Err(error)
        }
    }
}

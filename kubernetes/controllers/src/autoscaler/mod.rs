//! HorizontalPodAutoscalers: follow cpu and memory use with the number of replicas.

mod decide;
mod metrics;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus, MetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::kind::{Error, Kind};
use crate::meta::{self, Key, Object};
use crate::owners;
use crate::pods;
use crate::queue::{Again, Queue};
use decide::{Memory, Proposal};

const AT_ONCE: usize = 2;
const EVERY: Duration = Duration::from_secs(15);

type Memories = Arc<Mutex<HashMap<Key, Memory>>>;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.autoscalers, &queue);
    let memories = Memories::default();
    queue.work("autoscalers", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), memories.clone(), key))
}

/// What is scaled.
struct Target {
    kind: &'static str,
    key: Key,
    replicas: i32,
    selector: LabelSelector,
}

async fn reconcile(cluster: Cluster, memories: Memories, key: Key) -> Result<Again, Error> {
    let Some(scaler) = cluster.autoscalers.get(&key) else {
        memories.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        return Ok(None);
    };
    let Some(target) = target(&cluster, &scaler) else {
        let named = &scaler.spec.scale_target_ref;
        let message = format!(
            "the HPA controller was unable to get the target's current scale: {} {:?} not found",
            named.kind, named.name
        );
        return failed(&cluster, &scaler, ("AbleToScale", "FailedGetScale", message)).await;
    };
    if target.replicas == 0 {
        let message = "scaling is disabled since the replica count of the target is zero".to_owned();
        return failed(&cluster, &scaler, ("ScalingActive", "ScalingDisabled", message)).await;
    }
    let all = cluster.pods.in_namespace(&key.namespace);
    let fits = |p: &&Arc<Pod>| {
        pods::is_active(p) && meta::selects(Some(&target.selector), p.metadata.labels.as_ref())
    };
    let members: Vec<_> = all.iter().filter(fits).cloned().collect();
    let usage = metrics::usage(&cluster.client, &key.namespace).await;
    let proposed = usage.and_then(|usage| decide::propose(&scaler, target.replicas, &members, &usage));
    let (proposal, current) = match proposed {
        Ok(proposed) => proposed,
        Err(message) => {
            return failed(&cluster, &scaler, ("ScalingActive", "FailedGetResourceMetric", message)).await;
        }
    };
    let decision = {
        let mut memories = memories.lock().unwrap_or_else(PoisonError::into_inner);
        memories.entry(key.clone()).or_default().decide(
            &scaler.spec,
            target.replicas,
            proposal,
            Instant::now(),
        )
    };
    if decision.replicas != target.replicas {
        scale(&cluster, &target, decision.replicas).await?;
        let message = format!("New size: {}; reason: {}", decision.replicas, decision.reason);
        cluster.events.normal(&*scaler, "SuccessfulRescale", message);
    }
    tell(&cluster, &scaler, target.replicas, &decision, current).await?;
    Ok(Some(EVERY))
}

fn target(cluster: &Cluster, scaler: &HorizontalPodAutoscaler) -> Option<Target> {
    let named = &scaler.spec.scale_target_ref;
    let key = Key::new(meta::namespace(&scaler.metadata), &named.name);
    let (kind, replicas, selector) = match named.kind.as_str() {
        "Deployment" => {
            let spec = &cluster.deployments.get(&key)?.spec;
            ("Deployment", spec.replicas, spec.selector.clone())
        }
        "StatefulSet" => {
            let spec = &cluster.stateful_sets.get(&key)?.spec;
            ("StatefulSet", spec.replicas, spec.selector.clone())
        }
        "ReplicaSet" => {
            let spec = &cluster.replica_sets.get(&key)?.spec;
            ("ReplicaSet", spec.replicas, spec.selector.clone())
        }
        _ => return None,
    };
    Some(Target { kind, key, replicas: replicas.unwrap_or(1), selector })
}

async fn scale(cluster: &Cluster, target: &Target, replicas: i32) -> Result<(), Error> {
    async fn set<K: Object>(kind: &Kind<K>, key: &Key, replicas: i32) -> Result<(), Error> {
        kind.merge(key, &json!({"spec": {"replicas": replicas}})).await.map(drop)
    }
    match target.kind {
        "Deployment" => set(&cluster.deployments, &target.key, replicas).await,
        "StatefulSet" => set(&cluster.stateful_sets, &target.key, replicas).await,
        _ => set(&cluster.replica_sets, &target.key, replicas).await,
    }
}

type Problem = (&'static str, &'static str, String);

async fn failed(
    cluster: &Cluster,
    scaler: &HorizontalPodAutoscaler,
    problem: Problem,
) -> Result<Again, Error> {
    let (kind, reason, message) = problem;
    cluster.events.warning(scaler, reason, &message);
    let mut status = scaler.status.clone().unwrap_or_default();
    status.observed_generation = scaler.metadata.generation;
    status.current_replicas = target(cluster, scaler).map(|t| t.replicas);
    set(&mut status, kind, false, reason, &message);
    cluster.autoscalers.set_status(&Key::of(&scaler.metadata), scaler.status.as_ref(), &status).await?;
    Ok(Some(EVERY))
}

async fn tell(
    cluster: &Cluster,
    scaler: &HorizontalPodAutoscaler,
    replicas: i32,
    decision: &Proposal,
    current: Vec<MetricStatus>,
) -> Result<(), Error> {
    let mut status = scaler.status.clone().unwrap_or_default();
    status.observed_generation = scaler.metadata.generation;
    status.current_replicas = Some(replicas);
    status.desired_replicas = decision.replicas;
    status.current_metrics = Some(current);
    if decision.replicas != replicas {
        status.last_scale_time = Some(meta::now());
        set(
            &mut status,
            "AbleToScale",
            true,
            "SucceededRescale",
            "the HPA controller was able to update the target scale",
        );
    } else {
        set(&mut status, "AbleToScale", true, "ReadyForNewScale", "recommended size matches current size");
    }
    let message = "the HPA was able to successfully calculate a replica count from resource utilization";
    set(&mut status, "ScalingActive", true, "ValidMetricFound", message);
    let (limited, reason, message) = decision.limit;
    set(&mut status, "ScalingLimited", limited, reason, message);
    cluster.autoscalers.set_status(&Key::of(&scaler.metadata), scaler.status.as_ref(), &status).await
}

fn set(status: &mut HorizontalPodAutoscalerStatus, kind: &str, on: bool, reason: &str, message: &str) {
    let state = if on { "True" } else { "False" };
    let conditions = status.conditions.get_or_insert_default();
    let known = conditions.iter().position(|c| c.type_ == kind).map(|place| conditions.remove(place));
    let since = known.filter(|c| c.status == state).and_then(|c| c.last_transition_time);
    conditions.push(HorizontalPodAutoscalerCondition {
        type_: kind.to_owned(),
        status: state.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        observed_generation: status.observed_generation,
        last_transition_time: since.or_else(|| Some(Time(Timestamp::now()))),
    });
}

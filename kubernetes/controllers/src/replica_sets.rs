//! ReplicaSets: keeps the wanted number of pods.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::batch::in_batches;
use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::numbers::{count, nonzero};
use crate::queue::{Again, Queue};
use crate::{owners, pods};

const AT_ONCE: usize = 8;
/// The most pods one round creates or deletes.
const BURST: usize = 500;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.replica_sets, &queue);
    owners::wake_owners(&cluster.pods, &cluster.replica_sets, &queue, |rs| Some(&rs.spec.selector));
    queue.work("replicasets", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

/// How to get to the wanted number of pods.
#[derive(Debug, PartialEq)]
enum Step {
    Nothing,
    Create(usize),
    Delete(Vec<Key>),
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(set) = cluster.replica_sets.get(&key) else { return Ok(None) };
    let spec = &set.spec;
    let owned = owners::claimed(&*set, &spec.selector, &cluster.pods).await?;
    let active: Vec<Arc<Pod>> = owned.into_iter().filter(|p| pods::is_active(p)).collect();
    let failure = match step(&set, &active) {
        _ if meta::is_deleting(&set.metadata) => None,
        Step::Nothing => None,
        Step::Create(number) => create(&cluster, &set, number).await.map(|e| ("FailedCreate", e)),
        Step::Delete(keys) => delete(&cluster, &set, keys).await.map(|e| ("FailedDelete", e)),
    };
    let owned = cluster.pods.controlled_by(meta::uid(&set.metadata));
    let now = Timestamp::now();
    let status = status(&set, &owned, failure.as_ref().map(|(r, e)| (*r, e.reason())), now);
    cluster.replica_sets.set_status(&key, set.status.as_ref(), &status).await?;
    match failure {
        Some((_, error)) => Err(error),
        None => Ok(next_available(&owned, spec.min_ready_seconds.unwrap_or(0), now)),
    }
}

fn step(set: &ReplicaSet, active: &[Arc<Pod>]) -> Step {
    let wanted = set.spec.replicas.unwrap_or(1);
    let wanted = usize::try_from(wanted).unwrap_or(0);
    if active.len() < wanted {
        return Step::Create((wanted - active.len()).min(BURST));
    }
    if active.len() == wanted {
        return Step::Nothing;
    }
    let mut order = active.to_vec();
    order.sort_by(|a, b| pods::deletion_order(a, b));
    let surplus = (active.len() - wanted).min(BURST);
    Step::Delete(order.iter().take(surplus).map(|p| Key::of(&p.metadata)).collect())
}

async fn create(cluster: &Cluster, set: &ReplicaSet, number: usize) -> Option<Error> {
    let template = set.spec.template.clone().unwrap_or_default();
    let namespace = meta::namespace(&set.metadata);
    let pod = pods::from_template(&template, namespace, meta::controller_reference(set));
    let make = |()| async {
        let made = cluster.pods.create(&pod).await?;
        cluster.events.normal(
            set,
            "SuccessfulCreate",
            format!("Created pod: {}", meta::name(&made.metadata)),
        );
        Ok(())
    };
    let (_, error) = in_batches(vec![(); number], make).await;
    if let Some(error) = &error {
        cluster.events.warning(set, "FailedCreate", format!("Error creating: {}", error.reason()));
    }
    error
}

async fn delete(cluster: &Cluster, set: &ReplicaSet, keys: Vec<Key>) -> Option<Error> {
    let remove = |key: Key| async move {
        cluster.pods.delete(&key, Delete::default()).await?;
        cluster.events.normal(set, "SuccessfulDelete", format!("Deleted pod: {}", key.name));
        Ok(())
    };
    let (_, error) = in_batches(keys, remove).await;
    if let Some(error) = &error {
        cluster.events.warning(set, "FailedDelete", format!("Error deleting: {}", error.reason()));
    }
    error
}

fn status(
    set: &ReplicaSet,
    owned: &[Arc<Pod>],
    failure: Option<(&'static str, String)>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let spec = &set.spec;
    let template_labels =
        spec.template.as_ref().and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.clone());
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    let active = || owned.iter().filter(|p| pods::is_active(p));
    let labelled = |p: &&Arc<Pod>| {
        let labels = p.metadata.labels.as_ref();
        template_labels.iter().flatten().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v))
    };
    let terminating =
        owned.iter().filter(|p| meta::is_deleting(&p.metadata) && !pods::is_finished(p)).count();
    ReplicaSetStatus {
        replicas: count(active().count()),
        fully_labeled_replicas: nonzero(count(active().filter(labelled).count())),
        ready_replicas: nonzero(count(active().filter(|p| pods::is_ready(p)).count())),
        available_replicas: nonzero(count(
            active().filter(|p| pods::is_available(p, min_ready, now)).count(),
        )),
        terminating_replicas: Some(count(terminating)),
        observed_generation: set.metadata.generation,
        conditions: conditions(set, failure, now),
    }
}

fn conditions(
    set: &ReplicaSet,
    failure: Option<(&'static str, String)>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let old = set.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    let known = old.iter().find(|c| c.type_.as_deref() == Some("ReplicaFailure")).cloned();
    let mut conditions: Vec<_> =
        old.into_iter().filter(|c| c.type_.as_deref() != Some("ReplicaFailure")).collect();
    if let Some((reason, message)) = failure {
        let same = known.filter(|c| c.reason.as_deref() == Some(reason));
        conditions.push(same.unwrap_or_else(|| ReplicaSetCondition {
            type_: Some("ReplicaFailure".to_owned()),
            status: Some("True".to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(Time(now)),
        }));
    }
    (!conditions.is_empty()).then_some(conditions)
}

/// When the next ready pod becomes available.
pub(crate) fn next_available(pods: &[Arc<Pod>], min_ready_seconds: i32, now: Timestamp) -> Option<Duration> {
    pods.iter().filter_map(|p| pods::available_in(p, min_ready_seconds, now)).min()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::pods::tests::pod;

    fn set(replicas: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "1", "generation": 2},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}}
        }))
        .unwrap()
    }

    #[test]
    fn the_number_of_pods_is_brought_to_the_wanted_one() {
        let active = vec![Arc::new(pod("a", "Running", true)), Arc::new(pod("b", "Pending", false))];
        assert_eq!(step(&set(5), &active), Step::Create(3));
        assert_eq!(step(&set(2), &active), Step::Nothing);
        assert_eq!(step(&set(1), &active), Step::Delete(vec![Key::new("default", "b")]));
        assert_eq!(step(&set(10_000), &active), Step::Create(500));
    }

    #[test]
    fn the_status_counts_ready_and_available_pods() {
        let owned = vec![
            Arc::new(pod("a", "Running", true)),
            Arc::new(pod("b", "Pending", false)),
            Arc::new(pod("c", "Failed", false)),
        ];
        let status = status(&set(3), &owned, None, Timestamp::now());
        assert_eq!(
            (status.replicas, status.ready_replicas, status.available_replicas),
            (2, Some(1), Some(1))
        );
        assert_eq!((status.fully_labeled_replicas, status.observed_generation), (Some(2), Some(2)));
    }

    #[test]
    fn a_failure_shows_as_condition_and_goes_again() {
        let mut set = set(3);
        let now = Timestamp::now();
        let failed = status(&set, &[], Some(("FailedCreate", "quota".to_owned())), now);
        assert_eq!(failed.conditions.as_ref().unwrap()[0].reason.as_deref(), Some("FailedCreate"));
        set.status = Some(failed);
        assert_eq!(status(&set, &[], None, now).conditions, None);
    }
}

//! PodDisruptionBudgets: how many pods may be taken away on purpose right now.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::kind::Error;
use crate::meta::{self, Key};
use crate::numbers::{Round, count, share};
use crate::queue::{Again, Queue};
use crate::{owners, pods};

const AT_ONCE: usize = 2;
const ALLOWED: &str = "DisruptionAllowed";
/// How long an eviction that was granted counts although the pod still shows no sign of it.
const EVICTION_SECONDS: i64 = 120;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.budgets, &queue);
    let (wake, budgets) = (queue.clone(), cluster.budgets.clone());
    cluster.pods.on_change(move |change| {
        for budget in budgets.in_namespace(meta::namespace(&change.latest().metadata)) {
            let fits = |p: &Arc<Pod>| covers(&budget, p);
            if change.old.is_some_and(fits) || change.new.is_some_and(fits) {
                wake.add(Key::of(&budget.metadata));
            }
        }
    });
    queue.work("budgets", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let selector = budget.spec.as_ref().and_then(|s| s.selector.as_ref());
    meta::selects(selector, pod.metadata.labels.as_ref())
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(budget) = cluster.budgets.get(&key) else { return Ok(None) };
    let pods = cluster.pods.in_namespace(&key.namespace);
    let covered: Vec<_> = pods.into_iter().filter(|p| covers(&budget, p) && !pods::is_finished(p)).collect();
    let expected = expected(&cluster, &covered);
    let status = status(&budget, &covered, expected, Timestamp::now());
    cluster.budgets.set_status(&key, budget.status.as_ref(), &status).await?;
    Ok(None)
}

/// How many pods their controllers want together.
fn expected(cluster: &Cluster, covered: &[Arc<Pod>]) -> i32 {
    let mut by_owner: BTreeMap<&str, i32> = BTreeMap::new();
    let mut alone = 0;
    for pod in covered {
        match meta::controller(&pod.metadata) {
            Some(owner) => {
                let key = Key::new(meta::namespace(&pod.metadata), &owner.name);
                let wanted = match owner.kind.as_str() {
                    "ReplicaSet" => cluster.replica_sets.get(&key).and_then(|s| s.spec.replicas),
                    "StatefulSet" => cluster.stateful_sets.get(&key).and_then(|s| s.spec.replicas),
                    _ => None,
                };
                match wanted {
                    Some(wanted) => {
                        by_owner.insert(&owner.uid, wanted);
                    }
                    None => alone += 1,
                }
            }
            None => alone += 1,
        }
    }
    by_owner.values().sum::<i32>() + alone
}

fn status(
    budget: &PodDisruptionBudget,
    covered: &[Arc<Pod>],
    expected: i32,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let spec = budget.spec.clone().unwrap_or_default();
    let old = budget.status.clone().unwrap_or_default();
    let desired = match (&spec.min_available, &spec.max_unavailable) {
        (Some(least), _) => share(Some(least), "", expected, Round::Up),
        (None, Some(most)) => (expected - share(Some(most), "", expected, Round::Up)).max(0),
        (None, None) => expected,
    };
    let mut evicted = old.disrupted_pods.clone().unwrap_or_default();
    evicted.retain(|name, at| {
        let there = covered.iter().find(|p| meta::name(&p.metadata) == name);
        there.is_some_and(|p| !meta::is_deleting(&p.metadata))
            && meta::seconds_since(at, now) < EVICTION_SECONDS
    });
    let healthy = |p: &&Arc<Pod>| {
        pods::is_ready(p) && !meta::is_deleting(&p.metadata) && !evicted.contains_key(meta::name(&p.metadata))
    };
    let current = count(covered.iter().filter(healthy).count());
    let allowed = if expected > 0 { (current - desired).max(0) } else { 0 };
    let (state, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let conditions = old.conditions.unwrap_or_default();
    let known = conditions.iter().find(|c| c.type_ == ALLOWED && c.status == state).cloned();
    let condition = known.unwrap_or_else(|| Condition {
        type_: ALLOWED.to_owned(),
        status: state.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        observed_generation: budget.metadata.generation,
        last_transition_time: Time(now),
    });
    PodDisruptionBudgetStatus {
        conditions: Some(vec![condition]),
        current_healthy: Some(current),
        desired_healthy: Some(desired),
        disrupted_pods: (!evicted.is_empty()).then_some(evicted),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected),
        observed_generation: budget.metadata.generation,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn allowed(spec: &Value, ready: &[bool]) -> (i32, i32) {
        let budget = serde_json::from_value(json!({"metadata": {"name": "b"}, "spec": spec})).unwrap();
        let covered: Vec<_> = ready
            .iter()
            .enumerate()
            .map(|(i, r)| Arc::new(crate::pods::tests::pod(&format!("p{i}"), "Running", *r)))
            .collect();
        let status = status(&budget, &covered, count(covered.len()), Timestamp::now());
        (status.desired_healthy.unwrap(), status.disruptions_allowed.unwrap())
    }

    #[test]
    fn only_what_is_more_than_needed_may_go() {
        assert_eq!(allowed(&json!({"minAvailable": 2}), &[true, true, true]), (2, 1));
        assert_eq!(allowed(&json!({"minAvailable": "50%"}), &[true, true, false]), (2, 0));
        assert_eq!(allowed(&json!({"maxUnavailable": 1}), &[true, true, true]), (2, 1));
        assert_eq!(allowed(&json!({"maxUnavailable": 0}), &[true]), (1, 0));
    }
}

//! What a set does next. Pure: batches of actions, each batch at once, one after the other.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;

use super::identity;
use crate::meta;
use crate::numbers::{Round, share};
use crate::pods;
use crate::revisions::POD_HASH;

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Make the claims of a pod that is there.
    Claims(i32),
    Create {
        ordinal: i32,
        revision: String,
    },
    Delete(Arc<Pod>),
    /// Delete because the set shrinks.
    Condemn(Arc<Pod>),
}

pub(super) struct View {
    pub(super) set: Arc<StatefulSet>,
    /// By place.
    pub(super) pods: Vec<Arc<Pod>>,
    /// The names of the revisions before and after an update.
    pub(super) current: String,
    pub(super) update: String,
    pub(super) now: Timestamp,
}

impl View {
    pub(super) fn wanted(&self) -> i32 {
        self.set.spec.replicas.unwrap_or(1)
    }

    fn first(&self) -> i32 {
        self.set.spec.ordinals.as_ref().and_then(|o| o.start).unwrap_or(0)
    }

    fn range(&self) -> std::ops::Range<i32> {
        self.first()..self.first() + self.wanted()
    }

    fn in_order(&self) -> bool {
        self.set.spec.pod_management_policy.as_deref() != Some("Parallel")
    }

    fn pod(&self, ordinal: i32) -> Option<&Arc<Pod>> {
        self.pods.iter().find(|p| identity::ordinal(&self.set, p) == Some(ordinal))
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        pods::phase(pod) == "Running"
            && pods::is_available(pod, self.set.spec.min_ready_seconds.unwrap_or(0), self.now)
    }

    fn is_healthy(&self, pod: &Pod) -> bool {
        self.is_available(pod) && !meta::is_deleting(&pod.metadata)
    }

    pub(super) fn rolls(&self) -> bool {
        let strategy = self.set.spec.update_strategy.as_ref();
        strategy.and_then(|s| s.type_.as_deref()) != Some("OnDelete")
    }

    fn partition(&self) -> Option<i32> {
        self.set.spec.update_strategy.as_ref()?.rolling_update.as_ref()?.partition
    }

    fn most_unavailable(&self) -> i32 {
        let strategy = self.set.spec.update_strategy.as_ref();
        let rolling = strategy.and_then(|s| s.rolling_update.as_ref());
        share(rolling.and_then(|r| r.max_unavailable.as_ref()), "1", self.wanted(), Round::Up).max(1)
    }

    /// Which revision a pod to be made gets: during an update those before its edge stay as they were.
    fn revision_for(&self, ordinal: i32) -> String {
        let current = self.set.status.as_ref().and_then(|s| s.current_replicas).unwrap_or(0);
        let edge = match self.partition() {
            Some(partition) if partition > 0 => partition,
            _ => self.first() + current,
        };
        if self.rolls() && self.current != self.update && ordinal < edge {
            self.current.clone()
        } else {
            self.update.clone()
        }
    }
}

pub(super) fn plan(view: &View) -> Vec<Vec<Action>> {
    if meta::is_deleting(&view.set.metadata) {
        return Vec::new();
    }
    let mut batches = Vec::new();
    if !fill(view, &mut batches) || !shrink(view, &mut batches) || !batches.is_empty() {
        return batches;
    }
    update(view, &mut batches);
    batches
}

/// Makes what is missing; tells whether the next stage may go on.
fn fill(view: &View, batches: &mut Vec<Vec<Action>>) -> bool {
    let mut at_once = Vec::new();
    for ordinal in view.range() {
        let action = match view.pod(ordinal) {
            None => Some(Action::Create { ordinal, revision: view.revision_for(ordinal) }),
            Some(pod) if pods::is_finished(pod) && !meta::is_deleting(&pod.metadata) => {
                Some(Action::Delete(pod.clone()))
            }
            Some(pod) if pods::phase(pod) == "Pending" && !meta::is_deleting(&pod.metadata) => {
                Some(Action::Claims(ordinal))
            }
            Some(_) => None,
        };
        let steady = view.pod(ordinal).is_some_and(|p| view.is_healthy(p));
        at_once.extend(action);
        if view.in_order() && !steady {
            let waits = !at_once.is_empty();
            if waits {
                batches.push(at_once);
            }
            return false;
        }
    }
    let pause = at_once.iter().any(|a| !matches!(a, Action::Claims(_)));
    if !at_once.is_empty() {
        batches.push(at_once);
    }
    !pause
}

/// Removes what is too much, the last first; tells whether the next stage may go on.
fn shrink(view: &View, batches: &mut Vec<Vec<Action>>) -> bool {
    let range = view.range();
    let outside = |p: &&Arc<Pod>| identity::ordinal(&view.set, p).is_some_and(|o| !range.contains(&o));
    let mut condemned: Vec<_> = view.pods.iter().filter(outside).collect();
    condemned.reverse();
    let Some(last) = condemned.first() else { return true };
    if view.in_order() {
        if !meta::is_deleting(&last.metadata) {
            batches.push(vec![Action::Condemn(Arc::clone(last))]);
        }
        return false;
    }
    let standing = condemned.into_iter().filter(|p| !meta::is_deleting(&p.metadata));
    let actions: Vec<_> = standing.map(|p| Action::Condemn(p.clone())).collect();
    if !actions.is_empty() {
        batches.push(actions);
    }
    true
}

/// Replaces pods of the old revision, the last first, as many at once as may be unavailable.
fn update(view: &View, batches: &mut Vec<Vec<Action>>) {
    if !view.rolls() {
        return;
    }
    let mut unavailable = 0;
    let mut actions = Vec::new();
    let allowed = view.most_unavailable();
    let members: Vec<_> = view.range().filter_map(|o| view.pod(o).map(|p| (o, p))).collect();
    let broken = members.iter().filter(|(_, p)| !view.is_healthy(p)).count();
    unavailable += i32::try_from(broken).unwrap_or(i32::MAX);
    let edge = view.partition().unwrap_or(0);
    for (ordinal, pod) in members.iter().rev() {
        if *ordinal < edge || meta::label(&pod.metadata, POD_HASH) == Some(&view.update) {
            continue;
        }
        if meta::is_deleting(&pod.metadata) {
            continue;
        }
        let healthy = view.is_healthy(pod);
        // A broken pod costs nothing to replace.
        if healthy && unavailable >= allowed {
            break;
        }
        actions.push(Action::Delete(Arc::clone(pod)));
        unavailable += i32::from(healthy);
    }
    if !actions.is_empty() {
        batches.push(actions);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::identity::tests::set;
    use super::*;

    /// `state`: `+` available, `-` not ready, `x` leaving, `f` failed; `n` stands for the new revision.
    fn pod(ordinal: i32, state: &str) -> Arc<Pod> {
        let phase = if state.contains('f') { "Failed" } else { "Running" };
        let mut pod = crate::pods::tests::pod(&format!("db-{ordinal}"), phase, state.contains('+'));
        let revision = if state.contains('n') { "new" } else { "old" };
        pods::set_label(&mut pod.metadata, POD_HASH, revision);
        if state.contains('x') {
            pod.metadata.deletion_timestamp = Some(meta::now());
        }
        Arc::new(pod)
    }

    fn told(wanted: i32, more: &Value, states: &[&str], update: &str) -> Vec<String> {
        let mut set = set(wanted, more);
        set.status = Some(serde_json::from_value(json!({"replicas": 0, "currentReplicas": 0})).unwrap());
        let places = (0..).zip(states).filter(|(_, s)| !s.is_empty());
        let view = View {
            set: Arc::new(set),
            pods: places.map(|(i, s)| pod(i, s)).collect(),
            current: "old".to_owned(),
            update: update.to_owned(),
            now: Timestamp::now(),
        };
        let words = |action: Action| match action {
            Action::Claims(ordinal) => format!("claims {ordinal}"),
            Action::Create { ordinal, revision } => format!("create {ordinal} {revision}"),
            Action::Delete(pod) => format!("delete {}", meta::name(&pod.metadata)),
            Action::Condemn(pod) => format!("condemn {}", meta::name(&pod.metadata)),
        };
        plan(&view).into_iter().flatten().map(words).collect()
    }

    #[test]
    fn pods_come_one_after_the_other() {
        assert_eq!(told(3, &json!({}), &[], "old"), ["create 0 old"]);
        assert_eq!(told(3, &json!({}), &["-"], "old"), [""; 0]);
        assert_eq!(told(3, &json!({}), &["+"], "old"), ["create 1 old"]);
        assert_eq!(told(3, &json!({}), &["+", "f"], "old"), ["delete db-1"]);
        assert_eq!(told(2, &json!({}), &["x", "+"], "old"), [""; 0]);
    }

    #[test]
    fn in_parallel_they_come_together() {
        let parallel = json!({"podManagementPolicy": "Parallel"});
        assert_eq!(told(3, &parallel, &["-"], "old"), ["create 1 old", "create 2 old"]);
        assert_eq!(told(1, &parallel, &["+", "+", "+"], "old"), ["condemn db-2", "condemn db-1"]);
    }

    #[test]
    fn pods_go_from_the_last() {
        assert_eq!(told(1, &json!({}), &["+", "+", "+"], "old"), ["condemn db-2"]);
        assert_eq!(told(1, &json!({}), &["+", "+", "x"], "old"), [""; 0]);
    }

    #[test]
    fn updates_go_from_the_last_and_wait_for_each() {
        assert_eq!(told(3, &json!({}), &["+", "+", "+"], "new"), ["delete db-2"]);
        assert_eq!(told(3, &json!({}), &["+", "+", "+n"], "new"), ["delete db-1"]);
        assert_eq!(told(3, &json!({}), &["+", "+", "-n"], "new"), [""; 0]);
        let partition = json!({"updateStrategy": {"rollingUpdate": {"partition": 2}}});
        assert_eq!(told(3, &partition, &["+", "+", "+n"], "new"), [""; 0]);
        assert_eq!(told(3, &partition, &["+", "", "+n"], "new"), ["create 1 old"]);
        let two = json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}});
        assert_eq!(told(3, &two, &["+", "+", "+"], "new"), ["delete db-2", "delete db-1"]);
        assert_eq!(
            told(3, &json!({"updateStrategy": {"type": "OnDelete"}}), &["+", "+", "+"], "new"),
            [""; 0]
        );
    }
}

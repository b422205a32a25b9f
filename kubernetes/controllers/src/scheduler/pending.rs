//! The pods that need a node: those to look at now, by priority, and those parked until something changes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use tokio::time::Instant;

use crate::meta::{self, Key};
use crate::pods;

const OURS: &str = "default-scheduler";

/// Whether this scheduler must find a node for the pod.
pub(super) fn needs_node(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let ours = spec.scheduler_name.as_deref().is_none_or(|s| s.is_empty() || s == OURS);
    let gated = spec.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty());
    ours && !gated && pods::node(pod).is_none() && pods::is_active(pod)
}

type Rank = (Reverse<i32>, Timestamp, Key);

fn rank(pod: &Pod) -> Rank {
    let priority = pod.spec.as_ref().and_then(|s| s.priority).unwrap_or(0);
    (Reverse(priority), meta::created(&pod.metadata), Key::of(&pod.metadata))
}

#[derive(Default)]
pub(super) struct Pending {
    ranks: HashMap<Key, Rank>,
    active: BTreeSet<Rank>,
    parked: HashMap<Key, Instant>,
    told: HashMap<Key, String>,
}

impl Pending {
    pub(super) fn note(&mut self, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) {
        match new.filter(|p| needs_node(p)) {
            None => {
                if let Some(key) = old.or(new).map(|p| Key::of(&p.metadata)) {
                    self.drop(&key);
                }
            }
            // A change of status alone, such as our own condition, changes no decision.
            Some(new)
                if old.is_some_and(|o| o.spec == new.spec && o.metadata.labels == new.metadata.labels) => {}
            Some(new) => {
                let rank = rank(new);
                self.parked.remove(&rank.2);
                self.ranks.insert(rank.2.clone(), rank.clone());
                self.active.insert(rank);
            }
        }
    }

    fn drop(&mut self, key: &Key) {
        if let Some(rank) = self.ranks.remove(key) {
            self.active.remove(&rank);
        }
        self.parked.remove(key);
        self.told.remove(key);
    }

    pub(super) fn take(&mut self, now: Instant) -> Option<Key> {
        let due: Vec<Key> =
            self.parked.iter().filter(|(_, at)| **at <= now).map(|(k, _)| k.clone()).collect();
        for key in due {
            self.unpark(&key);
        }
        self.active.pop_first().map(|rank| rank.2)
    }

    fn unpark(&mut self, key: &Key) {
        if self.parked.remove(key).is_some()
            && let Some(rank) = self.ranks.get(key)
        {
            self.active.insert(rank.clone());
        }
    }

    pub(super) fn park(&mut self, key: Key, until: Instant) {
        if self.ranks.contains_key(&key) {
            self.parked.insert(key, until);
        }
    }

    /// Parks a pod that fits nowhere; tells whether the reason is news.
    pub(super) fn park_unfit(&mut self, key: Key, message: &str, until: Instant) -> bool {
        let news = self.told.get(&key).is_none_or(|known| known != message);
        self.told.insert(key.clone(), message.to_owned());
        self.park(key, until);
        news
    }

    pub(super) fn retry_all(&mut self) {
        for (key, _) in std::mem::take(&mut self.parked) {
            if let Some(rank) = self.ranks.get(&key) {
                self.active.insert(rank.clone());
            }
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.parked.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, priority: i32, node: Option<&str>) -> Arc<Pod> {
        let value = json!({
            "metadata": {"name": name, "namespace": "a", "uid": name, "creationTimestamp": "2024-01-01T00:00:00Z"},
            "spec": {"containers": [], "priority": priority, "nodeName": node}
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn the_most_important_goes_first_and_bound_pods_leave() {
        let mut pending = Pending::default();
        for pod in [pod("low", 0, None), pod("high", 10, None), pod("gone", 5, None)] {
            pending.note(None, Some(&pod));
        }
        pending.note(Some(&pod("gone", 5, None)), Some(&pod("gone", 5, Some("n1"))));
        let now = Instant::now();
        let order: Vec<_> = std::iter::from_fn(|| pending.take(now)).map(|k| k.name).collect();
        assert_eq!(order, ["high", "low"]);
    }

    #[test]
    fn a_parked_pod_waits_for_a_change_and_the_same_reason_is_no_news() {
        let mut pending = Pending::default();
        pending.note(None, Some(&pod("a", 0, None)));
        let now = Instant::now();
        let key = pending.take(now).unwrap();
        assert!(pending.park_unfit(key, "full", now + std::time::Duration::from_secs(30)));
        assert_eq!(pending.take(now), None);
        pending.retry_all();
        let key = pending.take(now).unwrap();
        assert!(!pending.park_unfit(key, "full", now));
        assert!(pending.take(now).is_some());
    }
}

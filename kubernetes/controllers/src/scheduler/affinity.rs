//! Pods that want to be near others, or far from them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Pod, PodAffinityTerm};

use super::ledger::Seat;
use crate::meta;

type Domain = (String, String);

/// The rules of one pod, worked out over all nodes.
#[derive(Default)]
pub(super) struct Rules {
    /// For each required term: its topology key and the domains that hold a fitting pod.
    near: Vec<(String, BTreeSet<String>)>,
    /// Domains with a pod that this one must not meet.
    far: BTreeSet<Domain>,
    /// Domains whose pods do not want to meet this one.
    unwelcome: BTreeSet<Domain>,
    /// What each domain is worth by preference.
    preferred: BTreeMap<Domain, i64>,
}

impl Rules {
    pub(super) fn of(pod: &Pod, seats: &[Seat], namespaces: &[Arc<Namespace>]) -> Self {
        let mut rules = Self::default();
        let affinity = pod.spec.as_ref().and_then(|s| s.affinity.as_ref());
        let near = affinity.and_then(|a| a.pod_affinity.as_ref());
        let far = affinity.and_then(|a| a.pod_anti_affinity.as_ref());
        for term in
            near.iter().flat_map(|a| a.required_during_scheduling_ignored_during_execution.iter().flatten())
        {
            let domains = domains(term, pod, seats, namespaces);
            let first_of_its_kind = domains.is_empty() && fits(term, pod, pod, namespaces);
            let domains = if first_of_its_kind { all_domains(&term.topology_key, seats) } else { domains };
            rules.near.push((term.topology_key.clone(), domains));
        }
        for term in
            far.iter().flat_map(|a| a.required_during_scheduling_ignored_during_execution.iter().flatten())
        {
            let found = domains(term, pod, seats, namespaces);
            rules.far.extend(found.into_iter().map(|d| (term.topology_key.clone(), d)));
        }
        let near =
            near.iter().flat_map(|a| a.preferred_during_scheduling_ignored_during_execution.iter().flatten());
        let far =
            far.iter().flat_map(|a| a.preferred_during_scheduling_ignored_during_execution.iter().flatten());
        for (weighted, sign) in near.map(|t| (t, 1)).chain(far.map(|t| (t, -1))) {
            let term = &weighted.pod_affinity_term;
            for domain in domains(term, pod, seats, namespaces) {
                *rules.preferred.entry((term.topology_key.clone(), domain)).or_default() +=
                    sign * i64::from(weighted.weight);
            }
        }
        rules.collect_unwelcome(pod, seats, namespaces);
        rules
    }

    fn collect_unwelcome(&mut self, pod: &Pod, seats: &[Seat], namespaces: &[Arc<Namespace>]) {
        for seat in seats {
            for other in &seat.pods {
                let affinity = other.pod.spec.as_ref().and_then(|s| s.affinity.as_ref());
                let far = affinity.and_then(|a| a.pod_anti_affinity.as_ref());
                let terms = far
                    .iter()
                    .flat_map(|a| a.required_during_scheduling_ignored_during_execution.iter().flatten());
                for term in terms.filter(|t| fits(t, &other.pod, pod, namespaces)) {
                    if let Some(value) = seat.label(&term.topology_key) {
                        self.unwelcome.insert((term.topology_key.clone(), value.to_owned()));
                    }
                }
            }
        }
    }

    pub(super) fn refuses(&self, seat: &Seat) -> Option<String> {
        let near =
            self.near.iter().all(|(key, domains)| seat.label(key).is_some_and(|v| domains.contains(v)));
        if !near {
            return Some("node(s) didn't match pod affinity rules".to_owned());
        }
        let inside = |(key, value): &Domain| seat.label(key) == Some(value);
        if self.far.iter().any(inside) {
            return Some("node(s) didn't match pod anti-affinity rules".to_owned());
        }
        if self.unwelcome.iter().any(inside) {
            return Some("node(s) didn't satisfy existing pods anti-affinity rules".to_owned());
        }
        None
    }

    pub(super) fn preference(&self, seat: &Seat) -> i64 {
        let inside = self.preferred.iter().filter(|((key, value), _)| seat.label(key) == Some(value));
        inside.map(|(_, weight)| weight).sum()
    }
}

/// Whether `other` is a pod the term of `owner` speaks of.
fn fits(term: &PodAffinityTerm, owner: &Pod, other: &Pod, namespaces: &[Arc<Namespace>]) -> bool {
    let namespace = meta::namespace(&other.metadata);
    let listed = term.namespaces.iter().flatten().any(|n| n == namespace);
    let selected = term.namespace_selector.as_ref().is_some_and(|s| {
        let known = namespaces.iter().find(|n| meta::name(&n.metadata) == namespace);
        meta::selects(Some(s), known.and_then(|n| n.metadata.labels.as_ref()))
    });
    let unnamed = term.namespaces.as_ref().is_none_or(Vec::is_empty) && term.namespace_selector.is_none();
    let own = unnamed && meta::namespace(&owner.metadata) == namespace;
    (listed || selected || own) && meta::selects(term.label_selector.as_ref(), other.metadata.labels.as_ref())
}

fn domains(
    term: &PodAffinityTerm,
    pod: &Pod,
    seats: &[Seat],
    namespaces: &[Arc<Namespace>],
) -> BTreeSet<String> {
    let holds = |seat: &&Seat| {
        seat.pods.iter().any(|o| !meta::is_deleting(&o.pod.metadata) && fits(term, pod, &o.pod, namespaces))
    };
    seats.iter().filter(holds).filter_map(|s| s.label(&term.topology_key)).map(str::to_owned).collect()
}

fn all_domains(key: &str, seats: &[Seat]) -> BTreeSet<String> {
    seats.iter().filter_map(|s| s.label(key)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fit::tests::{choice, node, pod};

    fn towards(which: &str, app: &str, key: &str) -> Value {
        json!({"affinity": {which: {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}]}}})
    }

    #[test]
    fn near_and_far_are_kept() {
        let nodes = [node("a-1", &json!({})), node("b-1", &json!({}))];
        let db = [(pod("db", &json!({})), "b-1")];
        assert_eq!(choice(&pod("web", &towards("podAffinity", "db", "zone")), &nodes, &db), "b-1");
        assert_eq!(choice(&pod("web", &towards("podAntiAffinity", "db", "zone")), &nodes, &db), "a-1");
        let none = choice(&pod("web", &towards("podAffinity", "db", "zone")), &nodes, &[]);
        assert_eq!(none, "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.");
    }

    #[test]
    fn the_first_of_a_group_may_go_anywhere() {
        let nodes = [node("a-1", &json!({}))];
        assert_eq!(choice(&pod("web", &towards("podAffinity", "web", "zone")), &nodes, &[]), "a-1");
    }

    #[test]
    fn pods_already_there_can_refuse() {
        let nodes = [node("a-1", &json!({}))];
        let shy = pod("shy", &towards("podAntiAffinity", "web", "kubernetes.io/hostname"));
        let told = choice(&pod("web", &json!({})), &nodes, &[(shy, "a-1")]);
        assert_eq!(
            told,
            "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."
        );
    }
}

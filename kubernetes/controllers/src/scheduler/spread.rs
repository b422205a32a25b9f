//! Pods that want to be spread evenly over zones or nodes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use super::fit::wants_node;
use super::ledger::Seat;
use crate::meta;

struct Rule {
    key: String,
    largest_skew: i64,
    least: i64,
    /// 1 when the pod itself counts.
    own: i64,
    counts: BTreeMap<String, i64>,
}

/// The strict constraints of one pod with the counts over all nodes it may go to.
#[derive(Default)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn of(pod: &Pod, seats: &[Seat]) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        let mut rules = Vec::new();
        for constraint in spec.topology_spread_constraints.iter().flatten() {
            if constraint.when_unsatisfiable != "DoNotSchedule" {
                continue;
            }
            let mut selector = constraint.label_selector.clone().unwrap_or_default();
            for key in constraint.match_label_keys.iter().flatten() {
                if let Some(value) = meta::label(&pod.metadata, key) {
                    selector.match_labels.get_or_insert_default().insert(key.clone(), value.to_owned());
                }
            }
            let counted = |other: &Pod| {
                meta::namespace(&other.metadata) == meta::namespace(&pod.metadata)
                    && !meta::is_deleting(&other.metadata)
                    && meta::selects(Some(&selector), other.metadata.labels.as_ref())
            };
            let mut counts = BTreeMap::new();
            for seat in seats.iter().filter(|s| wants_node(spec, &s.node)) {
                if let Some(domain) = seat.label(&constraint.topology_key) {
                    let here = seat.pods.iter().filter(|p| counted(&p.pod)).count();
                    *counts.entry(domain.to_owned()).or_insert(0) += i64::try_from(here).unwrap_or(i64::MAX);
                }
            }
            let enough =
                i64::try_from(counts.len()).unwrap_or(i64::MAX) >= constraint.min_domains.unwrap_or(1).into();
            rules.push(Rule {
                key: constraint.topology_key.clone(),
                largest_skew: constraint.max_skew.into(),
                least: if enough { counts.values().min().copied().unwrap_or(0) } else { 0 },
                own: meta::selects(Some(&selector), pod.metadata.labels.as_ref()).into(),
                counts,
            });
        }
        Self(rules)
    }

    pub(super) fn refuses(&self, seat: &Seat) -> Option<String> {
        for rule in &self.0 {
            let Some(domain) = seat.label(&rule.key) else {
                let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
                return Some(reason.to_owned());
            };
            let here = rule.counts.get(domain).copied().unwrap_or(0);
            if here + rule.own - rule.least > rule.largest_skew {
                return Some("node(s) didn't match pod topology spread constraints".to_owned());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fit::tests::{choice, node, pod};

    #[test]
    fn zones_fill_evenly() {
        let spread = json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "web"}}}]});
        let nodes = [node("a-1", &json!({})), node("b-1", &json!({"unschedulable": true}))];
        let seated = [(pod("web", &spread), "a-1")];
        let mut second = (*pod("web", &spread)).clone();
        second.metadata.name = Some("web-2".to_owned());
        let told = choice(&std::sync::Arc::new(second.clone()), &nodes, &seated);
        let reasons = "1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable";
        assert_eq!(told, format!("0/2 nodes are available: {reasons}."));
        let open = [node("a-1", &json!({})), node("b-1", &json!({}))];
        assert_eq!(choice(&std::sync::Arc::new(second), &open, &seated), "b-1");
    }
}

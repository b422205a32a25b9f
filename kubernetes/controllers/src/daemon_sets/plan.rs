//! Which nodes get a pod and which pods go. Pure.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration,
};
use k8s_openapi::jiff::Timestamp;

use crate::meta::{self, Key};
use crate::numbers::{Round, count, share};
use crate::pods;
use crate::revisions::POD_HASH;
use crate::scheduler::{tolerates, wants_node};

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// A pod for the node of this name.
    Create(String),
    Delete(Key),
}

pub(super) struct View {
    pub(super) set: Arc<DaemonSet>,
    pub(super) nodes: Vec<Arc<Node>>,
    pub(super) pods: Vec<Arc<Pod>>,
    /// The hash of the present template.
    pub(super) hash: String,
    pub(super) now: Timestamp,
}

impl View {
    pub(super) fn wants(&self, node: &Node) -> bool {
        let mut spec = self.set.spec.template.spec.clone().unwrap_or_default();
        tolerate_troubles(&mut spec);
        let taints = node.spec.iter().flat_map(|s| s.taints.iter().flatten());
        let mut harmful = taints.filter(|t| t.effect != "PreferNoSchedule");
        let tolerations = spec.tolerations.as_deref().unwrap_or_default();
        wants_node(&spec, node) && harmful.all(|t| tolerates(tolerations, t))
    }

    pub(super) fn on<'a>(&'a self, node: &'a str) -> impl Iterator<Item = &'a Arc<Pod>> {
        self.pods.iter().filter(move |p| node_of(p) == Some(node))
    }

    pub(super) fn is_current(&self, pod: &Pod) -> bool {
        meta::label(&pod.metadata, POD_HASH) == Some(&self.hash)
    }

    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        let min_ready = self.set.spec.min_ready_seconds.unwrap_or(0);
        !meta::is_deleting(&pod.metadata) && pods::is_available(pod, min_ready, self.now)
    }
}

/// The node a pod is on or was made for.
fn node_of(pod: &Pod) -> Option<&str> {
    if let Some(node) = pods::node(pod) {
        return Some(node);
    }
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let field = terms.first()?.match_fields.as_ref()?.iter().find(|f| f.key == "metadata.name")?;
    field.values.as_ref()?.first().map(String::as_str)
}

pub(super) fn plan(view: &View) -> Vec<Action> {
    let mut actions = Vec::new();
    for node in &view.nodes {
        let name = meta::name(&node.metadata);
        let finished = view.on(name).filter(|p| pods::is_finished(p) && !meta::is_deleting(&p.metadata));
        actions.extend(finished.map(|p| Action::Delete(Key::of(&p.metadata))));
        let mut alive: Vec<_> = view.on(name).filter(|p| pods::is_active(p)).collect();
        if !view.wants(node) {
            actions.extend(alive.iter().map(|p| Action::Delete(Key::of(&p.metadata))));
            continue;
        }
        let leaving = view.on(name).any(|p| meta::is_deleting(&p.metadata));
        if alive.is_empty() && !leaving {
            actions.push(Action::Create(name.to_owned()));
        }
        alive.sort_by_key(|p| meta::created(&p.metadata));
        actions.extend(alive.iter().skip(1).map(|p| Action::Delete(Key::of(&p.metadata))));
    }
    let known = |p: &Pod| node_of(p).is_some_and(|n| view.nodes.iter().any(|k| meta::name(&k.metadata) == n));
    let lost = view.pods.iter().filter(|p| !known(p) && !meta::is_deleting(&p.metadata));
    actions.extend(lost.map(|p| Action::Delete(Key::of(&p.metadata))));
    if actions.is_empty() {
        replace_old(view, &mut actions);
    }
    actions
}

/// Deletes pods of an older template, as many at once as may be unavailable.
fn replace_old(view: &View, actions: &mut Vec<Action>) {
    let strategy = view.set.spec.update_strategy.as_ref();
    if strategy.and_then(|s| s.type_.as_deref()) == Some("OnDelete") {
        return;
    }
    let rolling = strategy.and_then(|s| s.rolling_update.as_ref());
    let wanted: Vec<_> = view.nodes.iter().filter(|n| view.wants(n)).collect();
    let total = count(wanted.len());
    let allowed = share(rolling.and_then(|r| r.max_unavailable.as_ref()), "1", total, Round::Up).max(1);
    let available = |n: &&&Arc<Node>| view.on(meta::name(&n.metadata)).any(|p| view.is_available(p));
    let mut unavailable = total - count(wanted.iter().filter(available).count());
    for pod in view.pods.iter().filter(|p| pods::is_active(p) && !view.is_current(p)) {
        let healthy = view.is_available(pod);
        if healthy && unavailable >= allowed {
            continue;
        }
        unavailable += i32::from(healthy);
        actions.push(Action::Delete(Key::of(&pod.metadata)));
    }
}

/// The pod for one node; the scheduler binds it there.
pub(super) fn pod(set: &DaemonSet, node: &str, hash: &str) -> Pod {
    let namespace = meta::namespace(&set.metadata);
    let mut pod = pods::from_template(&set.spec.template, namespace, meta::controller_reference(set));
    pods::set_label(&mut pod.metadata, POD_HASH, hash);
    let spec = pod.spec.get_or_insert_default();
    tolerate_troubles(spec);
    let field = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let affinity: &mut NodeAffinity =
        spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
    let required = affinity
        .required_during_scheduling_ignored_during_execution
        .get_or_insert_with(NodeSelector::default);
    if required.node_selector_terms.is_empty() {
        required.node_selector_terms.push(NodeSelectorTerm::default());
    }
    for term in &mut required.node_selector_terms {
        term.match_fields = Some(vec![field.clone()]);
    }
    pod
}

/// A daemon stays where ordinary pods would have to leave.
fn tolerate_troubles(spec: &mut PodSpec) {
    let mut troubles = vec![
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
        ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    ];
    if spec.host_network == Some(true) {
        troubles.push(("node.kubernetes.io/network-unavailable", "NoSchedule"));
    }
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in troubles {
        if tolerations.iter().any(|t| t.key.as_deref() == Some(key) && t.effect.as_deref() == Some(effect)) {
            continue;
        }
        tolerations.push(Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(nodes: &[(&str, &str)], pods: &[(&str, bool, &str)]) -> Vec<String> {
        let set: DaemonSet = serde_json::from_value(json!({
            "metadata": {"name": "d", "namespace": "default", "uid": "d"},
            "spec": {"selector": {}, "template": {"spec": {"containers": [], "nodeSelector": {"disk": "ssd"}}}}
        }))
        .unwrap();
        let node = |(name, disk): &(&str, &str)| {
            Arc::new(
                serde_json::from_value(json!({"metadata": {"name": name, "labels": {"disk": disk}}}))
                    .unwrap(),
            )
        };
        let made = pods.iter().map(|(node, ready, hash)| {
            let mut pod = crate::pods::tests::pod(&format!("d-{node}"), "Running", *ready);
            pods::set_label(&mut pod.metadata, POD_HASH, hash);
            pod.spec.get_or_insert_default().node_name = Some((*node).to_owned());
            Arc::new(pod)
        });
        let view = View {
            set: Arc::new(set),
            nodes: nodes.iter().map(node).collect(),
            pods: made.collect(),
            hash: "new".to_owned(),
            now: Timestamp::now(),
        };
        let words = |action: Action| match action {
            Action::Create(node) => format!("create {node}"),
            Action::Delete(key) => format!("delete {}", key.name),
        };
        plan(&view).into_iter().map(words).collect()
    }

    #[test]
    fn each_wanted_node_gets_one() {
        let nodes = [("a", "ssd"), ("b", "ssd"), ("c", "hdd")];
        assert_eq!(told(&nodes, &[("a", true, "new")]), ["create b"]);
        assert_eq!(
            told(&nodes, &[("a", true, "new"), ("b", true, "new"), ("c", true, "new")]),
            ["delete d-c"]
        );
        assert_eq!(told(&nodes[..1], &[("a", true, "new"), ("gone", true, "new")]), ["delete d-gone"]);
    }

    #[test]
    fn old_pods_are_replaced_one_by_one() {
        let nodes = [("a", "ssd"), ("b", "ssd")];
        assert_eq!(told(&nodes, &[("a", true, "old"), ("b", true, "old")]), ["delete d-a"]);
        assert_eq!(told(&nodes, &[("a", false, "new"), ("b", true, "old")]), [""; 0]);
        assert_eq!(told(&nodes, &[("a", false, "new"), ("b", false, "old")]), ["delete d-b"]);
    }

    #[test]
    fn a_pod_is_made_for_its_node() {
        let set = DaemonSet::default();
        let made = pod(&set, "n1", "h");
        assert_eq!(node_of(&made), Some("n1"));
        assert!(made.spec.unwrap().tolerations.unwrap().len() >= 6);
    }
}

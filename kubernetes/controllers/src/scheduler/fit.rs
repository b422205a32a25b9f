//! Which nodes can take a pod, and why the others cannot, in Kubernetes' own words.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration};
use sealos_objects::quantity::{Format, Quantity};

use super::ledger::{Seat, collides, host_ports};
use super::{affinity, score, spread, volumes};
use crate::meta;
use crate::resources::{self, Amounts};

/// The best node for a pod, or the message that tells why there is none.
pub(super) fn choose(
    pod: &Pod,
    seats: &[Seat],
    storage: &volumes::Needs,
    namespaces: &[Arc<Namespace>],
) -> Result<String, String> {
    let Some(spec) = &pod.spec else { return Err("the pod has no spec".to_owned()) };
    if seats.is_empty() {
        return Err("no nodes available to schedule pods".to_owned());
    }
    let requests = resources::requests(pod);
    let related = affinity::Rules::of(pod, seats, namespaces);
    let spread = spread::Rules::of(pod, seats);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut fitting = Vec::new();
    for seat in seats {
        let mut why = alone(spec, &requests, pod, seat);
        if why.is_empty() {
            why.extend(storage.refuses(seat));
        }
        if why.is_empty() {
            why.extend(spread.refuses(seat).or_else(|| related.refuses(seat)));
        }
        if why.is_empty() {
            fitting.push(seat);
        }
        for reason in why {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    match score::best(pod, &requests, &fitting, &related) {
        Some(seat) => Ok(seat.name().to_owned()),
        None => Err(message(seats.len(), &reasons)),
    }
}

fn message(nodes: usize, reasons: &BTreeMap<String, usize>) -> String {
    let mut parts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort();
    format!("0/{nodes} nodes are available: {}.", parts.join(", "))
}

/// What speaks against a node for this pod, whatever the other nodes are.
fn alone(spec: &PodSpec, requests: &Amounts, pod: &Pod, seat: &Seat) -> Vec<String> {
    let node = seat.node.spec.clone().unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    if node.unschedulable == Some(true) && !tolerates(tolerations, &unschedulable()) {
        return vec!["node(s) were unschedulable".to_owned()];
    }
    let harmful = |t: &&Taint| t.effect != "PreferNoSchedule" && !tolerates(tolerations, t);
    if let Some(taint) = node.taints.iter().flatten().find(harmful) {
        let value = taint.value.as_deref().unwrap_or_default();
        return vec![format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)];
    }
    if !wants_node(spec, &seat.node) {
        return vec!["node(s) didn't match Pod's node affinity/selector".to_owned()];
    }
    let ports = host_ports(pod);
    let taken = seat.pods.iter().flat_map(|p| &p.ports);
    if !ports.is_empty() && taken.into_iter().any(|t| ports.iter().any(|p| collides(p, t))) {
        return vec!["node(s) didn't have free ports for the requested pod ports".to_owned()];
    }
    short_of(requests, seat)
}

fn unschedulable() -> Taint {
    Taint {
        key: "node.kubernetes.io/unschedulable".to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    }
}

pub(crate) fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|t| {
        let effect = t.effect.as_deref().is_none_or(|e| e.is_empty() || e == taint.effect);
        let key = t.key.as_deref().unwrap_or_default();
        let exists = t.operator.as_deref() == Some("Exists");
        let value =
            exists || t.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default();
        effect && value && ((key.is_empty() && exists) || key == taint.key)
    })
}

fn short_of(requests: &Amounts, seat: &Seat) -> Vec<String> {
    let mut short = Vec::new();
    let limit = seat.allocatable.get("pods").map_or(i64::MAX, Quantity::ceil);
    if i64::try_from(seat.pods.len()).unwrap_or(i64::MAX) >= limit {
        short.push("Too many pods".to_owned());
    }
    let none = Quantity::from_int(0, Format::Decimal);
    for (name, amount) in requests.iter().filter(|(_, a)| !a.is_zero()) {
        let have = seat.allocatable.get(name).unwrap_or(&none);
        let reserved = seat.reserved.get(name).unwrap_or(&none);
        if reserved.plus(amount) > *have {
            short.push(format!("Insufficient {name}"));
        }
    }
    short
}

/// Whether the pod's node selector and required node affinity allow the node.
pub(crate) fn wants_node(spec: &PodSpec, node: &Node) -> bool {
    let plain = spec.node_selector.iter().flatten().all(|(k, v)| meta::label(&node.metadata, k) == Some(v));
    let affinity = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    plain && required.is_none_or(|r| any_term(&r.node_selector_terms, node))
}

/// Terms are alternatives; an empty term fits nothing.
pub(crate) fn any_term(terms: &[NodeSelectorTerm], node: &Node) -> bool {
    terms.iter().any(|t| term(t, node))
}

pub(crate) fn term(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let label = |key: &str| meta::label(&node.metadata, key);
    let field = |key: &str| (key == "metadata.name").then(|| meta::name(&node.metadata));
    !(expressions.is_empty() && fields.is_empty())
        && expressions
            .iter()
            .all(|e| holds(&e.operator, e.values.as_deref().unwrap_or_default(), label(&e.key)))
        && fields.iter().all(|e| holds(&e.operator, e.values.as_deref().unwrap_or_default(), field(&e.key)))
}

fn holds(operator: &str, values: &[String], actual: Option<&str>) -> bool {
    let listed = actual.is_some_and(|a| values.iter().any(|v| v == a));
    let number = |text: Option<&str>| text.and_then(|t| t.parse::<i64>().ok());
    let compared = || Some((number(actual)?, number(values.first().map(String::as_str))?));
    match operator {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => actual.is_some(),
        "DoesNotExist" => actual.is_none(),
        "Gt" => compared().is_some_and(|(a, v)| a > v),
        "Lt" => compared().is_some_and(|(a, v)| a < v),
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::super::ledger::Ledger;
    use super::*;

    pub(crate) fn pod(name: &str, more: &Value) -> Arc<Pod> {
        let mut value = json!({
            "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": name}},
            "spec": {"containers": [{"name": "c"}]}
        });
        for (key, field) in more.as_object().into_iter().flatten() {
            value["spec"][key] = field.clone();
        }
        Arc::new(serde_json::from_value(value).unwrap())
    }

    pub(crate) fn node(name: &str, spec: &Value) -> Arc<k8s_openapi::api::core::v1::Node> {
        let value = json!({
            "metadata": {"name": name, "labels": {"zone": name.split('-').next(), "kubernetes.io/hostname": name}},
            "spec": spec,
            "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "3"}}
        });
        Arc::new(serde_json::from_value(value).unwrap())
    }

    /// The choice for `pod` among `nodes`, on which the named pods sit already.
    pub(crate) fn choice(
        pod: &Arc<Pod>,
        nodes: &[Arc<k8s_openapi::api::core::v1::Node>],
        seated: &[(Arc<Pod>, &str)],
    ) -> String {
        let mut ledger = Ledger::default();
        for (pod, node) in seated {
            ledger.assume(pod, node);
        }
        let seats = ledger.nodes(nodes.to_vec());
        choose(pod, &seats, &volumes::Needs::default(), &[]).unwrap_or_else(|message| message)
    }

    fn asking(cpu: &str, memory: &str) -> Value {
        json!({"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}]})
    }

    #[test]
    fn what_is_missing_is_named() {
        let one = [node("n", &json!({}))];
        assert_eq!(
            choice(&pod("a", &asking("3", "1Gi")), &one, &[]),
            "0/1 nodes are available: 1 Insufficient cpu."
        );
        let both = "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.";
        assert_eq!(choice(&pod("a", &asking("3", "5Gi")), &one, &[]), both);
        assert_eq!(choice(&pod("a", &asking("2", "4Gi")), &one, &[]), "n");
        let there = pod("b", &asking("1500m", "1Gi"));
        let full = [(there, "n")];
        assert_eq!(
            choice(&pod("a", &asking("1", "1Gi")), &one, &full),
            "0/1 nodes are available: 1 Insufficient cpu."
        );
        assert_eq!(choice(&pod("a", &json!({})), &[], &[]), "no nodes available to schedule pods");
    }

    #[test]
    fn a_node_takes_no_more_pods_than_it_says() {
        let seated: Vec<_> = ["a", "b", "c"].map(|n| (pod(n, &json!({})), "n")).into();
        let told = choice(&pod("d", &json!({})), &[node("n", &json!({}))], &seated);
        assert_eq!(told, "0/1 nodes are available: 1 Too many pods.");
    }

    #[test]
    fn taints_selectors_and_ports_are_respected() {
        let tainted = node("n", &json!({"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}));
        let closed = node("m", &json!({"unschedulable": true}));
        let told = choice(&pod("a", &json!({})), &[tainted.clone(), closed], &[]);
        assert_eq!(
            told,
            "0/2 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, 1 node(s) were unschedulable."
        );
        let tolerant = pod("a", &json!({"tolerations": [{"key": "gpu", "operator": "Exists"}]}));
        assert_eq!(choice(&tolerant, &[tainted], &[]), "n");
        let picky = pod("a", &json!({"nodeSelector": {"zone": "x"}}));
        let told = choice(&picky, &[node("n", &json!({}))], &[]);
        assert_eq!(told, "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.");
        assert_eq!(choice(&picky, &[node("n", &json!({})), node("x-1", &json!({}))], &[]), "x-1");
        let port = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]});
        let told = choice(&pod("a", &port), &[node("n", &json!({}))], &[(pod("b", &port), "n")]);
        assert_eq!(
            told,
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
        );
    }

    #[test]
    fn the_emptier_node_is_chosen() {
        let nodes = [node("n", &json!({})), node("m", &json!({}))];
        let seated = [(pod("b", &asking("1", "1Gi")), "m")];
        assert_eq!(choice(&pod("a", &asking("100m", "1Mi")), &nodes, &seated), "n");
    }

    #[test]
    fn node_affinity_compares() {
        let affinity = |operator: &str, values: Value| {
            pod(
                "a",
                &json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": operator, "values": values}]}]}}}}),
            )
        };
        let nodes = [node("a-1", &json!({})), node("b-1", &json!({}))];
        assert_eq!(choice(&affinity("In", json!(["b"])), &nodes, &[]), "b-1");
        assert_eq!(choice(&affinity("NotIn", json!(["b"])), &nodes, &[]), "a-1");
    }
}

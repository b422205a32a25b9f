//! Defaults of the kinds that carry traffic.

use serde_json::{Value, json};

use super::Object;
use crate::value::{child, child_if, fill, fill_text, items_mut};

/// Client affinity lasts three hours.
const AFFINITY_SECONDS: i64 = 10_800;

/// Addresses and node ports are allocated by the API server, not here.
pub(super) fn service(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill_text(spec, "type", "ClusterIP");
    fill_text(spec, "sessionAffinity", "None");
    affinity(spec);
    for port in items_mut(spec, "ports") {
        fill_text(port, "protocol", "TCP");
        let number = port.get("port").cloned().unwrap_or_default();
        let missing = port.get("targetPort").is_none_or(crate::value::is_empty);
        if missing && number.is_i64() {
            port.insert("targetPort".to_owned(), number);
        }
    }
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind == "ExternalName" {
        return;
    }
    fill_text(spec, "internalTrafficPolicy", "Cluster");
    if kind != "ClusterIP" {
        fill_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn affinity(spec: &mut Object) {
    if spec.get("sessionAffinity").and_then(Value::as_str) == Some("ClientIP") {
        let config = child(spec, "sessionAffinityConfig").and_then(|config| child(config, "clientIP"));
        if let Some(client) = config {
            fill(client, "timeoutSeconds", AFFINITY_SECONDS);
        }
    } else {
        spec.remove("sessionAffinityConfig");
    }
}

pub(super) fn endpoints(object: &mut Object) {
    for subset in items_mut(object, "subsets") {
        for port in items_mut(subset, "ports") {
            fill_text(port, "protocol", "TCP");
        }
    }
}

pub(super) fn endpoint_slice(object: &mut Object) {
    for port in items_mut(object, "ports") {
        fill(port, "name", "");
        fill_text(port, "protocol", "TCP");
    }
}

pub(super) fn ingress_class(object: &mut Object) {
    if let Some(parameters) = child_if(object, "spec").and_then(|spec| child_if(spec, "parameters")) {
        fill_text(parameters, "scope", "Cluster");
    }
}

pub(super) fn network_policy(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    let mut types = vec![json!("Ingress")];
    if spec.get("egress").and_then(Value::as_array).is_some_and(|egress| !egress.is_empty()) {
        types.push(json!("Egress"));
    }
    if spec.get("policyTypes").is_none_or(crate::value::is_empty) {
        spec.insert("policyTypes".to_owned(), types.into());
    }
    for list in ["ingress", "egress"] {
        for rule in items_mut(spec, list) {
            for port in items_mut(rule, "ports") {
                fill_text(port, "protocol", "TCP");
            }
        }
    }
}

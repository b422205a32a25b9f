//! Rules for Services.

use std::collections::HashSet;
use std::net::IpAddr;

use super::{At, meta, names};
use crate::field::FieldErrors;

pub(super) fn check(root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    let kind = spec.get("type");
    kind.one_of(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"], errors);
    let headless = spec.get("clusterIP").text() == "None";
    let ports = spec.list("ports");
    if ports.is_empty() && !headless && kind.text() != "ExternalName" {
        spec.get("ports").required("", errors);
    }
    self::ports(&ports, kind.text(), headless, errors);
    for (key, value) in spec.entries("selector") {
        meta::label(key, &value, &spec.get("selector"), errors);
    }
    affinity(&spec, errors);
    addresses(&spec, kind.text(), errors);
    match kind.text() {
        "ExternalName" => external_name(&spec, errors),
        "NodePort" | "LoadBalancer" => {
            if headless {
                spec.get("clusterIP")
                    .invalid(format!("may not be set to 'None' for {} services", kind.text()), errors);
            }
            policy(&spec, "externalTrafficPolicy", errors);
        }
        _ => {}
    }
    policy(&spec, "internalTrafficPolicy", errors);
}

fn policy(spec: &At<'_>, key: &str, errors: &mut FieldErrors) {
    if spec.get(key).exists() {
        spec.get(key).one_of(&["Cluster", "Local"], errors);
    }
}

fn external_name(spec: &At<'_>, errors: &mut FieldErrors) {
    let name = spec.get("externalName");
    if !spec.get("clusterIP").is_empty() {
        spec.get("clusterIP").forbidden("may not be set for ExternalName services", errors);
    }
    if name.need(errors)
        && let Some(problem) = names::dns_subdomain(name.text().trim_end_matches('.'))
    {
        name.invalid(problem, errors);
    }
}

fn affinity(spec: &At<'_>, errors: &mut FieldErrors) {
    let affinity = spec.get("sessionAffinity");
    affinity.one_of(&["ClientIP", "None"], errors);
    let timeout = spec.to(&["sessionAffinityConfig", "clientIP", "timeoutSeconds"]);
    if affinity.text() == "ClientIP" && !timeout.int().is_some_and(|seconds| (1..=86_400).contains(&seconds))
    {
        timeout.invalid("must be greater than 0 and less than 86400", errors);
    }
}

fn addresses(spec: &At<'_>, kind: &str, errors: &mut FieldErrors) {
    let cluster_ip = spec.get("clusterIP");
    let text = cluster_ip.text();
    if !text.is_empty() && text != "None" && kind != "ExternalName" && text.parse::<IpAddr>().is_err() {
        cluster_ip.invalid("must be empty, 'None', or a valid IP address", errors);
    }
    for ip in spec.list("externalIPs") {
        if ip.text().parse::<IpAddr>().is_err() {
            ip.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", errors);
        }
    }
}

fn ports(ports: &[At<'_>], kind: &str, headless: bool, errors: &mut FieldErrors) {
    let (mut seen_names, mut seen_ports, mut seen_nodes) = (HashSet::new(), HashSet::new(), HashSet::new());
    for port in ports {
        let (name, number, protocol) = (port.get("name"), port.get("port"), port.get("protocol"));
        if name.text().is_empty() {
            if ports.len() > 1 {
                name.required("", errors);
            }
        } else {
            name.named(names::dns_label, errors);
            if !seen_names.insert(name.text()) {
                name.duplicate(errors);
            }
        }
        if let Some(problem) = names::port_number(number.int().unwrap_or(0)) {
            number.invalid(problem, errors);
        } else if !seen_ports.insert((number.int(), protocol.text())) {
            port.duplicate(errors);
        }
        protocol.one_of(&["SCTP", "TCP", "UDP"], errors);
        let target = port.get("targetPort");
        if target.exists() && !headless {
            super::container::port(&target, errors);
        }
        node_port(port, kind, &mut seen_nodes, errors);
    }
}

fn node_port<'a>(
    port: &At<'a>,
    kind: &str,
    seen: &mut HashSet<(Option<i64>, &'a str)>,
    errors: &mut FieldErrors,
) {
    let node = port.get("nodePort");
    if node.int().unwrap_or(0) == 0 {
        return;
    }
    if kind == "ClusterIP" || kind == "ExternalName" {
        node.forbidden("may not be used when `type` is 'ClusterIP'", errors);
    } else if !seen.insert((node.int(), port.get("protocol").text())) {
        node.duplicate(errors);
    }
}

/// A cluster address is for life, unless the Service becomes an alias.
pub(super) fn check_change(new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    let (new_spec, old_spec) = (new.get("spec"), old.get("spec"));
    let alias = |spec: &At<'_>| spec.get("type").text() == "ExternalName";
    if alias(&new_spec) || alias(&old_spec) {
        return;
    }
    for key in ["clusterIP", "clusterIPs"] {
        let before = old_spec.get(key);
        if !before.is_empty() && new_spec.get(key).value != before.value {
            new_spec.get(key).invalid("may not change once set", errors);
        }
    }
}

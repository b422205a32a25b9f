//! Services, ingresses, endpoints, network policies.

use jiff::Timestamp;
use serde_json::Value;

use super::Printer;
use super::cells::{age, labels, name, or, plain, selector};
use crate::value::{int, list, map, text};

/// Longer lists of addresses are cut.
const SHOWN: usize = 3;

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    Some(match (group, kind) {
        ("", "Service") => Printer {
            columns: &["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"],
            cells: service,
        },
        ("", "Endpoints") => Printer {
            columns: &["Name", "Endpoints", "Age"],
            cells: |o, now| vec![name(o), endpoints(o).into(), age(o, now)],
        },
        ("discovery.k8s.io", "EndpointSlice") => {
            Printer { columns: &["Name", "AddressType", "Ports", "Endpoints", "Age"], cells: slice }
        }
        ("networking.k8s.io", "Ingress") => {
            Printer { columns: &["Name", "Class", "Hosts", "Address", "Ports", "Age"], cells: ingress }
        }
        ("networking.k8s.io", "IngressClass") => {
            Printer { columns: &["Name", "Controller", "Parameters", "Age"], cells: ingress_class }
        }
        ("networking.k8s.io", "NetworkPolicy") => Printer {
            columns: &["Name", "Pod-Selector", "Age"],
            cells: |o, now| vec![name(o), selector(o, &["spec", "podSelector"]), age(o, now)],
        },
        _ => return None,
    })
}

fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        or(object, &["spec", "type"], "ClusterIP"),
        or(object, &["spec", "clusterIP"], "<none>"),
        external_ip(object).into(),
        ports(object).into(),
        age(object, now),
        labels(map(object, &["spec", "selector"])),
    ]
}

fn external_ip(service: &Value) -> String {
    let mut all: Vec<&str> =
        list(service, &["spec", "externalIPs"]).iter().filter_map(Value::as_str).collect();
    match text(service, &["spec", "type"]) {
        "ExternalName" => return text(service, &["spec", "externalName"]).to_owned(),
        "LoadBalancer" => {
            let given = load_balancer(service);
            if given.is_empty() && all.is_empty() {
                return "<pending>".to_owned();
            }
            all.splice(0..0, given);
        }
        _ => {}
    }
    if all.is_empty() { "<none>".to_owned() } else { all.join(",") }
}

/// The addresses in `status.loadBalancer`.
fn load_balancer(object: &Value) -> Vec<&str> {
    list(object, &["status", "loadBalancer", "ingress"])
        .iter()
        .map(|ingress| match text(ingress, &["ip"]) {
            "" => text(ingress, &["hostname"]),
            ip => ip,
        })
        .filter(|address| !address.is_empty())
        .collect()
}

fn ports(service: &Value) -> String {
    let one = |port: &Value| {
        let number = int(port, &["port"]).unwrap_or(0);
        let protocol = match text(port, &["protocol"]) {
            "" => "TCP",
            protocol => protocol,
        };
        match int(port, &["nodePort"]).unwrap_or(0) {
            0 => format!("{number}/{protocol}"),
            node => format!("{number}:{node}/{protocol}"),
        }
    };
    let all: Vec<String> = list(service, &["spec", "ports"]).iter().map(one).collect();
    if all.is_empty() { "<none>".to_owned() } else { all.join(",") }
}

/// The first few of a list, and how many are left.
fn cut(all: &[String], missing: &str) -> String {
    match all.len() {
        0 => missing.to_owned(),
        n if n <= SHOWN => all.join(","),
        n => format!(
            "{} + {} more...",
            all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(","),
            n - SHOWN
        ),
    }
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in list(object, &["subsets"]) {
        let ports = list(subset, &["ports"]);
        for address in list(subset, &["addresses"]) {
            let ip = text(address, &["ip"]);
            match ports.is_empty() {
                true => all.push(ip.to_owned()),
                false => all.extend(ports.iter().map(|p| format!("{ip}:{}", int(p, &["port"]).unwrap_or(0)))),
            }
        }
    }
    cut(&all, "<none>")
}

fn slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = list(object, &["ports"])
        .iter()
        .map(|port| port.get("port").map_or_else(|| "*".to_owned(), plain))
        .collect();
    let addresses: Vec<String> = list(object, &["endpoints"])
        .iter()
        .flat_map(|endpoint| list(endpoint, &["addresses"]))
        .map(plain)
        .collect();
    vec![
        name(object),
        text(object, &["addressType"]).into(),
        cut(&ports, "<unset>").into(),
        cut(&addresses, "<unset>").into(),
        age(object, now),
    ]
}

fn ingress(object: &Value, now: Timestamp) -> Vec<Value> {
    let hosts: Vec<String> = list(object, &["spec", "rules"])
        .iter()
        .map(|rule| text(rule, &["host"]).to_owned())
        .filter(|host| !host.is_empty())
        .collect();
    let ports = if list(object, &["spec", "tls"]).is_empty() { "80" } else { "80, 443" };
    vec![
        name(object),
        or(object, &["spec", "ingressClassName"], "<none>"),
        cut(&hosts, "*").into(),
        load_balancer(object).join(",").into(),
        ports.into(),
        age(object, now),
    ]
}

fn ingress_class(object: &Value, now: Timestamp) -> Vec<Value> {
    let parameters = match (
        text(object, &["spec", "parameters", "kind"]),
        text(object, &["spec", "parameters", "apiGroup"]),
    ) {
        ("", _) => "<none>".to_owned(),
        (kind, "") => format!("{kind}/{}", text(object, &["spec", "parameters", "name"])),
        (kind, group) => format!("{kind}.{group}/{}", text(object, &["spec", "parameters", "name"])),
    };
    vec![name(object), text(object, &["spec", "controller"]).into(), parameters.into(), age(object, now)]
}

//! Rules for Ingresses, NetworkPolicies and EndpointSlices.

use std::collections::HashSet;

use super::{At, container, names, selectors};
use crate::field::FieldErrors;

pub(super) fn ingress(root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    let default = spec.get("defaultBackend");
    if spec.list("rules").is_empty() && !default.exists() {
        spec.invalid("either `defaultBackend` or `rules` must be specified", errors);
    }
    if default.exists() {
        backend(&default, errors);
    }
    let class = spec.get("ingressClassName");
    if class.exists() {
        class.named(names::dns_subdomain, errors);
    }
    for rule in spec.list("rules") {
        host(&rule.get("host"), errors);
        let paths = rule.get("http").list("paths");
        if rule.get("http").exists() && paths.is_empty() {
            rule.to(&["http", "paths"]).required("", errors);
        }
        for path in paths {
            self::path(&path, errors);
        }
    }
    for tls in spec.list("tls") {
        for name in tls.list("hosts") {
            host(&name, errors);
        }
    }
}

fn host(at: &At<'_>, errors: &mut FieldErrors) {
    let text = at.text();
    if text.is_empty() {
        return;
    }
    if text.parse::<std::net::IpAddr>().is_ok() {
        at.invalid("must be a DNS name, not an IP address", errors);
    } else if text.contains('*') {
        at.named(names::wildcard_subdomain, errors);
    } else {
        at.named(names::dns_subdomain, errors);
    }
}

/// Sequences no path may hold.
const FORBIDDEN: [&str; 6] = ["//", "/./", "/../", "%2f", "%2F", "\u{0}"];

fn path(at: &At<'_>, errors: &mut FieldErrors) {
    let kind = at.get("pathType");
    if kind.exists() {
        kind.one_of(&["Exact", "ImplementationSpecific", "Prefix"], errors);
    } else {
        kind.required("pathType must be specified", errors);
    }
    let path = at.get("path");
    let free = kind.text() == "ImplementationSpecific";
    let absolute = path.text().starts_with('/') || (free && path.text().is_empty());
    if !absolute {
        path.invalid("must be an absolute path", errors);
    }
    if !free {
        for bad in FORBIDDEN.iter().filter(|bad| path.text().contains(**bad)) {
            path.invalid(format!("must not contain {bad:?}"), errors);
        }
    }
    backend(&at.get("backend"), errors);
}

fn backend(at: &At<'_>, errors: &mut FieldErrors) {
    let (service, resource) = (at.get("service"), at.get("resource"));
    match (service.exists(), resource.exists()) {
        (true, true) => at.invalid("cannot set both resource and service backends", errors),
        (false, false) => at.required("resource or service backend is required", errors),
        (false, true) => {}
        (true, false) => {
            let name = service.get("name");
            if name.need(errors) {
                name.named(names::dns_label_1035, errors);
            }
            let port = service.get("port");
            match (port.get("name").is_empty(), port.get("number").is_empty()) {
                (true, true) => port.required("port name or number is required", errors),
                (false, false) => port.invalid("cannot set both port name & port number", errors),
                (false, true) => port.get("name").named(names::port_name, errors),
                (true, false) => container::port(&port.get("number"), errors),
            }
        }
    }
}

pub(super) fn ingress_class(root: &At<'_>, errors: &mut FieldErrors) {
    let controller = root.to(&["spec", "controller"]);
    if controller.need(errors) && !controller.text().contains('/') {
        controller.invalid("must be a domain-prefixed path (such as \"acme.io/foo\")", errors);
    }
}

pub(super) fn network_policy(root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    selectors::check(&spec.get("podSelector"), errors);
    for kind in spec.list("policyTypes") {
        kind.one_of(&["Egress", "Ingress"], errors);
    }
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.list(list) {
            for port in rule.list("ports") {
                policy_port(&port, errors);
            }
            for peer in rule.list(peers) {
                policy_peer(&peer, errors);
            }
        }
    }
}

fn policy_port(port: &At<'_>, errors: &mut FieldErrors) {
    port.get("protocol").one_of(&["SCTP", "TCP", "UDP"], errors);
    let (start, end) = (port.get("port"), port.get("endPort"));
    if start.exists() {
        container::port(&start, errors);
    }
    if end.exists() && start.int().is_none_or(|first| end.int().is_none_or(|last| last < first)) {
        end.invalid("must be greater than or equal to `port`", errors);
    }
}

fn policy_peer(peer: &At<'_>, errors: &mut FieldErrors) {
    let (block, pods, namespaces) =
        (peer.get("ipBlock"), peer.get("podSelector"), peer.get("namespaceSelector"));
    if !block.exists() && !pods.exists() && !namespaces.exists() {
        peer.required("must specify a peer", errors);
    }
    if block.exists() {
        if pods.exists() || namespaces.exists() {
            peer.forbidden("may not specify both ipBlock and another peer", errors);
        }
        cidr(&block.get("cidr"), errors);
        for except in block.list("except") {
            cidr(&except, errors);
        }
    }
    selectors::check(&pods, errors);
    selectors::check(&namespaces, errors);
}

fn cidr(at: &At<'_>, errors: &mut FieldErrors) {
    let valid = at.text().split_once('/').is_some_and(|(ip, bits)| {
        let most = match ip.parse() {
            Ok(std::net::IpAddr::V4(_)) => 32,
            Ok(std::net::IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= most)
    });
    if !valid {
        at.invalid("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)", errors);
    }
}

/// The most endpoints in a slice, and addresses in an endpoint.
const MAX_ENDPOINTS: usize = 1000;

pub(super) fn endpoint_slice(root: &At<'_>, errors: &mut FieldErrors) {
    let kind = root.get("addressType");
    if kind.need(errors) {
        kind.one_of(&["FQDN", "IPv4", "IPv6"], errors);
    }
    if root.get("endpoints").count() > MAX_ENDPOINTS {
        root.get("endpoints").invalid("must have at most 1000 items", errors);
    }
    for endpoint in root.list("endpoints") {
        let addresses = endpoint.list("addresses");
        if addresses.is_empty() {
            endpoint.get("addresses").required("must contain at least 1 address", errors);
        }
        for address in addresses {
            let valid = match kind.text() {
                "IPv4" => address.text().parse::<std::net::Ipv4Addr>().is_ok(),
                "IPv6" => address.text().parse::<std::net::Ipv6Addr>().is_ok(),
                _ => names::dns_subdomain(address.text()).is_none(),
            };
            if !valid {
                address.invalid(format!("must be a valid {} address", kind.text()), errors);
            }
        }
    }
    let mut seen = HashSet::new();
    for port in root.list("ports") {
        if !seen.insert(port.get("name").text()) {
            port.get("name").duplicate(errors);
        }
        port.get("protocol").one_of(&["SCTP", "TCP", "UDP"], errors);
    }
}

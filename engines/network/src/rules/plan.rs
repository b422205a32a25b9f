//! From what callers say to what the kernel shall hold. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::services::{HostPort, Protocol, ServiceRule};
use crate::{Ipv4Net, name};

/// One chain that spreads connections over endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Balancer {
    pub(crate) protocol: Protocol,
    pub(crate) endpoints: Vec<SocketAddrV4>,
    pub(crate) affinity_seconds: Option<u32>,
}

/// Where traffic enters, and the balancers behind. The values of the maps are names of balancers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) balancers: BTreeMap<String, Balancer>,
    pub(crate) addresses: BTreeMap<(Ipv4Addr, Protocol, u16), String>,
    pub(crate) ports: BTreeMap<(Protocol, u16), String>,
    /// Pods that may meet themselves behind a service.
    pub(crate) hairpins: BTreeSet<Ipv4Addr>,
}

impl Plan {
    pub(crate) fn of_services(services: &[ServiceRule], pods: Ipv4Net) -> Self {
        let mut plan = Self::default();
        for service in services {
            for port in &service.ports {
                // Without endpoints there is no way in, and the base rules refuse the connection.
                if port.endpoints.is_empty() {
                    continue;
                }
                let name = chain_name(&format!("{}/{}/{}", service.name, port.protocol.name(), port.port));
                for address in service.cluster_ip.iter().chain(&service.extra_ips) {
                    plan.addresses
                        .entry((*address, port.protocol, port.port))
                        .or_insert_with(|| name.clone());
                }
                if let Some(node_port) = port.node_port {
                    plan.ports.entry((port.protocol, node_port)).or_insert_with(|| name.clone());
                }
                plan.add_balancer(name, port.protocol, &port.endpoints, service.affinity_seconds, pods);
            }
        }
        plan
    }

    pub(crate) fn of_host_ports(host_ports: &[HostPort], pods: Ipv4Net) -> Self {
        let mut plan = Self::default();
        for host_port in host_ports {
            let place = host_port.host_ip.map_or_else(|| "any".to_owned(), |ip| ip.to_string());
            let name = chain_name(&format!("{place}/{}/{}", host_port.protocol.name(), host_port.port));
            match host_port.host_ip {
                Some(ip) if !ip.is_unspecified() => {
                    plan.addresses.entry((ip, host_port.protocol, host_port.port)).or_insert(name.clone());
                }
                _ => {
                    plan.ports.entry((host_port.protocol, host_port.port)).or_insert(name.clone());
                }
            }
            plan.add_balancer(name, host_port.protocol, &[host_port.target], None, pods);
        }
        plan
    }

    fn add_balancer(
        &mut self,
        name: String,
        protocol: Protocol,
        endpoints: &[SocketAddrV4],
        affinity_seconds: Option<u32>,
        pods: Ipv4Net,
    ) {
        // Sorted and without duplicates: the order in which callers found them is no change.
        let endpoints: BTreeSet<_> = endpoints.iter().copied().collect();
        self.hairpins.extend(endpoints.iter().map(|e| *e.ip()).filter(|ip| pods.contains(*ip)));
        let endpoints = endpoints.into_iter().collect();
        self.balancers.insert(name, Balancer { protocol, endpoints, affinity_seconds });
    }

    /// UDP endpoints that `next` no longer has: their flows must be forgotten, because UDP has no end.
    pub(crate) fn lost_udp_endpoints(&self, next: &Self) -> BTreeSet<SocketAddrV4> {
        let of = |plan: &Self| -> BTreeSet<SocketAddrV4> {
            let udp = plan.balancers.values().filter(|balancer| balancer.protocol == Protocol::Udp);
            udp.flat_map(|balancer| balancer.endpoints.iter().copied()).collect()
        };
        of(self).difference(&of(next)).copied().collect()
    }
}

/// A name that nftables takes: odd characters replaced, long names shortened by a hash.
fn chain_name(text: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let clean: String = text.chars().map(|c| if kept(c) { c } else { '_' }).collect();
    if clean.len() <= 150 && clean == text {
        return clean;
    }
    let short: String = clean.chars().take(140).collect();
    format!("{short}/{:08x}", name::hash(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::PortRule;

    fn service(endpoints: &[&str], node_port: Option<u16>) -> ServiceRule {
        ServiceRule {
            name: "default/web".to_owned(),
            cluster_ip: Some(Ipv4Addr::new(10, 96, 0, 7)),
            extra_ips: Vec::new(),
            ports: vec![PortRule {
                protocol: Protocol::Tcp,
                port: 80,
                node_port,
                endpoints: endpoints.iter().map(|text| text.parse().expect("valid")).collect(),
            }],
            affinity_seconds: None,
        }
    }

    fn pods() -> Ipv4Net {
        "10.42.0.0/16".parse().expect("valid")
    }

    #[test]
    fn order_of_endpoints_is_no_change() {
        let one = Plan::of_services(&[service(&["10.42.0.2:80", "10.42.0.3:80"], Some(30000))], pods());
        let two = Plan::of_services(&[service(&["10.42.0.3:80", "10.42.0.2:80"], Some(30000))], pods());
        assert_eq!(one, two);
        assert_eq!(one.ports.len(), 1);
        assert_eq!(one.hairpins.len(), 2);
    }

    #[test]
    fn no_endpoints_no_way_in() {
        assert_eq!(Plan::of_services(&[service(&[], Some(30000))], pods()), Plan::default());
    }

    #[test]
    fn only_pods_can_meet_themselves() {
        let plan = Plan::of_services(&[service(&["192.0.2.2:6443"], None)], pods());
        assert!(plan.hairpins.is_empty());
    }

    #[test]
    fn names_stay_apart_when_cleaned() {
        assert_eq!(chain_name("default/web/tcp/80"), "default/web/tcp/80");
        assert_ne!(chain_name("a b"), chain_name("a_b"));
        assert!(chain_name(&"x".repeat(400)).len() < 160);
    }
}

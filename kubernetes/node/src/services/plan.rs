//! What Services and EndpointSlices mean for the kernel's rules and for the name server. Pure.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use sealos_network::dns::{HeadlessEndpoint, NamedPort, NamedService, Target};
use sealos_network::{PortRule, Protocol, ServiceRule};

/// Namespace and name.
pub(super) type Key = (String, String);

/// The services of the cluster and the slices that belong to each.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub services: BTreeMap<Key, Service>,
    pub slices: BTreeMap<Key, BTreeMap<String, EndpointSlice>>,
}

impl Model {
    pub(super) fn rules(&self) -> Vec<ServiceRule> {
        let rules = self.services.iter().filter_map(|(key, service)| {
            let spec = service.spec.as_ref()?;
            let cluster_ip = cluster_ip(service);
            let extra_ips = extra_ips(service);
            let node_ports = spec.ports.iter().flatten().any(|p| p.node_port.is_some());
            if cluster_ip.is_none() && extra_ips.is_empty() && !node_ports {
                return None;
            }
            Some(ServiceRule {
                name: format!("{}/{}", key.0, key.1),
                cluster_ip,
                extra_ips,
                ports: spec.ports.iter().flatten().filter_map(|port| self.port_rule(key, port)).collect(),
                affinity_seconds: affinity(spec),
            })
        });
        rules.collect()
    }

    fn port_rule(&self, key: &Key, port: &ServicePort) -> Option<PortRule> {
        Some(PortRule {
            protocol: protocol(port.protocol.as_deref())?,
            port: number(Some(port.port))?,
            node_port: number(port.node_port),
            endpoints: self.endpoints(key, port.name.as_deref().unwrap_or_default()),
        })
    }

    /// The addresses behind one port: those that are ready, or else those that still answer while
    /// they end.
    fn endpoints(&self, key: &Key, port_name: &str) -> Vec<SocketAddrV4> {
        let mut ready = Vec::new();
        let mut leaving = Vec::new();
        for slice in self.slices.get(key).into_iter().flat_map(BTreeMap::values) {
            let named = |port: &&EndpointPort| port.name.as_deref().unwrap_or_default() == port_name;
            let port = slice.ports.iter().flatten().find(named).and_then(|port| number(port.port));
            let Some(port) = port else { continue };
            for endpoint in endpoints_of(slice) {
                let list = if is_ready(endpoint) {
                    &mut ready
                } else if is_leaving(endpoint) {
                    &mut leaving
                } else {
                    continue;
                };
                list.extend(addresses(endpoint).map(|ip| SocketAddrV4::new(ip, port)));
            }
        }
        let mut chosen = if ready.is_empty() { leaving } else { ready };
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    pub(super) fn names(&self) -> Vec<NamedService> {
        let named = self.services.iter().filter_map(|(key, service)| {
            let spec = service.spec.as_ref()?;
            let (target, ports) = if spec.type_.as_deref() == Some("ExternalName") {
                (Target::External(spec.external_name.clone()?), Vec::new())
            } else if let Some(ip) = cluster_ip(service) {
                (Target::ClusterIp(ip), spec.ports.iter().flatten().filter_map(named_port).collect())
            } else {
                (Target::Headless(self.headless(key)), self.headless_ports(key))
            };
            Some(NamedService { namespace: key.0.clone(), name: key.1.clone(), target, ports })
        });
        named.collect()
    }

    fn headless(&self, key: &Key) -> Vec<HeadlessEndpoint> {
        let slices = self.slices.get(key).into_iter().flat_map(BTreeMap::values);
        slices
            .flat_map(endpoints_of)
            .filter(|endpoint| is_ready(endpoint))
            .flat_map(|endpoint| {
                addresses(endpoint).map(|ip| HeadlessEndpoint { ip, hostname: endpoint.hostname.clone() })
            })
            .collect()
    }

    fn headless_ports(&self, key: &Key) -> Vec<NamedPort> {
        let mut ports: Vec<NamedPort> = Vec::new();
        let slices = self.slices.get(key).into_iter().flat_map(BTreeMap::values);
        for port in slices.flat_map(|slice| slice.ports.iter().flatten()) {
            let (Some(protocol), Some(number)) = (protocol(port.protocol.as_deref()), number(port.port))
            else {
                continue;
            };
            let name = port.name.clone().filter(|name| !name.is_empty());
            let named = NamedPort { name, protocol, port: number };
            if !ports.contains(&named) {
                ports.push(named);
            }
        }
        ports
    }
}

fn endpoints_of(slice: &EndpointSlice) -> impl Iterator<Item = &Endpoint> {
    slice.endpoints.iter().flatten().filter(|_| slice.address_type == "IPv4")
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().is_none_or(|c| c.ready != Some(false))
}

fn is_leaving(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().is_some_and(|c| c.serving == Some(true) && c.terminating == Some(true))
}

fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = Ipv4Addr> + '_ {
    endpoint.addresses.iter().filter_map(|address| address.parse().ok())
}

fn named_port(port: &ServicePort) -> Option<NamedPort> {
    Some(NamedPort {
        name: port.name.clone().filter(|name| !name.is_empty()),
        protocol: protocol(port.protocol.as_deref())?,
        port: number(Some(port.port))?,
    })
}

/// The virtual address of a service that has one.
pub(super) fn cluster_ip(service: &Service) -> Option<Ipv4Addr> {
    service.spec.as_ref()?.cluster_ip.as_deref()?.parse().ok()
}

fn extra_ips(service: &Service) -> Vec<Ipv4Addr> {
    let external = service.spec.iter().flat_map(|s| s.external_ips.iter().flatten().cloned());
    let balancer = service.status.iter().flat_map(|s| {
        let ingress = s.load_balancer.iter().flat_map(|b| b.ingress.iter().flatten());
        ingress.filter_map(|i| i.ip.clone())
    });
    let mut ips: Vec<Ipv4Addr> = external.chain(balancer).filter_map(|ip| ip.parse().ok()).collect();
    ips.sort_unstable();
    ips.dedup();
    ips
}

fn affinity(spec: &ServiceSpec) -> Option<u32> {
    let wanted = spec.session_affinity.as_deref() == Some("ClientIP");
    let config = spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
    let seconds = config.and_then(|c| c.timeout_seconds).and_then(|s| u32::try_from(s).ok());
    wanted.then(|| seconds.unwrap_or(10_800))
}

pub(crate) fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        "SCTP" => Some(Protocol::Sctp),
        _ => None,
    }
}

fn number(port: Option<i32>) -> Option<u16> {
    port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn model(service: Value, endpoints: Value) -> Model {
        let key: Key = ("ns".into(), "web".into());
        let slice = json!({
            "metadata": {"name": "web-1"}, "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        });
        let mut model = Model::default();
        model.services.insert(key.clone(), serde_json::from_value(json!({"spec": service})).unwrap());
        let slice: EndpointSlice = serde_json::from_value(slice).unwrap();
        model.slices.insert(key, BTreeMap::from([("web-1".into(), slice)]));
        model
    }

    fn endpoint(ip: &str, ready: bool, terminating: bool) -> Value {
        json!({
            "addresses": [ip], "hostname": "web-0",
            "conditions": {"ready": ready, "serving": true, "terminating": terminating},
        })
    }

    #[test]
    fn ready_endpoints_answer_and_leaving_ones_only_when_alone() {
        let service = json!({
            "clusterIP": "10.96.0.5", "sessionAffinity": "ClientIP",
            "ports": [{"name": "http", "port": 80, "nodePort": 30080, "targetPort": 8080}],
        });
        let both = json!([endpoint("10.1.0.1", true, false), endpoint("10.1.0.2", false, true)]);
        let rules = model(service.clone(), both).rules();
        assert_eq!(rules[0].cluster_ip, Some(Ipv4Addr::new(10, 96, 0, 5)));
        assert_eq!(rules[0].affinity_seconds, Some(10_800));
        assert_eq!(rules[0].ports[0].node_port, Some(30080));
        assert_eq!(rules[0].ports[0].endpoints, ["10.1.0.1:8080".parse().unwrap()]);
        let rules = model(service, json!([endpoint("10.1.0.2", false, true)])).rules();
        assert_eq!(rules[0].ports[0].endpoints, ["10.1.0.2:8080".parse().unwrap()]);
    }

    #[test]
    fn headless_services_have_names_but_no_rules() {
        let service = json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80}]});
        let model = model(service, json!([endpoint("10.1.0.1", true, false)]));
        assert!(model.rules().is_empty());
        let names = model.names();
        let Target::Headless(endpoints) = &names[0].target else { panic!("not headless") };
        assert_eq!(endpoints[0].hostname.as_deref(), Some("web-0"));
        assert_eq!(names[0].ports[0].port, 8080);
    }

    #[test]
    fn external_names_are_aliases() {
        let model = model(json!({"type": "ExternalName", "externalName": "db.example"}), json!([]));
        assert!(model.rules().is_empty());
        assert_eq!(model.names()[0].target, Target::External("db.example".into()));
    }
}

//! Which pods sit on which node and what they have reserved, including bindings still on their way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use crate::meta::{self, Key};
use crate::pods;
use crate::resources::{self, Amounts};

/// A pod with its reservations, worked out once.
pub(super) struct Seated {
    pub(super) pod: Arc<Pod>,
    pub(super) requests: Amounts,
    pub(super) ports: Vec<HostPort>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostPort {
    pub(super) port: i32,
    pub(super) protocol: String,
    /// Empty for all addresses.
    pub(super) address: String,
}

/// A node with what is on it, as one decision sees it.
pub(super) struct Seat {
    pub(super) node: Arc<Node>,
    pub(super) allocatable: Amounts,
    pub(super) reserved: Amounts,
    pub(super) pods: Vec<Arc<Seated>>,
}

impl Seat {
    pub(super) fn name(&self) -> &str {
        meta::name(&self.node.metadata)
    }

    pub(super) fn label(&self, key: &str) -> Option<&str> {
        meta::label(&self.node.metadata, key)
    }
}

#[derive(Default)]
pub(super) struct Ledger {
    by_node: HashMap<String, Page>,
    places: HashMap<Key, String>,
}

#[derive(Default)]
struct Page {
    reserved: Amounts,
    pods: BTreeMap<Key, Arc<Seated>>,
}

impl Ledger {
    /// Takes in a change of a pod; tells whether it freed something.
    pub(super) fn note(&mut self, old: Option<&Arc<Pod>>, new: Option<&Arc<Pod>>) -> bool {
        match new {
            Some(pod) if pods::is_finished(pod) => self.forget(&Key::of(&pod.metadata)),
            Some(pod) => {
                if let Some(node) = pods::node(pod) {
                    self.seat(pod, node);
                }
                old.is_some_and(|o| o.metadata.labels != pod.metadata.labels)
            }
            None => old.is_some_and(|o| self.forget(&Key::of(&o.metadata))),
        }
    }

    /// Counts a pod on a node whose binding is being written.
    pub(super) fn assume(&mut self, pod: &Arc<Pod>, node: &str) {
        self.seat(pod, node);
    }

    pub(super) fn forget(&mut self, key: &Key) -> bool {
        let Some(node) = self.places.remove(key) else { return false };
        if let Some(page) = self.by_node.get_mut(&node)
            && let Some(seated) = page.pods.remove(key)
        {
            resources::subtract(&mut page.reserved, &seated.requests);
        }
        true
    }

    fn seat(&mut self, pod: &Arc<Pod>, node: &str) {
        let key = Key::of(&pod.metadata);
        let known = self.places.get(&key).filter(|n| *n == node);
        let seated = known.and_then(|n| self.by_node.get(n)).and_then(|p| p.pods.get(&key));
        let same = |s: &Seated| s.pod.spec == pod.spec && s.pod.metadata.labels == pod.metadata.labels;
        if seated.is_some_and(|s| same(s)) {
            return;
        }
        self.forget(&key);
        let seated = Seated { pod: pod.clone(), requests: resources::requests(pod), ports: host_ports(pod) };
        let page = self.by_node.entry(node.to_owned()).or_default();
        resources::add(&mut page.reserved, &seated.requests);
        page.pods.insert(key.clone(), Arc::new(seated));
        self.places.insert(key, node.to_owned());
    }

    pub(super) fn nodes(&self, nodes: Vec<Arc<Node>>) -> Vec<Seat> {
        let seat = |node: Arc<Node>| {
            let page = self.by_node.get(meta::name(&node.metadata));
            Seat {
                allocatable: resources::amounts(node.status.as_ref().and_then(|s| s.allocatable.as_ref())),
                reserved: page.map(|p| p.reserved.clone()).unwrap_or_default(),
                pods: page.map(|p| p.pods.values().cloned().collect()).unwrap_or_default(),
                node,
            }
        };
        nodes.into_iter().map(seat).collect()
    }
}

/// The ports of the machine that a pod takes.
pub(super) fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let on_host = spec.host_network == Some(true);
    let ports = spec.containers.iter().flat_map(|c| c.ports.iter().flatten());
    let taken = ports.filter_map(|p| {
        let own = on_host.then_some(p.container_port);
        let port = p.host_port.filter(|p| *p > 0).or(own)?;
        let address = p.host_ip.clone().filter(|ip| ip != "0.0.0.0" && ip != "::").unwrap_or_default();
        Some(HostPort { port, protocol: p.protocol.clone().unwrap_or_else(|| "TCP".to_owned()), address })
    });
    taken.collect()
}

pub(super) fn collides(a: &HostPort, b: &HostPort) -> bool {
    let addresses = a.address.is_empty() || b.address.is_empty() || a.address == b.address;
    a.port == b.port && a.protocol == b.protocol && addresses
}

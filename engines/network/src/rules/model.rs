//! The changing part of the table: what is applied, and the smallest batch to the next plan.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use crabtables::{
    Batch, Chain, DynsetOp, Field, NumgenType, RuleBuilder, Set, SetElem, SetElemList, Verdict, concat_key,
    datatype,
};

use super::base::{ADDRESS_KEY, FAMILY, HAIRPIN_KEY, PORT_KEY};
use super::plan::{Balancer, Plan};
use crate::services::Protocol;

/// The names under which one source of rules keeps its part, apart from the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Maps {
    prefix: &'static str,
    pub(super) addresses: &'static str,
    pub(super) ports: &'static str,
    pub(super) hairpins: &'static str,
}

impl Maps {
    pub(crate) const SERVICES: Self = Self {
        prefix: "svc",
        addresses: "service-addresses",
        ports: "service-ports",
        hairpins: "service-hairpins",
    };
    pub(crate) const HOST_PORTS: Self =
        Self { prefix: "host", addresses: "host-addresses", ports: "host-ports", hairpins: "host-hairpins" };
}

/// One source's part of the table.
#[derive(Debug)]
pub(crate) struct Model {
    table: String,
    maps: Maps,
    applied: Plan,
    /// Chains and sets that an earlier process left; the first change replaces them.
    left_over: Option<LeftOver>,
}

#[derive(Debug, Default)]
struct LeftOver {
    chains: Vec<String>,
    sets: Vec<String>,
}

impl Model {
    /// `chains` and `sets` are all names found in the table.
    pub(crate) fn new(table: &str, maps: Maps, chains: &[String], sets: &[String]) -> Self {
        let ours = |names: &[String], roles: &[&str]| -> Vec<String> {
            let prefixes: Vec<_> = roles.iter().map(|role| format!("{}-{role}-", maps.prefix)).collect();
            let found = names.iter().filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
            found.cloned().collect()
        };
        let mut left = LeftOver { chains: ours(chains, &["lb"]), sets: ours(sets, &["lb", "at"]) };
        // Balancers first: their maps hold references to the endpoint chains.
        left.chains.extend(ours(chains, &["ep"]));
        let left_over = (!left.chains.is_empty() || !left.sets.is_empty()).then_some(left);
        Self { table: table.to_owned(), maps, applied: Plan::default(), left_over }
    }

    pub(crate) fn applied(&self) -> &Plan {
        &self.applied
    }

    pub(crate) fn set_applied(&mut self, plan: Plan) {
        self.applied = plan;
        self.left_over = None;
    }

    /// The changes that lead from what is applied to `next`; empty when there are none.
    pub(crate) fn changes(&self, next: &Plan) -> Batch {
        let mut batch = Batch::new();
        if let Some(left) = &self.left_over {
            self.clear(&mut batch, left);
        }
        self.remove_entries(&mut batch, next);
        for (name, old) in &self.applied.balancers {
            if next.balancers.get(name) != Some(old) {
                self.remove_balancer(&mut batch, name, old);
            }
        }
        for (name, new) in &next.balancers {
            if self.applied.balancers.get(name) != Some(new) {
                self.add_balancer(&mut batch, name, new);
            }
        }
        self.add_entries(&mut batch, next);
        batch
    }

    fn clear(&self, batch: &mut Batch, left: &LeftOver) {
        for set in [self.maps.addresses, self.maps.ports, self.maps.hairpins] {
            batch.flush_set(FAMILY, &self.table, set);
        }
        for chain in &left.chains {
            batch.flush_chain(FAMILY, &self.table, chain);
        }
        for set in &left.sets {
            batch.delete_set(FAMILY, &self.table, set);
        }
        for chain in &left.chains {
            batch.delete_chain(FAMILY, &self.table, chain);
        }
    }

    /// Entries of balancers that change go too: a map entry holds a reference to the chain.
    fn remove_entries(&self, batch: &mut Batch, next: &Plan) {
        let old = &self.applied;
        let same = |name: &str, entry: Option<&String>| {
            entry.is_some_and(|new| new == name) && old.balancers.get(name) == next.balancers.get(name)
        };
        let addresses = old.addresses.iter().filter(|(key, name)| !same(name, next.addresses.get(key)));
        self.delete(batch, self.maps.addresses, addresses.map(|(key, _)| address_key(*key)));
        let ports = old.ports.iter().filter(|(key, name)| !same(name, next.ports.get(key)));
        self.delete(batch, self.maps.ports, ports.map(|(key, _)| port_key(*key)));
        let hairpins = old.hairpins.difference(&next.hairpins);
        self.delete(batch, self.maps.hairpins, hairpins.map(|ip| hairpin_key(*ip)));
    }

    fn add_entries(&self, batch: &mut Batch, next: &Plan) {
        let old = &self.applied;
        let same = |name: &str, entry: Option<&String>| {
            entry.is_some_and(|was| was == name) && old.balancers.get(name) == next.balancers.get(name)
        };
        let goto = |name: &str| Verdict::Goto(self.balancer_chain(name));
        let addresses = next.addresses.iter().filter(|(key, name)| !same(name, old.addresses.get(key)));
        let addresses = addresses.map(|(key, name)| SetElem::new(address_key(*key)).with_verdict(goto(name)));
        self.add(batch, self.maps.addresses, addresses);
        let ports = next.ports.iter().filter(|(key, name)| !same(name, old.ports.get(key)));
        let ports = ports.map(|(key, name)| SetElem::new(port_key(*key)).with_verdict(goto(name)));
        self.add(batch, self.maps.ports, ports);
        let hairpins = next.hairpins.difference(&old.hairpins);
        self.add(batch, self.maps.hairpins, hairpins.map(|ip| SetElem::new(hairpin_key(*ip))));
    }

    fn delete(&self, batch: &mut Batch, set: &str, keys: impl Iterator<Item = Vec<u8>>) {
        let list = keys.fold(SetElemList::new(FAMILY, &self.table, set), |l, key| l.with(SetElem::new(key)));
        if !list.elems.is_empty() {
            batch.delete_elems(&list);
        }
    }

    fn add(&self, batch: &mut Batch, set: &str, elements: impl Iterator<Item = SetElem>) {
        let list = elements.fold(SetElemList::new(FAMILY, &self.table, set), SetElemList::with);
        if !list.elems.is_empty() {
            batch.add_elems(&list);
        }
    }

    fn remove_balancer(&self, batch: &mut Batch, name: &str, old: &Balancer) {
        let chain = self.balancer_chain(name);
        batch.flush_chain(FAMILY, &self.table, &chain);
        if old.endpoints.len() > 1 {
            batch.delete_set(FAMILY, &self.table, &chain);
        }
        batch.delete_chain(FAMILY, &self.table, &chain);
        for endpoint in &old.endpoints {
            let chain = self.endpoint_chain(name, *endpoint);
            batch.flush_chain(FAMILY, &self.table, &chain);
            batch.delete_chain(FAMILY, &self.table, &chain);
            if old.affinity_seconds.is_some() {
                batch.delete_set(FAMILY, &self.table, &self.affinity_set(name, *endpoint));
            }
        }
    }

    fn add_balancer(&self, batch: &mut Batch, name: &str, new: &Balancer) {
        for endpoint in &new.endpoints {
            self.add_endpoint(batch, name, *endpoint, new.affinity_seconds);
        }
        let chain = self.balancer_chain(name);
        batch.add_chain(&Chain::new(FAMILY, &self.table, &chain));
        if new.affinity_seconds.is_some() {
            for endpoint in &new.endpoints {
                let rule = self.rule(&chain).in_set(&self.affinity_set(name, *endpoint), &[Field::IpSaddr]);
                batch.add_rule(&rule.goto(&self.endpoint_chain(name, *endpoint)).build());
            }
        }
        if let [endpoint] = new.endpoints.as_slice() {
            batch.add_rule(&self.rule(&chain).goto(&self.endpoint_chain(name, *endpoint)).build());
            return;
        }
        // The map has the name of the chain: sets and chains are told apart by kind.
        batch.add_set(&Set::new(FAMILY, &self.table, &chain, datatype::INTEGER, 4).vmap());
        let numbered = (0u32..).zip(&new.endpoints).map(|(number, endpoint)| {
            let verdict = Verdict::Goto(self.endpoint_chain(name, *endpoint));
            SetElem::new(number.to_ne_bytes()).with_verdict(verdict)
        });
        self.add(batch, &chain, numbered);
        let count = u32::try_from(new.endpoints.len()).unwrap_or(u32::MAX);
        let rule = self.rule(&chain).numgen_vmap(NumgenType::Random, count, 0, &chain);
        batch.add_rule(&rule.build());
    }

    fn add_endpoint(&self, batch: &mut Batch, name: &str, endpoint: SocketAddrV4, affinity: Option<u32>) {
        let chain = self.endpoint_chain(name, endpoint);
        batch.add_chain(&Chain::new(FAMILY, &self.table, &chain));
        let mut rule = self.rule(&chain);
        if let Some(seconds) = affinity {
            let set = self.affinity_set(name, endpoint);
            let lifetime = Duration::from_secs(u64::from(seconds));
            let dynamic = Set::keyed(FAMILY, &self.table, &set, &[Field::IpSaddr])
                .with_flags(crabtables::sys::NFT_SET_EVAL)
                .with_timeout(lifetime)
                .with_size(65_536);
            batch.add_set(&dynamic);
            rule = rule.dynset(DynsetOp::Update, &set, &[Field::IpSaddr], Some(lifetime), Vec::new());
        }
        batch.add_rule(&rule.dnat(IpAddr::V4(*endpoint.ip()), Some(endpoint.port())).build());
    }

    fn rule(&self, chain: &str) -> RuleBuilder {
        RuleBuilder::new(FAMILY, &self.table, chain)
    }

    fn balancer_chain(&self, name: &str) -> String {
        format!("{}-lb-{name}", self.maps.prefix)
    }

    fn endpoint_chain(&self, name: &str, endpoint: SocketAddrV4) -> String {
        format!("{}-ep-{name}/{}/{}", self.maps.prefix, endpoint.ip(), endpoint.port())
    }

    fn affinity_set(&self, name: &str, endpoint: SocketAddrV4) -> String {
        format!("{}-at-{name}/{}/{}", self.maps.prefix, endpoint.ip(), endpoint.port())
    }
}

fn address_key((address, protocol, port): (Ipv4Addr, Protocol, u16)) -> Vec<u8> {
    let [daddr, proto, dport] = &ADDRESS_KEY;
    concat_key(&[
        (daddr, address.octets().to_vec()),
        (proto, vec![protocol.number()]),
        (dport, port.to_be_bytes().to_vec()),
    ])
}

fn port_key((protocol, port): (Protocol, u16)) -> Vec<u8> {
    let [proto, dport] = &PORT_KEY;
    concat_key(&[(proto, vec![protocol.number()]), (dport, port.to_be_bytes().to_vec())])
}

fn hairpin_key(address: Ipv4Addr) -> Vec<u8> {
    let [saddr, daddr] = &HAIRPIN_KEY;
    concat_key(&[(saddr, address.octets().to_vec()), (daddr, address.octets().to_vec())])
}

/// How many distinct endpoints a plan leads to; for logs.
pub(crate) fn endpoint_count(plan: &Plan) -> usize {
    plan.balancers.values().flat_map(|balancer| &balancer.endpoints).collect::<BTreeSet<_>>().len()
}

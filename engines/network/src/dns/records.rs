//! The names of a cloud, as Kubernetes' DNS specification lays them out. Pure.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use crate::{Ipv4Net, Protocol};

/// A service and what its name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedService {
    pub namespace: String,
    pub name: String,
    pub target: Target,
    pub ports: Vec<NamedPort>,
}

/// What a service's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    ClusterIp(Ipv4Addr),
    /// The pods themselves.
    Headless(Vec<HeadlessEndpoint>),
    /// Another name.
    External(String),
}

/// One pod behind a headless service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadlessEndpoint {
    pub ip: Ipv4Addr,
    /// The pod's own name below the service, as pods of a StatefulSet have it.
    pub hostname: Option<String>,
}

/// A port that can be found by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPort {
    pub name: Option<String>,
    pub protocol: Protocol,
    pub port: u16,
}

/// What is known about one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Addresses(Vec<Ipv4Addr>),
    Alias(String),
    Places(Vec<(u16, String)>),
    Text(&'static str),
    /// The name exists, but has nothing of the wanted kind.
    Nothing,
    /// There is no such name.
    NoSuchName,
}

/// All names of a cloud. Names are kept in lower case and without the last dot.
#[derive(Debug, Clone, Default)]
pub struct Records {
    domain: String,
    local: Vec<Ipv4Net>,
    addresses: HashMap<String, Vec<Ipv4Addr>>,
    aliases: HashMap<String, String>,
    places: HashMap<String, Vec<(u16, String)>>,
    reverse: HashMap<Ipv4Addr, Vec<String>>,
    /// Names that exist, with or without records: an answer of "no such name" would be wrong for them.
    existing: HashSet<String>,
}

impl Records {
    /// `local` are ranges whose addresses nobody outside can name.
    pub fn new(domain: &str, local: &[Ipv4Net], services: &[NamedService]) -> Self {
        let domain = normal(domain);
        let mut records = Self { local: local.to_vec(), ..Self::default() };
        records.exists(&format!("svc.{domain}"), &domain);
        records.exists(&format!("pod.{domain}"), &domain);
        for service in services {
            records.add(service, &domain);
        }
        for addresses in records.addresses.values_mut() {
            addresses.sort_unstable();
            addresses.dedup();
        }
        records.domain = domain;
        records
    }

    fn add(&mut self, service: &NamedService, domain: &str) {
        let name = normal(&format!("{}.{}.svc.{domain}", service.name, service.namespace));
        self.exists(&name, domain);
        match &service.target {
            Target::ClusterIp(ip) => {
                self.addresses.entry(name.clone()).or_default().push(*ip);
                self.reverse.entry(*ip).or_default().push(name.clone());
                self.add_places(service, &name, &name, domain);
            }
            Target::Headless(endpoints) => {
                for endpoint in endpoints {
                    let label = endpoint.hostname.clone().unwrap_or_else(|| dashed(endpoint.ip));
                    let own = normal(&format!("{label}.{name}"));
                    self.exists(&own, domain);
                    self.addresses.entry(name.clone()).or_default().push(endpoint.ip);
                    self.addresses.entry(own.clone()).or_default().push(endpoint.ip);
                    self.reverse.entry(endpoint.ip).or_default().push(own.clone());
                    self.add_places(service, &name, &own, domain);
                }
            }
            Target::External(target) => {
                self.aliases.insert(name, normal(target));
            }
        }
    }

    /// A named port is found at `_name._protocol.service`, and all ports at the service itself.
    fn add_places(&mut self, service: &NamedService, name: &str, target: &str, domain: &str) {
        for port in &service.ports {
            let place = (port.port, target.to_owned());
            let all = self.places.entry(name.to_owned()).or_default();
            if !all.contains(&place) {
                all.push(place.clone());
            }
            if let Some(port_name) = &port.name {
                let query = normal(&format!("_{port_name}._{}.{name}", port.protocol.name()));
                self.exists(&query, domain);
                self.places.entry(query).or_default().push(place);
            }
        }
    }

    /// Notes a name and everything between it and the domain.
    fn exists(&mut self, name: &str, domain: &str) {
        let mut rest = name;
        while rest.len() > domain.len() && self.existing.insert(rest.to_owned()) {
            let Some((_, parent)) = rest.split_once('.') else { break };
            rest = parent;
        }
        self.existing.insert(domain.to_owned());
    }

    pub(super) fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether we alone answer for `name`.
    pub(super) fn owns(&self, name: &str) -> bool {
        let Some(head) = name.strip_suffix(&self.domain) else { return false };
        head.is_empty() || head.ends_with('.')
    }

    pub(super) fn find_addresses(&self, name: &str) -> Known {
        if let Some(addresses) = self.addresses.get(name) {
            return Known::Addresses(addresses.clone());
        }
        match self.pod_address(name) {
            Some(address) => Known::Addresses(vec![address]),
            None => self.find_other(name),
        }
    }

    pub(super) fn find_places(&self, name: &str) -> Known {
        self.places.get(name).map_or_else(|| self.find_other(name), |places| Known::Places(places.clone()))
    }

    pub(super) fn find_text(&self, name: &str) -> Known {
        match name.strip_suffix(&self.domain) {
            Some("dns-version.") => Known::Text("1.1.0"),
            _ => self.find_other(name),
        }
    }

    /// An alias, or the difference between "nothing of that kind" and "no such name".
    pub(super) fn find_other(&self, name: &str) -> Known {
        if let Some(target) = self.aliases.get(name) {
            return Known::Alias(target.clone());
        }
        let exists = self.existing.contains(name) || self.pod_address(name).is_some();
        if exists { Known::Nothing } else { Known::NoSuchName }
    }

    /// The names of an address; none when it is not one of ours.
    pub(super) fn find_reverse(&self, address: Ipv4Addr) -> Option<Vec<String>> {
        match self.reverse.get(&address) {
            Some(names) => Some(names.clone()),
            None => self.local.iter().any(|range| range.contains(address)).then(Vec::new),
        }
    }

    /// `10-42-0-7.default.pod.<domain>` names the address it spells.
    fn pod_address(&self, name: &str) -> Option<Ipv4Addr> {
        let head = name.strip_suffix(&self.domain)?.strip_suffix(".pod.")?;
        let (spelled, namespace) = head.split_once('.')?;
        if namespace.contains('.') {
            return None;
        }
        spelled.replace('-', ".").parse().ok()
    }
}

fn dashed(address: Ipv4Addr) -> String {
    address.to_string().replace('.', "-")
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 42, 0, last)
    }

    fn records() -> Records {
        let port =
            |name: &str, port| NamedPort { name: Some(name.to_owned()), protocol: Protocol::Tcp, port };
        let service = |name: &str, target, ports| NamedService {
            namespace: "default".to_owned(),
            name: name.to_owned(),
            target,
            ports,
        };
        let pod = |last, hostname: Option<&str>| HeadlessEndpoint {
            ip: ip(last),
            hostname: hostname.map(Into::into),
        };
        let services = [
            service("web", Target::ClusterIp(Ipv4Addr::new(10, 96, 0, 7)), vec![port("http", 80)]),
            service("db", Target::Headless(vec![pod(5, Some("db-0")), pod(6, None)]), vec![port("pg", 5432)]),
            service("mail", Target::External("mail.example.com.".to_owned()), Vec::new()),
        ];
        Records::new("cluster.local", &["10.42.0.0/16".parse().expect("valid")], &services)
    }

    #[test]
    fn services_have_addresses() {
        let records = records();
        let found = |name: &str| records.find_addresses(name);
        assert_eq!(
            found("web.default.svc.cluster.local"),
            Known::Addresses(vec![Ipv4Addr::new(10, 96, 0, 7)])
        );
        assert_eq!(found("db.default.svc.cluster.local"), Known::Addresses(vec![ip(5), ip(6)]));
        assert_eq!(found("db-0.db.default.svc.cluster.local"), Known::Addresses(vec![ip(5)]));
        assert_eq!(found("10-42-0-6.db.default.svc.cluster.local"), Known::Addresses(vec![ip(6)]));
        assert_eq!(
            found("10-1-2-3.any.pod.cluster.local"),
            Known::Addresses(vec![Ipv4Addr::new(10, 1, 2, 3)])
        );
        assert_eq!(found("mail.default.svc.cluster.local"), Known::Alias("mail.example.com".to_owned()));
    }

    #[test]
    fn absent_names_and_absent_kinds_differ() {
        let records = records();
        assert_eq!(records.find_other("web.default.svc.cluster.local"), Known::Nothing);
        assert_eq!(records.find_other("default.svc.cluster.local"), Known::Nothing);
        assert_eq!(records.find_other("other.svc.cluster.local"), Known::NoSuchName);
        assert_eq!(records.find_addresses("x.web.default.svc.cluster.local"), Known::NoSuchName);
        assert_eq!(
            records.find_addresses("web.default.svc.cluster.local.default.svc.cluster.local"),
            Known::NoSuchName
        );
    }

    #[test]
    fn ports_are_found_by_name() {
        let records = records();
        let web = "web.default.svc.cluster.local".to_owned();
        assert_eq!(
            records.find_places("_http._tcp.web.default.svc.cluster.local"),
            Known::Places(vec![(80, web)])
        );
        let Known::Places(places) = records.find_places("_pg._tcp.db.default.svc.cluster.local") else {
            panic!("no places");
        };
        assert_eq!(places.len(), 2);
        assert_eq!(records.find_places("_no._tcp.web.default.svc.cluster.local"), Known::NoSuchName);
    }

    #[test]
    fn addresses_have_names() {
        let records = records();
        assert_eq!(records.find_reverse(ip(5)), Some(vec!["db-0.db.default.svc.cluster.local".to_owned()]));
        assert_eq!(records.find_reverse(ip(99)), Some(Vec::new()), "ours, without a name");
        assert_eq!(records.find_reverse(Ipv4Addr::new(192, 0, 2, 1)), None, "not ours");
    }

    #[test]
    fn owns_its_domain_only() {
        let records = records();
        assert!(records.owns("cluster.local") && records.owns("x.cluster.local"));
        assert!(!records.owns("notcluster.local") && !records.owns("example.com"));
    }
}

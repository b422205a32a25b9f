//! A pod's own names: host name, `/etc/hosts`, `/etc/resolv.conf`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Pod, PodSpec};

/// The longest host name the kernel takes.
const LONGEST: usize = 64;

/// What names are made from, besides the pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'a> {
    pub cluster_domain: &'a str,
    pub dns_ip: Ipv4Addr,
    /// The machine's own files.
    pub hosts: &'a str,
    pub resolv_conf: &'a str,
}

/// What the pod calls itself: its host name and, with a subdomain, its full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hostname {
    pub short: String,
    pub full: Option<String>,
    /// What `hostname` prints.
    pub kernel: String,
}

pub(crate) fn hostname(pod: &Pod, cluster_domain: &str) -> Hostname {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let name = pod.metadata.name.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(forced) = spec.hostname_override.clone().filter(|h| !h.is_empty()) {
        return Hostname { short: forced.clone(), full: None, kernel: forced };
    }
    let short = spec.hostname.clone().filter(|h| !h.is_empty()).unwrap_or(name);
    let short: String = short.chars().take(63).collect();
    let short = short.trim_end_matches(['-', '.']).to_owned();
    let subdomain = spec.subdomain.as_deref().filter(|s| !s.is_empty());
    let full = subdomain.map(|sub| format!("{short}.{sub}.{namespace}.svc.{cluster_domain}"));
    let wants_full = spec.set_hostname_as_fqdn == Some(true);
    let kernel =
        full.clone().filter(|full| wants_full && full.len() <= LONGEST).unwrap_or_else(|| short.clone());
    Hostname { short, full, kernel }
}

/// The content of `/etc/hosts`.
pub(crate) fn hosts(pod: &Pod, name: &Hostname, ip: Ipv4Addr, around: Surroundings<'_>) -> String {
    let spec = pod.spec.as_ref();
    let host_network = spec.is_some_and(|s| s.host_network == Some(true));
    let mut text = if host_network {
        format!("# Managed by the cluster; the machine's own entries follow.\n{}", around.hosts)
    } else {
        let names = match &name.full {
            Some(full) => format!("{full}\t{}", name.short),
            None => name.short.clone(),
        };
        format!(
            "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n\
             {ip}\t{names}\n"
        )
    };
    let aliases = spec.and_then(|s| s.host_aliases.as_deref()).unwrap_or_default();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        text.push_str(&format!("{}\t{names}\n", alias.ip));
    }
    text
}

/// The content of `/etc/resolv.conf`.
pub(crate) fn resolv_conf(pod: &Pod, around: Surroundings<'_>) -> String {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let host_network = spec.host_network == Some(true);
    let mut resolver = match spec.dns_policy.as_deref().unwrap_or("ClusterFirst") {
        "None" => Resolver::default(),
        "Default" => Resolver::of_host(around, host_network),
        "ClusterFirst" if host_network => Resolver::of_host(around, host_network),
        _ => Resolver::of_cluster(namespace, around),
    };
    if let Some(config) = &spec.dns_config {
        resolver.servers.extend(config.nameservers.iter().flatten().cloned());
        resolver.searches.extend(config.searches.iter().flatten().cloned());
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            resolver.options.insert(name, option.value.clone());
        }
    }
    resolver.print()
}

#[derive(Debug, Default)]
struct Resolver {
    servers: Vec<String>,
    searches: Vec<String>,
    options: BTreeMap<String, Option<String>>,
}

impl Resolver {
    fn of_cluster(namespace: &str, around: Surroundings<'_>) -> Self {
        let domain = around.cluster_domain;
        let host = Self::parse(around.resolv_conf);
        let own = [format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.to_owned()];
        Self {
            servers: vec![around.dns_ip.to_string()],
            searches: own.into_iter().chain(host.searches).collect(),
            options: BTreeMap::from([("ndots".to_owned(), Some("5".to_owned()))]),
        }
    }

    /// The machine's resolvers. Those on its loopback cannot be reached from a pod's own network;
    /// the cluster's name server passes questions on to them.
    fn of_host(around: Surroundings<'_>, host_network: bool) -> Self {
        let mut host = Self::parse(around.resolv_conf);
        if !host_network {
            host.servers.retain(|server| !server.starts_with("127.") && server != "::1");
            if host.servers.is_empty() {
                host.servers.push(around.dns_ip.to_string());
            }
        }
        host
    }

    fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => resolver.servers.extend(words.next().map(str::to_owned)),
                Some("search" | "domain") => resolver.searches = words.map(str::to_owned).collect(),
                Some("options") => {
                    for word in words {
                        let (name, value) = match word.split_once(':') {
                            Some((name, value)) => (name, Some(value.to_owned())),
                            None => (word, None),
                        };
                        resolver.options.insert(name.to_owned(), value);
                    }
                }
                _ => {}
            }
        }
        resolver.searches.retain(|search| search != ".");
        resolver
    }

    fn print(&self) -> String {
        let mut text = String::new();
        let mut searches: Vec<&str> = Vec::new();
        for search in &self.searches {
            if !searches.contains(&search.as_str()) {
                searches.push(search);
            }
        }
        if !searches.is_empty() {
            text.push_str(&format!("search {}\n", searches.join(" ")));
        }
        for server in &self.servers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            let option = |(name, value): (&String, &Option<String>)| match value {
                Some(value) => format!("{name}:{value}"),
                None => name.clone(),
            };
            let options: Vec<String> = self.options.iter().map(option).collect();
            text.push_str(&format!("options {}\n", options.join(" ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const AROUND: Surroundings<'_> = Surroundings {
        cluster_domain: "cluster.local",
        dns_ip: Ipv4Addr::new(10, 96, 0, 10),
        hosts: "127.0.0.1 localhost\n",
        resolv_conf: "nameserver 127.0.0.53\nsearch lan\noptions edns0\n",
    };

    fn pod(spec: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "web-0", "namespace": "shop"}, "spec": spec}))
            .unwrap()
    }

    #[test]
    fn cluster_names_come_first() {
        let text = resolv_conf(&pod(json!({"containers": []})), AROUND);
        assert_eq!(
            text,
            "search shop.svc.cluster.local svc.cluster.local cluster.local lan\nnameserver 10.96.0.10\noptions ndots:5\n"
        );
    }

    #[test]
    fn policies_choose_the_resolver() {
        let check = |spec, expected: &str| assert_eq!(resolv_conf(&pod(spec), AROUND), expected);
        check(
            json!({"containers": [], "dnsPolicy": "Default"}),
            "search lan\nnameserver 10.96.0.10\noptions edns0\n",
        );
        check(
            json!({"containers": [], "hostNetwork": true}),
            "search lan\nnameserver 127.0.0.53\noptions edns0\n",
        );
        check(
            json!({"containers": [], "dnsPolicy": "None", "dnsConfig": {
                "nameservers": ["9.9.9.9"], "searches": ["a.b"], "options": [{"name": "ndots", "value": "2"}],
            }}),
            "search a.b\nnameserver 9.9.9.9\noptions ndots:2\n",
        );
    }

    #[test]
    fn a_subdomain_gives_a_full_name() {
        let pod = pod(json!({
            "containers": [], "subdomain": "web", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}],
        }));
        let name = hostname(&pod, "cluster.local");
        assert_eq!(name.full.as_deref(), Some("web-0.web.shop.svc.cluster.local"));
        assert_eq!(name.kernel, "web-0");
        let text = hosts(&pod, &name, Ipv4Addr::new(10, 1, 0, 2), AROUND);
        assert!(text.contains("10.1.0.2\tweb-0.web.shop.svc.cluster.local\tweb-0\n"));
        assert!(text.ends_with("1.2.3.4\ta\tb\n"));
    }
}

//! Where to ask for an image: mirrors first, then the registry; with TLS or without.

use std::net::IpAddr;

use super::PullOptions;
use crate::Reference;

/// A host that serves the registry protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `host[:port]`.
    pub(super) host: String,
    pub(super) plain_http: bool,
    pub(super) is_mirror: bool,
}

/// Everything that may have the image, in the order to ask.
pub(super) fn endpoints(reference: &Reference, options: &PullOptions) -> Vec<Endpoint> {
    let registry = reference.registry();
    let mirrors = options.mirrors.get(registry).map(Vec::as_slice).unwrap_or_default();
    let mut endpoints: Vec<Endpoint> =
        mirrors.iter().map(|mirror| endpoint(mirror, true, &options.insecure_registries)).collect();
    endpoints.push(endpoint(registry, false, &options.insecure_registries));
    endpoints
}

fn endpoint(address: &str, is_mirror: bool, insecure: &[String]) -> Endpoint {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, address),
    };
    let host = rest.trim_end_matches('/').to_owned();
    let plain_http = match scheme {
        Some(scheme) => scheme == "http",
        None => is_loopback(&host) || insecure.iter().any(|listed| lists(listed, &host)),
    };
    Endpoint { host, plain_http, is_mirror }
}

/// Registries on this machine are spoken to without TLS, as Docker does.
fn is_loopback(host: &str) -> bool {
    let name = host_name(host);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A listed host without a port means all its ports.
fn lists(listed: &str, host: &str) -> bool {
    let listed = listed.trim_start_matches("http://").trim_end_matches('/');
    listed == host || listed == host_name(host)
}

fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(registry: &str, insecure: &[&str]) -> bool {
        let insecure: Vec<String> = insecure.iter().map(|s| (*s).to_owned()).collect();
        endpoint(registry, false, &insecure).plain_http
    }

    #[test]
    fn only_loopback_and_listed_registries_go_without_tls() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.9.1", "[::1]:5000"] {
            assert!(plain(host, &[]), "{host}");
        }
        assert!(!plain("docker.io", &[]));
        assert!(!plain("localhost.example.com:5000", &[]));
        assert!(plain("hub.lan:5000", &["hub.lan:5000"]));
        assert!(plain("hub.lan:5000", &["hub.lan"]));
        assert!(!plain("hub.lan:5000", &["hub.lan:6000"]));
    }

    #[test]
    fn mirrors_come_first() {
        let mut options = PullOptions::default();
        options
            .mirrors
            .insert("docker.io".into(), vec!["http://one.lan/".into(), "https://127.0.0.1:1".into()]);
        let found = endpoints(&Reference::parse("nginx").unwrap(), &options);
        let shown: Vec<_> = found.iter().map(|e| (e.host.as_str(), e.plain_http, e.is_mirror)).collect();
        assert_eq!(
            shown,
            [("one.lan", true, true), ("127.0.0.1:1", false, true), ("docker.io", false, false)]
        );
    }
}

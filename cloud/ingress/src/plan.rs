//! From a snapshot of the cluster to the gateway's routes. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend};
use kube::ResourceExt;
use sealos_gateway::{
    Backend, Certificate, Host, PathKind, PathRule, Route, RouteOptions, RouteTable, State,
};

use crate::Config;
use crate::backend::Index;
use crate::options::Annotations;
use crate::world::World;

/// Classes whose Ingresses we serve; an Ingress without a class is ours too.
const SERVED: [&str; 2] = ["nginx", "sealos"];
const PAUSED: &str = "pause";
/// How long the platform's own servers and their clients may be silent: they have limits of their own.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What the cluster asks of the gateway.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) table: RouteTable,
    /// Ingresses with at least one host or rule that is served.
    pub(crate) served: Vec<Arc<Ingress>>,
    pub(crate) refused: Vec<Refused>,
}

/// A host that an Ingress wanted and did not get.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) ingress: Arc<Ingress>,
    pub(crate) host: String,
    pub(crate) reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    /// Another namespace had it first.
    Taken,
    /// The platform itself uses it.
    Reserved,
}

/// Whether an Ingress is served, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Paused,
}

pub(crate) fn plan(world: &World, config: &Config) -> Plan {
    let index = Index::new(world);
    let mut ours: Vec<(&Arc<Ingress>, Mode)> =
        world.ingresses.iter().filter_map(|ingress| Some((ingress, mode(ingress)?))).collect();
    // First come, first served; the rest of the key only makes the order certain.
    ours.sort_by_key(|(ingress, _)| (age(ingress), ingress.namespace(), ingress.name_any()));
    let secrets: HashMap<_, _> = world.secrets.iter().map(|s| ((s.namespace(), s.name_any()), s)).collect();
    let mut builder = Builder { config, owners: HashMap::new(), plan: Plan::default() };
    for (ingress, mode) in ours {
        let certificates = certificates(ingress, &secrets);
        let mut served = false;
        for (host, rules) in hosts(ingress) {
            if !builder.claim(ingress, &host) {
                continue;
            }
            served = true;
            let routes = Routes { ingress, mode, index: &index, has_certificate: !certificates.is_empty() };
            builder.add(&host, rules.into_iter().map(|rule| routes.rule(rule)).collect());
        }
        if served {
            let owned =
                certificates.into_iter().filter_map(|certificate| builder.owned(ingress, certificate));
            let owned: Vec<_> = owned.collect();
            builder.plan.table.certificates.extend(owned);
            builder.plan.served.push(Arc::clone(ingress));
        }
    }
    builder.finish()
}

struct Builder<'a> {
    config: &'a Config,
    /// The namespace that has a host.
    owners: HashMap<String, String>,
    plan: Plan,
}

impl Builder<'_> {
    /// Whether the Ingress may use the host; the first namespace that asks gets it.
    fn claim(&mut self, ingress: &Arc<Ingress>, host: &str) -> bool {
        let namespace = ingress.namespace().unwrap_or_default();
        let reserved = self.config.static_routes.iter().any(|(name, _)| covers(name, host));
        let owner = self.owners.entry(host.to_owned()).or_insert_with(|| namespace.clone());
        let reason = match (reserved, *owner == namespace) {
            (true, _) => Reason::Reserved,
            (false, false) => Reason::Taken,
            (false, true) => return true,
        };
        let refused = Refused { ingress: Arc::clone(ingress), host: host.to_owned(), reason };
        self.plan.refused.push(refused);
        false
    }

    /// Adds rules; a path that an older Ingress has stays as it is.
    fn add(&mut self, host: &str, rules: Vec<PathRule>) {
        let table = &mut self.plan.table;
        let target = match host {
            "" => table.default.get_or_insert_default(),
            _ => table.hosts.entry(host.to_owned()).or_default(),
        };
        for rule in rules {
            if !target.paths.iter().any(|old| old.kind == rule.kind && old.path == rule.path) {
                target.paths.push(rule);
            }
        }
    }

    /// The certificate for those of its hosts that belong to the Ingress's namespace.
    fn owned(&self, ingress: &Ingress, mut certificate: Certificate) -> Option<Certificate> {
        let namespace = ingress.namespace().unwrap_or_default();
        certificate.hosts.retain(|host| self.owners.get(host).is_none_or(|owner| *owner == namespace));
        (!certificate.hosts.is_empty()).then_some(certificate)
    }

    fn finish(mut self) -> Plan {
        for (host, address) in &self.config.static_routes {
            let options =
                RouteOptions { read_timeout: PATIENCE, send_timeout: PATIENCE, ..RouteOptions::default() };
            let route = Route { backend: Backend::Endpoints(vec![*address]), options };
            let rule = PathRule { kind: PathKind::Prefix, path: "/".to_owned(), route };
            self.plan.table.hosts.insert(host.to_ascii_lowercase(), Host { paths: vec![rule] });
        }
        self.plan
    }
}

/// Whether a static route's name, which may be a `*.` wildcard, stands for a host.
fn covers(name: &str, host: &str) -> bool {
    let one_label_more = || {
        let (_, below) = host.split_once('.')?;
        Some(name.strip_prefix("*.")?.eq_ignore_ascii_case(below))
    };
    name.eq_ignore_ascii_case(host) || one_label_more().unwrap_or(false)
}

/// Makes the routes of one Ingress.
struct Routes<'a> {
    ingress: &'a Ingress,
    mode: Mode,
    index: &'a Index<'a>,
    has_certificate: bool,
}

/// One path as an Ingress states it; none is the default backend.
struct Rule<'a> {
    path: Option<&'a HTTPIngressPath>,
    backend: &'a IngressBackend,
}

impl Routes<'_> {
    fn rule(&self, rule: Rule<'_>) -> PathRule {
        let annotations = Annotations(self.ingress.metadata.annotations.as_ref());
        let path = rule.path.and_then(|path| path.path.as_deref()).filter(|path| !path.is_empty());
        let stated = rule.path.map_or("Prefix", |path| path.path_type.as_str());
        let kind = match stated {
            "Exact" => PathKind::Exact,
            _ if rule.path.is_some() && annotations.uses_regex() => PathKind::Regex,
            "Prefix" => PathKind::Prefix,
            _ => PathKind::ImplementationSpecific,
        };
        let options = annotations.options(self.has_certificate);
        let backend = self.backend(rule.backend, &options);
        PathRule { kind, path: path.unwrap_or("/").to_owned(), route: Route { backend, options } }
    }

    fn backend(&self, wanted: &IngressBackend, options: &RouteOptions) -> Backend {
        let missing = |reason: &str| Backend::Unavailable(State::Missing { reason: reason.to_owned() });
        if self.mode == Mode::Paused {
            return Backend::Unavailable(State::Stopped);
        }
        match &wanted.service {
            Some(service) => {
                self.index.backend(self.ingress.metadata.namespace.as_deref().unwrap_or_default(), service)
            }
            None if options.redirect.is_some() => missing("it only leads elsewhere"),
            None => missing("its backend is no Service"),
        }
    }
}

fn mode(ingress: &Ingress) -> Option<Mode> {
    if ingress.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let field = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref());
    match field.or(Annotations(ingress.metadata.annotations.as_ref()).class()) {
        None | Some("") => Some(Mode::Open),
        Some(class) if SERVED.contains(&class) => Some(Mode::Open),
        Some(PAUSED) => Some(Mode::Paused),
        Some(_) => None,
    }
}

fn age(ingress: &Ingress) -> Option<i128> {
    ingress.metadata.creation_timestamp.as_ref().map(|time| time.0.as_nanosecond())
}

/// The hosts of an Ingress with their rules. The empty host stands for all that nobody names.
fn hosts(ingress: &Ingress) -> BTreeMap<String, Vec<Rule<'_>>> {
    let mut hosts: BTreeMap<String, Vec<Rule<'_>>> = BTreeMap::new();
    let Some(spec) = &ingress.spec else { return hosts };
    for rule in spec.rules.iter().flatten() {
        let host = rule.host.as_deref().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let rules = hosts.entry(host).or_default();
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        rules.extend(paths.map(|path| Rule { path: Some(path), backend: &path.backend }));
        if rules.is_empty()
            && let Some(backend) = &spec.default_backend
        {
            rules.push(Rule { path: None, backend });
        }
    }
    if let Some(backend) = &spec.default_backend {
        hosts.entry(String::new()).or_default().push(Rule { path: None, backend });
    }
    hosts
}

/// The usable certificates that an Ingress names.
fn certificates(
    ingress: &Ingress,
    secrets: &HashMap<(Option<String>, String), &Arc<Secret>>,
) -> Vec<Certificate> {
    let Some(spec) = &ingress.spec else { return Vec::new() };
    let all_hosts: HashSet<String> =
        spec.rules.iter().flatten().filter_map(|rule| rule.host.clone()).collect();
    let tls = spec.tls.iter().flatten().filter_map(|tls| {
        let secret = secrets.get(&(ingress.namespace(), tls.secret_name.clone()?))?;
        let data = secret.data.as_ref()?;
        let part = |name: &str| data.get(name).map(|bytes| bytes.0.clone()).filter(|bytes| !bytes.is_empty());
        let mut hosts: Vec<String> = match tls.hosts.as_ref().filter(|hosts| !hosts.is_empty()) {
            Some(hosts) => hosts.clone(),
            None => all_hosts.iter().cloned().collect(),
        };
        hosts.sort();
        Some(Certificate { hosts, chain: part("tls.crt")?, key: part("tls.key")? })
    });
    tls.collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn object<T: DeserializeOwned>(value: Value) -> Arc<T> {
        Arc::new(serde_json::from_value(value).expect("a valid object"))
    }

    fn ingress(namespace: &str, name: &str, second: u32, spec: Value, annotations: Value) -> Arc<Ingress> {
        let created = format!("2026-01-01T00:00:{second:02}Z");
        let metadata = json!({ "namespace": namespace, "name": name, "uid": format!("{namespace}/{name}"),
            "creationTimestamp": created, "annotations": annotations });
        object(json!({ "metadata": metadata, "spec": spec }))
    }

    /// One rule: a host, a path and the port 80 of the Service `web`.
    fn rule(host: &str, path: &str) -> Value {
        let backend = json!({ "service": { "name": "web", "port": { "number": 80 } } });
        json!({ "rules": [{ "host": host, "http": { "paths": [
            { "path": path, "pathType": "Prefix", "backend": backend } ] } }] })
    }

    fn service(namespace: &str) -> Value {
        json!({ "metadata": { "namespace": namespace, "name": "web" },
            "spec": { "selector": { "app": "web" }, "ports": [{ "name": "http", "port": 80 }] } })
    }

    fn slice(namespace: &str, endpoints: Value) -> Value {
        json!({ "metadata": { "namespace": namespace, "name": "web-1",
                "labels": { "kubernetes.io/service-name": "web" } },
            "addressType": "IPv4", "ports": [{ "name": "http", "port": 8080 }], "endpoints": endpoints })
    }

    fn deployment(replicas: i32, reason: &str) -> Value {
        json!({ "metadata": { "namespace": "a", "name": "web" },
            "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } } } },
            "status": { "conditions": [
                { "type": "Progressing", "status": "False", "reason": reason } ] } })
    }

    fn pod(waiting: Value) -> Value {
        json!({ "metadata": { "namespace": "a", "name": "web-1", "labels": { "app": "web" } },
            "status": { "containerStatuses": [{ "name": "web", "image": "web", "imageID": "", "ready": false,
                "restartCount": 4, "state": { "waiting": waiting },
                "lastState": { "terminated": { "exitCode": 3 } } }] } })
    }

    fn world(ingresses: Vec<Arc<Ingress>>, endpoints: Value) -> World {
        World {
            ingresses,
            services: vec![object(service("a")), object(service("b"))],
            slices: vec![object(slice("a", endpoints))],
            ..World::default()
        }
    }

    fn ready(addresses: &[&str]) -> Value {
        addresses.iter().map(|a| json!({ "addresses": [a], "conditions": { "ready": true } })).collect()
    }

    fn config() -> Config {
        Config {
            domain: "example.com".to_owned(),
            http_port: 80,
            https_port: 443,
            static_routes: vec![("console.example.com".to_owned(), ([127, 0, 0, 1], 7000).into())],
        }
    }

    fn describe(plan: &Plan) -> String {
        let mut lines = Vec::new();
        let any = plan.table.default.iter().map(|host| ("any", host));
        for (name, host) in plan.table.hosts.iter().map(|(name, host)| (name.as_str(), host)).chain(any) {
            for rule in &host.paths {
                lines.push(format!("{name} {:?} {} -> {:?}", rule.kind, rule.path, rule.route.backend));
            }
        }
        for certificate in &plan.table.certificates {
            lines.push(format!("certificate {:?}", certificate.hosts));
        }
        for refused in &plan.refused {
            lines.push(format!("refused {} {:?}", refused.host, refused.reason));
        }
        lines.join("\n")
    }

    fn check(world: &World, expected: Expect) {
        expected.assert_eq(&describe(&plan(world, &config())));
    }

    #[test]
    fn an_ingress_leads_to_ready_endpoints() {
        let endpoints = json!([
            { "addresses": ["10.0.0.2"], "conditions": { "ready": true } },
            { "addresses": ["10.0.0.3"], "conditions": { "ready": false } },
            { "addresses": ["10.0.0.4"], "conditions": { "ready": false, "serving": true, "terminating": true } },
        ]);
        let world = world(vec![ingress("a", "web", 1, rule("Web.example.com", "/"), json!({}))], endpoints);
        check(
            &world,
            expect![[r#"
                console.example.com Prefix / -> Endpoints([127.0.0.1:7000])
                web.example.com Prefix / -> Endpoints([10.0.0.2:8080])"#]],
        );
    }

    #[test]
    fn endpoints_that_leave_serve_when_nobody_else_does() {
        let endpoints = json!([
            { "addresses": ["10.0.0.4"], "conditions": { "ready": false, "serving": true, "terminating": true } },
        ]);
        let world = world(vec![ingress("a", "web", 1, rule("web.example.com", "/"), json!({}))], endpoints);
        check(
            &world,
            expect![[r#"
                console.example.com Prefix / -> Endpoints([127.0.0.1:7000])
                web.example.com Prefix / -> Endpoints([10.0.0.4:8080])"#]],
        );
    }

    #[test]
    fn without_endpoints_the_reason_is_told() {
        let ingresses = vec![ingress("a", "web", 1, rule("web.example.com", "/"), json!({}))];
        let crash = json!({ "reason": "CrashLoopBackOff" });
        let check = |deployments: Vec<Value>, pods: Vec<Value>, expected: Expect| {
            let mut world = world(ingresses.clone(), json!([]));
            world.deployments = deployments.into_iter().map(object).collect();
            world.pods = pods.into_iter().map(object).collect();
            let plan = plan(&world, &config());
            expected.assert_eq(&format!("{:?}", plan.table.hosts["web.example.com"].paths[0].route.backend));
        };
        check(vec![deployment(1, "New")], vec![], expect!["Unavailable(Starting)"]);
        check(vec![deployment(0, "New")], vec![], expect!["Unavailable(Stopped)"]);
        check(
            vec![deployment(1, "New")],
            vec![pod(crash)],
            expect![[
                r#"Unavailable(Failing { reason: "its container crashes again and again (exit code 3)" })"#
            ]],
        );
        check(
            vec![deployment(1, "New")],
            vec![pod(json!({ "reason": "ContainerCreating" }))],
            expect!["Unavailable(Starting)"],
        );
        check(
            vec![deployment(1, "ProgressDeadlineExceeded")],
            vec![],
            expect![[r#"Unavailable(Failing { reason: "it does not become ready" })"#]],
        );
        check(
            vec![],
            vec![],
            expect![[r#"Unavailable(Missing { reason: "no app stands behind the Service" })"#]],
        );
    }

    #[test]
    fn classes_decide_who_serves() {
        let class = |name: &str| json!({ "kubernetes.io/ingress.class": name });
        let ingresses = vec![
            ingress("a", "one", 1, rule("one.example.com", "/"), class("nginx")),
            ingress("a", "two", 2, rule("two.example.com", "/"), class("pause")),
            ingress("a", "three", 3, rule("three.example.com", "/"), class("traefik")),
        ];
        check(
            &world(ingresses, ready(&["10.0.0.2"])),
            expect![[r#"
                console.example.com Prefix / -> Endpoints([127.0.0.1:7000])
                one.example.com Prefix / -> Endpoints([10.0.0.2:8080])
                two.example.com Prefix / -> Unavailable(Stopped)"#]],
        );
    }

    #[test]
    fn a_host_belongs_to_the_namespace_that_asked_first() {
        let ingresses = vec![
            ingress("b", "late", 9, rule("web.example.com", "/b"), json!({})),
            ingress("a", "early", 1, rule("web.example.com", "/"), json!({})),
            ingress("a", "also", 5, rule("web.example.com", "/also"), json!({})),
            ingress("a", "again", 6, rule("web.example.com", "/"), json!({})),
            ingress("b", "greedy", 7, rule("console.example.com", "/"), json!({})),
        ];
        check(
            &world(ingresses, ready(&["10.0.0.2"])),
            expect![[r#"
                console.example.com Prefix / -> Endpoints([127.0.0.1:7000])
                web.example.com Prefix / -> Endpoints([10.0.0.2:8080])
                web.example.com Prefix /also -> Endpoints([10.0.0.2:8080])
                refused console.example.com Reserved
                refused web.example.com Taken"#]],
        );
    }

    #[test]
    fn a_wildcard_of_the_platform_cannot_be_taken() {
        let mut config = config();
        config.static_routes = vec![("*.s3.example.com".to_owned(), ([127, 0, 0, 1], 9000).into())];
        let ingresses = vec![
            ingress("a", "photos", 1, rule("photos.s3.example.com", "/"), json!({})),
            ingress("a", "wild", 2, rule("*.s3.example.com", "/"), json!({})),
            ingress("a", "other", 3, rule("s3.example.com", "/"), json!({})),
        ];
        let plan = plan(&world(ingresses, ready(&["10.0.0.1"])), &config);
        expect![[r#"
            *.s3.example.com Prefix / -> Endpoints([127.0.0.1:9000])
            s3.example.com Prefix / -> Endpoints([10.0.0.1:8080])
            refused photos.s3.example.com Reserved
            refused *.s3.example.com Reserved"#]]
        .assert_eq(&describe(&plan));
    }

    #[test]
    fn rewriting_makes_paths_regular_expressions() {
        let rewrite = json!({ "nginx.ingress.kubernetes.io/rewrite-target": "/$2" });
        let ingresses = vec![ingress("a", "web", 1, rule("web.example.com", "/()(.*)"), rewrite)];
        check(
            &world(ingresses, ready(&["10.0.0.2"])),
            expect![[r#"
                console.example.com Prefix / -> Endpoints([127.0.0.1:7000])
                web.example.com Regex /()(.*) -> Endpoints([10.0.0.2:8080])"#]],
        );
    }

    #[test]
    fn certificates_come_with_their_ingress() {
        let mut spec = rule("web.example.com", "/");
        spec["tls"] = json!([{ "hosts": ["web.example.com"], "secretName": "web-tls" },
            { "hosts": ["web.example.com"], "secretName": "absent" }]);
        let mut world = world(vec![ingress("a", "web", 1, spec, json!({}))], ready(&["10.0.0.2"]));
        let secret = |namespace: &str| {
            object(json!({ "metadata": { "namespace": namespace, "name": "web-tls" },
                "data": { "tls.crt": "Y2VydA==", "tls.key": "a2V5" } }))
        };
        world.secrets = vec![secret("a"), secret("b")];
        let plan = plan(&world, &config());
        expect![[r#"
            console.example.com Prefix / -> Endpoints([127.0.0.1:7000])
            web.example.com Prefix / -> Endpoints([10.0.0.2:8080])
            certificate ["web.example.com"]"#]]
        .assert_eq(&describe(&plan));
        assert!(plan.table.hosts["web.example.com"].paths[0].route.options.ssl_redirect);
    }

    #[test]
    fn hosts_may_be_left_out() {
        let mut spec = rule("", "/api");
        spec["defaultBackend"] = json!({ "service": { "name": "web", "port": { "name": "http" } } });
        let ingresses = vec![ingress("a", "web", 1, spec, json!({}))];
        check(
            &world(ingresses, ready(&["10.0.0.2"])),
            expect![[r#"
                console.example.com Prefix / -> Endpoints([127.0.0.1:7000])
                any Prefix /api -> Endpoints([10.0.0.2:8080])
                any Prefix / -> Endpoints([10.0.0.2:8080])"#]],
        );
    }

    #[test]
    fn wrong_references_are_told() {
        let mut spec = rule("web.example.com", "/");
        spec["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] = json!("nobody");
        let mut port = rule("port.example.com", "/");
        port["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"]["number"] = json!(81);
        let ingresses =
            vec![ingress("a", "one", 1, spec, json!({})), ingress("a", "two", 2, port, json!({}))];
        check(
            &world(ingresses, json!([])),
            expect![[r#"
                console.example.com Prefix / -> Endpoints([127.0.0.1:7000])
                port.example.com Prefix / -> Unavailable(Missing { reason: "the Service web has no such port" })
                web.example.com Prefix / -> Unavailable(Missing { reason: "the Service nobody does not exist" })"#]],
        );
    }
}

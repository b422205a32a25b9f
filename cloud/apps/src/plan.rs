//! From a checked app to Kubernetes objects. Pure: no client, no clock, no randomness; the same app
//! in the same place gives the same objects.

use base64::Engine as _;
use sealos_kit::labels;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::app::{App, file_key};
use crate::draft::{Metric, Port, Protocol};
use crate::services;
use crate::workload::workload;

/// Where an app goes.
#[derive(Debug, Clone)]
pub struct Place {
    /// The namespace.
    pub workspace: String,
    /// The domain below which apps get their hosts.
    pub domain: String,
    /// The Secret with a certificate for the domain, if there is one.
    pub cert_secret: Option<String>,
    /// Changes when pods should be replaced: `YYYYMMDDHHmmss`.
    pub restart_time: String,
}

/// The objects an app stands for, in the order in which they are to be written.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The app's name.
    pub name: String,
    /// The database and bucket that the app leans on. They outlive the app, and one that exists is
    /// used as it is.
    pub services: Vec<Value>,
    /// The objects.
    pub objects: Vec<Value>,
    /// The public host names.
    pub hosts: Vec<String>,
}

/// The objects that an app stands for.
pub fn plan(app: &App, place: &Place) -> Plan {
    let mut objects = Vec::new();
    objects.extend(config_map(app));
    objects.extend(registry_secret(app));
    objects.extend(cluster_service(app));
    objects.extend(node_port_service(app));
    objects.push(workload(app, place));
    objects.extend(autoscaler(app));
    let routed: Vec<_> = app.ports.iter().filter(|p| p.public && p.protocol.has_host()).collect();
    let hosts: Vec<_> = routed.iter().enumerate().map(|(i, port)| host(app, port, place, i == 0)).collect();
    for (port, host) in routed.iter().zip(&hosts) {
        objects.push(ingress(app, port, host, place));
    }
    Plan { name: app.name().to_owned(), services: services::services(app), objects, hosts }
}

impl Plan {
    /// Everything, in the order in which it is to be written.
    pub fn all(&self) -> impl Iterator<Item = &Value> {
        self.services.iter().chain(&self.objects)
    }
}

/// Labels that every object of the app carries.
pub(crate) fn app_labels(app: &App) -> Value {
    json!({ labels::APP: app.name(), labels::POD: app.name() })
}

/// The name of the Service inside the cloud; also its DNS name.
pub(crate) fn service_name(app: &App) -> String {
    app.name().to_owned()
}

/// Twelve letters that depend only on what is given.
pub(crate) fn letters(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(12).map(|byte| char::from(b'a' + byte % 26)).collect()
}

fn config_map(app: &App) -> Option<Value> {
    if app.files.is_empty() {
        return None;
    }
    let data: serde_json::Map<_, _> =
        app.files.iter().map(|f| (file_key(&f.path), json!(f.content))).collect();
    Some(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": app.name(), "labels": app_labels(app) },
        "data": data,
    }))
}

fn registry_secret(app: &App) -> Option<Value> {
    let registry = app.registry.as_ref()?;
    let base64 = base64::engine::general_purpose::STANDARD;
    let server = if registry.server.is_empty() { "docker.io" } else { &registry.server };
    let auth = base64.encode(format!("{}:{}", registry.username, registry.password));
    let config = json!({ "auths": { server: {
        "username": registry.username, "password": registry.password, "auth": auth } } });
    Some(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": { "name": app.name(), "labels": app_labels(app) },
        "data": { ".dockerconfigjson": base64.encode(config.to_string()) },
    }))
}

/// A port's name inside a Service.
pub(crate) fn port_name(port: &Port) -> String {
    format!("{}-{}", port.protocol.transport().to_ascii_lowercase(), port.port)
}

fn cluster_service(app: &App) -> Option<Value> {
    let headless = app.ports.is_empty() && app.is_stateful();
    if app.ports.is_empty() && !headless {
        return None;
    }
    let ports: Vec<_> = app
        .ports
        .iter()
        .map(|p| {
            json!({ "name": port_name(p), "port": p.port, "targetPort": p.port, "protocol": p.protocol.transport() })
        })
        .collect();
    let mut spec = json!({ "selector": { labels::POD: app.name() } });
    if headless {
        spec["clusterIP"] = json!("None");
    } else {
        spec["ports"] = json!(ports);
    }
    Some(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": service_name(app), "labels": app_labels(app) },
        "spec": spec,
    }))
}

fn node_port_service(app: &App) -> Option<Value> {
    let ports: Vec<_> = app
        .ports
        .iter()
        .filter(|p| p.public && !p.protocol.has_host())
        .map(|p| {
            json!({ "name": port_name(p), "port": p.port, "targetPort": p.port, "protocol": p.protocol.transport() })
        })
        .collect();
    if ports.is_empty() {
        return None;
    }
    Some(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": format!("{}-nodeport", app.name()), "labels": app_labels(app) },
        "spec": { "type": "NodePort", "selector": { labels::POD: app.name() }, "ports": ports },
    }))
}

/// The target is a percentage of the limit; Kubernetes measures against the request, a tenth of it.
fn autoscaler(app: &App) -> Option<Value> {
    let auto = app.autoscale.as_ref()?;
    let metric = match auto.metric {
        Metric::Cpu => "cpu",
        Metric::Memory => "memory",
    };
    let one_a_minute = json!({ "policies": [{ "type": "Pods", "value": 1, "periodSeconds": 60 }] });
    let kind = if app.is_stateful() { "StatefulSet" } else { "Deployment" };
    Some(json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": app.name(), "labels": app_labels(app) },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": kind, "name": app.name() },
            "minReplicas": auto.min, "maxReplicas": auto.max,
            "metrics": [{ "type": "Resource", "resource": { "name": metric,
                "target": { "type": "Utilization", "averageUtilization": auto.percent * 10 } } }],
            "behavior": { "scaleUp": one_a_minute, "scaleDown": one_a_minute },
        },
    }))
}

/// `<name>-<workspace>.<domain>` for the first public port; further ones carry the port too.
fn host(app: &App, port: &Port, place: &Place, first: bool) -> String {
    if let Some(own) = &port.host {
        return own.clone();
    }
    let Place { workspace, domain, .. } = place;
    match first {
        true => format!("{}-{workspace}.{domain}", app.name()),
        false => format!("{}-{}-{workspace}.{domain}", app.name(), port.port),
    }
}

fn ingress(app: &App, port: &Port, host: &str, place: &Place) -> Value {
    let name = format!("network-{}", letters(&[app.name(), &place.workspace, &port.port.to_string()]));
    let mut labels = app_labels(app);
    if port.host.is_none() {
        labels[labels::APP_DOMAIN] = json!(host.split('.').next());
    }
    let mut spec = json!({
        "ingressClassName": labels::CLASS_SERVED,
        "rules": [{ "host": host, "http": { "paths": [{ "path": "/", "pathType": "Prefix",
            "backend": { "service": { "name": service_name(app), "port": { "number": port.port } } } }] } }],
    });
    if let (Some(secret), None) = (&place.cert_secret, &port.host) {
        spec["tls"] = json!([{ "hosts": [host], "secretName": secret }]);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": { "name": name, "labels": labels, "annotations": ingress_annotations(port.protocol) },
        "spec": spec,
    })
}

fn ingress_annotations(protocol: Protocol) -> Value {
    let key = |name: &str| format!("nginx.ingress.kubernetes.io/{name}");
    let mut all = serde_json::Map::new();
    let mut set = |name: &str, value: &str| all.insert(key(name), json!(value));
    set("proxy-body-size", "32m");
    match protocol {
        Protocol::Grpc => {
            set("backend-protocol", "GRPC");
        }
        Protocol::Ws => {
            set("proxy-read-timeout", "3600");
            set("proxy-send-timeout", "3600");
        }
        Protocol::Http | Protocol::Tcp | Protocol::Udp => {
            set("backend-protocol", "HTTP");
            set("client-body-buffer-size", "64k");
            set("proxy-buffer-size", "64k");
            set("proxy-read-timeout", "300");
            set("proxy-send-timeout", "300");
        }
    }
    Value::Object(all)
}

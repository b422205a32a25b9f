//! Services, and the credentials that lead to them.

use sealos_db_engines::names;
use serde_json::{Value, json};

use super::{object, primary};
use crate::wanted::Wanted;

/// The Service that always leads to the primary, the headless one, and further names.
pub(super) fn services(wanted: &Wanted) -> Vec<Value> {
    let mut all =
        vec![to_primary(wanted, names::primary_service(&wanted.name, &wanted.component)), headless(wanted)];
    // KubeBlocks 0.9 named some otherwise than 0.8, and templates for either are about.
    let others = wanted.engine.service_suffixes.iter().map(|suffix| format!("{}-{suffix}", wanted.name));
    let first = names::primary_service(&wanted.name, &wanted.component);
    all.extend(others.filter(|name| *name != first).map(|name| to_primary(wanted, name)));
    all
}

fn to_primary(wanted: &Wanted, name: String) -> Value {
    let mut service = object(wanted, "v1", "Service", name);
    service["spec"] = json!({ "type": "ClusterIP", "selector": primary(wanted), "ports": ports(wanted) });
    service
}

fn headless(wanted: &Wanted) -> Value {
    let name = names::headless_service(&wanted.name, &wanted.component);
    let mut service = object(wanted, "v1", "Service", name);
    service["spec"] = json!({
        "clusterIP": "None",
        // Replicas find each other before they are ready.
        "publishNotReadyAddresses": true,
        "selector": wanted.selector(),
        "ports": ports(wanted),
    });
    service
}

fn ports(wanted: &Wanted) -> Value {
    let name = format!("tcp-{}", wanted.engine.name);
    let name: String = name.chars().take(15).collect();
    json!([{ "name": name.trim_end_matches('-'), "port": wanted.engine.port, "targetPort": wanted.engine.port, "protocol": "TCP" }])
}

/// The name of the Service that leads in from outside.
pub(crate) fn export_name(cluster: &str) -> String {
    format!("{cluster}-export")
}

/// The Service that leads in from outside.
pub(crate) fn export(wanted: &Wanted) -> Value {
    let mut service = object(wanted, "v1", "Service", export_name(&wanted.name));
    let mut selector = primary(wanted);
    // The reference's tools select by these two alone.
    if let Some(selector) = selector.as_object_mut() {
        selector.retain(|key, _| key == names::INSTANCE || key == names::ROLE);
    }
    service["spec"] = json!({ "type": "NodePort", "selector": selector, "ports": ports(wanted) });
    service
}

/// The Secrets that users read: KubeBlocks 0.8's with everything, and 0.9's with user and password.
pub(crate) fn credentials(wanted: &Wanted, user: &str, password: &str) -> [Value; 2] {
    let port = wanted.engine.port.to_string();
    let host = names::primary_service(&wanted.name, &wanted.component);
    let headless = names::headless_service(&wanted.name, &wanted.component);
    let headless_host = format!("{}.{headless}", wanted.pod(0));
    let mut full = object(wanted, "v1", "Secret", names::credential_secret(&wanted.name));
    full["type"] = json!("Opaque");
    full["stringData"] = json!({
        "username": user,
        "password": password,
        "host": host,
        "port": port,
        "endpoint": format!("{host}:{port}"),
        "headlessHost": headless_host,
        "headlessPort": port,
        "headlessEndpoint": format!("{headless_host}:{port}"),
    });
    let account = format!("{}-{}-account-{user}", wanted.name, wanted.component);
    let mut short = object(wanted, "v1", "Secret", account);
    short["type"] = json!("Opaque");
    short["stringData"] = json!({ "username": user, "password": password });
    [full, short]
}

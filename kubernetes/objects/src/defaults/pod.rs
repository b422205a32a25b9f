//! Defaults of pod templates and pods.

use serde_json::{Map, Value, json};

use super::Object;
use crate::value::{child, child_if, fill, fill_int, fill_text, items_mut};

/// The modes of files from ConfigMaps, Secrets and the like: 0644.
const FILE_MODE: i64 = 0o644;
/// A projected token lives an hour.
const TOKEN_SECONDS: i64 = 3600;

/// Defaults of the template under `template`.
pub(super) fn template(object: &mut Object) {
    let Some(template) = child(object, "template") else { return };
    if let Some(spec) = child(template, "spec") {
        self::spec(spec);
    }
}

/// Defaults every pod spec gets, in a template too.
pub(super) fn spec(spec: &mut Object) {
    fill_text(spec, "dnsPolicy", "ClusterFirst");
    fill_text(spec, "restartPolicy", "Always");
    fill_text(spec, "schedulerName", "default-scheduler");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    same_account(spec);
    let host_network = spec.get("hostNetwork").and_then(Value::as_bool) == Some(true);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items_mut(spec, list) {
            self::container(container, host_network);
        }
    }
    for volume in items_mut(spec, "volumes") {
        self::volume(volume);
    }
    for constraint in items_mut(spec, "topologySpreadConstraints") {
        fill_text(constraint, "nodeAffinityPolicy", "Honor");
        fill_text(constraint, "nodeTaintsPolicy", "Ignore");
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are kept equal.
fn same_account(spec: &mut Object) {
    let name = ["serviceAccountName", "serviceAccount"]
        .iter()
        .filter_map(|key| spec.get(*key).and_then(Value::as_str))
        .find(|name| !name.is_empty())
        .map(ToOwned::to_owned);
    if let Some(name) = name {
        fill_text(spec, "serviceAccountName", &name);
        let name = spec.get("serviceAccountName").cloned().unwrap_or_default();
        spec.insert("serviceAccount".to_owned(), name);
    }
}

/// Defaults only a pod itself gets: a template keeps them open.
pub(super) fn standalone(spec: &mut Object) {
    fill(spec, "enableServiceLinks", true);
    for list in ["initContainers", "containers"] {
        for container in items_mut(spec, list) {
            requests_from_limits(container);
        }
    }
}

/// What is limited but not requested is requested in full.
fn requests_from_limits(container: &mut Object) {
    let Some(resources) = child_if(container, "resources") else { return };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    if limits.is_empty() {
        return;
    }
    if let Some(requests) = child(resources, "requests") {
        for (name, limit) in limits {
            fill(requests, &name, limit);
        }
    }
}

fn container(container: &mut Object, host_network: bool) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    fill_text(container, "imagePullPolicy", policy);
    fill_text(container, "terminationMessagePath", "/dev/termination-log");
    fill_text(container, "terminationMessagePolicy", "File");
    fill(container, "resources", json!({}));
    for port in items_mut(container, "ports") {
        fill_text(port, "protocol", "TCP");
        let number = port.get("containerPort").and_then(Value::as_i64).unwrap_or(0);
        if host_network && number > 0 {
            fill_int(port, "hostPort", number);
        }
    }
    for env in items_mut(container, "env") {
        if let Some(field) = child_if(env, "valueFrom").and_then(|from| child_if(from, "fieldRef")) {
            fill_text(field, "apiVersion", "v1");
        }
        if let Some(resource) = child_if(env, "valueFrom").and_then(|from| child_if(from, "resourceFieldRef"))
        {
            fill(resource, "divisor", "0");
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = child_if(container, name) {
            self::probe(probe);
        }
    }
    if let Some(lifecycle) = child_if(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(handler) = child_if(lifecycle, hook) {
                self::handler(handler);
            }
        }
    }
}

/// No tag, or the tag `latest`, and no digest.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn probe(probe: &mut Object) {
    fill_int(probe, "timeoutSeconds", 1);
    fill_int(probe, "periodSeconds", 10);
    fill_int(probe, "successThreshold", 1);
    fill_int(probe, "failureThreshold", 3);
    if let Some(grpc) = child_if(probe, "grpc") {
        fill(grpc, "service", "");
    }
    handler(probe);
}

fn handler(handler: &mut Object) {
    if let Some(http) = child_if(handler, "httpGet") {
        fill_text(http, "path", "/");
        fill_text(http, "scheme", "HTTP");
    }
}

/// Sources of a volume whose files have a mode.
const MODED: [&str; 3] = ["configMap", "secret", "downwardAPI"];

fn volume(volume: &mut Object) {
    let named = |key: &&String| *key != "name";
    if volume.keys().find(named).is_none() {
        volume.insert("emptyDir".to_owned(), Value::Object(Map::new()));
    }
    for source in MODED.iter().chain(&["projected"]) {
        if let Some(source) = child_if(volume, source) {
            fill(source, "defaultMode", FILE_MODE);
            downward_items(source);
        }
    }
    if let Some(path) = child_if(volume, "hostPath") {
        fill(path, "type", "");
    }
    if let Some(projected) = child_if(volume, "projected") {
        for source in items_mut(projected, "sources") {
            self::projection(source);
        }
    }
    if let Some(template) = child_if(volume, "ephemeral").and_then(|e| child_if(e, "volumeClaimTemplate")) {
        super::storage::claim_spec(template);
    }
}

fn projection(source: &mut Object) {
    if let Some(token) = child_if(source, "serviceAccountToken") {
        fill_int(token, "expirationSeconds", TOKEN_SECONDS);
    }
    if let Some(downward) = child_if(source, "downwardAPI") {
        downward_items(downward);
    }
}

fn downward_items(source: &mut Object) {
    for item in items_mut(source, "items") {
        if let Some(field) = child_if(item, "fieldRef") {
            fill_text(field, "apiVersion", "v1");
        }
        if let Some(resource) = child_if(item, "resourceFieldRef") {
            fill(resource, "divisor", "0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_latest;

    #[test]
    fn latest_is_told_from_pinned() {
        for latest in ["nginx", "nginx:latest", "host:5000/nginx", "a/b/c"] {
            assert!(is_latest(latest), "{latest}");
        }
        for pinned in ["nginx:1", "host:5000/nginx:1", "nginx@sha256:ab", "nginx:latest@sha256:ab"] {
            assert!(!is_latest(pinned), "{pinned}");
        }
    }
}

//! The volume through which a pod's containers get their account's token.

use serde_json::{Map, Value, json};

use crate::effects::ROOT_CA;

const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Seconds a token lasts: an hour, and a little for the clocks.
const LIFE: i64 = 3607;

/// Adds the volume, and mounts it where the pod does not mount something there itself.
pub(crate) fn add(spec: &mut Map<String, Value>) {
    let existing = spec.get("volumes").and_then(Value::as_array).into_iter().flatten().find_map(|volume| {
        volume.get("name").and_then(Value::as_str).filter(|name| name.starts_with("kube-api-access-"))
    });
    let name = existing.map_or_else(new_name, str::to_owned);
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            mounted |= mount(container, &name);
        }
    }
    if !mounted || spec.get("volumes").and_then(Value::as_array).is_some_and(|all| has(all, &name)) {
        return;
    }
    let volumes = spec.entry("volumes").or_insert_with(|| json!([]));
    if volumes.is_null() {
        *volumes = json!([]);
    }
    if let Some(volumes) = volumes.as_array_mut() {
        volumes.push(volume(&name));
    }
}

fn has(volumes: &[Value], name: &str) -> bool {
    volumes.iter().any(|volume| volume.get("name").and_then(Value::as_str) == Some(name))
}

fn new_name() -> String {
    let random: [u8; 5] = rand::random();
    let suffix = random.map(|byte| char::from(b"bcdfghjklmnpqrstvwxz2456789"[usize::from(byte) % 27]));
    format!("kube-api-access-{}", String::from_iter(suffix))
}

/// Tells whether the container uses the volume.
fn mount(container: &mut Value, name: &str) -> bool {
    let Some(container) = container.as_object_mut() else { return false };
    let mounts = container.entry("volumeMounts").or_insert_with(|| json!([]));
    if mounts.is_null() {
        *mounts = json!([]);
    }
    let Some(mounts) = mounts.as_array_mut() else { return false };
    let there = mounts.iter().find(|mount| mount.get("mountPath").and_then(Value::as_str) == Some(PATH));
    if let Some(there) = there {
        return there.get("name").and_then(Value::as_str) == Some(name);
    }
    mounts.push(json!({ "name": name, "readOnly": true, "mountPath": PATH }));
    true
}

fn volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": LIFE, "path": "token" } },
                { "configMap": { "name": ROOT_CA, "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
                { "downwardAPI": { "items": [{
                    "path": "namespace",
                    "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" },
                }] } },
            ],
        },
    })
}

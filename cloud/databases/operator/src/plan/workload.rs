//! The StatefulSet of a database.

use sealos_db_engines::{names, scripts};
use serde_json::{Value, json};

use super::{Facts, IMAGE_NOTE, REVISION, VERSION_OF_IMAGE, fingerprint, object};
use crate::wanted::Wanted;

/// The directory of the data; a directory in the volume, so that a volume's own files stay out of it.
const DATA_DIR: &str = "/sealos/data/db";

pub(super) fn stateful_set(wanted: &Wanted, facts: &Facts) -> Value {
    let mut set = object(wanted, "apps/v1", "StatefulSet", wanted.workload());
    let mut annotations = json!({ VERSION_OF_IMAGE: wanted.version.number() });
    if let Some(note) = &facts.note {
        annotations[IMAGE_NOTE] = json!(note);
    }
    set["metadata"]["annotations"] = annotations;
    set["spec"] = json!({
        "replicas": facts.replicas,
        "serviceName": names::headless_service(&wanted.name, &wanted.component),
        // A pod must come back while others are down.
        "podManagementPolicy": "Parallel",
        // Replicas first, then the primary after it handed over: `roll` deletes them.
        "updateStrategy": { "type": "OnDelete" },
        "selector": { "matchLabels": wanted.selector() },
        "template": {
            "metadata": {
                "labels": wanted.labels(),
                "annotations": { REVISION: revision_of(wanted, &facts.image) },
            },
            "spec": pod(wanted, facts),
        },
        "volumeClaimTemplates": [claim(wanted)],
    });
    set
}

/// What a pod must be restarted for. Scripts, parameters and the end of a restore are not in it.
pub(crate) fn revision_of(wanted: &Wanted, image: &str) -> String {
    fingerprint(&json!([
        image,
        wanted.cpu,
        wanted.memory,
        wanted.requests.0,
        wanted.requests.1,
        wanted.sync,
        wanted.restarted_at,
        wanted.affinity,
        wanted.node_selector,
        wanted.tolerations,
    ]))
}

fn pod(wanted: &Wanted, facts: &Facts) -> Value {
    let config = |name: &str, map: String| json!({ "name": name, "configMap": { "name": map } });
    let (cluster, component) = (&wanted.name, &wanted.component);
    let mut pod = json!({
        // Databases do not talk to the Kubernetes API.
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": 30,
        "containers": [container(wanted, facts)],
        "volumes": [
            { "name": "scripts", "configMap": {
                "name": names::scripts_config(cluster, component), "defaultMode": 0o755 } },
            config("config", names::parameters_config(cluster, component)),
            config("topology", names::topology_config(cluster, component)),
            { "name": "shm", "emptyDir": { "medium": "Memory" } },
        ],
    });
    if let Some(affinity) = &wanted.affinity {
        pod["affinity"] = affinity.clone();
    }
    if let Some(selector) = &wanted.node_selector {
        pod["nodeSelector"] = selector.clone();
    }
    if !wanted.tolerations.is_empty() {
        pod["tolerations"] = json!(wanted.tolerations);
    }
    pod
}

fn container(wanted: &Wanted, facts: &Facts) -> Value {
    let script = |name: &str| format!("{}/{name}", scripts::SCRIPTS_DIR);
    json!({
        "name": wanted.component,
        "image": facts.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [script(scripts::START)],
        "ports": [{ "name": "db", "containerPort": wanted.engine.port, "protocol": "TCP" }],
        "env": environment(wanted),
        "resources": {
            "limits": { "cpu": wanted.cpu, "memory": wanted.memory },
            "requests": { "cpu": wanted.requests.0, "memory": wanted.requests.1 },
        },
        "volumeMounts": [
            { "name": "data", "mountPath": scripts::VOLUME_DIR },
            { "name": "scripts", "mountPath": scripts::SCRIPTS_DIR },
            { "name": "config", "mountPath": scripts::CONFIG_DIR },
            { "name": "topology", "mountPath": scripts::TOPOLOGY_DIR },
            { "name": "shm", "mountPath": "/dev/shm" },
        ],
        "readinessProbe": {
            "exec": { "command": [script("probe.sh"), "ready"] },
            "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 2,
        },
        // A primary that hangs is replaced by failover; this is for what nobody else sees.
        "livenessProbe": {
            "exec": { "command": [script("probe.sh"), "live"] },
            "initialDelaySeconds": 60, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6,
        },
    })
}

fn environment(wanted: &Wanted) -> Value {
    let value = |name: &str, value: &str| json!({ "name": name, "value": value });
    let field =
        |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let secret = |name: &str, secret: String, key: &str| json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } });
    let (cluster, component) = (wanted.name.as_str(), wanted.component.as_str());
    let credential = || names::credential_secret(cluster);
    let mut all = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_IP", "status.podIP"),
        field("POD_NAMESPACE", "metadata.namespace"),
        value("CLUSTER", cluster),
        value("COMPONENT", component),
        value("ENGINE_VERSION", wanted.version.number()),
        value("PRIMARY_HOST", &names::primary_service(cluster, component)),
        value("DB_PORT", &wanted.engine.port.to_string()),
        secret("DB_USER", credential(), "username"),
        secret("DB_PASSWORD", credential(), "password"),
        secret(
            "REPLICATION_PASSWORD",
            names::internal_secret(cluster, component),
            names::REPLICATION_PASSWORD,
        ),
        value("MEMORY_LIMIT", &wanted.memory.get().to_string()),
        value("CPU_MILLIS", &wanted.cpu.millis().to_string()),
        value("DATA_DIR", DATA_DIR),
        value("REPLICATION_MODE", if wanted.sync { "sync" } else { "async" }),
    ];
    if wanted.restoring {
        all.push(value("RESTORE", "1"));
    }
    Value::Array(all)
}

fn claim(wanted: &Wanted) -> Value {
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": wanted.storage } },
    });
    if let Some(class) = &wanted.storage_class {
        spec["storageClassName"] = json!(class);
    }
    json!({ "metadata": { "name": "data", "labels": wanted.selector() }, "spec": spec })
}

//! The Deployment or StatefulSet of an app.

use sealos_kit::labels;
use sealos_kit::quantity::{Bytes, Cpu};
use serde_json::{Map, Value, json};

use crate::app::{App, file_key};
use crate::draft::{EnvValue, Protocol};
use crate::plan::{Place, app_labels, port_name, service_name};
use crate::services;

/// The Deployment, or the StatefulSet if the app keeps data.
pub(crate) fn workload(app: &App, place: &Place) -> Value {
    let metadata = json!({ "name": app.name(), "labels": app_labels(app), "annotations": annotations(app) });
    let mut spec = json!({
        "revisionHistoryLimit": 1,
        "selector": { "matchLabels": { labels::POD: app.name() } },
        "template": template(app, place),
    });
    // With an autoscaler the replicas are its own; applying a number would fight it.
    if app.autoscale.is_none() {
        spec["replicas"] = json!(app.replicas.unwrap_or(1));
    }
    if !app.is_stateful() {
        spec["strategy"] =
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } });
        return json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec });
    }
    spec["serviceName"] = json!(service_name(app));
    spec["updateStrategy"] = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "50%" } });
    spec["volumeClaimTemplates"] = claims(app);
    json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec })
}

fn annotations(app: &App) -> Value {
    let fixed = app.replicas.unwrap_or(1);
    let (min, max) = app.autoscale.as_ref().map_or((fixed, fixed), |a| (a.min, a.max));
    let mut all = json!({
        labels::ORIGIN_IMAGE: app.image,
        labels::MIN_REPLICAS: min.to_string(),
        labels::MAX_REPLICAS: max.to_string(),
    });
    if app.is_stateful() {
        let total = app.storage.iter().map(|s| s.size.get()).sum();
        all[labels::RESIZE] = json!(Bytes::new(total).to_string());
    }
    for (key, value) in services::annotations(app) {
        all[key] = json!(value);
    }
    if let Some(remark) = &app.remark {
        all[labels::REMARK] = json!(remark);
    }
    all
}

fn claims(app: &App) -> Value {
    let claim = |path: &str, size: Bytes| {
        json!({
            "metadata": { "name": file_key(path), "annotations": { "path": path, "value": size.to_string() } },
            "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": size } } },
        })
    };
    app.storage.iter().map(|s| claim(&s.path, s.size)).collect()
}

fn template(app: &App, place: &Place) -> Value {
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "containers": [container(app, place)],
    });
    if app.is_stateful() {
        spec["terminationGracePeriodSeconds"] = json!(10);
    }
    if !app.files.is_empty() {
        spec["volumes"] = app
            .files
            .iter()
            .map(|file| {
                let key = file_key(&file.path);
                json!({ "name": key, "configMap": { "name": app.name(), "items": [{ "key": key, "path": key }] } })
            })
            .collect();
    }
    if app.registry.is_some() {
        spec["imagePullSecrets"] = json!([{ "name": app.name() }]);
    }
    let mut labels = app_labels(app);
    labels[labels::RESTART_TIME] = json!(place.restart_time);
    json!({ "metadata": { "labels": labels }, "spec": spec })
}

fn container(app: &App, place: &Place) -> Value {
    let mut container = json!({
        "name": app.name(),
        "image": app.image,
        "resources": resources(app),
    });
    let mut set = |key: &str, value: Value, present: bool| {
        if present {
            container[key] = value;
        }
    };
    set("command", json!(app.command), !app.command.is_empty());
    set("args", json!(app.args), !app.args.is_empty());
    let env = variables(app, place);
    set("env", json!(env), !env.is_empty());
    let ports = app.ports.iter().map(
        |p| json!({ "name": port_name(p), "containerPort": p.port, "protocol": p.protocol.transport() }),
    );
    set("ports", ports.collect(), !app.ports.is_empty());
    let mounts = mounts(app);
    set("volumeMounts", json!(mounts), !mounts.is_empty());
    if let Some(port) = app.ports.iter().find(|p| p.protocol != Protocol::Udp) {
        set("readinessProbe", readiness(port.port), true);
        set("lifecycle", drain(), true);
    }
    container
}

/// An app takes traffic once its first port is open; without this a rollout could not be free of errors.
fn readiness(port: u16) -> Value {
    json!({ "tcpSocket": { "port": port }, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 3 })
}

/// A pod that ends serves on for a second, until every route to it is gone.
fn drain() -> Value {
    json!({ "preStop": { "sleep": { "seconds": 1 } } })
}

/// Requests are a tenth of the limits, so that idle apps share the machine.
fn resources(app: &App) -> Value {
    let amounts = |cpu: u64, memory: u64| json!({ "cpu": Cpu::from_millis(cpu.max(1)), "memory": Bytes::new(memory.max(1)) });
    let (cpu, memory) = (app.cpu.millis(), app.memory.get());
    let mib = 1 << 20;
    // Whole mebibytes read better; amounts below ten of them keep their bytes.
    let request = if memory >= 10 * mib { memory / 10 / mib * mib } else { memory / 10 };
    json!({ "limits": amounts(cpu, memory), "requests": amounts(cpu / 10, request) })
}

/// Those of the services first, so that the app's own may refer to them or take their place.
fn variables(app: &App, place: &Place) -> Vec<Value> {
    let own = |variable: &Value| variable["name"].as_str().is_some_and(|name| app.env.contains_key(name));
    let linked = services::variables(app, place).into_iter().filter(|variable| !own(variable));
    linked.chain(app.env.iter().map(|(name, value)| env(name, value))).collect()
}

fn env(name: &str, value: &EnvValue) -> Value {
    let reference = |kind: &str, source: &str| {
        let (object, key) = source.split_once('/').unwrap_or((source, ""));
        let mut from = Map::new();
        from.insert(kind.to_owned(), json!({ "name": object, "key": key }));
        json!({ "name": name, "valueFrom": from })
    };
    match value {
        EnvValue::Text(text) => json!({ "name": name, "value": text }),
        EnvValue::Number(number) => json!({ "name": name, "value": number.to_string() }),
        EnvValue::Bool(flag) => json!({ "name": name, "value": flag.to_string() }),
        EnvValue::Secret { secret } => reference("secretKeyRef", secret),
        EnvValue::Config { config } => reference("configMapKeyRef", config),
        EnvValue::Field { field } => {
            json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": field } } })
        }
    }
}

fn mounts(app: &App) -> Vec<Value> {
    let files = app.files.iter().map(|file| {
        let key = file_key(&file.path);
        json!({ "name": key, "mountPath": file.path, "subPath": key })
    });
    let volumes = app.storage.iter().map(|s| json!({ "name": file_key(&s.path), "mountPath": s.path }));
    files.chain(volumes).collect()
}

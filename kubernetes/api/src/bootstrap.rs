//! The objects every cluster has.

use std::sync::Arc;

use sealos_objects::decode::FieldValidation;
use sealos_objects::{Part, apply};
use serde_json::{Value, json};

use crate::access::roles;
use crate::call::{self, Call};
use crate::effects;
use crate::error::Error;
use crate::options::WriteOptions;
use crate::server::{Config, Parts};
use crate::status::Status;
use crate::write::create::{self, Tracking};
use crate::write::update;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Makes what is missing. What people have changed stays, except the server's own address.
pub(crate) async fn run(parts: &Arc<Parts>, config: &Config) -> Result<(), Error> {
    for name in NAMESPACES {
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        write(parts, object).await?;
        effects::furnish(parts, name).await;
    }
    for object in roles::all().into_iter().chain(priorities()) {
        write(parts, object).await?;
    }
    write(parts, service(config)).await?;
    for object in [endpoints(config), slice(config)] {
        replace(parts, object).await?;
    }
    Ok(())
}

async fn write(parts: &Arc<Parts>, object: Value) -> Result<(), Error> {
    let what = describe(&object);
    ensure(parts, object).await.map_err(|status| Error::Bootstrap { what, reason: status.message })
}

async fn replace(parts: &Arc<Parts>, object: Value) -> Result<(), Error> {
    let what = describe(&object);
    overwrite(parts, object).await.map_err(|status| Error::Bootstrap { what, reason: status.message })
}

fn describe(object: &Value) -> String {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or("object");
    format!("{kind} {}", crate::encode::meta(object, "name"))
}

fn options() -> WriteOptions {
    WriteOptions {
        dry_run: false,
        manager: "kube-apiserver".to_owned(),
        check: FieldValidation::Strict,
        force: false,
    }
}

fn place(parts: &Arc<Parts>, object: &Value) -> Result<Call, Status> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or("");
    let resource = parts.registry.by_kind(text("apiVersion"), text("kind"));
    let resource = resource.ok_or_else(|| Status::internal(format!("{} is not served", describe(object))))?;
    let (namespace, name) = (crate::encode::meta(object, "namespace"), crate::encode::meta(object, "name"));
    Ok(Call::internal(parts, &resource, namespace, name))
}

/// Makes an object unless it is there.
pub(crate) async fn ensure(parts: &Arc<Parts>, mut object: Value) -> Result<(), Status> {
    let call = place(parts, &object)?;
    if parts.store.get(&call.key()).is_some() {
        return Ok(());
    }
    let decoded = call.resource.decode(&mut object, FieldValidation::Strict);
    decoded.map_err(|problem| Status::internal(problem.to_string()))?;
    // Boxed: making a namespace makes objects in it.
    match Box::pin(create::insert(&call, object, &options(), Tracking::Update)).await {
        Ok(_) => Ok(()),
        Err(status) if status.reason == "AlreadyExists" => Ok(()),
        Err(status) => Err(status),
    }
}

/// Makes an object, or makes it be like this again.
async fn overwrite(parts: &Arc<Parts>, object: Value) -> Result<(), Status> {
    let (call, options) = (place(parts, &object)?, options());
    let manager = crate::write::manager(&call, &options);
    let apply = |live: &Value| {
        apply::apply(&call.resource, live, &object, manager, true)
            .map_err(|error| Status::internal(error.to_string()))
    };
    let Some(entry) = parts.store.get(&call.key()) else {
        create::insert(&call, apply(&Value::Null)?, &options, Tracking::Done).await?;
        return Ok(());
    };
    let old = call::read(&entry)?;
    update::replace(&call, &entry, &old, apply(&old)?, Part::Main, &options, Tracking::Done).await?;
    Ok(())
}

fn priorities() -> Vec<Value> {
    let class = |name: &str, value: u32, description: &str| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": { "name": name }, "value": value, "description": description,
        })
    };
    vec![
        class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
        class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    ]
}

fn service(config: &Config) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "component": "apiserver", "provider": "kubernetes" },
        },
        "spec": {
            "clusterIP": config.service_cidr.nth(1).to_string(),
            "ports": [{ "name": "https", "port": 443, "protocol": "TCP", "targetPort": config.advertise.port() }],
            "sessionAffinity": "None", "type": "ClusterIP",
        },
    })
}

fn endpoints(config: &Config) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" },
        },
        "subsets": [{
            "addresses": [{ "ip": config.advertise.ip().to_string() }],
            "ports": [{ "name": "https", "port": config.advertise.port(), "protocol": "TCP" }],
        }],
    })
}

fn slice(config: &Config) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "kubernetes.io/service-name": "kubernetes" },
        },
        "addressType": if config.advertise.is_ipv6() { "IPv6" } else { "IPv4" },
        "endpoints": [{ "addresses": [config.advertise.ip().to_string()], "conditions": { "ready": true } }],
        "ports": [{ "name": "https", "port": config.advertise.port(), "protocol": "TCP" }],
    })
}

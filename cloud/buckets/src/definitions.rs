//! The definitions of the two kinds: their schemas, and what `kubectl get` shows of them.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::wait::{await_condition, conditions};
use kube::{Api, Client};
use sealos_kit::apply::apply;
use serde_json::{Value, json};

use crate::Error;
use crate::kinds::{GROUP, Policy, VERSION};

/// How long the API may take to serve a new kind.
const SOON: Duration = Duration::from_secs(10);

/// Defines the kinds and waits until they are served.
pub async fn install(client: &Client) -> Result<(), Error> {
    let (users, buckets) = (users(), buckets());
    futures::try_join!(define(client, &users), define(client, &buckets)).map(drop)
}

async fn define(client: &Client, definition: &Value) -> Result<(), Error> {
    apply(client, None, definition).await?;
    let name = definition["metadata"]["name"].as_str().unwrap_or_default();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let established = await_condition(definitions, name, conditions::is_crd_established());
    match tokio::time::timeout(SOON, established).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Error::Undefined { name: name.to_owned(), why: error.to_string() }),
        Err(_) => {
            Err(Error::Undefined { name: name.to_owned(), why: format!("it is not served after {SOON:?}") })
        }
    }
}

fn users() -> Value {
    let spec = json!({ "type": "object", "default": {}, "properties": { "secretKeyVersion": version() } });
    let status = object(json!({
        "size": count(), "quota": count(), "objectsCount": count(),
        "accessKey": text(), "secretKey": text(), "internal": text(), "external": text(),
        "secretKeyVersion": whole(), "conditions": conditions_schema(),
    }));
    let columns = json!([
        column("Size", "integer", ".status.size"),
        column("Quota", "integer", ".status.quota"),
        column("Objects", "integer", ".status.objectsCount"),
        ready_column(),
        age_column(),
    ]);
    definition("ObjectStorageUser", "objectstorageuser", "osu", &spec, &status, &columns)
}

fn buckets() -> Value {
    let policies: Vec<_> = Policy::ALL.iter().map(|policy| policy.as_str()).collect();
    let spec = json!({ "type": "object", "default": {}, "properties": {
        "policy": { "type": "string", "enum": policies, "default": Policy::default().as_str(),
            "description": "Who may use the bucket without a key." },
        "secretKeyVersion": version(),
    } });
    let status = object(json!({
        "name": text(), "size": count(), "objectsCount": count(), "secretKeyVersion": whole(),
        "observedGeneration": whole(), "conditions": conditions_schema(),
    }));
    let columns = json!([
        column("Policy", "string", ".spec.policy"),
        column("Bucket", "string", ".status.name"),
        column("Size", "integer", ".status.size"),
        column("Objects", "integer", ".status.objectsCount"),
        ready_column(),
        age_column(),
    ]);
    definition("ObjectStorageBucket", "objectstoragebucket", "osb", &spec, &status, &columns)
}

fn definition(
    kind: &str,
    singular: &str,
    short: &str,
    spec: &Value,
    status: &Value,
    columns: &Value,
) -> Value {
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{GROUP}") },
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": {
                "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": singular,
                "shortNames": [short], "categories": ["sealos"],
            },
            "versions": [{
                "name": VERSION, "served": true, "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "apiVersion": text(), "kind": text(), "metadata": { "type": "object" },
                    "spec": spec, "status": status,
                } } },
            }],
        },
    })
}

fn object(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn whole() -> Value {
    json!({ "type": "integer", "format": "int64" })
}

fn count() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0 })
}

fn version() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0,
        "description": "A larger number than before makes a new secret key." })
}

fn conditions_schema() -> Value {
    json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": { "type": "object", "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": text(), "status": text(), "reason": text(), "message": text(),
                "lastTransitionTime": { "type": "string", "format": "date-time" },
                "observedGeneration": whole(),
            } },
    })
}

fn column(name: &str, kind: &str, path: &str) -> Value {
    json!({ "name": name, "type": kind, "jsonPath": path })
}

fn ready_column() -> Value {
    column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status")
}

fn age_column() -> Value {
    column("Age", "date", ".metadata.creationTimestamp")
}

//! `metrics.k8s.io`: what pods and nodes use, as the node measures it.

use axum::body::Body;
use http::{HeaderMap, Request, Response, StatusCode};
use sealos_objects::selector::LabelSelector;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call;
use crate::node;
use crate::request::{Attributes, Query};
use crate::server::Parts;
use crate::status::{Status, What, json_response};
use crate::time;

pub(crate) const GROUP: &str = "metrics.k8s.io";
pub(crate) const VERSION: &str = "v1beta1";
const LIMIT: usize = 16 << 20;
/// How long one measurement looks back.
const WINDOW: &str = "15s";

#[derive(Deserialize)]
struct PodStats {
    namespace: String,
    name: String,
    containers: Vec<ContainerStats>,
}

#[derive(Deserialize)]
struct ContainerStats {
    name: String,
    #[serde(default)]
    cpu_nanocores: u64,
    #[serde(default)]
    memory_working_set: u64,
}

#[derive(Deserialize)]
struct NodeStats {
    #[serde(default)]
    cpu_nanocores: u64,
    #[serde(default)]
    memory_working_set: u64,
}

pub(crate) fn resources() -> Vec<Value> {
    let one = |name: &str, kind: &str, namespaced: bool| json!({ "name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"] });
    vec![one("nodes", "NodeMetrics", false), one("pods", "PodMetrics", true)]
}

pub(crate) fn described() -> Value {
    let one = |name: &str, kind: &str, scope: &str| {
        json!({
            "resource": name, "scope": scope, "singularResource": "", "verbs": ["get", "list"],
            "responseKind": { "group": GROUP, "version": VERSION, "kind": kind },
        })
    };
    let resources = [one("nodes", "NodeMetrics", "Cluster"), one("pods", "PodMetrics", "Namespaced")];
    json!({
        "metadata": { "name": GROUP },
        "versions": [{ "version": VERSION, "resources": resources, "freshness": "Current" }],
    })
}

pub(crate) async fn answer(
    parts: &Parts,
    asked: &Attributes,
    query: &Query,
    _headers: &HeaderMap,
) -> Result<Response<Body>, Status> {
    if asked.version != VERSION || !asked.subresource.is_empty() {
        return Err(Status::no_such_path());
    }
    let selector = LabelSelector::parse(query.text("labelSelector").unwrap_or(""))
        .map_err(|error| Status::bad_request(error.to_string()))?;
    let (kind, items) = match asked.resource.as_str() {
        "pods" => ("PodMetrics", pods(parts, asked, &selector).await?),
        "nodes" => ("NodeMetrics", nodes(parts, asked, &selector).await?),
        _ => return Err(Status::no_such_path()),
    };
    if asked.name.is_empty() {
        let list = json!({
            "kind": format!("{kind}List"), "apiVersion": format!("{GROUP}/{VERSION}"), "metadata": {}, "items": items,
        });
        return Ok(json_response(StatusCode::OK, &list));
    }
    let what = What { group: GROUP.to_owned(), resource: asked.resource.clone(), kind: kind.to_owned() };
    let item = items.into_iter().next().ok_or_else(|| Status::not_found(&what, &asked.name))?;
    Ok(json_response(StatusCode::OK, &item))
}

async fn pods(parts: &Parts, asked: &Attributes, selector: &LabelSelector) -> Result<Vec<Value>, Status> {
    let stats: Vec<PodStats> = fetch(parts, "/stats/pods").await?;
    let mut items = Vec::new();
    for pod in stats {
        let wanted = (asked.namespace.is_empty() || asked.namespace == pod.namespace)
            && (asked.name.is_empty() || asked.name == pod.name);
        if !wanted {
            continue;
        }
        let Some(entry) = parts.store.get(&format!("pods/{}/{}", pod.namespace, pod.name)) else { continue };
        let object = call::read(&entry)?;
        if !selector.matches(&object) {
            continue;
        }
        let containers: Vec<Value> = pod
            .containers
            .iter()
            .map(|own| json!({ "name": own.name, "usage": usage(own.cpu_nanocores, own.memory_working_set) }))
            .collect();
        let mut item = head("PodMetrics", &object);
        item["containers"] = containers.into();
        items.push(item);
    }
    Ok(items)
}

async fn nodes(parts: &Parts, asked: &Attributes, selector: &LabelSelector) -> Result<Vec<Value>, Status> {
    let stats: NodeStats = fetch(parts, "/stats/node").await?;
    let mut items = Vec::new();
    for entry in parts.store.list("nodes/", None, 0).entries {
        let object = call::read(&entry)?;
        let name = crate::encode::meta(&object, "name");
        if (asked.name.is_empty() || asked.name == name) && selector.matches(&object) {
            let mut item = head("NodeMetrics", &object);
            item["usage"] = usage(stats.cpu_nanocores, stats.memory_working_set);
            items.push(item);
        }
    }
    Ok(items)
}

fn head(kind: &str, object: &Value) -> Value {
    let mut meta = json!({ "name": crate::encode::meta(object, "name"), "creationTimestamp": time::now() });
    for key in ["namespace", "labels"] {
        if let Some(value) = object.get("metadata").and_then(|meta| meta.get(key)) {
            meta[key] = value.clone();
        }
    }
    json!({
        "kind": kind, "apiVersion": format!("{GROUP}/{VERSION}"), "metadata": meta,
        "timestamp": time::now(), "window": WINDOW,
    })
}

fn usage(nanocores: u64, bytes: u64) -> Value {
    json!({ "cpu": format!("{nanocores}n"), "memory": format!("{}Ki", bytes / 1024) })
}

async fn fetch<T: for<'a> Deserialize<'a>>(parts: &Parts, path: &str) -> Result<T, Status> {
    let request =
        Request::get(path).body(Body::empty()).map_err(|error| Status::internal(error.to_string()))?;
    let response = node::send(parts, request).await?;
    if response.status() != StatusCode::OK {
        return Err(Status::unavailable("the node gives no measurements now"));
    }
    let bytes = axum::body::to_bytes(response.into_body(), LIMIT).await;
    let bytes =
        bytes.map_err(|error| Status::unavailable(format!("read the node's measurements: {error}")))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Status::internal(format!("read the node's measurements: {error}")))
}

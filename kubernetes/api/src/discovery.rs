//! Paths that are no resources: health, version, what is served, schemas, token keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use parking_lot::Mutex;
use sealos_objects::{Resource, catalogue, openapi};
use serde_json::{Value, json};

use crate::identity::Identity;
use crate::metrics;
use crate::registry::DEFINITIONS;
use crate::server::Parts;
use crate::status::{Status, What, bytes_response, json_response};

/// The Kubernetes whose API this is.
const VERSION: (&str, &str, &str) = ("1", "37", "v1.37.0+sealos");

pub(crate) fn answer(
    parts: &Parts,
    identity: &Identity,
    request: &Request<Body>,
) -> Result<Response<Body>, Status> {
    let path = request.uri().path();
    let verb = request.method().as_str().to_lowercase();
    if !parts.rbac.allows_path(identity, &verb, path) {
        let why = format!("User \"{}\" cannot {verb} path \"{path}\"", identity.user);
        let status = Status::forbidden(
            &What { group: String::new(), resource: String::new(), kind: String::new() },
            "",
            &why,
        );
        return Err(Status { message: format!("forbidden: {why}"), ..status });
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Status::method_not_allowed("this path can only be read"));
    }
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let aggregated = wants_aggregated(request.headers());
    let value = match segments.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => return Ok(text("ok")),
        ["version"] => version(),
        ["api"] if aggregated => return Ok(aggregate(parts, true)),
        ["apis"] if aggregated => return Ok(aggregate(parts, false)),
        ["api"] => core_versions(),
        ["apis"] => groups(parts),
        ["apis", group] => one_group(parts, group).ok_or_else(Status::no_such_path)?,
        ["openapi", "v2"] if wants_protobuf(request.headers()) => return Ok(protobuf_schema()),
        ["openapi", rest @ ..] => return schema(parts, rest),
        ["openid", "v1", "jwks"] => parts.authenticator.tokens.key_set(),
        [".well-known", "openid-configuration"] => issuer(parts),
        [] => {
            json!({ "paths": ["/api", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"] })
        }
        _ => {
            let (group, version) = match segments.as_slice() {
                ["api", version] => ("", *version),
                ["apis", group, version] => (*group, *version),
                _ => return Err(Status::no_such_path()),
            };
            resource_list(parts, group, version).ok_or_else(Status::no_such_path)?
        }
    };
    Ok(json_response(StatusCode::OK, &value))
}

fn text(body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn version() -> Value {
    let (major, minor, git) = VERSION;
    let platform = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    json!({
        "major": major, "minor": minor, "gitVersion": git, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": platform,
    })
}

fn core_versions() -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{ "clientCIDR": "0.0.0.0/0", "serverAddress": "" }],
    })
}

fn issuer(parts: &Parts) -> Value {
    let issuer = parts.authenticator.tokens.issuer();
    json!({
        "issuer": issuer, "jwks_uri": format!("{issuer}/openid/v1/jwks"),
        "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

/// The versions of a group with their resources.
type Versions = Vec<(String, Vec<Arc<Resource>>)>;

/// Versions of each named group with their resources, preferred version first.
fn by_group(parts: &Parts) -> BTreeMap<String, Versions> {
    let mut found: BTreeMap<String, Versions> = BTreeMap::new();
    for resource in parts.registry.all() {
        let versions = found.entry(resource.group.to_string()).or_default();
        match versions.iter_mut().find(|(version, _)| *version == *resource.version) {
            Some((_, list)) => list.push(resource),
            None => versions.push((resource.version.to_string(), vec![resource])),
        }
    }
    for (group, versions) in &mut found {
        let preferred = catalogue::preferred_versions(group);
        versions.sort_by_key(|(version, _)| {
            let place = preferred.iter().position(|own| own == version).unwrap_or(usize::MAX);
            (place, std::cmp::Reverse(priority(version)))
        });
    }
    found
}

/// How Kubernetes orders versions: stable before beta before alpha, higher numbers first.
fn priority(version: &str) -> (u8, u32, u32) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (major, stage) = rest.split_at(end);
    let Ok(major) = major.parse() else { return (0, 0, 0) };
    let minor = |text: &str| text.parse().unwrap_or(0);
    match (stage, stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
        ("", _, _) => (3, major, 0),
        (_, Some(number), _) => (2, major, minor(number)),
        (_, _, Some(number)) => (1, major, minor(number)),
        _ => (0, 0, 0),
    }
}

fn group_value(group: &str, versions: &[&str]) -> Value {
    let shown = |version: &str| json!({ "groupVersion": format!("{group}/{version}"), "version": version });
    json!({
        "name": group,
        "versions": versions.iter().map(|version| shown(version)).collect::<Vec<_>>(),
        "preferredVersion": shown(versions.first().copied().unwrap_or("v1")),
    })
}

fn groups(parts: &Parts) -> Value {
    let mut list: Vec<Value> = by_group(parts)
        .iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| {
            group_value(group, &versions.iter().map(|(version, _)| version.as_str()).collect::<Vec<_>>())
        })
        .collect();
    list.push(group_value(metrics::GROUP, &[metrics::VERSION]));
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": list })
}

fn one_group(parts: &Parts, group: &str) -> Option<Value> {
    let mut value = if group == metrics::GROUP {
        group_value(group, &[metrics::VERSION])
    } else {
        let all = by_group(parts);
        let versions: Vec<&str> = all.get(group)?.iter().map(|(version, _)| version.as_str()).collect();
        group_value(group, &versions)
    };
    value["kind"] = "APIGroup".into();
    value["apiVersion"] = "v1".into();
    Some(value)
}

fn resource_list(parts: &Parts, group: &str, version: &str) -> Option<Value> {
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list = Vec::new();
    if group == metrics::GROUP && version == metrics::VERSION {
        list = metrics::resources();
    }
    for resource in parts.registry.all() {
        if resource.group == group && resource.version == version {
            list.extend(shown(&resource));
        }
    }
    if list.is_empty() {
        return None;
    }
    Some(
        json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list }),
    )
}

fn shown(resource: &Resource) -> Vec<Value> {
    let mut own = json!({
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        own["shortNames"] = resource.short_names.iter().map(|name| Value::from(&**name)).collect();
    }
    if !resource.categories.is_empty() {
        own["categories"] = resource.categories.iter().map(|name| Value::from(&**name)).collect();
    }
    let mut all = vec![own];
    for sub in &resource.subresources {
        let mut value = json!({
            "name": format!("{}/{}", resource.plural, sub.name), "singularName": "",
            "namespaced": resource.namespaced, "kind": sub.kind, "verbs": sub.verbs,
        });
        if sub.group != resource.group || sub.version != resource.version {
            value["group"] = (&*sub.group).into();
            value["version"] = (&*sub.version).into();
        }
        all.push(value);
    }
    all
}

fn wants_aggregated(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.split(',').any(|choice| {
        choice.contains("as=APIGroupDiscoveryList") && choice.split(';').any(|part| part.trim() == "v=v2")
    })
}

/// Everything served, in one document.
fn aggregate(parts: &Parts, core: bool) -> Response<Body> {
    let mut items: Vec<Value> = by_group(parts)
        .iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|(version, resources)| {
                    let resources: Vec<Value> =
                        resources.iter().map(|resource| described(resource)).collect();
                    json!({ "version": version, "resources": resources, "freshness": "Current" })
                })
                .collect();
            let meta = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
            json!({ "metadata": meta, "versions": versions })
        })
        .collect();
    if !core {
        items.push(metrics::described());
    }
    let value = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let mut response = json_response(StatusCode::OK, &value);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
    );
    response
}

fn described(resource: &Resource) -> Value {
    let kind =
        |group: &str, version: &str, kind: &str| json!({ "group": group, "version": version, "kind": kind });
    let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
    let mut value = json!({
        "resource": resource.plural, "scope": scope, "singularResource": resource.singular,
        "responseKind": kind(&resource.group, &resource.version, &resource.kind), "verbs": resource.verbs,
    });
    if !resource.short_names.is_empty() {
        value["shortNames"] = resource.short_names.iter().map(|name| Value::from(&**name)).collect();
    }
    if !resource.categories.is_empty() {
        value["categories"] = resource.categories.iter().map(|name| Value::from(&**name)).collect();
    }
    if !resource.subresources.is_empty() {
        let subs = resource.subresources.iter().map(|sub| {
            json!({
                "subresource": sub.name, "responseKind": kind(&sub.group, &sub.version, &sub.kind), "verbs": sub.verbs,
            })
        });
        value["subresources"] = subs.collect();
    }
    value
}

/// Schema documents are large and rarely change: made once for each set of definitions.
#[derive(Default)]
pub(crate) struct Schemas {
    state: Mutex<(u64, BTreeMap<String, Bytes>)>,
}

impl Schemas {
    fn get(&self, revision: u64, key: &str, make: impl FnOnce() -> Option<Value>) -> Option<Bytes> {
        {
            let mut state = self.state.lock();
            if state.0 != revision {
                *state = (revision, BTreeMap::new());
            }
            if let Some(found) = state.1.get(key) {
                return Some(found.clone());
            }
        }
        let made = Bytes::from(make()?.to_string());
        let mut state = self.state.lock();
        if state.0 == revision {
            state.1.insert(key.to_owned(), made.clone());
        }
        Some(made)
    }
}

/// The media type in which client-go asks for the version 2 document.
const OPENAPI_V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

fn wants_protobuf(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).next().is_some_and(|first| first.contains("protobuf"))
}

/// A document that defines nothing (`swagger: "2.0"`, field 1 of `openapi.v2.Document`): clients that read
/// version 2 as protobuf check nothing themselves, and the server's own checks decide.
fn protobuf_schema() -> Response<Body> {
    let mut response = Response::new(Body::from(&b"\x0a\x032.0"[..]));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(OPENAPI_V2_PROTOBUF));
    response
}

fn schema(parts: &Parts, path: &[&str]) -> Result<Response<Body>, Status> {
    let revision = parts.store.changed(DEFINITIONS);
    let resources = || parts.registry.all();
    let document = parts.schemas.get(revision, &path.join("/"), || match path {
        ["v2"] => Some(openapi::v2(&resources())),
        ["v3"] => Some(openapi::v3_index(&resources())),
        ["v3", "api", version] => openapi::v3(&resources(), "", version),
        ["v3", "apis", group, version] => openapi::v3(&resources(), group, version),
        _ => None,
    });
    let document = document.filter(|document| &document[..] != b"null");
    document.map(|document| bytes_response(StatusCode::OK, document)).ok_or_else(Status::no_such_path)
}

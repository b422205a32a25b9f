//! OpenAPI documents, v3 per group and version, v2 as one. Built when asked for, never kept.
//!
//! They carry what `kubectl` reads: schemas with their kinds, merge keys for client-side apply, and PATCH
//! operations that announce `fieldValidation`.

mod operations;
mod schemas;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::resource::Resource;

/// The Kubernetes whose API the built-in kinds follow.
const API: &str = "v1.37";

/// `api/v1` or `apis/group/version`.
fn location(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The `/openapi/v3` index: a path and a hash for each group and version served.
pub fn v3_index(resources: &[Arc<Resource>]) -> Value {
    let groups: BTreeSet<(&str, &str)> =
        resources.iter().map(|r| (r.group.as_ref(), r.version.as_ref())).collect();
    let mut paths = Map::new();
    for (group, version) in groups {
        let location = location(group, version);
        let hash = fingerprint(resources, group, version);
        paths.insert(
            location.clone(),
            json!({"serverRelativeURL": format!("/openapi/v3/{location}?hash={hash:016X}")}),
        );
    }
    json!({"paths": paths})
}

/// Changes whenever the document of this group and version does.
pub fn fingerprint(resources: &[Arc<Resource>], group: &str, version: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (API, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    for resource in resources.iter().filter(|r| r.group == group && r.version == version) {
        (&resource.kind, &resource.plural, resource.namespaced).hash(&mut hasher);
        for subresource in &resource.subresources {
            subresource.name.hash(&mut hasher);
        }
        if let Some(custom) = resource.custom() {
            custom.document().hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": API})
}

/// The document of one group and version, if it is served.
pub fn v3(resources: &[Arc<Resource>], group: &str, version: &str) -> Option<Value> {
    let served: Vec<&Arc<Resource>> =
        resources.iter().filter(|r| r.group == group && r.version == version).collect();
    if served.is_empty() {
        return None;
    }
    let mut paths = Map::new();
    for resource in &served {
        operations::add(resource, &mut paths);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths,
        "components": {"schemas": schemas::of(&served)},
    }))
}

/// The v2 (swagger) document of everything.
pub fn v2(resources: &[Arc<Resource>]) -> Value {
    let served: Vec<&Arc<Resource>> = resources.iter().collect();
    let mut paths = Map::new();
    for resource in &served {
        operations::add_v2(resource, &mut paths);
    }
    let mut definitions = Value::Object(schemas::of(&served));
    schemas::to_v2(&mut definitions);
    json!({"swagger": "2.0", "info": info(), "paths": paths, "definitions": definitions})
}

//! The schemas of a document: built-in definitions with their merge facts, custom ones as their CRD has them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::resource::{Behaviour, Resource};
use crate::schema::{atomic_struct, definitions, list_facts};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
const KINDS: &str = "x-kubernetes-group-version-kind";

/// Where v3 keeps schemas.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The definition a resource's objects have.
pub(super) fn name(resource: &Resource) -> String {
    match &resource.behaviour {
        Behaviour::BuiltIn { definition, .. } => definition.to_string(),
        Behaviour::Custom(_) => {
            let mut parts: Vec<&str> = resource.group.split('.').collect();
            parts.reverse();
            format!("{}.{}.{}", parts.join("."), resource.version, resource.kind)
        }
    }
}

pub(super) fn list_name(resource: &Resource) -> String {
    format!("{}List", name(resource))
}

pub(super) fn kind(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

/// The schemas of these resources and all they refer to.
pub(super) fn of(resources: &[&Arc<Resource>]) -> Map<String, Value> {
    let wanted = |r: &Resource| !r.is_custom() && resources.iter().any(|wanted| same(wanted, r));
    let mut schemas = definitions(wanted);
    for (owner, schema) in &mut schemas {
        annotate(owner, schema);
    }
    schemas
        .insert(format!("{META}.Patch"), json!({"description": "A patch to an object.", "type": "object"}));
    for resource in resources {
        if let Some(custom) = resource.custom() {
            schemas.insert(name(resource), custom_schema(custom.parsed()));
        }
        if let Some(schema) = schemas.get_mut(&name(resource)) {
            schema[KINDS] = json!([kind(resource)]);
        }
        if resource.allows("list") {
            schemas.insert(list_name(resource), list_schema(resource));
        }
    }
    schemas
}

fn same(a: &Resource, b: &Resource) -> bool {
    a.group == b.group && a.version == b.version && a.plural == b.plural
}

/// Adds how lists and maps merge.
fn annotate(owner: &str, schema: &mut Value) {
    if atomic_struct(owner) {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (field, property) in properties {
        let is_list = property.get("type").and_then(Value::as_str) == Some("array");
        let Some(facts) = list_facts(owner, field) else {
            if is_list {
                property["x-kubernetes-list-type"] = "atomic".into();
            }
            continue;
        };
        if let Some(key) = facts.merge_key {
            property["x-kubernetes-patch-merge-key"] = key.into();
        }
        if !facts.strategy.is_empty() {
            property["x-kubernetes-patch-strategy"] = facts.strategy.into();
        }
        if is_list {
            property["x-kubernetes-list-type"] = facts.list.into();
        } else if facts.list == "atomic" {
            property["x-kubernetes-map-type"] = "atomic".into();
        }
        if !facts.keys.is_empty() {
            property["x-kubernetes-list-map-keys"] = json!(facts.keys);
        }
    }
}

/// A custom schema with the fields every object has.
fn custom_schema(document: Value) -> Value {
    let mut schema = if document.is_object() { document } else { json!({"type": "object"}) };
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    let properties = &mut schema["properties"];
    properties["apiVersion"] = json!({"type": "string", "description": API_VERSION});
    properties["kind"] = json!({"type": "string", "description": KIND});
    properties["metadata"] = json!({
        "description": "Standard object's metadata.",
        "allOf": [reference(&format!("{META}.ObjectMeta"))]
    });
    schema
}

const API_VERSION: &str = "The version of the schema this object follows.";
const KIND: &str = "The REST resource this object represents.";

fn list_schema(resource: &Resource) -> Value {
    json!({
        "description": format!("{} is a list of {}", resource.list_kind, resource.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": API_VERSION},
            "kind": {"type": "string", "description": KIND},
            "metadata": {"allOf": [reference(&format!("{META}.ListMeta"))]},
            "items": {"type": "array", "items": {"allOf": [reference(&name(resource))]}}
        },
        KINDS: [{"group": resource.group, "version": resource.version, "kind": resource.list_kind}]
    })
}

/// Rewrites v3 schemas as v2 knows them: plain references elsewhere, no alternatives, no nulls.
pub(super) fn to_v2(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some([only]) = map.get("allOf").and_then(Value::as_array).map(Vec::as_slice)
                && let Some(reference) = only.get("$ref").cloned()
            {
                map.remove("allOf");
                map.insert("$ref".to_owned(), reference);
            }
            if let Some(Value::String(reference)) = map.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/definitions/");
            }
            for key in ["oneOf", "anyOf", "not", "nullable"] {
                if map.get(key).is_some_and(|v| v.is_array() || v.is_boolean()) {
                    map.remove(key);
                }
            }
            map.values_mut().for_each(to_v2);
        }
        Value::Array(list) => list.iter_mut().for_each(to_v2),
        _ => {}
    }
}

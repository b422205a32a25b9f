//! The paths of a document, with the operations of each resource.

use serde_json::{Map, Value, json};

use super::schemas::{kind, list_name, name, reference};
use crate::resource::Resource;

const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const JSON: &str = "application/json";
const PATCHES: [&str; 3] =
    ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// The paths of a resource: `(all namespaces, collection, item)`; the first only for namespaced ones.
fn paths(resource: &Resource) -> (Option<String>, String, String) {
    let base = format!("/{}", super::location(&resource.group, &resource.version));
    let plural = &resource.plural;
    if resource.namespaced {
        let within = format!("{base}/namespaces/{{namespace}}/{plural}");
        (Some(format!("{base}/{plural}")), within.clone(), format!("{within}/{{name}}"))
    } else {
        (None, format!("{base}/{plural}"), format!("{base}/{plural}/{{name}}"))
    }
}

/// Adds the v3 paths of a resource.
pub(super) fn add(resource: &Resource, paths: &mut Map<String, Value>) {
    let (everywhere, collection, item) = self::paths(resource);
    if let Some(path) = everywhere.filter(|_| resource.allows("list")) {
        paths.insert(path, json!({"get": read(resource, "list", "ForAllNamespaces", &list_name(resource))}));
    }
    paths.insert(collection, with_parameters(resource, false, self::collection(resource)));
    let operations = self::item(resource, "");
    if !operations.is_empty() {
        paths.insert(item.clone(), with_parameters(resource, true, operations));
    }
    for sub in resource.subresources.iter().filter(|sub| matches!(sub.name, "status" | "scale")) {
        let operations = subresource(resource, sub.name);
        paths.insert(format!("{item}/{}", sub.name), with_parameters(resource, true, operations));
    }
}

/// Adds the v2 paths: what tells a client which kinds can be patched, and with which parameters.
pub(super) fn add_v2(resource: &Resource, paths: &mut Map<String, Value>) {
    if !resource.allows("patch") {
        return;
    }
    let (_, _, item) = self::paths(resource);
    let mut parameters = query(&["dryRun", "fieldManager", "fieldValidation", "force"]);
    for parameter in &mut parameters {
        *parameter = json!({"name": parameter["name"], "in": "query", "type": "string", "uniqueItems": true});
    }
    let operation = json!({
        "operationId": id(resource, "patch", ""),
        "consumes": media(resource),
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": kind(resource),
    });
    paths.insert(item, json!({"patch": operation}));
}

fn with_parameters(resource: &Resource, named: bool, mut operations: Map<String, Value>) -> Value {
    let mut parameters = Vec::new();
    for (name, wanted) in [("name", named), ("namespace", resource.namespaced)] {
        if wanted {
            parameters
                .push(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
        }
    }
    operations.insert("parameters".to_owned(), parameters.into());
    Value::Object(operations)
}

fn collection(resource: &Resource) -> Map<String, Value> {
    let mut operations = Map::new();
    if resource.allows("list") {
        operations.insert("get".to_owned(), read(resource, "list", "", &list_name(resource)));
    }
    if resource.allows("create") {
        let operation = write(resource, "post", "create", &[JSON], &name(resource));
        operations.insert("post".to_owned(), operation);
    }
    if resource.allows("deletecollection") {
        operations.insert("delete".to_owned(), delete(resource, "deletecollection"));
    }
    operations
}

fn item(resource: &Resource, suffix: &str) -> Map<String, Value> {
    let mut operations = Map::new();
    if resource.allows("get") {
        operations.insert("get".to_owned(), read(resource, "read", suffix, &name(resource)));
    }
    if resource.allows("update") {
        operations.insert("put".to_owned(), write(resource, "put", "replace", &[JSON], &name(resource)));
    }
    if resource.allows("patch") {
        operations.insert("patch".to_owned(), write(resource, "patch", "patch", &media(resource), PATCH));
    }
    if resource.allows("delete") {
        operations.insert("delete".to_owned(), delete(resource, "delete"));
    }
    operations
}

fn subresource(resource: &Resource, sub: &str) -> Map<String, Value> {
    let suffix = if sub == "status" { "Status" } else { "Scale" };
    let mut operations = item(resource, suffix);
    operations.remove("delete");
    if sub == "scale" {
        let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        for operation in operations.values_mut() {
            operation["x-kubernetes-group-version-kind"] = scale.clone();
        }
    }
    for (verb, operation) in &mut operations {
        operation["operationId"] = id(resource, verb, suffix).into();
    }
    operations
}

fn media(resource: &Resource) -> Vec<&'static str> {
    let mut media = PATCHES.to_vec();
    if !resource.is_custom() {
        media.push(STRATEGIC);
    }
    media
}

/// Such as `patchAppsV1NamespacedDeployment`.
fn id(resource: &Resource, action: &str, suffix: &str) -> String {
    let capital = |text: &str| -> String {
        let mut chars = text.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
    };
    let group = match resource.group.split('.').next().unwrap_or_default() {
        "" => "Core".to_owned(),
        first => capital(first),
    };
    let scope = if resource.namespaced { "Namespaced" } else { "" };
    format!("{action}{group}{}{scope}{}{suffix}", capital(&resource.version), resource.kind)
}

fn query(names: &[&str]) -> Vec<Value> {
    let one = |name: &&str| {
        let kind = match *name {
            "force" | "watch" | "allowWatchBookmarks" => "boolean",
            "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
            _ => "string",
        };
        json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
    };
    names.iter().map(one).collect()
}

fn ok(schema: &str) -> Value {
    json!({"200": {"description": "OK", "content": {JSON: {"schema": reference(schema)}}}})
}

fn read(resource: &Resource, action: &str, suffix: &str, schema: &str) -> Value {
    let parameters: &[&str] = if action == "list" {
        &[
            "allowWatchBookmarks",
            "continue",
            "fieldSelector",
            "labelSelector",
            "limit",
            "resourceVersion",
            "timeoutSeconds",
            "watch",
        ]
    } else {
        &[]
    };
    json!({
        "description": format!("{action} {} of kind {}", if action == "list" { "objects" } else { "the object" }, resource.kind),
        "operationId": id(resource, action, suffix),
        "parameters": query(parameters),
        "responses": ok(schema),
        "x-kubernetes-action": if action == "list" { "list" } else { "get" },
        "x-kubernetes-group-version-kind": kind(resource),
    })
}

fn write(resource: &Resource, verb: &str, action: &str, media: &[&str], body: &str) -> Value {
    let mut names = vec!["dryRun", "fieldManager", "fieldValidation"];
    if verb == "patch" {
        names.push("force");
    }
    let content: Map<String, Value> =
        media.iter().map(|media| ((*media).to_owned(), json!({"schema": reference(body)}))).collect();
    json!({
        "description": format!("{action} the object of kind {}", resource.kind),
        "operationId": id(resource, action, ""),
        "parameters": query(&names),
        "requestBody": {"content": content, "required": true},
        "responses": ok(&name(resource)),
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": kind(resource),
    })
}

fn delete(resource: &Resource, action: &str) -> Value {
    json!({
        "description": format!("{action} of kind {}", resource.kind),
        "operationId": id(resource, action, ""),
        "parameters": query(&["dryRun", "gracePeriodSeconds", "propagationPolicy"]),
        "requestBody": {"content": {JSON: {"schema": reference(DELETE_OPTIONS)}}},
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind(resource),
    })
}

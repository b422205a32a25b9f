//! What kubectl looks for in the documents.

use serde_json::{Value, json};

use super::*;
use crate::catalogue::builtin;

fn document(group: &str, version: &str) -> Value {
    v3(builtin(), group, version).expect("served")
}

/// Every reference of the document leads somewhere.
fn dangling(document: &Value, value: &Value, prefix: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                let name = reference.trim_start_matches(prefix);
                let schemas = document.pointer("/components/schemas").or_else(|| document.get("definitions"));
                if schemas.is_none_or(|schemas| schemas.get(name).is_none()) {
                    found.push(reference.to_owned());
                }
            }
            map.values().for_each(|value| dangling(document, value, prefix, found));
        }
        Value::Array(list) => list.iter().for_each(|value| dangling(document, value, prefix, found)),
        _ => {}
    }
}

#[test]
fn documents_are_whole() {
    for path in v3_index(builtin())["paths"].as_object().into_iter().flatten().map(|(path, _)| path) {
        let parts: Vec<&str> = path.split('/').collect();
        let (group, version) = if parts.len() == 2 { ("", parts[1]) } else { (parts[1], parts[2]) };
        let document = document(group, version);
        let mut found = Vec::new();
        dangling(&document, &document, "#/components/schemas/", &mut found);
        assert_eq!(found, [] as [String; 0], "{path}");
    }
    let swagger = v2(builtin());
    let mut found = Vec::new();
    dangling(&swagger, &swagger, "#/definitions/", &mut found);
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn patches_announce_field_validation() {
    let document = document("apps", "v1");
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(
        patch["x-kubernetes-group-version-kind"],
        json!({"group": "apps", "version": "v1", "kind": "Deployment"})
    );
    let names: Vec<&str> =
        patch["parameters"].as_array().into_iter().flatten().filter_map(|p| p["name"].as_str()).collect();
    assert!(names.contains(&"fieldValidation"), "{names:?}");
    assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
}

#[test]
fn schemas_carry_merge_keys() {
    let document = document("apps", "v1");
    let containers =
        &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
}

#[test]
fn a_custom_kind_is_documented() {
    let crd = json!({"spec": {"group": "test.io", "scope": "Cluster", "names": {"plural": "boxes", "kind": "Box"},
        "versions": [{"name": "v1", "served": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "description": "What is in it."}}}}}]}});
    let boxes = crate::crd::resources(&crd).expect("compiles");
    let before = fingerprint(&boxes, "test.io", "v1");
    let document = v3(&boxes, "test.io", "v1").expect("served");
    let schema = &document["components"]["schemas"]["io.test.v1.Box"];
    assert_eq!(schema["properties"]["spec"]["description"], "What is in it.");
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "Box");
    let patch = &document["paths"]["/apis/test.io/v1/boxes/{name}"]["patch"]["requestBody"]["content"];
    assert!(patch["application/strategic-merge-patch+json"].is_null());
    let mut changed = crd;
    changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["description"] =
        "Other.".into();
    let boxes = crate::crd::resources(&changed).expect("compiles");
    assert_ne!(fingerprint(&boxes, "test.io", "v1"), before);
}

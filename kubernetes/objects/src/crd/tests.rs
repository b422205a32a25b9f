//! A custom kind from definition to table.

use std::sync::Arc;

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::resources;
use crate::apply::{self, Manager};
use crate::catalogue::by_plural;
use crate::decode::{FieldValidation, Problem};
use crate::resource::{Part, Resource};
use crate::selector::FieldSelector;

fn definition(schema: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.test.io"},
        "spec": {
            "group": "test.io", "scope": "Namespaced",
            "names": {"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList", "shortNames": ["bx"]},
            "conversion": {"strategy": "None"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
                "selectableFields": [{"jsonPath": ".spec.color"}],
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
                ]
            }]
        }
    })
}

fn schema() -> Value {
    json!({"type": "object", "required": ["spec"], "properties": {
        "spec": {"type": "object", "required": ["color"],
            "x-kubernetes-validations": [{"rule": "self.size <= 10", "message": "too big a box"}],
            "properties": {
                "color": {"type": "string", "enum": ["red", "blue"]},
                "size": {"type": "integer", "minimum": 1, "default": 3},
                "port": {"x-kubernetes-int-or-string": true},
                "note": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string"}, "weight": {"type": "number", "default": 1.5}}}}
            }},
        "status": {"type": "object", "properties": {"size": {"type": "integer"}}}
    }})
}

fn boxes() -> Arc<Resource> {
    resources(&definition(schema())).expect("compiles").remove(0)
}

fn a_box(spec: Value) -> Value {
    json!({"apiVersion": "test.io/v1", "kind": "Box", "metadata": {"name": "a", "namespace": "d"}, "spec": spec})
}

fn check(spec: Value, expected: Expect) {
    let boxes = boxes();
    let mut object = a_box(spec);
    boxes.decode(&mut object, FieldValidation::Ignore).expect("decodes");
    boxes.default(&mut object);
    let errors = boxes.validate_create(&object);
    expected.assert_eq(&errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_definition_is_valid() {
    let crds = by_plural("apiextensions.k8s.io", "v1", "customresourcedefinitions").expect("built in");
    let mut object = definition(schema());
    crds.decode(&mut object, FieldValidation::Strict).expect("decodes strictly");
    assert_eq!(crds.validate_create(&object).0, []);
    let names = ["boxes", "box", "Box"];
    let boxes = boxes();
    assert_eq!([&*boxes.plural, &*boxes.singular, &*boxes.kind], names);
}

#[test]
fn bad_definitions_are_refused() {
    let check = |schema: Value, expected: Expect| {
        let crds = by_plural("apiextensions.k8s.io", "v1", "customresourcedefinitions").expect("built in");
        let errors = crds.validate_create(&definition(schema));
        expected.assert_eq(&errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    };
    check(
        json!({"type": "string"}),
        expect![[
            r#"spec.versions[0].schema.openAPIV3Schema.type: Invalid value: "string": must be object at the root"#
        ]],
    );
    check(
        json!({"type": "object", "properties": {"spec": {"properties": {}}, "a": {"type": "array"}}}),
        expect![[r#"
        spec.versions[0].schema.openAPIV3Schema.properties[a].items: Required value: must be specified
        spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields"#]],
    );
    check(
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}, "l": {"type": "array",
            "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}),
        expect![
            "spec.versions[0].schema.openAPIV3Schema.properties[l].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"
        ],
    );
    check(
        json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
        expect![[r#"
        spec.versions[0].schema.openAPIV3Schema.properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn't: regex parse error:
            (
            ^
        error: unclosed group"#]],
    );
    check(
        json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.(", "message": "m"}]}),
        expect![[r#"
            spec.versions[0].schema.openAPIV3Schema.x-kubernetes-validations: Invalid value: compilation failed: failed to compile CEL rule "self.(": ERROR: <input>:1:6: Syntax error: no viable alternative at input '.('
            | self.(
            | .....^"#]],
    );
}

#[test]
fn values_are_checked() {
    check(json!({"color": "red"}), expect![""]);
    check(
        json!({"color": "green", "size": 0, "note": "TOO LONG", "port": true}),
        expect![[r#"
        spec.color: Unsupported value: "green": supported values: "red", "blue"
        spec.note: Too long: may not be more than 5 bytes
        spec.note: Invalid value: "TOO LONG": spec.note in body should match '^[a-z]*$'
        spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"
        spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1"#]],
    );
    check(
        json!({"color": "red", "size": "x"}),
        expect![[
            r#"spec.size: Invalid value: "string": spec.size in body must be of type integer: "string""#
        ]],
    );
    check(json!({"size": 11}), expect!["spec.color: Required value"]);
    check(json!({"color": "red", "size": 11}), expect![[r#"spec: Invalid value: "object": too big a box"#]]);
    check(
        json!({"color": "red", "parts": [{"name": "a"}, {"name": "a"}, {}]}),
        expect![[r#"
        spec.parts[1]: Duplicate value: {"name":"a"}
        spec.parts[2].name: Required value"#]],
    );
    check(
        json!({"color": null}),
        expect![[r#"spec.color: Invalid value: "null": spec.color in body must be of type string: "null""#]],
    );
}

#[test]
fn defaults_and_pruning() {
    let boxes = boxes();
    let mut object = a_box(json!({
        "color": "red", "unknown": 1, "free": {"any": {"thing": 1}}, "labels": {"a": "b"},
        "parts": [{"name": "x", "odd": 1}]
    }));
    let mut strict = object.clone();
    let refused = boxes.decode(&mut strict, FieldValidation::Strict);
    let fields =
        vec!["unknown field \"spec.parts[0].odd\"".to_owned(), "unknown field \"spec.unknown\"".to_owned()];
    let (kind, version) = ("Box".to_owned(), "v1".to_owned());
    assert_eq!(refused, Err(Problem::Strict { kind, version, fields: fields.clone() }));
    assert_eq!(boxes.decode(&mut object, FieldValidation::Warn), Ok(fields));
    boxes.default(&mut object);
    assert_eq!(
        object["spec"],
        json!({"color": "red", "size": 3, "free": {"any": {"thing": 1}}, "labels": {"a": "b"},
               "parts": [{"name": "x", "weight": 1.5}]})
    );
}

#[test]
fn what_was_accepted_may_stay() {
    let old = a_box(json!({"color": "green", "size": 3}));
    let mut new = old.clone();
    new["spec"]["note"] = "ok".into();
    assert_eq!(boxes().validate_update(&new, &old, Part::Main).0, []);
}

#[test]
fn tables_selectors_and_scale() {
    let boxes = boxes();
    let mut object = a_box(json!({"color": "red", "size": 2}));
    object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    let now = "2026-01-01T00:01:00Z".parse().expect("a time");
    assert_eq!(boxes.cells(&object, now), [json!("a"), json!(2), json!("60s")]);
    let names: Vec<String> = boxes.columns().into_iter().map(|column| column.name).collect();
    assert_eq!(names, ["Name", "Size", "Age"]);
    let selector = FieldSelector::parse("spec.color=red").expect("parses");
    assert_eq!(boxes.check_fields(&selector), Ok(()));
    assert!(boxes.matches_fields(&selector, &object));
    assert_eq!(boxes.scale(&object).map(|scale| scale["spec"]["replicas"].clone()), Some(json!(2)));
    boxes.set_scale(&mut object, 5);
    assert_eq!(object["spec"]["size"], 5);
}

#[test]
fn lists_are_owned_by_key() {
    let boxes = boxes();
    let manager =
        |name| Manager { name, subresource: "", now: "2026-01-01T00:00:00Z".parse().expect("a time") };
    let part = |name: &str| a_box(json!({"parts": [{"name": name}]}));
    let first = apply::apply(&boxes, &Value::Null, &part("a"), manager("me"), false).expect("applies");
    let second = apply::apply(&boxes, &first, &part("b"), manager("you"), false).expect("applies");
    let names = |object: &Value| -> Vec<Value> {
        object["spec"]["parts"].as_array().into_iter().flatten().map(|part| part["name"].clone()).collect()
    };
    assert_eq!(names(&second), ["a", "b"]);
    let third = apply::apply(&boxes, &second, &part("c"), manager("me"), false).expect("applies");
    assert_eq!(names(&third), ["b", "c"]);
}

//! What becomes of input of every kind.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::catalogue::by_plural;

fn check(object: Value, expected: Expect) {
    let deployments = by_plural("apps", "v1", "deployments").expect("deployments are built in");
    let mut object = object;
    let outcome = deployments.decode(&mut object, FieldValidation::Strict);
    expected.assert_eq(&outcome.map_or_else(|problem| problem.to_string(), |_| object.to_string()));
}

#[test]
fn unknown_fields_are_named() {
    check(
        json!({"spec": {"replcias": 3, "template": {"spec": {"containers": [{"imagee": "x"}]}}}}),
        expect![[
            r#"Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replcias", unknown field "spec.template.spec.containers[0].imagee""#
        ]],
    );
}

#[test]
fn wrong_types_are_named() {
    check(
        json!({"spec": {"replicas": "three"}}),
        expect![[
            r#"Deployment in version "v1" cannot be handled as a Deployment: spec.replicas: expected a 32-bit integer, found the string "three""#
        ]],
    );
    check(
        json!({"spec": {"template": {"spec": {"containers": {"name": "x"}}}}}),
        expect![[
            r#"Deployment in version "v1" cannot be handled as a Deployment: spec.template.spec.containers: expected a list, found an object"#
        ]],
    );
    check(
        json!({"metadata": {"labels": {"a": 1}}}),
        expect![[
            r#"Deployment in version "v1" cannot be handled as a Deployment: metadata.labels.a: expected a string, found the number 1"#
        ]],
    );
    check(
        json!({"spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "x"}}}]}}}}),
        expect![[
            r#"Deployment in version "v1" cannot be handled as a Deployment: spec.template.spec.containers[0].resources.limits.cpu: expected a quantity such as 500m or 1.5Gi, found the string "x""#
        ]],
    );
}

#[test]
fn what_is_fine_is_normalised() {
    let containers = json!([{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]);
    check(
        json!({"metadata": {"creationTimestamp": null}, "spec": {"template": {"spec": {"containers": containers}}}}),
        expect![[
            r#"{"metadata":{},"spec":{"template":{"spec":{"containers":[{"resources":{"limits":{"cpu":"500m","memory":"1Gi"}}}]}}}}"#
        ]],
    );
}

#[test]
fn duplicates_are_named() {
    let text = br#"{"a": 1, "b": [{"c": 1, "c": 2}], "a": null}"#;
    assert_eq!(duplicate_fields(text), [r#"duplicate field "b[0].c""#, r#"duplicate field "a""#]);
    assert_eq!(duplicate_fields(b"{"), [] as [String; 0]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("spec"),
        Just("metadata"),
        Just("template"),
        Just("containers"),
        Just("labels"),
        Just("x")
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..4)
                .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Value>()),
        ]
    })
}

proptest! {
    /// Whatever comes in, nothing panics, and what is accepted is accepted again unchanged.
    #[test]
    fn any_input_is_survived(object in any_json()) {
        let deployments = by_plural("apps", "v1", "deployments").expect("deployments are built in");
        let mut object = object;
        if deployments.decode(&mut object, FieldValidation::Warn).is_ok() {
            let mut again = object.clone();
            prop_assert_eq!(deployments.decode(&mut again, FieldValidation::Strict), Ok(Vec::new()));
            prop_assert_eq!(&again, &object);
            deployments.default(&mut object);
            deployments.prepare_create(&mut object);
            let _ = deployments.validate_create(&object);
            let _ = deployments.cells(&object, jiff::Timestamp::UNIX_EPOCH);
            let _ = deployments.strategic_merge(&object, &again);
            let manager = crate::apply::Manager { name: "m", subresource: "", now: jiff::Timestamp::UNIX_EPOCH };
            let _ = crate::apply::apply(deployments, &object, &again, manager, false);
            crate::apply::track(deployments, &Value::Null, &mut object, manager);
        }
    }
}

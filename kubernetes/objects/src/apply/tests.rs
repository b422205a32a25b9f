//! Apply as its users see it.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::catalogue::by_plural;

fn deployments() -> &'static Resource {
    by_plural("apps", "v1", "deployments").expect("deployments are built in")
}

fn manager(name: &str) -> Manager<'_> {
    Manager { name, subresource: "", now: "2026-01-01T00:00:00Z".parse().expect("a time") }
}

/// As the API server does it: a new object is defaulted after the apply.
fn applied(live: &Value, config: Value, name: &str) -> Value {
    let mut object = apply(deployments(), live, &config, manager(name), false).expect("applies");
    deployments().default(&mut object);
    object
}

fn deployment(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

fn with_containers(containers: Value) -> Value {
    deployment(json!({"template": {"spec": {"containers": containers}}}))
}

fn check(value: &Value, expected: Expect) {
    expected.assert_eq(&serde_json::to_string_pretty(value).unwrap_or_default());
}

#[test]
fn records_what_was_applied() {
    let config = deployment(json!({"replicas": 2, "template": {"spec": {"containers": [
        {"name": "a", "image": "x", "args": ["1"], "ports": [{"containerPort": 80}]}]}}}));
    let object = applied(&Value::Null, config, "me");
    check(
        &object["metadata"]["managedFields"],
        expect![[r#"
        [
          {
            "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
              "f:spec": {
                "f:replicas": {},
                "f:template": {
                  "f:spec": {
                    "f:containers": {
                      "k:{\"name\":\"a\"}": {
                        ".": {},
                        "f:args": {},
                        "f:image": {},
                        "f:name": {},
                        "f:ports": {
                          "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {
                            ".": {},
                            "f:containerPort": {}
                          }
                        }
                      }
                    }
                  }
                }
              }
            },
            "manager": "me",
            "operation": "Apply",
            "time": "2026-01-01T00:00:00Z"
          }
        ]"#]],
    );
}

#[test]
fn fields_no_longer_applied_go() {
    let first = applied(&Value::Null, deployment(json!({"replicas": 2, "paused": true})), "me");
    let second = applied(&first, deployment(json!({"paused": true})), "me");
    assert_eq!(second["spec"]["replicas"], 1, "the default is back");
    assert_eq!(second["spec"]["paused"], true);
    let third = applied(&second, deployment(json!({})), "me");
    assert_eq!(third["spec"].get("paused"), None);
}

#[test]
fn fields_others_own_stay() {
    let first = applied(&Value::Null, deployment(json!({"replicas": 2})), "me");
    let shared = applied(&first, deployment(json!({"replicas": 2})), "you");
    let left = applied(&shared, deployment(json!({"paused": true})), "me");
    assert_eq!((&left["spec"]["replicas"], &left["spec"]["paused"]), (&json!(2), &json!(true)));
}

#[test]
fn list_items_merge_and_go_by_key() {
    let first = applied(
        &Value::Null,
        with_containers(json!([{"name": "a", "image": "1"}, {"name": "b", "image": "1"}])),
        "me",
    );
    let sidecar = applied(&first, with_containers(json!([{"name": "s", "image": "1"}])), "you");
    let second = applied(&sidecar, with_containers(json!([{"name": "b", "image": "2"}])), "me");
    let containers = second["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
    let shown: Vec<String> = containers.iter().map(|c| format!("{} {}", c["name"], c["image"])).collect();
    assert_eq!(shown, [r#""b" "2""#, r#""s" "1""#]);
}

#[test]
fn defaulted_ports_keep_their_key() {
    let first = applied(
        &Value::Null,
        with_containers(json!([{"name": "a", "ports": [{"containerPort": 80}]}])),
        "me",
    );
    let mut live = first;
    live["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = "TCP".into();
    let again =
        applied(&live, with_containers(json!([{"name": "a", "ports": [{"containerPort": 80}]}])), "me");
    assert_eq!(again, live);
}

#[test]
fn conflicts_are_named_and_forced() {
    let first = applied(&Value::Null, deployment(json!({"replicas": 2})), "me");
    let mut scaled = first.clone();
    scaled["spec"]["replicas"] = 3.into();
    track(deployments(), &first, &mut scaled, manager("kubectl"));
    let refused = apply(deployments(), &scaled, &deployment(json!({"replicas": 2})), manager("me"), false);
    assert_eq!(
        refused.map_err(|e| e.to_string()),
        Err("Apply failed with 1 conflict: conflict with \"kubectl\" using apps/v1: .spec.replicas"
            .to_owned())
    );
    let forced = apply(deployments(), &scaled, &deployment(json!({"replicas": 2})), manager("me"), true)
        .expect("forced");
    assert_eq!(forced["spec"]["replicas"], 2);
    let owners: Vec<&str> = forced["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert_eq!(owners, ["me"]);
}

#[test]
fn defaults_in_a_list_owned_whole_are_no_conflict() {
    let sets = by_plural("apps", "v1", "statefulsets").expect("built in");
    let config = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
        "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]}});
    let mut live = config.clone();
    sets.default(&mut live);
    track(sets, &Value::Null, &mut live, manager("kubectl"));
    let applied = apply(sets, &live, &config, manager("me"), false).expect("no conflict");
    assert_eq!(applied["spec"], live["spec"]);
    assert_eq!(apply(sets, &applied, &config, manager("me"), false), Ok(applied));
}

#[test]
fn updates_are_tracked() {
    let mut object = deployment(json!({"replicas": 1}));
    object["metadata"]["labels"] = json!({"a": "b"});
    track(deployments(), &Value::Null, &mut object, manager("kubectl"));
    check(
        &object["metadata"]["managedFields"],
        expect![[r#"
        [
          {
            "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
              "f:metadata": {
                "f:labels": {
                  ".": {},
                  "f:a": {}
                }
              },
              "f:spec": {
                "f:replicas": {}
              }
            },
            "manager": "kubectl",
            "operation": "Update",
            "time": "2026-01-01T00:00:00Z"
          }
        ]"#]],
    );
    let mut same = object.clone();
    track(
        deployments(),
        &object,
        &mut same,
        Manager { now: "2027-01-01T00:00:00Z".parse().expect("a time"), ..manager("x") },
    );
    assert_eq!(same, object);
}

#[test]
fn status_is_owned_apart() {
    let mut object = deployment(json!({"replicas": 1}));
    track(deployments(), &Value::Null, &mut object, manager("kubectl"));
    let mut with_status = object.clone();
    with_status["status"] = json!({"replicas": 1});
    track(
        deployments(),
        &object,
        &mut with_status,
        Manager { subresource: "status", ..manager("controller") },
    );
    let entries = with_status["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["fieldsV1"], json!({"f:status": {"f:replicas": {}}}));
    assert_eq!(entries[0]["subresource"], "status");
}

#[test]
fn many_updaters_are_folded() {
    let mut object = deployment(json!({"replicas": 0}));
    for n in 0..20 {
        let old = object.clone();
        object["metadata"]["annotations"][format!("a{n}")] = n.to_string().into();
        track(deployments(), &old, &mut object, manager(&format!("m{n:02}")));
    }
    let entries = object["metadata"]["managedFields"].as_array().map_or(0, Vec::len);
    assert!(entries <= 11, "{entries} entries");
}

#[test]
fn malformed_configurations_are_refused() {
    let refused = |config: Value| {
        apply(deployments(), &Value::Null, &config, manager("me"), false).map_err(|e| e.to_string())
    };
    expect![[r#".spec.template.spec.containers: element 0: associative list with keys has an element that omits key field "name" (and doesn't have default value)"#]]
        .assert_eq(&refused(with_containers(json!([{"image": "x"}]))).err().unwrap_or_default());
    expect![[r#".spec.template.spec.containers: duplicate entries for key {"name":"a"}"#]].assert_eq(
        &refused(with_containers(json!([{"name": "a"}, {"name": "a"}]))).err().unwrap_or_default(),
    );
}

proptest! {
    /// Applying twice changes nothing, and applying nothing takes everything back.
    #[test]
    fn apply_is_idempotent_and_reversible(names in proptest::collection::btree_set("[a-d]", 0..4), replicas in 0..5) {
        let list: Vec<Value> = names.iter().map(|name| json!({"name": name, "image": "x"})).collect();
        let base = applied(&Value::Null, deployment(json!({"paused": true})), "base");
        let config = deployment(json!({"replicas": replicas, "template": {"spec": {"containers": list}}}));
        let once = applied(&base, config.clone(), "me");
        prop_assert_eq!(&applied(&once, config, "me"), &once);
        let back = applied(&once, json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}), "me");
        prop_assert_eq!(&back["spec"], &base["spec"]);
    }
}

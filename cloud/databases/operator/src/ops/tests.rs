//! Operations as clients of KubeBlocks write them.

use serde_json::{Value, json};

use super::Type;
use super::change::{Request, change};

fn cluster() -> Value {
    json!({
        "metadata": { "name": "pg", "annotations": {} },
        "spec": {
            "clusterDefinitionRef": "postgresql", "clusterVersionRef": "postgresql-16.4.0",
            "componentSpecs": [{
                "name": "postgresql", "componentDefRef": "postgresql", "replicas": 2, "monitor": true,
                "resources": { "limits": { "cpu": "1", "memory": "1Gi" } },
                "volumeClaimTemplates": [{ "name": "data", "spec": { "resources": { "requests": { "storage": "3Gi" } } } }],
            }],
        },
    })
}

fn done(type_: Type, spec: Value) -> Result<Value, String> {
    done_to(&cluster(), type_, spec)
}

fn done_to(cluster: &Value, type_: Type, spec: Value) -> Result<Value, String> {
    change(&Request { type_, spec: &spec, asked_at: "2026-01-01T00:00:00Z", cluster })
}

fn component(patch: &Value) -> Value {
    patch["spec"]["componentSpecs"][0].clone()
}

fn one(detail: Value) -> Value {
    let mut all = json!({ "componentName": "postgresql" });
    all.as_object_mut().expect("an object").extend(detail.as_object().cloned().expect("an object"));
    json!([all])
}

#[test]
fn a_stop_is_undone_by_a_start() {
    let stopped = done(Type::Stop, json!({})).expect("it runs");
    assert_eq!(component(&stopped)["replicas"], 0);
    assert_eq!(component(&stopped)["monitor"], true, "what is not ours stays");
    let snapshot = &stopped["metadata"]["annotations"]["kubeblocks.io/snapshot-for-start"];
    let mut cluster = cluster();
    cluster["spec"]["componentSpecs"] = stopped["spec"]["componentSpecs"].clone();
    cluster["metadata"]["annotations"]["kubeblocks.io/snapshot-for-start"] = snapshot.clone();
    let started = done_to(&cluster, Type::Start, json!({})).expect("it is stopped");
    assert_eq!(component(&started)["replicas"], 2);
    assert_eq!(done_to(&cluster, Type::Stop, json!({})).expect_err("again"), "it is stopped already");
    assert_eq!(done(Type::Start, json!({})).expect_err("it runs"), "it is not stopped");
}

#[test]
fn sizes_change_with_their_requests() {
    let asked = json!({ "verticalScaling": one(json!({ "limits": { "memory": "2Gi" } })) });
    let patch = done(Type::VerticalScaling, asked).expect("it fits");
    assert_eq!(component(&patch)["resources"]["limits"], json!({ "cpu": "1", "memory": "2Gi" }));
    assert_eq!(component(&patch)["resources"]["requests"]["cpu"], "100m");
    let asked = json!({ "verticalScaling": one(json!({ "limits": { "memory": "9000Gi" } })) });
    assert!(done(Type::VerticalScaling, asked).expect_err("too much").contains("cannot be had"));
    let asked = json!({ "verticalScaling": [{ "componentName": "other" }] });
    assert!(done(Type::VerticalScaling, asked).expect_err("no such").contains("no component `other`"));
}

#[test]
fn replicas_are_set_or_counted_from() {
    let scale = |detail| done(Type::HorizontalScaling, json!({ "horizontalScaling": one(detail) }));
    assert_eq!(component(&scale(json!({ "replicas": 3 })).expect("three"))["replicas"], 3);
    let more = scale(json!({ "scaleOut": { "replicaChanges": 2 } })).expect("two more");
    assert_eq!(component(&more)["replicas"], 4);
    assert!(scale(json!({ "replicas": 0 })).expect_err("none").contains("Stop"));
    assert!(scale(json!({ "replicas": 21 })).expect_err("many").contains("from 1 to 20"));
}

#[test]
fn storage_only_grows() {
    let grow = |size: &str| {
        let volume = json!({ "volumeClaimTemplates": [{ "name": "data", "storage": size }] });
        done(Type::VolumeExpansion, json!({ "volumeExpansion": one(volume) }))
    };
    let patch = grow("5Gi").expect("more");
    let volume = &component(&patch)["volumeClaimTemplates"][0];
    assert_eq!(volume["spec"]["resources"]["requests"]["storage"], "5Gi");
    assert_eq!(grow("2Gi").expect_err("less"), "storage can only grow: it is 3Gi, and 2Gi is less");
}

#[test]
fn parameters_are_checked_and_say_what_they_need() {
    let set = |key: &str, value: Value| {
        let keys = json!([{ "key": "postgresql.conf", "parameters": [{ "key": key, "value": value }] }]);
        let reconfigure =
            json!({ "componentName": "postgresql", "configurations": [{ "name": "c", "keys": keys }] });
        done(Type::Reconfiguring, json!({ "reconfigure": reconfigure }))
    };
    let patch = set("work_mem", json!("8MB")).expect("known");
    let annotations = &patch["metadata"]["annotations"];
    assert_eq!(annotations["databases.sealos.io/parameters"], r#"{"work_mem":"8MB"}"#);
    assert_eq!(annotations["databases.sealos.io/restarted-at"], Value::Null);
    let patch = set("max_connections", json!("200")).expect("known");
    assert_eq!(patch["metadata"]["annotations"]["databases.sealos.io/restarted-at"], "2026-01-01T00:00:00Z");
    assert!(set("work_men", json!("8MB")).expect_err("a slip").contains("did you mean `work_mem`"));
    assert!(set("work_mem", json!("much")).expect_err("no size").contains("takes a size"));
}

#[test]
fn upgrades_keep_to_what_the_data_can_bear() {
    let to = |version: &str| done(Type::Upgrade, json!({ "upgrade": { "clusterVersionRef": version } }));
    assert_eq!(to("postgresql-16.9.0").expect("minor")["spec"]["clusterVersionRef"], "postgresql-16.9.0");
    assert!(to("postgresql-17.5.0").expect_err("major").contains("load a dump"));
    assert!(to("postgresql-14.8.0").expect_err("back").contains("cannot go back"));
    assert!(to("postgresql-16.4.0").expect_err("same").contains("already"));
}

#[test]
fn a_switchover_names_a_pod_or_leaves_the_choice() {
    let to = |pod: &str| done(Type::Switchover, json!({ "switchover": one(json!({ "instanceName": pod })) }));
    let annotation =
        |patch: Value| patch["metadata"]["annotations"]["databases.sealos.io/switchover-to"].clone();
    assert_eq!(annotation(to("*").expect("any")), "");
    assert_eq!(annotation(to("pg-postgresql-1").expect("one")), "pg-postgresql-1");
    assert!(to("pg-postgresql-7").expect_err("none").contains("pg-postgresql-0, pg-postgresql-1"));
}

#[test]
fn unknown_operations_are_named() {
    assert!(Type::parse("DataScript").expect_err("not here").contains("`DataScript`"));
}

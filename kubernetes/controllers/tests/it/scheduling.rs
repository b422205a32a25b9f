//! Pods find their node, or learn why not.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const PODS: &str = "/api/v1/namespaces/default/pods";

fn pod(name: &str, cpu: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [
        {"name": "c", "image": "a", "resources": {"requests": {"cpu": cpu}}}]}})
}

fn scheduled(pod: &Value) -> Value {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.and_then(|c| c.iter().find(|c| c["type"] == "PodScheduled").cloned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_waits_with_a_reason_until_there_is_room() {
    let cluster = Cluster::start().await;
    cluster.create(PODS, pod("large", "3")).await;
    cluster.wait(&format!("{PODS}/large"), |p| p["spec"]["nodeName"] == "n1").await;
    cluster.create(PODS, pod("waits", "2")).await;
    let told = "0/1 nodes are available: 1 Insufficient cpu.";
    let waits = cluster.wait(&format!("{PODS}/waits"), |p| scheduled(p)["message"] == told).await;
    assert_eq!(
        (&scheduled(&waits)["reason"], &scheduled(&waits)["status"]),
        (&json!("Unschedulable"), &json!("False"))
    );
    let events = "/api/v1/namespaces/default/events";
    let failed = |l: &Value| {
        let items = l["items"].as_array().unwrap();
        items
            .iter()
            .any(|e| e["reason"] == "FailedScheduling" && e["message"] == told && e["type"] == "Warning")
    };
    cluster.wait(events, failed).await;
    cluster.delete(&format!("{PODS}/large")).await;
    let bound = cluster.wait(&format!("{PODS}/waits"), |p| p["spec"]["nodeName"] == "n1").await;
    assert_eq!(scheduled(&bound)["status"], "True");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_spread_over_nodes() {
    let cluster = Cluster::start().await;
    cluster.add_node("n2").await;
    cluster.create(PODS, pod("a", "1")).await;
    let first = cluster.wait(&format!("{PODS}/a"), |p| p["spec"]["nodeName"].is_string()).await;
    cluster.create(PODS, pod("b", "1")).await;
    let second = cluster.wait(&format!("{PODS}/b"), |p| p["spec"]["nodeName"].is_string()).await;
    assert_ne!(first["spec"]["nodeName"], second["spec"]["nodeName"]);
}

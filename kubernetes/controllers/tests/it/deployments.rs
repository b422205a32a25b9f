//! Deployments from creation to deletion.

use std::time::Instant;

use serde_json::{Value, json};

use crate::cluster::{Cluster, deployment};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let found = object["status"]["conditions"].as_array().and_then(|c| c.iter().find(|c| c["type"] == kind));
    found.unwrap_or(&Value::Null)
}

fn is_complete(object: &Value, replicas: i32) -> bool {
    let status = &object["status"];
    status["observedGeneration"] == object["metadata"]["generation"]
        && status["replicas"] == replicas
        && status["updatedReplicas"] == replicas
        && status["availableReplicas"] == replicas
        && condition(object, "Progressing")["reason"] == "NewReplicaSetAvailable"
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_replicas_become_available_and_go_again() {
    let cluster = Cluster::start().await;
    let start = Instant::now();
    cluster.create(DEPLOYMENTS, deployment("web", 50, "a")).await;
    let path = format!("{DEPLOYMENTS}/web");
    let web = cluster.wait(&path, |d| is_complete(d, 50)).await;
    println!("50 replicas available after {:?}", start.elapsed());
    assert_eq!(condition(&web, "Available")["status"], "True");
    assert_eq!(web["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(cluster.items(PODS).await.len(), 50);
    let start = Instant::now();
    cluster.delete(&path).await;
    cluster.wait_items(PODS, 0).await;
    cluster.wait_items(SETS, 0).await;
    println!("gone after {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_template_rolls_out_and_back() {
    let cluster = Cluster::start().await;
    let path = format!("{DEPLOYMENTS}/web");
    let first = cluster.create(DEPLOYMENTS, deployment("web", 3, "a")).await;
    cluster.wait(&path, |d| is_complete(d, 3)).await;
    let image = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    cluster.patch(&path, image("b")).await;
    cluster
        .wait(&path, |d| is_complete(d, 3) && d["metadata"]["generation"] != first["metadata"]["generation"])
        .await;
    let images = cluster.wait_items(PODS, 3).await;
    assert!(images.iter().all(|p| p["spec"]["containers"][0]["image"] == "b"));
    assert_eq!(cluster.items(SETS).await.len(), 2);
    cluster.patch(&path, image("a")).await;
    let back = cluster
        .wait(&path, |d| {
            is_complete(d, 3) && d["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
        })
        .await;
    assert_eq!(back["status"]["updatedReplicas"], 3);
    assert_eq!(cluster.items(SETS).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_pausing_and_recreating() {
    let cluster = Cluster::start().await;
    let path = format!("{DEPLOYMENTS}/web");
    let mut web = deployment("web", 2, "a");
    web["spec"]["strategy"] = json!({"type": "Recreate"});
    cluster.create(DEPLOYMENTS, web).await;
    cluster.wait(&path, |d| is_complete(d, 2)).await;
    cluster.patch(&format!("{path}/scale"), json!({"spec": {"replicas": 5}})).await;
    cluster.wait(&path, |d| is_complete(d, 5)).await;
    let paused = json!({"spec": {"paused": true, "template": {"spec": {"containers": [{"name": "c", "image": "b"}]}}}});
    cluster.patch(&path, paused).await;
    cluster.wait(&path, |d| condition(d, "Progressing")["reason"] == "DeploymentPaused").await;
    cluster.patch(&path, json!({"spec": {"replicas": 3}})).await;
    cluster.wait_items(PODS, 3).await;
    cluster.patch(&path, json!({"spec": {"paused": null}})).await;
    cluster.wait(&path, |d| is_complete(d, 3)).await;
    let pods = cluster.wait_items(PODS, 3).await;
    assert!(pods.iter().all(|p| p["spec"]["containers"][0]["image"] == "b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pod_is_replaced_and_an_orphan_adopted() {
    let cluster = Cluster::start().await;
    let path = format!("{DEPLOYMENTS}/web");
    cluster.create(DEPLOYMENTS, deployment("web", 2, "a")).await;
    cluster.wait(&path, |d| is_complete(d, 2)).await;
    let pods = cluster.items(PODS).await;
    let name = pods[0]["metadata"]["name"].as_str().unwrap();
    cluster.delete(&format!("{PODS}/{name}")).await;
    let old = pods[0]["metadata"]["uid"].clone();
    let replaced = |l: &Value| {
        let items = l["items"].as_array().unwrap();
        items.len() == 2 && items.iter().all(|p| p["metadata"]["uid"] != old)
    };
    cluster.wait(PODS, replaced).await;
    let kept = pods[1]["metadata"]["name"].as_str().unwrap();
    // A pod that no longer fits is released and replaced; one that fits again is one too many.
    cluster.patch(&format!("{PODS}/{kept}"), json!({"metadata": {"labels": {"app": "none"}}})).await;
    cluster.wait_items(PODS, 3).await;
    cluster.wait(&format!("{PODS}/{kept}"), |p| p["metadata"]["ownerReferences"].is_null()).await;
    cluster.patch(&format!("{PODS}/{kept}"), json!({"metadata": {"labels": {"app": "web"}}})).await;
    cluster.wait_items(PODS, 2).await;
}

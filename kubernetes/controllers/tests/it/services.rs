//! Services know the pods behind them.

use serde_json::{Value, json};

use crate::cluster::{Cluster, deployment};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb";
const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints/web";

fn ready(slices: &Value) -> usize {
    let items = slices["items"].as_array().unwrap().iter();
    let endpoints = items.flat_map(|s| s["endpoints"].as_array().cloned().unwrap_or_default());
    endpoints.filter(|e| e["conditions"]["ready"] == true).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_follow_the_pods() {
    let cluster = Cluster::start().await;
    cluster
        .create(SERVICES, json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}))
        .await;
    cluster.wait(SLICES, |l| l["items"].as_array().is_some_and(|i| i.len() == 1)).await;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    cluster.create(path, deployment("web", 3, "a")).await;
    let slices = cluster.wait(SLICES, |l| ready(l) == 3).await;
    assert_eq!(slices["items"][0]["ports"][0]["port"], 8080);
    let legacy = |e: &Value| e["subsets"][0]["addresses"].as_array().is_some_and(|a| a.len() == 3);
    cluster.wait(ENDPOINTS, legacy).await;
    cluster.patch(&format!("{path}/web"), json!({"spec": {"replicas": 1}})).await;
    cluster.wait(SLICES, |l| ready(l) == 1).await;
    cluster.delete(&format!("{SERVICES}/web")).await;
    cluster.wait(SLICES, |l| l["items"].as_array().is_some_and(Vec::is_empty)).await;
    cluster.wait(ENDPOINTS, Value::is_null).await;
}

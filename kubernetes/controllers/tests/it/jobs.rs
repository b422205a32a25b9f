//! Jobs to their end.

use serde_json::{Value, json};

use crate::cluster::{Cluster, OUTCOME};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn job(outcome: &str, spec: &Value) -> Value {
    let mut job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum"}, "spec": {
        "template": {"metadata": {"annotations": {OUTCOME: outcome}}, "spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "a"}]}}}});
    for (key, field) in spec.as_object().unwrap() {
        job["spec"][key] = field.clone();
    }
    job
}

fn has(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|all| all.iter().any(|c| c["type"] == kind && c["status"] == "True"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_completes_and_expires() {
    let cluster = Cluster::start().await;
    let spec = json!({"completions": 3, "parallelism": 2, "ttlSecondsAfterFinished": 1});
    cluster.create(JOBS, job("Succeeded", &spec)).await;
    let done = cluster.wait(&format!("{JOBS}/sum"), |j| has(j, "Complete")).await;
    assert_eq!(done["status"]["succeeded"], 3);
    assert!(done["status"]["completionTime"].is_string());
    cluster.wait(&format!("{JOBS}/sum"), Value::is_null).await;
    cluster.wait_items(PODS, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_are_handed_out() {
    let cluster = Cluster::start().await;
    let spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"});
    cluster.create(JOBS, job("Succeeded", &spec)).await;
    let done = cluster.wait(&format!("{JOBS}/sum"), |j| has(j, "Complete")).await;
    assert_eq!(done["status"]["completedIndexes"], "0-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_job_gives_up() {
    let cluster = Cluster::start().await;
    cluster.create(JOBS, job("Failed", &json!({"backoffLimit": 0}))).await;
    let failed = cluster.wait(&format!("{JOBS}/sum"), |j| has(j, "Failed")).await;
    let conditions = failed["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|c| c["reason"] == "BackoffLimitExceeded"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_job_waits() {
    let cluster = Cluster::start().await;
    cluster.create(JOBS, job("Succeeded", &json!({"suspend": true}))).await;
    cluster.wait(&format!("{JOBS}/sum"), |j| has(j, "Suspended")).await;
    assert!(cluster.items(PODS).await.is_empty());
    cluster.patch(&format!("{JOBS}/sum"), json!({"spec": {"suspend": false}})).await;
    cluster.wait(&format!("{JOBS}/sum"), |j| has(j, "Complete")).await;
}

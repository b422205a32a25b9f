//! DaemonSets follow the nodes, CronJobs the clock.

use serde_json::{Value, json};

use crate::cluster::{Cluster, OUTCOME};

const DAEMONS: &str = "/apis/apps/v1/namespaces/default/daemonsets";
const PODS: &str = "/api/v1/namespaces/default/pods";
const CRONS: &str = "/apis/batch/v1/namespaces/default/cronjobs";
const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";

#[tokio::test(flavor = "multi_thread")]
async fn every_node_gets_a_pod_and_updates_roll() {
    let cluster = Cluster::start().await;
    let path = format!("{DAEMONS}/agent");
    let template = json!({"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [{"name": "c", "image": "a"}]}});
    let agent = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template}});
    cluster.create(DAEMONS, agent).await;
    cluster.wait(&path, |d| d["status"]["numberAvailable"] == 1).await;
    cluster.add_node("n2").await;
    cluster.wait(&path, |d| d["status"]["numberAvailable"] == 2).await;
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "b"}]}}}});
    cluster.patch(&path, image).await;
    let rolled = |d: &Value| {
        let status = &d["status"];
        status["observedGeneration"] == d["metadata"]["generation"]
            && status["updatedNumberScheduled"] == 2
            && status["numberAvailable"] == 2
    };
    cluster.wait(&path, rolled).await;
    let pods = cluster.wait_items(PODS, 2).await;
    assert!(pods.iter().all(|p| p["spec"]["containers"][0]["image"] == "b"));
    assert_ne!(pods[0]["spec"]["nodeName"], pods[1]["spec"]["nodeName"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_time_starts_a_job_which_is_remembered() {
    let cluster = Cluster::start().await;
    let job = json!({"spec": {"template": {"metadata": {"annotations": {OUTCOME: "Succeeded"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a"}]}}}});
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"},
        "spec": {"schedule": "* * * * *", "suspend": true, "jobTemplate": job}});
    cluster.create(CRONS, cron).await;
    // As if the last run had been long ago.
    let status = json!({"status": {"lastScheduleTime": "2024-01-01T00:00:00Z"}});
    cluster.patch(&format!("{CRONS}/tick/status"), status).await;
    cluster.patch(&format!("{CRONS}/tick"), json!({"spec": {"suspend": false}})).await;
    let done =
        |l: &Value| l["items"].as_array().is_some_and(|i| i.iter().any(|j| j["status"]["succeeded"] == 1));
    cluster.wait(JOBS, done).await;
    cluster.wait(&format!("{CRONS}/tick"), |c| c["status"]["lastSuccessfulTime"].is_string()).await;
    cluster.delete(&format!("{CRONS}/tick")).await;
    cluster.wait_items(JOBS, 0).await;
}

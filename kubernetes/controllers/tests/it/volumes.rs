//! Claims get volumes, volumes grow, are protected and go.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const PODS: &str = "/api/v1/namespaces/default/pods";
const VOLUMES: &str = "/api/v1/persistentvolumes";

fn claim() -> Value {
    json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_bound_grows_and_goes() {
    let cluster = Cluster::start().await;
    cluster.create(CLAIMS, claim()).await;
    let path = format!("{CLAIMS}/data");
    let bound = cluster.wait(&path, |c| c["status"]["phase"] == "Bound").await;
    assert_eq!(bound["spec"]["storageClassName"], "local");
    let name = bound["spec"]["volumeName"].as_str().unwrap().to_owned();
    let volume = cluster.wait(&format!("{VOLUMES}/{name}"), |v| v["status"]["phase"] == "Bound").await;
    assert_eq!(volume["spec"]["hostPath"]["path"], format!("/volumes/{name}"));
    cluster.patch(&path, json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}})).await;
    cluster.wait(&path, |c| c["status"]["capacity"]["storage"] == "2Gi").await;
    assert_eq!(cluster.disk.0.lock().unwrap()[&name], 2 << 30);
    cluster.delete(&path).await;
    cluster.wait(&path, Value::is_null).await;
    cluster.wait(&format!("{VOLUMES}/{name}"), Value::is_null).await;
    assert!(cluster.disk.0.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_in_use_outlives_its_deletion_until_the_pod_is_gone() {
    let cluster = Cluster::start().await;
    cluster.create(CLAIMS, claim()).await;
    let pod = json!({"metadata": {"name": "user"}, "spec": {"containers": [{"name": "c", "image": "a"}],
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}});
    cluster.create(PODS, pod).await;
    cluster.wait(&format!("{PODS}/user"), |p| p["status"]["phase"] == "Running").await;
    cluster.delete(&format!("{CLAIMS}/data")).await;
    let held = cluster.get(&format!("{CLAIMS}/data")).await;
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    cluster.delete(&format!("{PODS}/user")).await;
    cluster.wait(&format!("{CLAIMS}/data"), Value::is_null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_class_waits_for_the_first_pod() {
    let cluster = Cluster::start().await;
    let class = json!({"metadata": {"name": "late"}, "provisioner": "sealos.io/local", "volumeBindingMode": "WaitForFirstConsumer"});
    cluster.create("/apis/storage.k8s.io/v1/storageclasses", class).await;
    let mut late = claim();
    late["spec"]["storageClassName"] = json!("late");
    cluster.create(CLAIMS, late).await;
    cluster.wait(&format!("{CLAIMS}/data"), |c| c["status"]["phase"] == "Pending").await;
    let pod = json!({"metadata": {"name": "user"}, "spec": {"containers": [{"name": "c", "image": "a"}],
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]}});
    cluster.create(PODS, pod).await;
    cluster.wait(&format!("{PODS}/user"), |p| p["status"]["phase"] == "Running").await;
    assert_eq!(cluster.get(&format!("{CLAIMS}/data")).await["status"]["phase"], "Bound");
}

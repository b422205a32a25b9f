//! StatefulSets: order, storage, updates and going back.

use serde_json::{Value, json};

use crate::cluster::Cluster;

const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const PODS: &str = "/api/v1/namespaces/default/pods";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const REVISIONS: &str = "/apis/apps/v1/namespaces/default/controllerrevisions";

fn set(replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
        "replicas": replicas, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
        "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [
            {"name": "c", "image": "a", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}},
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}})
}

fn is_done(object: &Value, replicas: i32) -> bool {
    let status = &object["status"];
    status["observedGeneration"] == object["metadata"]["generation"]
        && status["replicas"] == replicas
        && status["readyReplicas"] == replicas
        && status["updatedReplicas"] == replicas
        && status["currentRevision"] == status["updateRevision"]
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_come_in_order_with_storage_and_roll() {
    let cluster = Cluster::start().await;
    let path = format!("{SETS}/db");
    cluster.create(SETS, set(3)).await;
    cluster.wait(&path, |s| is_done(s, 3)).await;
    let pods = cluster.items(PODS).await;
    let created = |name: &str| {
        let pod = pods.iter().find(|p| p["metadata"]["name"] == name).unwrap();
        pod["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap()
    };
    assert!(created("db-0") < created("db-1") && created("db-1") < created("db-2"));
    let claims = cluster.wait_items(CLAIMS, 3).await;
    assert!(claims.iter().all(|c| c["status"]["phase"] == "Bound"), "{claims:#?}");

    let image = |image: &str| json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}});
    cluster.patch(&path, image("b")).await;
    cluster.wait(&path, |s| is_done(s, 3)).await;
    assert!(cluster.items(PODS).await.iter().all(|p| p["spec"]["containers"][0]["image"] == "b"));
    assert_eq!(cluster.items(REVISIONS).await.len(), 2);

    cluster.patch(&path, json!({"spec": {"replicas": 1}})).await;
    cluster.wait(&path, |s| is_done(s, 1)).await;
    cluster.wait_items(PODS, 1).await;
    assert_eq!(cluster.items(CLAIMS).await.len(), 3);
    cluster.delete(&path).await;
    cluster.wait_items(PODS, 0).await;
    assert_eq!(cluster.items(CLAIMS).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_go_with_the_set_when_asked() {
    let cluster = Cluster::start().await;
    let mut db = set(2);
    db["spec"]["podManagementPolicy"] = json!("Parallel");
    db["spec"]["persistentVolumeClaimRetentionPolicy"] =
        json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    cluster.create(SETS, db).await;
    cluster.wait(&format!("{SETS}/db"), |s| is_done(s, 2)).await;
    cluster.patch(&format!("{SETS}/db"), json!({"spec": {"replicas": 1}})).await;
    cluster.wait_items(CLAIMS, 1).await;
    cluster.delete(&format!("{SETS}/db")).await;
    cluster.wait_items(CLAIMS, 0).await;
    cluster.wait_items("/api/v1/persistentvolumes", 0).await;
    assert!(cluster.disk.0.lock().unwrap().is_empty());
}

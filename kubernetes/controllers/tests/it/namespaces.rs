//! Namespaces: born furnished, deleted with all they hold.

use serde_json::{Value, json};

use crate::cluster::{Cluster, deployment};

const NAMESPACES: &str = "/api/v1/namespaces";

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_has_an_account_and_the_certificate() {
    let cluster = Cluster::start().await;
    cluster.create(NAMESPACES, json!({"metadata": {"name": "team"}})).await;
    let account = format!("{NAMESPACES}/team/serviceaccounts/default");
    cluster.wait(&account, |a| !a.is_null()).await;
    let map = cluster.wait(&format!("{NAMESPACES}/team/configmaps/kube-root-ca.crt"), |m| !m.is_null()).await;
    assert!(map["data"]["ca.crt"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
    let uid = cluster.get(&account).await["metadata"]["uid"].clone();
    cluster.delete(&account).await;
    cluster.wait(&account, |a| !a.is_null() && a["metadata"]["uid"] != uid).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_takes_everything_along() {
    let cluster = Cluster::start().await;
    cluster.create(NAMESPACES, json!({"metadata": {"name": "team"}})).await;
    cluster.create("/apis/apps/v1/namespaces/team/deployments", deployment("web", 3, "a")).await;
    cluster.create("/api/v1/namespaces/team/secrets", json!({"metadata": {"name": "s"}})).await;
    cluster.wait_items("/api/v1/namespaces/team/pods", 3).await;
    cluster.delete(&format!("{NAMESPACES}/team")).await;
    cluster.wait(&format!("{NAMESPACES}/team"), Value::is_null).await;
    cluster.create(NAMESPACES, json!({"metadata": {"name": "team"}})).await;
    assert!(cluster.items("/api/v1/namespaces/team/pods").await.is_empty());
    assert!(cluster.items("/api/v1/namespaces/team/secrets").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_holds_the_namespace_and_is_named() {
    let cluster = Cluster::start().await;
    cluster.create(NAMESPACES, json!({"metadata": {"name": "team"}})).await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    cluster.create("/api/v1/namespaces/team/configmaps", held).await;
    cluster.delete(&format!("{NAMESPACES}/team")).await;
    let names = |n: &Value| {
        let conditions = n["status"]["conditions"].as_array();
        let remaining =
            conditions.and_then(|c| c.iter().find(|c| c["type"] == "NamespaceFinalizersRemaining"));
        remaining.is_some_and(|c| c["message"].as_str().unwrap().contains("example.com/hold"))
    };
    cluster.wait(&format!("{NAMESPACES}/team"), names).await;
    let free = json!({"metadata": {"finalizers": null}});
    cluster.patch("/api/v1/namespaces/team/configmaps/held", free).await;
    cluster.wait(&format!("{NAMESPACES}/team"), Value::is_null).await;
}

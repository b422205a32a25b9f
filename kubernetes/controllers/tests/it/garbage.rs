//! Owner references: background, foreground, orphan, and custom kinds.

use serde_json::{Value, json};

use crate::cluster::{Cluster, deployment};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn owned_by(owner: &Value, name: &str) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": [{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true}]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn dependents_go_with_their_owner() {
    let cluster = Cluster::start().await;
    let owner = cluster.create(MAPS, json!({"metadata": {"name": "owner"}})).await;
    cluster.create(MAPS, owned_by(&owner, "child")).await;
    cluster.create("/api/v1/namespaces/default/secrets", owned_by(&owner, "child")).await;
    cluster.delete(&format!("{MAPS}/owner")).await;
    cluster.wait(&format!("{MAPS}/child"), Value::is_null).await;
    cluster.wait("/api/v1/namespaces/default/secrets/child", Value::is_null).await;
    // An owner that never was takes its dependents along too.
    let mut ghost = owner.clone();
    ghost["metadata"]["uid"] = json!("00000000-0000-0000-0000-000000000000");
    cluster.create(MAPS, owned_by(&ghost, "lost")).await;
    cluster.wait(&format!("{MAPS}/lost"), Value::is_null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreground_deletion_ends_with_the_owner() {
    let cluster = Cluster::start().await;
    cluster.create(DEPLOYMENTS, deployment("web", 2, "a")).await;
    cluster.wait(&format!("{DEPLOYMENTS}/web"), |d| d["status"]["availableReplicas"] == 2).await;
    cluster.delete(&format!("{DEPLOYMENTS}/web?propagationPolicy=Foreground")).await;
    cluster.wait(&format!("{DEPLOYMENTS}/web"), Value::is_null).await;
    assert!(cluster.items(SETS).await.is_empty());
    assert!(cluster.items(PODS).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_stay_without_owner() {
    let cluster = Cluster::start().await;
    cluster.create(DEPLOYMENTS, deployment("web", 2, "a")).await;
    cluster.wait(&format!("{DEPLOYMENTS}/web"), |d| d["status"]["availableReplicas"] == 2).await;
    cluster.delete(&format!("{DEPLOYMENTS}/web?propagationPolicy=Orphan")).await;
    cluster.wait(&format!("{DEPLOYMENTS}/web"), Value::is_null).await;
    let sets = cluster.wait_items(SETS, 1).await;
    assert!(sets[0]["metadata"]["ownerReferences"].is_null());
    assert_eq!(cluster.items(PODS).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_kinds_own_and_are_owned() {
    let cluster = Cluster::start().await;
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    cluster
        .create(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            json!({"metadata": {"name": "shops.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
                "names": {"plural": "shops", "singular": "shop", "kind": "Shop", "listKind": "ShopList"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}}),
        )
        .await;
    let shops = "/apis/example.com/v1/namespaces/default/shops";
    cluster.wait(shops, |l| !l.is_null()).await;
    let shop = cluster
        .create(shops, json!({"apiVersion": "example.com/v1", "kind": "Shop", "metadata": {"name": "a"}}))
        .await;
    let mut branch = owned_by(&shop, "b");
    branch["apiVersion"] = json!("example.com/v1");
    branch["kind"] = json!("Shop");
    cluster.create(shops, branch).await;
    cluster.create(MAPS, owned_by(&shop, "of-shop")).await;
    cluster.delete(&format!("{shops}/a")).await;
    cluster.wait(&format!("{shops}/b"), Value::is_null).await;
    cluster.wait(&format!("{MAPS}/of-shop"), Value::is_null).await;
}

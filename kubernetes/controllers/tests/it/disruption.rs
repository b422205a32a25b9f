//! Budgets and autoscalers tell what they know.

use serde_json::{Value, json};

use crate::cluster::{Cluster, deployment};

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_counts_its_pods() {
    let cluster = Cluster::start().await;
    cluster.create("/apis/apps/v1/namespaces/default/deployments", deployment("web", 3, "a")).await;
    let budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    let budget = json!({"metadata": {"name": "web"}, "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}});
    cluster.create(budgets, budget).await;
    let told = |b: &Value| b["status"]["disruptionsAllowed"] == 1 && b["status"]["expectedPods"] == 3;
    cluster.wait(&format!("{budgets}/web"), told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_without_metrics_says_so() {
    let cluster = Cluster::start().await;
    cluster.create("/apis/apps/v1/namespaces/default/deployments", deployment("web", 1, "a")).await;
    let scalers = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    let scaler = json!({"metadata": {"name": "web"}, "spec": {"maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}});
    cluster.create(scalers, scaler).await;
    let inactive = |s: &Value| {
        let conditions = s["status"]["conditions"].as_array();
        conditions
            .is_some_and(|all| all.iter().any(|c| c["type"] == "ScalingActive" && c["status"] == "False"))
    };
    cluster.wait(&format!("{scalers}/web"), inactive).await;
}

//! What pods use right now, as the API's `metrics.k8s.io` tells.

use std::collections::HashMap;

use serde::Deserialize;

use crate::resources::{self, Amounts};

/// Use by pod name.
pub(super) type Usage = HashMap<String, Amounts>;

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<PodMetrics>,
}

#[derive(Deserialize)]
struct PodMetrics {
    metadata: Name,
    #[serde(default)]
    containers: Vec<ContainerMetrics>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct ContainerMetrics {
    #[serde(default)]
    usage: std::collections::BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>,
}

fn said(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        other => other.to_string(),
    }
}

pub(super) async fn usage(client: &kube::Client, namespace: &str) -> Result<Usage, String> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
    let request = http::Request::get(path).body(Vec::new());
    let unable = |reason: String| format!("unable to get metrics: {reason}");
    let request = request.map_err(|e| unable(e.to_string()))?;
    let list: List = client.request(request).await.map_err(|e| unable(said(e)))?;
    let sum = |pod: PodMetrics| {
        let mut total = Amounts::new();
        for container in &pod.containers {
            resources::add(&mut total, &resources::amounts(Some(&container.usage)));
        }
        (pod.metadata.name, total)
    };
    Ok(list.items.into_iter().map(sum).collect())
}

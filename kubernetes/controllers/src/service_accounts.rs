//! What every namespace is born with: the service account `default`, and the certificate of the API.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::kind::Error;
use crate::meta::{self, Key};
use crate::owners;
use crate::queue::{Again, Queue};

const AT_ONCE: usize = 4;
const ACCOUNT: &str = "default";
const CERTIFICATE: &str = "kube-root-ca.crt";
/// The ConfigMap is not watched; a deleted one comes back after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

pub(crate) fn start(
    cluster: Cluster,
    shutdown: CancellationToken,
    ca_certificate: String,
) -> impl Future<Output = ()> {
    let queue: Queue<Key> = Queue::new();
    owners::wake_self(&cluster.namespaces, &queue);
    let wake = queue.clone();
    cluster.service_accounts.on_change(move |change| {
        if change.new.is_none() {
            wake.add(Key::new("", meta::namespace(&change.latest().metadata)));
        }
    });
    queue.work("serviceaccounts", AT_ONCE, shutdown, move |key| {
        reconcile(cluster.clone(), key, ca_certificate.clone())
    })
}

async fn reconcile(cluster: Cluster, key: Key, ca_certificate: String) -> Result<Again, Error> {
    let Some(namespace) = cluster.namespaces.get(&key).filter(|n| is_open(n)) else { return Ok(None) };
    let name = meta::name(&namespace.metadata);
    if cluster.service_accounts.get(&Key::new(name, ACCOUNT)).is_none() {
        let metadata = ObjectMeta {
            name: Some(ACCOUNT.to_owned()),
            namespace: Some(name.to_owned()),
            ..ObjectMeta::default()
        };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        match cluster.service_accounts.create(&account).await {
            Err(error) if !error.is_conflict() => return Err(error),
            _ => {}
        }
    }
    publish(&cluster, name, &ca_certificate).await?;
    Ok(Some(LOOK_AGAIN))
}

fn is_open(namespace: &Namespace) -> bool {
    !meta::is_deleting(&namespace.metadata)
}

async fn publish(cluster: &Cluster, namespace: &str, ca_certificate: &str) -> Result<(), Error> {
    let api: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
    let present = api.get_opt(CERTIFICATE).await.ok().flatten().and_then(|m| m.data);
    if present.is_some_and(|d| d.get("ca.crt").is_some_and(|c| c == ca_certificate)) {
        return Ok(());
    }
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": CERTIFICATE, "namespace": namespace, "annotations": {
            "kubernetes.io/description": "Contains a CA bundle that can be used to verify the API server when using internal endpoints."}},
        "data": {"ca.crt": ca_certificate},
    });
    let params = PatchParams::apply("root-ca-cert-publisher").force();
    api.patch(CERTIFICATE, &params, &Patch::Apply(body)).await.map(drop).map_err(|source| Error::Api {
        verb: "apply",
        kind: "ConfigMap".to_owned(),
        key: Key::new(namespace, CERTIFICATE),
        source: Box::new(source),
    })
}

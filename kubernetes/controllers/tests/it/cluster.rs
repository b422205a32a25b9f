//! A cluster in this process: store, API server, controllers, one node and a pretended kubelet.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use sealos_api::{Identity, Server};
use sealos_controllers::{Clients, Config, Provisioner, VolumeError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The longest any test waits for a condition.
const PATIENCE: Duration = Duration::from_secs(20);
/// On a pod template: the phase its pods end in; otherwise they run.
pub(crate) const OUTCOME: &str = "test/outcome";

pub(crate) struct Cluster {
    pub(crate) client: kube::Client,
    pub(crate) disk: Arc<Disk>,
    shutdown: CancellationToken,
    _directory: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Directories that exist only as names, with their sizes.
#[derive(Default)]
pub(crate) struct Disk(pub(crate) Mutex<HashMap<String, u64>>);

#[async_trait]
impl Provisioner for Disk {
    async fn provision(&self, name: &str, bytes: u64) -> Result<PathBuf, VolumeError> {
        self.0.lock().unwrap().insert(name.to_owned(), bytes);
        Ok(PathBuf::from("/volumes").join(name))
    }

    async fn resize(&self, name: &str, bytes: u64) -> Result<(), VolumeError> {
        self.0.lock().unwrap().insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), VolumeError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        if let Ok(filter) = std::env::var("RUST_LOG") {
            tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init().ok();
        }
        let directory = tempfile::tempdir().unwrap();
        let store =
            sealos_store::Store::open(sealos_store::Config::new(directory.path().join("store/db"))).unwrap();
        let address: SocketAddr = "10.1.2.3:6443".parse().unwrap();
        let config = sealos_api::Config::new(store, directory.path().join("pki"), address);
        let server = Server::start(config).await.unwrap();
        let shutdown = CancellationToken::new();
        let disk = Arc::new(Disk::default());
        let clients = Clients {
            controllers: server.client(Identity::controller_manager()),
            scheduler: server.client(Identity::scheduler()),
        };
        let config = Config::new(disk.clone(), "n1", server.ca_pem());
        tokio::spawn(sealos_controllers::run(clients, shutdown.clone(), config));
        let client = server.client(Identity::admin());
        let cluster =
            Self { client: client.clone(), disk, shutdown: shutdown.clone(), _directory: directory };
        cluster.add_node("n1").await;
        tokio::spawn(kubelet(client, shutdown));
        cluster
    }

    pub(crate) async fn add_node(&self, name: &str) {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let node = json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}});
        nodes.create(&PostParams::default(), &serde_json::from_value(node).unwrap()).await.unwrap();
        let resources = json!({"cpu": "4", "memory": "8Gi", "pods": "250"});
        let status = json!({"status": {"capacity": resources, "allocatable": resources,
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2024-01-01T00:00:00Z",
                "lastTransitionTime": "2024-01-01T00:00:00Z", "reason": "KubeletReady", "message": ""}]}});
        nodes.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    }

    /// Sends one request; `path` is all after the host.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, kube::Error> {
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        let request = http::Request::builder().method(method).uri(path).header("content-type", kind);
        self.client.request(request.body(bytes).unwrap()).await
    }

    pub(crate) async fn create(&self, path: &str, body: Value) -> Value {
        self.send("POST", path, Some(body)).await.unwrap()
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Value {
        self.send("PATCH", path, Some(body)).await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) {
        self.send("DELETE", path, None).await.unwrap();
    }

    /// The object, or null.
    pub(crate) async fn get(&self, path: &str) -> Value {
        match self.send("GET", path, None).await {
            Ok(value) => value,
            Err(kube::Error::Api(status)) if status.code == 404 => Value::Null,
            Err(error) => panic!("GET {path}: {error}"),
        }
    }

    pub(crate) async fn items(&self, path: &str) -> Vec<Value> {
        self.get(path).await["items"].as_array().cloned().unwrap_or_default()
    }

    /// Reads `path` until `ready` accepts it.
    pub(crate) async fn wait(&self, path: &str, ready: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let value = self.get(path).await;
            if ready(&value) {
                return value;
            }
            assert!(Instant::now() < end, "{path} stayed at {value:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the list at `path` has `number` items.
    pub(crate) async fn wait_items(&self, path: &str, number: usize) -> Vec<Value> {
        let list = self.wait(path, |l| l["items"].as_array().map_or(0, Vec::len) == number).await;
        list["items"].as_array().cloned().unwrap()
    }
}

/// Lets every pod bound to a node run and be ready, or end as its annotation says; lets leaving pods go.
async fn kubelet(client: kube::Client, shutdown: CancellationToken) {
    let api: Api<Pod> = Api::all(client.clone());
    let mut events = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let mut address = 0_u32;
    loop {
        let pod = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.next() => match event { Some(Ok(pod)) => pod, Some(Err(_)) => continue, None => return },
        };
        let phase = pod.status.as_ref().and_then(|s| s.phase.clone()).unwrap_or_default();
        let bound = pod.spec.as_ref().is_some_and(|s| s.node_name.is_some());
        let leaving = pod.metadata.deletion_timestamp.is_some();
        if !bound || (phase != "Pending" && !leaving) {
            continue;
        }
        address += 1;
        tokio::spawn(serve(client.clone(), pod, address));
    }
}

async fn serve(client: kube::Client, pod: Pod, address: u32) {
    let pods: Api<Pod> = Api::namespaced(client, pod.metadata.namespace.as_deref().unwrap());
    let name = pod.metadata.name.as_deref().unwrap();
    if pod.metadata.deletion_timestamp.is_some() {
        pods.delete(name, &DeleteParams::default().grace_period(0)).await.ok();
        return;
    }
    let outcome = pod.metadata.annotations.as_ref().and_then(|a| a.get(OUTCOME).cloned());
    let phase = outcome.clone().unwrap_or_else(|| "Running".to_owned());
    let ready = outcome.is_none();
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let status = json!({"status": {
        "phase": phase, "podIP": format!("10.9.{}.{}", address / 250, address % 250 + 1),
        "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": now},
                       {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}],
    }});
    pods.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.ok();
}

/// A Deployment of `replicas` pods.
pub(crate) fn deployment(name: &str, replicas: i32, image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}]}}}})
}

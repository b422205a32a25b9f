//! The Node object: what the machine offers, whether it is well, and the lease that proves it lives.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::backoff::Retry;
use crate::shared::Shared;

const LEASE_NAMESPACE: &str = "kube-node-lease";
const LEASE_SECONDS: i32 = 40;
const RENEW: Duration = Duration::from_secs(10);
/// How many images the status names, the biggest first.
const IMAGES: usize = 50;
/// The port kubelets listen on. Nothing listens here; the API server asks the node directly.
const KUBELET_PORT: i32 = 10_250;

/// Keeps the Node object and its lease.
pub(crate) struct Registration {
    shared: Arc<Shared>,
    nodes: Api<Node>,
}

impl Registration {
    /// Registers the node and keeps it registered.
    pub(crate) fn start(shared: Arc<Shared>, shutdown: CancellationToken) {
        let nodes = Api::all(shared.config.client.clone());
        let registration = Self { shared, nodes };
        tokio::spawn(async move { shutdown.run_until_cancelled(registration.run()).await });
    }

    async fn run(self) {
        let mut retry = Retry::new(Duration::from_millis(20), Duration::from_secs(5));
        while let Err(error) = self.register().await {
            tracing::debug!(%error, "register the node");
            sleep_until(retry.next()).await;
        }
        self.shared.recorder.node(&self.shared.config.name).normal("Starting", "Starting the node.");
        let mut images = self.images();
        let mut tick = tokio::time::interval(RENEW);
        loop {
            tick.tick().await;
            if let Err(error) = self.renew().await {
                tracing::warn!(%error, "renew the lease of the node");
            }
            let now = self.images();
            if now == images {
                continue;
            }
            match self.patch(json!({"images": now})).await {
                Ok(()) => images = now,
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    self.register().await.ok();
                }
                Err(error) => tracing::warn!(%error, "write the status of the node"),
            }
        }
    }

    /// Creates the object or brings it up to date, then its status.
    async fn register(&self) -> kube::Result<()> {
        let config = &self.shared.config;
        let info = &self.shared.host.info;
        let metadata = json!({
            "labels": {
                "kubernetes.io/hostname": config.name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": info.architecture,
                "beta.kubernetes.io/os": "linux",
                "beta.kubernetes.io/arch": info.architecture,
                "node-role.kubernetes.io/control-plane": "",
            },
        });
        match self.nodes.get_opt(&config.name).await? {
            Some(_) => {
                let patch = json!({"metadata": metadata});
                self.nodes.patch(&config.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            }
            None => {
                let mut metadata = metadata;
                metadata["name"] = json!(config.name);
                let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": metadata});
                let node: Node = serde_json::from_value(node).map_err(kube::Error::SerdeError)?;
                self.nodes.create(&PostParams::default(), &node).await?;
            }
        }
        let current = self.nodes.get(&config.name).await?;
        let status = serde_json::to_value(self.status(&current)).map_err(kube::Error::SerdeError)?;
        self.patch(status).await
    }

    async fn patch(&self, status: Value) -> kube::Result<()> {
        let patch = Patch::Merge(json!({"status": status}));
        self.nodes.patch_status(&self.shared.config.name, &PatchParams::default(), &patch).await.map(drop)
    }

    fn status(&self, current: &Node) -> NodeStatus {
        let host = &self.shared.host;
        let address = |kind: &str, address: String| NodeAddress { type_: kind.into(), address };
        NodeStatus {
            addresses: Some(vec![
                address("InternalIP", host.ip.to_string()),
                address("Hostname", self.shared.config.name.clone()),
            ]),
            capacity: Some(host.capacity.clone()),
            allocatable: Some(host.allocatable.clone()),
            conditions: Some(conditions(current)),
            daemon_endpoints: Some(NodeDaemonEndpoints {
                kubelet_endpoint: Some(DaemonEndpoint { port: KUBELET_PORT }),
            }),
            images: Some(self.images()),
            node_info: Some(host.info.clone()),
            ..NodeStatus::default()
        }
    }

    fn images(&self) -> Vec<ContainerImage> {
        let mut images = self.shared.config.images.list();
        images.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.digest.cmp(&b.digest)));
        images.truncate(IMAGES);
        let named = |image: sealos_oci::Image| ContainerImage {
            names: Some(image.repo_digests.into_iter().chain(image.names).collect()),
            size_bytes: i64::try_from(image.size).ok(),
        };
        images.into_iter().map(named).collect()
    }

    async fn renew(&self) -> kube::Result<()> {
        let name = &self.shared.config.name;
        let leases: Api<Lease> = Api::namespaced(self.shared.config.client.clone(), LEASE_NAMESPACE);
        let spec = json!({
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": MicroTime(Timestamp::now()),
        });
        let patch = Patch::Merge(json!({"spec": spec}));
        match leases.patch(name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            done => return done.map(drop),
        }
        let owner = self.nodes.get_opt(name).await?.and_then(|node| {
            let uid = node.uid()?;
            Some(json!([{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}]))
        });
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": owner},
            "spec": spec,
        });
        let lease: Lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
        leases.create(&PostParams::default(), &lease).await.map(drop)
    }
}

/// The node is well: a node that is not says nothing.
fn conditions(current: &Node) -> Vec<NodeCondition> {
    let now = Time(Timestamp::now());
    let old = current.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    .into_iter()
    .map(|(name, status, reason, message)| {
        let same = old.iter().find(|c| c.type_ == name && c.status == status);
        NodeCondition {
            type_: name.into(),
            status: status.into(),
            reason: Some(reason.into()),
            message: Some(message.into()),
            last_heartbeat_time: Some(now.clone()),
            last_transition_time: same.and_then(|c| c.last_transition_time.clone()).or(Some(now.clone())),
        }
    })
    .collect()
}

//! The steps' calls, made to the API.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource as _};
use sealos_db_engines::names::topology_config;
use sealos_kit::exec::Target;
use serde_json::{Value, json};

use crate::perform::{Error, Hands, News};
use crate::topology::Topology;
use crate::world::{Key, World, cluster_kind};
use crate::{HOLD, SWITCHOVER_ERROR, SWITCHOVER_TO};

/// One component's hands.
#[derive(Clone)]
pub(crate) struct ApiHands {
    pub client: Client,
    pub key: Key,
    pub world: Arc<World>,
    pub reporter: Reporter,
}

impl ApiHands {
    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.key.namespace)
    }

    fn cluster(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.key.namespace, &cluster_kind())
    }

    /// Changes a pod, if it is still the one that is meant.
    pub(crate) async fn patch_pod(&self, pod: &str, patch: Value) -> Result<(), Error> {
        let done = self.pods().patch(pod, &PatchParams::default(), &Patch::Strategic(patch)).await;
        gone_is_fine(pod, done.map(drop))
    }
}

/// A pod that is gone, or whose name another has, needs nothing more.
fn gone_is_fine(pod: &str, done: kube::Result<()>) -> Result<(), Error> {
    match done {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        other => other.map_err(|source| Error::Pod { pod: pod.to_owned(), source: Box::new(source) }),
    }
}

#[async_trait]
impl Hands for ApiHands {
    async fn write(&self, topology: &Topology) -> Result<(), Error> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.key.namespace);
        let name = topology_config(&self.key.cluster, &self.key.component);
        let written = maps.patch(&name, &PatchParams::default(), &Patch::Merge(topology.patch())).await;
        written.map(drop).map_err(|source| Error::Topology(Box::new(source)))
    }

    async fn hold(&self, pod: &str, uid: &str) -> Result<(), Error> {
        self.patch_pod(pod, json!({"metadata": {"uid": uid, "finalizers": [HOLD]}})).await
    }

    async fn delete(&self, pod: &str, uid: &str, grace: u32) -> Result<(), Error> {
        let params = DeleteParams {
            grace_period_seconds: Some(grace),
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        gone_is_fine(pod, self.pods().delete(pod, &params).await.map(drop))
    }

    async fn release(&self, pod: &str, uid: &str) -> Result<(), Error> {
        let key = "$deleteFromPrimitiveList/finalizers";
        self.patch_pod(pod, json!({"metadata": {"uid": uid, key: [HOLD]}})).await
    }

    async fn script(&self, pod: &str, command: &[&str], limit: Duration) -> Result<String, Error> {
        let container = self
            .world
            .pods(&self.key)
            .get(pod)
            .and_then(|pod| Some(pod.spec.as_ref()?.containers.first()?.name.clone()));
        let target = Target {
            namespace: self.key.namespace.clone(),
            pod: pod.to_owned(),
            container: container.unwrap_or_default(),
        };
        let stdout = target.ok(&self.client, command, b"", limit).await?;
        Ok(String::from_utf8_lossy(&stdout).into_owned())
    }

    async fn switched(&self, error: Option<&str>) -> Result<(), Error> {
        let patch = json!({"metadata": {"annotations": { SWITCHOVER_TO: null, SWITCHOVER_ERROR: error }}});
        let done =
            self.cluster().patch(&self.key.cluster, &PatchParams::default(), &Patch::Merge(patch)).await;
        done.map(drop).map_err(|source| Error::Cluster(Box::new(source)))
    }

    async fn tell(&self, news: News) {
        tracing::info!(cluster = self.key.cluster, namespace = self.key.namespace, "{}", news.note);
        let Some(cluster) = self.world.cluster(&self.key) else { return };
        let event = Event {
            type_: if news.bad { EventType::Warning } else { EventType::Normal },
            reason: news.reason.to_owned(),
            note: Some(news.note),
            action: "KeepPrimary".to_owned(),
            secondary: None,
        };
        // A new recorder each time: one would count alike events together and keep only the first one's words.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        let regarding = cluster.object_ref(&cluster_kind());
        // Nobody waits for words while writes wait for a primary.
        tokio::spawn(async move {
            if let Err(error) = recorder.publish(&event, &regarding).await {
                tracing::warn!(%error, "write an event");
            }
        });
    }

    fn now(&self) -> i64 {
        Timestamp::now().as_millisecond()
    }
}

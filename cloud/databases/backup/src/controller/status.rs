//! Writing statuses, annotations and events.

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tracing::warn;

use super::Shared;
use crate::Error;
use crate::kinds::Cluster;

impl Shared {
    /// A handle for the objects of a workspace.
    pub(super) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Merges into a status.
    pub(super) async fn report<K>(
        &self,
        namespace: &str,
        name: &str,
        status: &impl Serialize,
    ) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let patch = Patch::Merge(json!({ "status": status }));
        let done = self.api::<K>(namespace).patch_status(name, &PatchParams::default(), &patch).await;
        done.map(drop).map_err(Error::api("write the status of", name))
    }

    /// Merges into labels and annotations.
    pub(super) async fn mark<K>(&self, namespace: &str, name: &str, metadata: Value) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        let done = self.api::<K>(namespace).patch(name, &PatchParams::default(), &patch).await;
        done.map(drop).map_err(Error::api("mark", name))
    }

    /// Tells of something that happened to a Cluster.
    pub(super) async fn tell(&self, namespace: &str, cluster: &str, reason: &str, good: bool, note: &str) {
        let found = self.clusters.state().into_iter();
        let mut found =
            found.filter(|c| c.name_any() == cluster && c.namespace().as_deref() == Some(namespace));
        let Some(cluster) = found.next() else { return };
        let event = Event {
            type_: if good { EventType::Normal } else { EventType::Warning },
            reason: reason.to_owned(),
            note: Some(note.chars().take(1000).collect()),
            action: reason.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &Cluster::object_ref(&*cluster, &())).await {
            warn!(%error, reason, "an event could not be written");
        }
    }
}

//! The end of a Cluster, by its terminationPolicy. Everything that it owns goes with it by ownership; here
//! is what does not, and the finalizer that templates set.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt as _};
use sealos_db_engines::names;
use serde_json::json;

use super::{Context, now, patch_cluster, write_status};
use crate::Error;
use crate::model::{Cluster, FINALIZER};
use crate::status::{Builder, Verdict};
use crate::wanted::Policy;

const AGAIN: Duration = Duration::from_millis(200);
/// Finalizers of this platform's other parts, which may still need the pods.
const OTHERS: &str = "databases.sealos.io/";

pub(super) async fn teardown(cluster: &Cluster, context: &Context) -> Result<Action, Error> {
    let policy = Policy::of(cluster);
    if policy == Policy::DoNotTerminate {
        let why = "its terminationPolicy is DoNotTerminate; change that to let it go";
        say(cluster, why, context).await?;
        return Ok(Action::await_change());
    }
    if let Some(other) = cluster.finalizers().iter().find(|f| f.starts_with(OTHERS)) {
        say(cluster, &format!("waiting for {}", other.trim_start_matches(OTHERS)), context).await?;
        return Ok(Action::requeue(AGAIN));
    }
    if !cluster.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(Action::await_change());
    }
    say(cluster, "its pods are ending", context).await?;
    let parts = Parts::of(cluster, context);
    if !parts.pods_are_gone().await? {
        return Ok(Action::requeue(AGAIN));
    }
    match policy {
        Policy::Halt => parts.keep_data().await?,
        Policy::Delete | Policy::DoNotTerminate => parts.delete_volumes().await?,
        Policy::WipeOut => {
            parts.delete_volumes().await?;
            parts.delete_backups().await?;
        }
    }
    let left: Vec<_> = cluster.finalizers().iter().filter(|f| *f != FINALIZER).collect();
    let patch = json!({ "metadata": { "finalizers": left, "resourceVersion": cluster.resource_version() } });
    patch_cluster(cluster, context, &patch).await?;
    context.forget(&cluster.uid().unwrap_or_default());
    Ok(Action::await_change())
}

async fn say(cluster: &Cluster, message: &str, context: &Context) -> Result<(), Error> {
    let status = Builder::new(cluster, now()).verdict(&Verdict::new("Deleting", message)).done();
    write_status(cluster, status, context).await.map(drop)
}

struct Parts<'a> {
    context: &'a Context,
    namespace: String,
    cluster: String,
    selector: ListParams,
}

impl<'a> Parts<'a> {
    fn of(cluster: &Cluster, context: &'a Context) -> Self {
        let name = cluster.name_any();
        let selector = format!("{}={name},{}={}", names::INSTANCE, names::MANAGED_BY, names::KUBEBLOCKS);
        Self {
            context,
            namespace: cluster.namespace().unwrap_or_default(),
            cluster: name,
            selector: ListParams::default().labels(&selector),
        }
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.context.client.clone(), &self.namespace)
    }

    fn attempt(&self) -> impl FnOnce(kube::Error) -> Error + use<> {
        Error::api(format!("take down database `{}`", self.cluster))
    }

    async fn names<K>(&self) -> Result<Vec<String>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let all = self.api::<K>().list_metadata(&self.selector).await.map_err(self.attempt())?;
        Ok(all.items.iter().map(|o| o.name_any()).collect())
    }

    async fn delete<K>(&self, name: &str) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        match self.api::<K>().delete(name, &DeleteParams::background()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            done => done.map(drop).map_err(self.attempt()),
        }
    }

    async fn pods_are_gone(&self) -> Result<bool, Error> {
        for set in self.names::<StatefulSet>().await? {
            self.delete::<StatefulSet>(&set).await?;
        }
        Ok(self.names::<Pod>().await?.is_empty())
    }

    async fn delete_volumes(&self) -> Result<(), Error> {
        for claim in self.names::<PersistentVolumeClaim>().await? {
            self.delete::<PersistentVolumeClaim>(&claim).await?;
        }
        Ok(())
    }

    /// Credentials and the knowledge of who led outlive the Cluster, as the volumes do.
    async fn keep_data(&self) -> Result<(), Error> {
        for secret in self.names::<Secret>().await? {
            self.disown::<Secret>(&secret).await?;
        }
        let topologies = self.names::<ConfigMap>().await?;
        for map in topologies.iter().filter(|name| name.ends_with("-topology")) {
            self.disown::<ConfigMap>(map).await?;
        }
        Ok(())
    }

    async fn disown<K>(&self, name: &str) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let patch = Patch::Merge(json!({ "metadata": { "ownerReferences": null } }));
        let done = self.api::<K>().patch(name, &PatchParams::default(), &patch).await;
        done.map(drop).map_err(self.attempt())
    }

    async fn delete_backups(&self) -> Result<(), Error> {
        let kind = GroupVersionKind::gvk("dataprotection.kubeblocks.io", "v1alpha1", "Backup");
        let resource = ApiResource::from_gvk(&kind);
        let client = self.context.client.clone();
        let api: Api<DynamicObject> = Api::namespaced_with(client, &self.namespace, &resource);
        let selector = ListParams::default().labels(&format!("{}={}", names::INSTANCE, self.cluster));
        let backups = match api.list_metadata(&selector).await {
            // A cluster without the kind has no backups.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            found => found.map_err(self.attempt())?,
        };
        for backup in backups.items {
            match api.delete(&backup.name_any(), &DeleteParams::background()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                done => drop(done.map_err(self.attempt())?),
            }
        }
        Ok(())
    }
}

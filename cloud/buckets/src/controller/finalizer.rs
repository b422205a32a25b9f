//! Keeps an object until what it stands for is gone from the store. Unlike kube's helper it needs no
//! JSON patch, and goes on at once with the object that it has marked.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Error;

/// The name under which objects are kept.
const FINALIZER: &str = "objectstorage.sealos.io/store";

/// What is to be done with an object.
pub(super) enum Task<K> {
    /// Bring it about.
    Bring(Arc<K>),
    /// It is deleted: take away what it stands for, then [`release`] it.
    Take,
    /// It is deleted and not kept by us.
    Nothing,
}

/// Marks an object as kept unless it is on its way out.
pub(super) async fn keep<K>(api: &Api<K>, object: Arc<K>) -> Result<Task<K>, Error>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let kept = object.finalizers().iter().any(|name| name == FINALIZER);
    match (object.meta().deletion_timestamp.is_some(), kept) {
        (true, true) => Ok(Task::Take),
        (true, false) => Ok(Task::Nothing),
        (false, true) => Ok(Task::Bring(object)),
        (false, false) => {
            let mut finalizers = object.finalizers().to_vec();
            finalizers.push(FINALIZER.to_owned());
            match write(api, object.as_ref(), &finalizers).await? {
                Some(marked) => Ok(Task::Bring(Arc::new(marked))),
                None => Ok(Task::Nothing),
            }
        }
    }
}

/// Lets a deleted object go.
pub(super) async fn release<K>(api: &Api<K>, object: &K) -> Result<(), Error>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let others: Vec<_> = object.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
    write(api, object, &others).await.map(drop)
}

/// Writes the list unless the object changed meanwhile; `None` if it is gone.
async fn write<K>(api: &Api<K>, object: &K, finalizers: &[String]) -> Result<Option<K>, Error>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let patch = json!({ "metadata": {
        "resourceVersion": object.resource_version(), "uid": object.uid(), "finalizers": finalizers,
    } });
    match api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(written) => Ok(Some(written)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        Err(kube::Error::Api(status)) if status.code == 409 => Err(Error::Changed),
        Err(error) => Err(Error::api("write the finalizers")(error)),
    }
}

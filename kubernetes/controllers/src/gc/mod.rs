//! Garbage collection: what is owned goes with its owner, in the way the deletion asked for.

mod graph;
mod sources;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::Request;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::kind::Error;
use crate::meta::Key;
use crate::queue::{Again, Queue};
use graph::{Graph, Link, Node, Step};
use sources::Kinds;

const AT_ONCE: usize = 16;
const UNSEEN_OWNER: Duration = Duration::from_secs(2);

/// An object by its uid.
pub(crate) type Uid = String;

#[derive(Clone)]
pub(crate) struct Collector {
    client: kube::Client,
    graph: Arc<Mutex<Graph>>,
    kinds: Arc<Kinds>,
    queue: Queue<Uid>,
}

pub(crate) fn start(cluster: &Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> + use<> {
    let collector = Collector {
        client: cluster.client.clone(),
        graph: Arc::default(),
        kinds: Arc::default(),
        queue: Queue::new(),
    };
    sources::typed(cluster, &collector);
    async move {
        let this = collector.clone();
        let work = collector.queue.clone().work("garbage", AT_ONCE, shutdown.clone(), move |uid| {
            let this = this.clone();
            async move { this.collect(&uid).await }
        });
        tokio::join!(sources::dynamic(&collector, shutdown), work);
    }
}

impl Collector {
    /// Takes in an object that appeared or changed.
    pub(super) fn seen(&self, node: Node) {
        let look = self.graph().put(node);
        look.into_iter().for_each(|uid| self.queue.add(uid));
    }

    pub(super) fn gone(&self, uid: &str) {
        let look = self.graph().remove(uid);
        look.into_iter().for_each(|uid| self.queue.add(uid));
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn collect(&self, uid: &Uid) -> Result<Again, Error> {
        let (node, unknown) = {
            let graph = self.graph();
            let Some(node) = graph.get(uid) else { return Ok(None) };
            (node, graph.unknown_owners(uid))
        };
        // The graph may be behind: an owner counts as absent only when the API says so.
        let (mut absent, mut unseen) = (Vec::new(), false);
        for owner in unknown {
            if self.is_absent(&node, &owner).await? {
                absent.push(owner.uid);
            } else {
                unseen = true;
            }
        }
        let steps = self.graph().steps(uid, &absent);
        for step in steps {
            self.take(&node, step).await?;
        }
        // Nobody will tell of the end of an owner that is not watched (yet).
        Ok(unseen.then_some(UNSEEN_OWNER))
    }

    async fn is_absent(&self, node: &Node, owner: &Link) -> Result<bool, Error> {
        if self.graph().was_deleted(&owner.uid) {
            return Ok(true);
        }
        let Some(kind) = self.kinds.find(&owner.api_version, &owner.kind) else {
            // Whoever owns by a kind that is not served (yet) keeps the object.
            return Ok(false);
        };
        let namespace = Some(node.key.namespace.as_str()).filter(|_| kind.namespaced);
        if kind.namespaced && node.key.namespace.is_empty() {
            return Ok(false);
        }
        let path = format!("{}/{}", kind.path(namespace), owner.name);
        let request = http::Request::get(path).body(Vec::new());
        let request =
            request.map_err(|e| failed("look for the owner of", node, kube::Error::HttpError(e)))?;
        match self.client.request::<Value>(request).await {
            Ok(found) => Ok(found.pointer("/metadata/uid").and_then(Value::as_str) != Some(&owner.uid)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
            Err(error) => Err(failed("look for the owner of", node, error)),
        }
    }

    async fn take(&self, node: &Node, step: Step) -> Result<(), Error> {
        match step {
            Step::Delete(policy) => self.delete(node, policy).await,
            Step::DropOwners(owners) => self.drop_owners(node, &owners).await,
            Step::DropFinalizer(finalizer) => self.drop_finalizer(node, finalizer).await,
            Step::Look(uids) => {
                for uid in uids {
                    self.queue.add(uid);
                }
                Ok(())
            }
            Step::Orphan(dependents) => {
                for dependent in dependents {
                    self.drop_owners(&dependent, std::slice::from_ref(&node.uid)).await?;
                }
                self.drop_finalizer(node, graph::ORPHAN).await
            }
        }
    }

    async fn delete(&self, node: &Node, policy: PropagationPolicy) -> Result<(), Error> {
        let params = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions { uid: Some(node.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let request = self.request(node).delete(&node.key.name, &params);
        let request = request.map_err(|e| failed("delete", node, kube::Error::BuildRequest(e)))?;
        match self.client.request::<Value>(request).await {
            Ok(_) => Ok(()),
            // Gone, or another object by now.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(failed("delete", node, error)),
        }
    }

    async fn drop_owners(&self, node: &Node, owners: &[Uid]) -> Result<(), Error> {
        self.change(node, |object| {
            let kept = object.metadata.owner_references.iter().flatten().filter(|o| !owners.contains(&o.uid));
            json!({"ownerReferences": listed(kept)})
        })
        .await
    }

    async fn drop_finalizer(&self, node: &Node, finalizer: &str) -> Result<(), Error> {
        self.change(node, |object| {
            let kept = object.metadata.finalizers.iter().flatten().filter(|f| *f != finalizer);
            json!({"finalizers": listed(kept)})
        })
        .await
    }

    /// Reads the object afresh and merges what `change` says into its metadata.
    async fn change(&self, node: &Node, change: impl Fn(&DynamicObject) -> Value) -> Result<(), Error> {
        let request = self.request(node).get(&node.key.name, &kube::api::GetParams::default());
        let request = request.map_err(|e| failed("read", node, kube::Error::BuildRequest(e)))?;
        let object = match self.client.request::<DynamicObject>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Ok(object) if object.metadata.uid.as_deref() != Some(&node.uid) => return Ok(()),
            other => other.map_err(|e| failed("read", node, e))?,
        };
        let mut metadata = change(&object);
        metadata["uid"] = json!(node.uid);
        metadata["resourceVersion"] = json!(object.metadata.resource_version);
        let body = json!({ "metadata": metadata });
        let request = self.request(node).patch(&node.key.name, &PatchParams::default(), &Patch::Merge(&body));
        let request = request.map_err(|e| failed("patch", node, kube::Error::BuildRequest(e)))?;
        match self.client.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).map_err(|e| failed("patch", node, e)),
        }
    }

    fn request(&self, node: &Node) -> Request {
        let namespace = Some(node.key.namespace.as_str()).filter(|n| !n.is_empty());
        Request::new(<DynamicObject as kube::Resource>::url_path(&node.kind, namespace))
    }
}

/// A list for a merge patch; an empty one takes the field away.
fn listed<T: serde::Serialize>(items: impl Iterator<Item = T>) -> Value {
    let items: Vec<T> = items.collect();
    if items.is_empty() { Value::Null } else { json!(items) }
}

fn failed(verb: &'static str, node: &Node, source: kube::Error) -> Error {
    let key = Key::new(&node.key.namespace, &node.key.name);
    Error::Api { verb, kind: node.kind.kind.clone(), key, source: Box::new(source) }
}

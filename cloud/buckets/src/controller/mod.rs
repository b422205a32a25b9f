//! Brings users and buckets about in a [`Backend`], and says in their status what became of them.
//! Reacts to objects alone: doing the same again changes nothing.

mod bucket;
mod claim;
mod condition;
mod finalizer;
mod keys;
mod usage;
mod user;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ResourceQuota, Secret};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::backend::{self, Backend};
use crate::kinds::{ObjectStorageBucket, ObjectStorageUser};
use crate::names::{quota_of, user_of};

/// On our Secrets: whose they are. Only Secrets with it are watched.
const USER_LABEL: &str = "objectstorage.sealos.io/user";
/// When a failed attempt is made again.
const RETRY: Duration = Duration::from_secs(2);
/// When something that stood in the way is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often an object is looked at without any event.
const NOW_AND_THEN: Duration = Duration::from_secs(600);
/// How many objects of a kind are worked on at a time.
const AT_ONCE: u16 = 8;

/// Where the store is reached, for the Secrets.
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// By pods, as in `http://object-storage.sealos-system.svc.cluster.local`.
    pub internal: String,
    /// By everybody else, as in `http://s3.localhost:8080`.
    pub external: String,
}

/// What the reconcilers share.
struct Shared {
    client: Client,
    backend: Arc<dyn Backend>,
    endpoints: Endpoints,
    recorder: Recorder,
}

/// Why an object could not be brought about now.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] backend::Error),
    #[error("{attempt}: {}", sealos_kit::apply::message(source))]
    Api { attempt: &'static str, source: Box<kube::Error> },
    #[error(transparent)]
    Apply(#[from] sealos_kit::apply::Error),
    #[error("the workspace still has buckets")]
    HasBuckets,
    #[error("the object changed meanwhile")]
    Changed,
}

impl Error {
    fn api(attempt: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { attempt, source: Box::new(source) }
    }
}

/// Follows the cluster until `shutdown`.
pub async fn run(
    client: Client,
    backend: Arc<dyn Backend>,
    endpoints: Endpoints,
    shutdown: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    let reporter = Reporter { controller: "sealos-buckets".to_owned(), instance: None };
    let recorder = Recorder::new(client.clone(), reporter);
    let shared = Arc::new(Shared { client: client.clone(), backend, endpoints, recorder });
    let all = watcher::Config::default;
    let ours = || watcher::Config::default().labels(USER_LABEL);
    let config = || kube::runtime::controller::Config::default().concurrency(AT_ONCE);

    let users = Controller::new(Api::<ObjectStorageUser>::all(client.clone()), all())
        .with_config(config())
        .owns(Api::<Secret>::all(client.clone()), ours())
        .watches(Api::<ResourceQuota>::all(client.clone()), all(), limited_user)
        .graceful_shutdown_on(shutdown.clone().cancelled_owned());
    let buckets = Controller::new(Api::<ObjectStorageBucket>::all(client.clone()), all())
        .with_config(config())
        .owns(Api::<Secret>::all(client.clone()), ours())
        .graceful_shutdown_on(shutdown.clone().cancelled_owned());
    let measure = usage::run(shared.clone(), users.store(), buckets.store(), shutdown.clone());
    let users = users.run(user::reconcile, give_up, shared.clone()).for_each(|done| told("user", done));
    let buckets = buckets.run(bucket::reconcile, give_up, shared).for_each(|done| told("bucket", done));
    tokio::join!(users, buckets, measure);
    Ok(())
}

/// The user whose quota a ResourceQuota sets.
fn limited_user(quota: ResourceQuota) -> Option<ObjectRef<ObjectStorageUser>> {
    let namespace = quota.namespace()?;
    (quota.name_any() == quota_of(&namespace)).then(|| ObjectRef::new(user_of(&namespace)).within(&namespace))
}

/// Tries again after an error.
fn give_up<K: Resource<DynamicType = ()>>(object: Arc<K>, error: &Error, _shared: Arc<Shared>) -> Action {
    let name = object.meta().name.as_deref().unwrap_or_default();
    match error {
        // Both pass by themselves.
        Error::HasBuckets | Error::Changed => {
            debug!(name, %error, "object storage waits");
            Action::requeue(LOOK_AGAIN)
        }
        _ => {
            warn!(name, error = %chain(error), "object storage is tried again");
            Action::requeue(RETRY)
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

async fn told<T: Debug, E: std::fmt::Display>(what: &'static str, done: Result<T, E>) {
    match done {
        Ok(object) => debug!(?object, what, "reconciled"),
        // Already said where it happened, or an object that is gone.
        Err(error) => debug!(%error, what, "not reconciled"),
    }
}

impl Shared {
    /// Writes a status if it says something new.
    async fn write_status<K>(&self, object: &K, now: &Value, wanted: &Value) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + serde::de::DeserializeOwned,
    {
        if now == wanted {
            return Ok(());
        }
        let api: Api<K> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        let patch = kube::api::Patch::Merge(json!({ "status": wanted }));
        let written = api.patch_status(&object.name_any(), &kube::api::PatchParams::default(), &patch).await;
        match written {
            // It is gone: nobody reads its status.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).map_err(Error::api("write the status")),
        }
    }

    /// Tells people by an event. It is no loss if that fails: the condition says the same.
    async fn warn<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: &str) {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            note: Some(note.to_owned()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            debug!(%error, reason, "an event could not be written");
        }
    }
}

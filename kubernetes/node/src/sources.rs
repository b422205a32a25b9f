//! ConfigMaps and Secrets: read when a container starts, watched while pods depend on them.
//!
//! Contents are read one object at a time and never cached. What is watched is only that something
//! changed: one watch per kind and namespace, started by the first pod that needs it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// How often an unused watch is looked for.
const IDLE_CHECK: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    ConfigMap,
    Secret,
}

/// An object that appeared, changed or vanished.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub kind: Kind,
    pub name: Arc<str>,
}

type Watches = Mutex<HashMap<(Kind, String), broadcast::Sender<Change>>>;

/// Access to ConfigMaps and Secrets.
#[derive(Clone, Debug)]
pub(crate) struct Sources(Arc<Inner>);

struct Inner {
    client: Client,
    shutdown: CancellationToken,
    watches: Watches,
}

impl Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

impl Sources {
    pub(crate) fn new(client: Client, shutdown: CancellationToken) -> Self {
        Self(Arc::new(Inner { client, shutdown, watches: Mutex::default() }))
    }

    pub(crate) async fn config_map(&self, namespace: &str, name: &str) -> kube::Result<Option<ConfigMap>> {
        Api::namespaced(self.0.client.clone(), namespace).get_opt(name).await
    }

    pub(crate) async fn secret(&self, namespace: &str, name: &str) -> kube::Result<Option<Secret>> {
        Api::namespaced(self.0.client.clone(), namespace).get_opt(name).await
    }

    /// Changes of one kind in one namespace. Subscribe before reading: then no change is missed.
    pub(crate) fn subscribe(&self, kind: Kind, namespace: &str) -> broadcast::Receiver<Change> {
        let mut watches = self.0.watches.lock();
        let key = (kind, namespace.to_owned());
        if let Some(sender) = watches.get(&key) {
            return sender.subscribe();
        }
        let (sender, receiver) = broadcast::channel(256);
        watches.insert(key.clone(), sender.clone());
        let inner = Arc::downgrade(&self.0);
        let shutdown = self.0.shutdown.clone();
        let client = self.0.client.clone();
        tokio::spawn(async move {
            let watch = async {
                match kind {
                    Kind::ConfigMap => follow::<ConfigMap>(client, &key, &sender, &inner).await,
                    Kind::Secret => follow::<Secret>(client, &key, &sender, &inner).await,
                }
            };
            shutdown.run_until_cancelled(watch).await;
        });
        receiver
    }
}

/// Forwards changes until nobody listens any more.
async fn follow<K>(
    client: Client,
    key: &(Kind, String),
    sender: &broadcast::Sender<Change>,
    inner: &Weak<Inner>,
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + Sync + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(client, &key.1);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let mut idle = tokio::time::interval(IDLE_CHECK);
    idle.reset();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => announce(key.0, event, sender),
                Some(Err(error)) => tracing::warn!(%error, namespace = key.1, "watch of pod configuration"),
                None => return,
            },
            _ = idle.tick() => {
                let Some(inner) = inner.upgrade() else { return };
                let mut watches = inner.watches.lock();
                if sender.receiver_count() == 0 {
                    watches.remove(key);
                    return;
                }
            }
        }
    }
}

fn announce<K>(kind: Kind, event: watcher::Event<PartialObjectMeta<K>>, sender: &broadcast::Sender<Change>)
where
    K: Resource<DynamicType = ()>,
{
    let object = match event {
        watcher::Event::Apply(object)
        | watcher::Event::InitApply(object)
        | watcher::Event::Delete(object) => object,
        watcher::Event::Init | watcher::Event::InitDone => return,
    };
    let change = Change { kind, name: object.name_any().into() };
    // Without listeners there is nobody to tell.
    sender.send(change).ok();
}

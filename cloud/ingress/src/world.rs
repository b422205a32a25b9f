//! The part of the cluster that routes depend on, kept by watches.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Error;

/// A snapshot of what routes depend on.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) ingresses: Vec<Arc<Ingress>>,
    pub(crate) services: Vec<Arc<Service>>,
    pub(crate) slices: Vec<Arc<EndpointSlice>>,
    pub(crate) secrets: Vec<Arc<Secret>>,
    pub(crate) deployments: Vec<Arc<Deployment>>,
    pub(crate) stateful_sets: Vec<Arc<StatefulSet>>,
    pub(crate) pods: Vec<Arc<Pod>>,
}

/// The running watches.
pub(crate) struct Watches {
    ingresses: Store<Ingress>,
    services: Store<Service>,
    slices: Store<EndpointSlice>,
    secrets: Store<Secret>,
    deployments: Store<Deployment>,
    stateful_sets: Store<StatefulSet>,
    pods: Store<Pod>,
    changes: watch::Receiver<u64>,
}

impl Watches {
    pub(crate) fn start(client: &Client, shutdown: CancellationToken) -> Self {
        let (notify, changes) = watch::channel(0);
        let starter = Starter { client: client.clone(), notify, shutdown };
        let all = watcher::Config::default();
        let tls = watcher::Config::default().fields("type=kubernetes.io/tls");
        Self {
            ingresses: starter.watch(all.clone(), "Ingresses", |_| {}),
            services: starter.watch(all.clone(), "Services", |_| {}),
            slices: starter.watch(all.clone(), "EndpointSlices", |_| {}),
            secrets: starter.watch(tls, "TLS Secrets", |_| {}),
            deployments: starter.watch(all.clone(), "Deployments", slim_deployment),
            stateful_sets: starter.watch(all.clone(), "StatefulSets", slim_stateful_set),
            pods: starter.watch(all, "Pods", slim_pod),
            changes,
        }
    }

    /// Waits for the first lists of what routes are made of. Workloads only explain, and may follow.
    pub(crate) async fn listed(&self) -> Result<(), Error> {
        let ended = |what| move |_| Error::WatchEnded(what);
        self.ingresses.wait_until_ready().await.map_err(ended("Ingresses"))?;
        self.services.wait_until_ready().await.map_err(ended("Services"))?;
        self.slices.wait_until_ready().await.map_err(ended("EndpointSlices"))
    }

    /// Waits for a change since the last call.
    pub(crate) async fn changed(&mut self) -> Result<(), Error> {
        self.changes.changed().await.map_err(|_| Error::WatchEnded("the cluster"))
    }

    pub(crate) fn world(&self) -> World {
        World {
            ingresses: self.ingresses.state(),
            services: self.services.state(),
            slices: self.slices.state(),
            secrets: self.secrets.state(),
            deployments: self.deployments.state(),
            stateful_sets: self.stateful_sets.state(),
            pods: self.pods.state(),
        }
    }
}

struct Starter {
    client: Client,
    notify: watch::Sender<u64>,
    shutdown: CancellationToken,
}

impl Starter {
    fn watch<K>(&self, config: watcher::Config, what: &'static str, slim: fn(&mut K)) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        K::DynamicType: Hash + Eq + Clone + Default,
    {
        let (store, writer) = reflector::store();
        let slim_all = move |object: &mut K| {
            object.managed_fields_mut().clear();
            slim(object);
        };
        let stream = watcher(Api::<K>::all(self.client.clone()), config)
            .default_backoff()
            .modify(slim_all)
            .reflect(writer);
        let (notify, shutdown) = (self.notify.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            let follow = stream.for_each(|event| {
                match event {
                    Ok(watcher::Event::Apply(_) | watcher::Event::Delete(_) | watcher::Event::InitDone) => {
                        notify.send_modify(|version| *version += 1);
                    }
                    Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                    Err(error) => warn!(%error, what, "a watch was interrupted, it is tried again"),
                }
                std::future::ready(())
            });
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = follow => {}
            }
        });
        store
    }
}

/// Of a workload only selectors, counts and conditions matter.
fn slim_deployment(deployment: &mut Deployment) {
    deployment.spec.template.spec = None;
}

fn slim_stateful_set(set: &mut StatefulSet) {
    set.spec.template.spec = None;
    set.spec.volume_claim_templates = None;
}

/// Of a pod only labels and states of containers matter.
fn slim_pod(pod: &mut Pod) {
    pod.spec = None;
    pod.metadata.annotations = None;
}

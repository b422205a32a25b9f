//! The objects of all components, kept by one set of watches, and a bell for each component that rings
//! when something of it changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};
use parking_lot::Mutex;
use sealos_db_engines::names::{
    COMPONENT, INSTANCE, KUBEBLOCKS, MANAGED_BY, TOPOLOGY_PRIMARY, topology_config, workload,
};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// One component of one Cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub namespace: String,
    pub cluster: String,
    pub component: String,
}

impl Key {
    /// The component that an object is labelled with.
    fn of(object: &impl kube::ResourceExt) -> Option<Self> {
        let label = |name| object.labels().get(name).cloned();
        Some(Self { namespace: object.namespace()?, cluster: label(INSTANCE)?, component: label(COMPONENT)? })
    }

    /// What the component's pods are called, without their numbers.
    pub(crate) fn workload(&self) -> String {
        workload(&self.cluster, &self.component)
    }
}

/// The kind of Clusters.
pub(crate) fn cluster_kind() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("apps.kubeblocks.io", "v1alpha1", "Cluster"))
}

/// Bells that ring when something changes.
#[derive(Debug, Default)]
pub(crate) struct Bells {
    each: Mutex<HashMap<Key, Arc<Notify>>>,
    /// Rings when components come or go.
    pub any: Notify,
}

impl Bells {
    /// The bell of a component.
    pub(crate) fn of(&self, key: &Key) -> Arc<Notify> {
        self.each.lock().entry(key.clone()).or_default().clone()
    }

    fn forget(&self, keep: &BTreeSet<Key>) {
        self.each.lock().retain(|key, _| keep.contains(key));
    }

    fn ring(&self, key: &Key) {
        if let Some(bell) = self.each.lock().get(key) {
            bell.notify_one();
        }
    }

    fn ring_cluster(&self, namespace: Option<&str>, cluster: &str) {
        let each = self.each.lock();
        let all = each.iter().filter(|(key, _)| Some(&*key.namespace) == namespace && key.cluster == cluster);
        all.for_each(|(_, bell)| bell.notify_one());
    }
}

/// The running watches.
#[derive(Debug)]
pub(crate) struct World {
    pods: Store<Pod>,
    maps: Store<ConfigMap>,
    sets: Store<StatefulSet>,
    clusters: Store<DynamicObject>,
    pub bells: Arc<Bells>,
}

impl World {
    pub(crate) fn start(client: &Client, shutdown: &CancellationToken) -> Self {
        let bells = Arc::new(Bells::default());
        let ours = || watcher::Config::default().labels(&format!("{MANAGED_BY}={KUBEBLOCKS}"));
        let starter = Starter { bells: bells.clone(), shutdown: shutdown.clone() };
        let clusters = Api::all_with(client.clone(), &cluster_kind());
        let kind = cluster_kind();
        let of_cluster = |bells: &Bells, cluster: &DynamicObject| {
            bells.ring_cluster(cluster.namespace().as_deref(), &cluster.name_any());
        };
        Self {
            pods: starter.watch(Api::all(client.clone()), ours(), (), slim_pod, ring),
            maps: starter.watch(Api::all(client.clone()), ours(), (), slim_map, ring),
            sets: starter.watch(Api::all(client.clone()), ours(), (), slim_set, |bells, set| {
                ring(bells, set);
                bells.any.notify_one();
            }),
            clusters: starter.watch(clusters, watcher::Config::default(), kind, |_| {}, of_cluster),
            bells,
        }
    }

    /// Waits for the first lists. The kind Cluster may be defined later than we begin.
    pub(crate) async fn listed(&self) -> Result<(), Error> {
        let ended = |what| move |_| Error::WatchEnded(what);
        self.sets.wait_until_ready().await.map_err(ended("StatefulSets"))?;
        self.maps.wait_until_ready().await.map_err(ended("ConfigMaps"))?;
        self.pods.wait_until_ready().await.map_err(ended("Pods"))?;
        self.clusters.wait_until_ready().await.map_err(ended("Clusters"))
    }

    /// All components there are, and those that are gone but for a pod that we hold.
    pub(crate) fn components(&self) -> BTreeSet<Key> {
        let held = |pod: &Arc<Pod>| pod.finalizers().iter().any(|name| name == crate::HOLD);
        let mut all: BTreeSet<Key> = self.sets.state().iter().filter_map(|set| Key::of(&**set)).collect();
        all.extend(self.pods.state().iter().filter(|pod| held(pod)).filter_map(|pod| Key::of(&**pod)));
        self.bells.forget(&all);
        all
    }

    pub(crate) fn pods(&self, key: &Key) -> BTreeMap<String, Arc<Pod>> {
        let own = |pod: &Arc<Pod>| Key::of(&**pod).as_ref() == Some(key);
        self.pods.state().into_iter().filter(own).map(|pod| (pod.name_any(), pod)).collect()
    }

    pub(crate) fn topology(&self, key: &Key) -> Option<Arc<ConfigMap>> {
        let name = topology_config(&key.cluster, &key.component);
        self.maps.get(&ObjectRef::new(&name).within(&key.namespace))
    }

    pub(crate) fn set(&self, key: &Key) -> Option<Arc<StatefulSet>> {
        self.sets.get(&ObjectRef::new(&key.workload()).within(&key.namespace))
    }

    pub(crate) fn cluster(&self, key: &Key) -> Option<Arc<DynamicObject>> {
        let name = ObjectRef::new_with(&key.cluster, cluster_kind()).within(&key.namespace);
        self.clusters.get(&name)
    }
}

fn ring(bells: &Bells, object: &impl kube::ResourceExt) {
    if let Some(key) = Key::of(object) {
        bells.ring(&key);
    }
}

struct Starter {
    bells: Arc<Bells>,
    shutdown: CancellationToken,
}

impl Starter {
    fn watch<K>(
        &self,
        api: Api<K>,
        config: watcher::Config,
        kind: K::DynamicType,
        slim: fn(&mut K),
        ring: fn(&Bells, &K),
    ) -> Store<K>
    where
        K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
        K::DynamicType: Hash + Eq + Clone + Send + Sync + 'static,
    {
        let what = K::plural(&kind).into_owned();
        let writer = Writer::new(kind);
        let store = writer.as_reader();
        let slim_all = move |object: &mut K| {
            object.managed_fields_mut().clear();
            slim(object);
        };
        let stream = watcher(api, config).default_backoff().modify(slim_all).reflect(writer);
        let (bells, shutdown) = (self.bells.clone(), self.shutdown.clone());
        tokio::spawn(async move {
            let follow = stream.for_each(|event| {
                match event {
                    Ok(watcher::Event::Apply(object) | watcher::Event::Delete(object)) => {
                        ring(&bells, &object)
                    }
                    Ok(watcher::Event::InitDone) => {
                        bells.any.notify_one();
                        bells.each.lock().values().for_each(|bell| bell.notify_one());
                    }
                    Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
                    Err(error) => tracing::debug!(%error, what, "a watch was interrupted, it is tried again"),
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

/// Of a pod its containers' names matter, not how they are made.
fn slim_pod(pod: &mut Pod) {
    if let Some(spec) = &mut pod.spec {
        spec.volumes = None;
        for container in &mut spec.containers {
            let name = std::mem::take(&mut container.name);
            *container = k8s_openapi::api::core::v1::Container { name, ..Default::default() };
        }
    }
}

/// Only topologies are read.
fn slim_map(map: &mut ConfigMap) {
    if map.data.as_ref().is_some_and(|data| !data.contains_key(TOPOLOGY_PRIMARY)) {
        map.data = None;
    }
}

fn slim_set(set: &mut StatefulSet) {
    set.spec.template = Default::default();
    set.spec.volume_claim_templates = None;
}

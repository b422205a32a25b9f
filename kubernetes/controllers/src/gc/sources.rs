//! Where the collector learns of objects: the shared caches for the kinds that have one, and a watch
//! of metadata alone for all others, custom kinds included.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::Collector;
use super::graph::Node;
use crate::cluster::Cluster;
use crate::discovery::{self, Served};
use crate::kind::Kind;
use crate::meta::{self, Object};

const AFTER_ERROR: Duration = Duration::from_secs(1);
/// A definition is served a moment after it was written.
const SETTLE: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_secs(300);
const DEFINITIONS: &str = "customresourcedefinitions";

/// The kinds known at present, and word that they may have changed.
#[derive(Default)]
pub(super) struct Kinds {
    served: Mutex<Vec<Arc<Served>>>,
    changed: Notify,
}

impl Kinds {
    /// The kind of an owner reference, in whichever version is served.
    pub(super) fn find(&self, api_version: &str, kind: &str) -> Option<Arc<Served>> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        served.iter().find(|s| s.resource.kind == kind && s.resource.group == group).cloned()
    }

    fn replace(&self, all: Vec<Served>) -> Vec<Arc<Served>> {
        let all: Vec<Arc<Served>> = all.into_iter().map(Arc::new).collect();
        (*self.served.lock().unwrap_or_else(PoisonError::into_inner)).clone_from(&all);
        all
    }
}

macro_rules! follow {
    ($cluster:expr, $collector:expr, $($field:ident),* $(,)?) => {
        $(cached(&$cluster.$field, $collector);)*
    };
}

macro_rules! cached_kinds {
    ($($kind:ty),* $(,)?) => {
        /// Kinds that need no watch of their own.
        fn is_cached(resource: &ApiResource) -> bool {
            [$(ApiResource::erase::<$kind>(&()),)*]
                .iter()
                .any(|k| k.group == resource.group && k.kind == resource.kind)
        }
    };
}

cached_kinds! {
    k8s_openapi::api::core::v1::Pod,
    k8s_openapi::api::core::v1::Node,
    k8s_openapi::api::apps::v1::Deployment,
    k8s_openapi::api::apps::v1::ReplicaSet,
    k8s_openapi::api::apps::v1::StatefulSet,
    k8s_openapi::api::apps::v1::DaemonSet,
    k8s_openapi::api::apps::v1::ControllerRevision,
    k8s_openapi::api::batch::v1::Job,
    k8s_openapi::api::batch::v1::CronJob,
    k8s_openapi::api::core::v1::Service,
    k8s_openapi::api::discovery::v1::EndpointSlice,
    k8s_openapi::api::core::v1::Endpoints,
    k8s_openapi::api::core::v1::Namespace,
    k8s_openapi::api::core::v1::ServiceAccount,
    k8s_openapi::api::core::v1::PersistentVolumeClaim,
    k8s_openapi::api::core::v1::PersistentVolume,
    k8s_openapi::api::storage::v1::StorageClass,
    k8s_openapi::api::coordination::v1::Lease,
    k8s_openapi::api::policy::v1::PodDisruptionBudget,
    k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler,
}

pub(super) fn typed(cluster: &Cluster, collector: &Collector) {
    follow!(
        cluster,
        collector,
        pods,
        nodes,
        deployments,
        replica_sets,
        stateful_sets,
        daemon_sets,
        revisions,
        jobs,
        cron_jobs,
        services,
        slices,
        endpoints,
        namespaces,
        service_accounts,
        claims,
        volumes,
        storage_classes,
        leases,
        budgets,
        autoscalers,
    );
}

fn cached<K: Object>(kind: &Kind<K>, collector: &Collector) {
    let (collector, resource) = (collector.clone(), Arc::new(ApiResource::erase::<K>(&())));
    kind.on_change(move |change| match (change.old, change.new) {
        (Some(old), Some(new)) if !matters(old.meta(), new.meta()) => {}
        (old, Some(new)) => {
            // The name was given to a new object before the old one's end was seen.
            if let Some(old) = old.filter(|o| meta::uid(o.meta()) != meta::uid(new.meta())) {
                collector.gone(meta::uid(old.meta()));
            }
            collector.seen(Node::new(resource.clone(), new.meta()));
        }
        (Some(old), None) => collector.gone(meta::uid(old.meta())),
        (None, None) => {}
    });
}

fn matters(old: &ObjectMeta, new: &ObjectMeta) -> bool {
    old.uid != new.uid
        || old.owner_references != new.owner_references
        || old.finalizers != new.finalizers
        || old.deletion_timestamp != new.deletion_timestamp
}

/// Watches all kinds without a cache, and follows as kinds come and go.
pub(super) async fn dynamic(collector: &Collector, shutdown: CancellationToken) {
    let mut watches: HashMap<(String, String), CancellationToken> = HashMap::new();
    let mut tasks = JoinSet::new();
    while !shutdown.is_cancelled() {
        let pause = match discovery::served(&collector.client).await {
            Ok(all) => {
                let all = collector.kinds.replace(all);
                follow_kinds(collector, &all, &mut watches, &mut tasks, &shutdown);
                LOOK_AGAIN
            }
            Err(error) => {
                debug!(%error, "discovery");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
            () = collector.kinds.changed.notified() => tokio::time::sleep(SETTLE).await,
        }
    }
    while tasks.join_next().await.is_some() {}
}

fn follow_kinds(
    collector: &Collector,
    all: &[Arc<Served>],
    watches: &mut HashMap<(String, String), CancellationToken>,
    tasks: &mut JoinSet<()>,
    shutdown: &CancellationToken,
) {
    let id = |s: &Served| (s.resource.api_version.clone(), s.resource.plural.clone());
    let wanted = |s: &&Arc<Served>| s.watchable && !is_cached(&s.resource) && s.resource.kind != "Event";
    let wanted: HashMap<_, _> = all.iter().filter(wanted).map(|s| (id(s), s.clone())).collect();
    watches.retain(|id, stop| {
        let keep = wanted.contains_key(id);
        if !keep {
            stop.cancel();
        }
        keep
    });
    for (id, served) in wanted {
        watches.entry(id).or_insert_with(|| {
            let stop = shutdown.child_token();
            tasks.spawn(watch(collector.clone(), served, stop.clone()));
            stop
        });
    }
}

type Meta = PartialObjectMeta<DynamicObject>;

async fn watch(collector: Collector, served: Arc<Served>, stop: CancellationToken) {
    let api: Api<Meta> = Api::all_with(collector.client.clone(), &served.resource);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    let kind = Arc::new(served.resource.clone());
    let mut listed: Vec<String> = Vec::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => break,
            event = events.next() => event,
        };
        let Some(event) = event else { break };
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                listed.extend(object.metadata.uid.clone());
                collector.seen(Node::new(kind.clone(), &object.metadata));
            }
            Ok(watcher::Event::InitDone) => {
                let known = collector.graph().uids_of(&kind);
                for uid in known.iter().filter(|u| !listed.contains(u)) {
                    collector.gone(uid);
                }
                // A definition may have come between looking for kinds and this list.
                note_definition(&collector, &served);
            }
            Ok(watcher::Event::Apply(object)) => {
                collector.seen(Node::new(kind.clone(), &object.metadata));
                note_definition(&collector, &served);
            }
            Ok(watcher::Event::Delete(object)) => {
                gone(&collector, &object);
                note_definition(&collector, &served);
            }
            Err(error) => debug!(kind = %served.resource.kind, %error, "metadata watch"),
        }
    }
    // The kind is served no more, or everything stops.
    let mut graph = collector.graph();
    for uid in graph.uids_of(&kind) {
        graph.remove(&uid);
    }
}

fn gone(collector: &Collector, object: &Meta) {
    collector.gone(object.metadata.uid.as_deref().unwrap_or_default());
}

fn note_definition(collector: &Collector, served: &Served) {
    if served.resource.plural == DEFINITIONS {
        collector.kinds.changed.notify_one();
    }
}

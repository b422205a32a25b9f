//! The scheduler: finds a node for each pod that has none, the most important pod first.

mod affinity;
mod fit;
mod ledger;
mod pending;
mod score;
mod spread;
mod volumes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::cluster::Cluster;
use crate::events::Recorder;
use crate::meta::{self, Key};
use crate::pods;
use ledger::Ledger;
use pending::Pending;
use volumes::Storage;

pub(crate) use fit::{tolerates, wants_node};

/// Pods that fit nowhere are tried again after this time even if nothing seems to have changed.
const TRY_AGAIN: Duration = Duration::from_secs(30);
const AFTER_ERROR: Duration = Duration::from_millis(500);

struct Scheduler {
    client: kube::Client,
    events: Recorder,
    cluster: Cluster,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    pending: Pending,
}

/// What came of looking for a node.
enum Outcome {
    /// The pod needs no node any more.
    Nothing,
    Bind {
        pod: Arc<Pod>,
        node: String,
    },
    /// A claim must be bound on this node first.
    Claim {
        pod: Arc<Pod>,
        claims: Vec<Key>,
        node: String,
    },
    /// Not yet, and not worth telling.
    Wait(Duration),
    Unfit {
        pod: Arc<Pod>,
        message: String,
    },
}

pub(crate) fn start(
    cluster: Cluster,
    client: kube::Client,
    events: Recorder,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> {
    let scheduler = Scheduler { client, events, cluster, state: Mutex::default(), wake: Notify::new() };
    let scheduler = Arc::new(scheduler);
    scheduler.listen();
    scheduler.work(shutdown)
}

impl Scheduler {
    fn listen(self: &Arc<Self>) {
        let this = self.clone();
        self.cluster.pods.on_change(move |change| {
            let mut state = this.lock();
            let freed = state.ledger.note(change.old, change.new);
            state.pending.note(change.old, change.new);
            if freed {
                state.pending.retry_all();
            }
            drop(state);
            this.wake.notify_one();
        });
        let this = self.clone();
        self.cluster.nodes.on_change(move |change| {
            let differs = |a: &Node, b: &Node| {
                let allocatable = |n: &Node| n.status.as_ref().and_then(|s| s.allocatable.clone());
                a.spec != b.spec || a.metadata.labels != b.metadata.labels || allocatable(a) != allocatable(b)
            };
            if let Some(new) = change.new
                && change.old.is_none_or(|old| differs(old, new))
            {
                this.retry_all();
            }
        });
        let this = self.clone();
        self.cluster.claims.on_change(move |change| {
            let phase = |c: &k8s_openapi::api::core::v1::PersistentVolumeClaim| {
                c.status.as_ref().and_then(|s| s.phase.clone())
            };
            if change.new.is_some() && change.old.map(|c| phase(c)) != change.new.map(|c| phase(c)) {
                this.retry_all();
            }
        });
    }

    fn retry_all(&self) {
        self.lock().pending.retry_all();
        self.wake.notify_one();
    }

    async fn work(self: Arc<Self>, shutdown: CancellationToken) {
        let mut writes: JoinSet<()> = JoinSet::new();
        loop {
            loop {
                let next = self.lock().pending.take(Instant::now());
                let Some(key) = next else { break };
                let outcome = self.decide(&key);
                self.clone().follow_up(key, outcome, &mut writes);
            }
            let due = self.lock().pending.next_due();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.wake.notified() => {}
                () = wait_until(due) => {}
                Some(done) = writes.join_next() => {
                    if let Err(error) = done {
                        warn!(%error, "a binding task broke");
                    }
                }
            }
        }
    }

    fn decide(&self, key: &Key) -> Outcome {
        let Some(pod) = self.cluster.pods.get(key).filter(|p| pending::needs_node(p)) else {
            return Outcome::Nothing;
        };
        let storage = Storage {
            claims: &|key| self.cluster.claims.get(key),
            volumes: &|name| self.cluster.volumes.get(&Key::new("", name)),
            classes: &|name| self.cluster.storage_classes.get(&Key::new("", name)),
        };
        let storage = match storage.of(&pod, Timestamp::now()) {
            volumes::Found::Ready(needs) => needs,
            volumes::Found::Wait(pause) => return Outcome::Wait(pause),
            volumes::Found::Never(reason) => {
                let total = self.cluster.nodes.all().len();
                return Outcome::Unfit { pod, message: format!("0/{total} nodes are available: {reason}.") };
            }
        };
        let namespaces = self.cluster.namespaces.all();
        let mut state = self.lock();
        let nodes = state.ledger.nodes(self.cluster.nodes.all());
        match fit::choose(&pod, &nodes, &storage, &namespaces) {
            Ok(node) if storage.unbound.is_empty() => {
                state.ledger.assume(&pod, &node);
                Outcome::Bind { pod, node }
            }
            Ok(node) => Outcome::Claim { pod, claims: storage.unbound, node },
            Err(message) => Outcome::Unfit { pod, message },
        }
    }

    fn follow_up(self: Arc<Self>, key: Key, outcome: Outcome, writes: &mut JoinSet<()>) {
        match outcome {
            Outcome::Nothing => {}
            Outcome::Wait(pause) => self.lock().pending.park(key, Instant::now() + pause),
            Outcome::Bind { pod, node } => {
                writes.spawn(async move { self.bind(&pod, &node).await });
            }
            Outcome::Claim { pod, claims, node } => {
                self.lock().pending.park(key, Instant::now() + TRY_AGAIN);
                writes.spawn(async move { self.select_node(&pod, &claims, &node).await });
            }
            Outcome::Unfit { pod, message } => {
                let news = self.lock().pending.park_unfit(key, &message, Instant::now() + TRY_AGAIN);
                if news {
                    writes.spawn(async move { self.tell_unfit(&pod, message).await });
                }
            }
        }
    }

    async fn bind(&self, pod: &Arc<Pod>, node: &str) {
        let key = Key::of(&pod.metadata);
        let body = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": {"name": key.name, "namespace": key.namespace, "uid": pod.metadata.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let api: kube::Api<Pod> = kube::Api::namespaced(self.client.clone(), &key.namespace);
        let sent: Result<serde_json::Value, _> =
            api.create_subresource("binding", &key.name, &PostParams::default(), &body).await;
        match sent {
            Ok(_) => {
                let message = format!("Successfully assigned {key} to {node}");
                self.events.normal(&**pod, "Scheduled", message);
            }
            Err(error) => {
                debug!(%key, %error, "binding refused");
                let mut state = self.lock();
                state.ledger.forget(&key);
                if self.cluster.pods.get(&key).is_some_and(|p| pending::needs_node(&p)) {
                    state.pending.park(key, Instant::now() + AFTER_ERROR);
                }
                drop(state);
                self.wake.notify_one();
            }
        }
    }

    /// Asks the provisioner for the claims' volumes on the node that was found.
    async fn select_node(&self, pod: &Pod, claims: &[Key], node: &str) {
        for key in claims {
            let body = json!({"metadata": {"annotations": {volumes::SELECTED_NODE: node}}});
            let already = self.cluster.claims.get(key);
            if already.is_some_and(|c| meta::annotation(&c.metadata, volumes::SELECTED_NODE) == Some(node)) {
                continue;
            }
            if let Err(error) = self.cluster.claims.merge(key, &body).await {
                let error: &dyn std::error::Error = &error;
                debug!(pod = meta::name(&pod.metadata), error, "claim not annotated");
            }
        }
    }

    async fn tell_unfit(&self, pod: &Arc<Pod>, message: String) {
        self.events.warning(&**pod, "FailedScheduling", &message);
        let known = pods::condition(pod, "PodScheduled");
        let unchanged = known.is_some_and(|c| c.status == "False" && c.message.as_deref() == Some(&message));
        if unchanged {
            return;
        }
        let since = known.filter(|c| c.status == "False").and_then(|c| c.last_transition_time.clone());
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastTransitionTime": since.unwrap_or_else(meta::now), "lastProbeTime": null,
        });
        let key = Key::of(&pod.metadata);
        let body = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}});
        let api: kube::Api<Pod> = kube::Api::namespaced(self.client.clone(), &key.namespace);
        // By strategic merge: conditions of other writers stay.
        if let Err(error) =
            api.patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(body)).await
        {
            debug!(%key, %error, "condition not written");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

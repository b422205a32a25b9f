//! All pods of this node: which there are, and one worker for each.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::garbage;
use crate::pod::Remains;
use crate::pod::context::{Context, spec};
use crate::pod::labels::Found;
use crate::pod::worker::{Order, Worker};
use crate::shared::Shared;
use crate::state::PodState;

/// How much longer than a grace period the rest of ending a pod may take.
const TIDYING: Duration = Duration::from_secs(15);

/// The pods of this node.
pub(crate) struct Pods {
    shared: Arc<Shared>,
    shutdown: CancellationToken,
    workers: TaskTracker,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    handles: HashMap<String, Handle>,
    /// Pods that are done with. Late news about them start nothing.
    finished: HashSet<String>,
    /// What earlier processes left, until the pods it belongs to are known.
    found: HashMap<String, Vec<Found>>,
    /// The pods whose network is still there.
    attached: HashSet<String>,
    halted: Option<Duration>,
}

struct Handle {
    wish: watch::Sender<Arc<Pod>>,
    orders: watch::Sender<Order>,
    context: Arc<Context>,
}

impl Pods {
    pub(crate) fn new(
        shared: Arc<Shared>,
        found: HashMap<String, Vec<Found>>,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        let attached = shared.config.network.attached().into_iter().map(|(id, _)| id).collect();
        let inner = Mutex::new(Inner { found, attached, ..Inner::default() });
        Arc::new(Self { shared, shutdown, workers: TaskTracker::new(), inner })
    }

    /// Follows the API's wishes for as long as the node runs.
    pub(crate) async fn run(self: Arc<Self>) {
        let api: Api<Pod> = Api::all(self.shared.config.client.clone());
        let config = watcher::Config::default().fields(&format!("spec.nodeName={}", self.shared.config.name));
        let mut events = watcher(api, config).default_backoff().boxed();
        let mut listed = HashSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(pod)) => self.wish(pod).await,
                Ok(Event::Delete(pod)) => self.gone(&pod.uid().unwrap_or_default()),
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(pod)) => {
                    listed.insert(pod.uid().unwrap_or_default());
                    self.wish(pod).await;
                }
                Ok(Event::InitDone) => self.only(&listed),
                Err(error) => tracing::warn!(%error, "watch the pods of this node"),
            }
        }
    }

    /// A pod that is to run here, or news about one.
    async fn wish(self: &Arc<Self>, pod: Pod) {
        let Some(uid) = pod.uid() else { return };
        let pod = Arc::new(pod);
        if self.tell(&uid, &pod) {
            return;
        }
        let ip = pod.status.as_ref().and_then(|s| s.pod_ip.as_deref()).and_then(|ip| ip.parse().ok());
        if let Some(ip) = ip {
            self.shared.host_ports.recall(&uid, &pod, ip).await;
        }
        self.employ(uid, pod);
    }

    /// Passes news on. True if nothing is left to do.
    fn tell(&self, uid: &str, pod: &Arc<Pod>) -> bool {
        let inner = self.inner.lock();
        if let Some(handle) = inner.handles.get(uid) {
            handle.wish.send_replace(Arc::clone(pod));
            return true;
        }
        inner.finished.contains(uid) || inner.halted.is_some()
    }

    fn employ(self: &Arc<Self>, uid: String, pod: Arc<Pod>) {
        let mut inner = self.inner.lock();
        let mut remains = Remains::new();
        for found in inner.found.remove(&uid).unwrap_or_default() {
            remains.entry(found.container.clone()).or_default().push(found);
        }
        let (wish, wishes) = watch::channel(Arc::clone(&pod));
        let (orders, order) = watch::channel(Order::Run);
        let context = Arc::new(Context {
            shared: Arc::clone(&self.shared),
            uid: uid.clone(),
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            wish: wishes,
            state: watch::channel(PodState::new(&pod)).0,
            sandbox: watch::channel(None).0,
            events: self.shared.recorder.pod(&pod),
            credentials: OnceCell::new(),
        });
        let kept = spec(&pod).host_network == Some(true) || inner.attached.contains(&uid);
        let worker = Worker { context: Arc::clone(&context), orders: order, remains, kept };
        inner.handles.insert(uid.clone(), Handle { wish, orders, context });
        let pods = Arc::clone(self);
        self.workers.spawn(async move {
            let done = pods.shutdown.run_until_cancelled(worker.run()).await;
            if done.is_some() {
                let mut inner = pods.inner.lock();
                let handle = inner.handles.remove(&uid);
                // When the object was gone first, there will be no more news to ignore.
                if handle.is_some_and(|handle| *handle.orders.borrow() != Order::Gone) {
                    inner.finished.insert(uid);
                }
            }
        });
    }

    fn gone(&self, uid: &str) {
        let mut inner = self.inner.lock();
        inner.finished.remove(uid);
        if let Some(handle) = inner.handles.get(uid) {
            handle.orders.send_replace(Order::Gone);
        }
    }

    /// The complete list is known: all others are gone, and what belongs to nobody is garbage.
    fn only(&self, listed: &HashSet<String>) {
        let mut inner = self.inner.lock();
        inner.finished.retain(|uid| listed.contains(uid));
        for (uid, handle) in &inner.handles {
            if !listed.contains(uid) {
                handle.orders.send_replace(Order::Gone);
            }
        }
        let orphans = std::mem::take(&mut inner.found);
        let known: HashSet<String> = inner.handles.keys().cloned().collect();
        drop(inner);
        let shared = Arc::clone(&self.shared);
        let collect = async move { garbage::collect(&shared, orphans, &known).await };
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move { shutdown.run_until_cancelled(collect).await });
    }

    /// A pod by its name.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<Arc<Context>> {
        let inner = self.inner.lock();
        let mut contexts = inner.handles.values().map(|handle| &handle.context);
        contexts.find(|c| c.namespace == namespace && c.name == name).map(Arc::clone)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Context>> {
        self.inner.lock().handles.values().map(|handle| Arc::clone(&handle.context)).collect()
    }

    /// Ends all containers and waits until they are gone. New pods are not started any more.
    pub(crate) async fn halt(&self, grace: Duration) {
        {
            let mut inner = self.inner.lock();
            inner.halted = Some(grace);
            for handle in inner.handles.values() {
                handle.orders.send_replace(Order::Halt(grace));
            }
        }
        self.workers.close();
        if tokio::time::timeout(grace + TIDYING, self.workers.wait()).await.is_err() {
            let left = self.inner.lock().handles.values().map(|h| h.context.name.clone()).collect::<Vec<_>>();
            tracing::error!(pods = ?left, "these pods did not end in time");
        }
    }
}

//! What the tasks of one pod share: the wish, the facts, and the order to stop.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStatus, Pod, PodSpec};
use parking_lot::RwLock;
use sealos_oci::Credentials;
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;

use crate::events::Events;
use crate::names::Hostname;
use crate::shared::Shared;
use crate::state::{PodState, ended};
use crate::volumes::Volumes;

/// One pod on this node.
pub(crate) struct Context {
    pub shared: Arc<Shared>,
    pub uid: String,
    pub namespace: String,
    pub name: String,
    /// The pod as the API has it now.
    pub wish: watch::Receiver<Arc<Pod>>,
    pub state: watch::Sender<PodState>,
    pub sandbox: watch::Sender<Option<Arc<Sandbox>>>,
    pub events: Events,
    pub credentials: OnceCell<Credentials>,
}

/// What containers need before they can start: a network and volumes.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// None is the host's network.
    pub netns: Option<PathBuf>,
    pub ip: Ipv4Addr,
    pub hostname: Hostname,
    pub volumes: RwLock<Volumes>,
}

/// The order to end, and until when that may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub deadline: Instant,
    /// How long it was meant to take, for hooks and messages.
    pub grace: Duration,
}

/// Follows the order to stop; `None` until it is given.
pub(crate) type StopOrder = watch::Receiver<Option<Stop>>;

/// Returns once the order is given.
pub(crate) async fn stopped(order: &mut StopOrder) -> Stop {
    some(order).await
}

/// Waits for a value to be there. If nobody is left to provide it, that is forever.
async fn some<T: Clone>(receiver: &mut watch::Receiver<Option<T>>) -> T {
    let found = receiver.wait_for(Option::is_some).await.ok().and_then(|value| value.clone());
    match found {
        Some(value) => value,
        None => std::future::pending().await,
    }
}

impl Stop {
    pub(crate) fn within(grace: Duration) -> Self {
        Self { deadline: Instant::now() + grace, grace }
    }

    pub(crate) fn now() -> Self {
        Self::within(Duration::ZERO)
    }
}

impl Context {
    pub(crate) fn pod(&self) -> Arc<Pod> {
        Arc::clone(&self.wish.borrow())
    }

    /// The directory of the pod's volumes and files.
    pub(crate) fn dir(&self) -> PathBuf {
        self.shared.pod_dir(&self.uid)
    }

    /// The registry credentials of the pod, read once.
    pub(crate) async fn credentials(&self) -> Credentials {
        let pod = self.pod();
        let read = || crate::images::credentials(&self.shared.sources, &pod, &self.events);
        self.credentials.get_or_init(read).await.clone()
    }

    /// Waits for the sandbox.
    pub(crate) async fn sandbox(&self) -> Arc<Sandbox> {
        some(&mut self.sandbox.subscribe()).await
    }

    /// Changes what is known about one container; watchers are woken only by a real change.
    pub(crate) fn update(&self, container: &str, change: impl FnOnce(&mut ContainerStatus)) {
        self.state.send_if_modified(|state| {
            let Some(status) = state.container_mut(container) else { return false };
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    /// Puts a container into a state. An end that is left behind becomes its last state.
    pub(crate) fn set_state(&self, container: &str, next: ContainerState) {
        self.update(container, |status| replace_state(status, next));
    }
}

pub(crate) fn replace_state(status: &mut ContainerStatus, next: ContainerState) {
    if ended(status).is_some() && next.terminated.is_none() {
        status.last_state = status.state.take();
    }
    if next.running.is_none() {
        status.ready = false;
        status.started = Some(false);
    }
    status.state = Some(next);
}

/// The spec of a pod; one without is treated as empty.
pub(crate) fn spec(pod: &Pod) -> &PodSpec {
    static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
    pod.spec.as_ref().unwrap_or(&EMPTY)
}

/// How long the pod may take to end.
pub(crate) fn grace(pod: &Pod) -> Duration {
    let seconds = pod.metadata.deletion_grace_period_seconds.or(spec(pod).termination_grace_period_seconds);
    Duration::from_secs(seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(30))
}

/// A container of the pod by its name, from any of its lists.
pub(crate) fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = spec(pod);
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

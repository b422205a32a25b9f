//! What the node knows about one pod: the facts its status is computed from.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, Pod,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The facts about a pod. Changed by its tasks, read by its status writer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodState {
    /// Namespaces and volumes are there: containers may start.
    pub prepared: bool,
    pub ip: Option<Ipv4Addr>,
    pub start_time: Option<Time>,
    pub init: Vec<ContainerStatus>,
    pub main: Vec<ContainerStatus>,
    pub ephemeral: Vec<ContainerStatus>,
    /// A phase forced from outside the containers, such as a missed deadline.
    pub verdict: Option<Verdict>,
    /// No container runs or will run again, whatever the restart policy says.
    pub over: bool,
}

/// Why a pod failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub reason: String,
    pub message: String,
}

/// Which list of the pod a container belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Init,
    /// An init container that stays: `restartPolicy: Always`.
    Sidecar,
    Main,
    Ephemeral,
}

/// The role of an init container.
pub(crate) fn init_role(container: &Container) -> Role {
    if container.restart_policy.as_deref() == Some("Always") { Role::Sidecar } else { Role::Init }
}

impl PodState {
    /// The state of a pod nothing has been done for yet. Counts and last states come from its
    /// recorded status, so that a pod found again continues where it was.
    pub(crate) fn new(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let status = pod.status.as_ref();
        let has_init = spec.and_then(|s| s.init_containers.as_ref()).is_some_and(|list| !list.is_empty());
        let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
        let fresh = |containers: &[Container], old: Option<&Vec<ContainerStatus>>| {
            containers.iter().map(|c| initial(c, old, reason)).collect::<Vec<_>>()
        };
        Self {
            prepared: false,
            ip: None,
            start_time: status.and_then(|s| s.start_time.clone()),
            init: fresh(
                spec.and_then(|s| s.init_containers.as_deref()).unwrap_or_default(),
                status.and_then(|s| s.init_container_statuses.as_ref()),
            ),
            main: fresh(
                spec.map(|s| s.containers.as_slice()).unwrap_or_default(),
                status.and_then(|s| s.container_statuses.as_ref()),
            ),
            ephemeral: status.and_then(|s| s.ephemeral_container_statuses.clone()).unwrap_or_default(),
            verdict: None,
            over: false,
        }
    }

    /// Takes over what the pod's status says of containers that still run, so that finding them again
    /// is no news to anybody. `running` are their ids as statuses show them.
    pub(crate) fn recall(&mut self, pod: &Pod, running: &[String]) {
        let Some(old) = &pod.status else { return };
        let known = |old: &ContainerStatus| {
            is_running(old) && old.container_id.as_ref().is_some_and(|id| running.contains(id))
        };
        let find = |list: &Option<Vec<ContainerStatus>>, name: &str| {
            list.iter().flatten().find(|old| old.name == name).cloned()
        };
        let mut any = false;
        for status in &mut self.main {
            if let Some(old) = find(&old.container_statuses, &status.name).filter(known) {
                *status = old;
                any = true;
            }
        }
        for status in &mut self.init {
            let found = find(&old.init_container_statuses, &status.name);
            if let Some(old) = found.filter(|old| known(old) || (any && ended(old).is_some())) {
                *status = old;
            }
        }
        if any {
            self.prepared = true;
            self.ip = old.pod_ip.as_deref().and_then(|ip| ip.parse().ok());
        }
    }

    pub(crate) fn container(&self, name: &str) -> Option<&ContainerStatus> {
        self.init.iter().chain(&self.main).chain(&self.ephemeral).find(|c| c.name == name)
    }

    pub(crate) fn container_mut(&mut self, name: &str) -> Option<&mut ContainerStatus> {
        self.init.iter_mut().chain(&mut self.main).chain(&mut self.ephemeral).find(|c| c.name == name)
    }
}

fn initial(container: &Container, old: Option<&Vec<ContainerStatus>>, reason: &str) -> ContainerStatus {
    let old = old.into_iter().flatten().find(|status| status.name == container.name);
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        image_id: old.map(|o| o.image_id.clone()).unwrap_or_default(),
        container_id: old.and_then(|o| o.container_id.clone()),
        restart_count: old.map_or(0, |o| o.restart_count),
        state: Some(waiting(reason, None)),
        last_state: Some(old.and_then(last_end).unwrap_or_default()),
        started: Some(false),
        ..ContainerStatus::default()
    }
}

/// The most recent end recorded in a status.
fn last_end(status: &ContainerStatus) -> Option<ContainerState> {
    let ended = status.state.as_ref().filter(|state| state.terminated.is_some());
    ended.or(status.last_state.as_ref()).cloned()
}

pub(crate) fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting { reason: Some(reason.into()), message }),
        ..ContainerState::default()
    }
}

pub(crate) fn running(since: Timestamp) -> ContainerState {
    ContainerState {
        running: Some(ContainerStateRunning { started_at: Some(Time(since)) }),
        ..ContainerState::default()
    }
}

pub(crate) fn terminated(end: ContainerStateTerminated) -> ContainerState {
    ContainerState { terminated: Some(end), ..ContainerState::default() }
}

/// How a container ended, if its present state is an end.
pub(crate) fn ended(status: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    status.state.as_ref()?.terminated.as_ref()
}

pub(crate) fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.running.is_some())
}

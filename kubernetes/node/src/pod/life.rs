//! The order of a pod's life: init containers one after the other, then all others at once, then
//! the sidecars' end.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::container::{ContainerTask, Finish};
use super::context::{Context, Stop, StopOrder, containers, grace, spec, stopped};
use super::labels::Found;
use crate::state::{Role, ended, init_role, terminated};

/// Everything that earlier processes left of the pod's containers, by container.
pub(crate) type Remains = HashMap<String, Vec<Found>>;

/// Runs the pod's containers to their end: by themselves, or because `stop` says so.
pub(crate) struct Life {
    context: Arc<Context>,
    stop: StopOrder,
    remains: Remains,
    sidecars: JoinSet<Finish>,
    sidecar_stop: watch::Sender<Option<Stop>>,
    others: JoinSet<Finish>,
}

impl Life {
    pub(crate) fn new(context: Arc<Context>, stop: StopOrder, remains: Remains) -> Self {
        Self {
            context,
            stop,
            remains,
            sidecars: JoinSet::new(),
            sidecar_stop: watch::channel(None).0,
            others: JoinSet::new(),
        }
    }

    /// Returns when no container runs any more.
    pub(crate) async fn run(mut self) {
        let pod = self.context.pod();
        let began = spec(&pod).containers.iter().any(|c| self.remains.contains_key(&c.name));
        let initialised = if began { self.skip_init() } else { self.initialise().await };
        if initialised {
            for container in &spec(&pod).containers {
                let task = self.task(container, Role::Main, self.stop.clone());
                let found = self.remains.remove(&container.name).unwrap_or_default();
                self.others.spawn(task.run(found));
            }
        }
        self.follow_debuggers().await;
        self.end_sidecars().await;
        self.end_leftovers().await;
    }

    fn task(&self, container: &Container, role: Role, stop: StopOrder) -> ContainerTask {
        ContainerTask::new(Arc::clone(&self.context), container.clone(), role, stop)
    }

    /// Runs the init containers. False if the pod ends here.
    async fn initialise(&mut self) -> bool {
        let pod = self.context.pod();
        for container in spec(&pod).init_containers.iter().flatten() {
            if self.stop.borrow().is_some() {
                return false;
            }
            let found = self.remains.remove(&container.name).unwrap_or_default();
            if init_role(container) == Role::Sidecar {
                if !self.start_sidecar(container, found).await {
                    return false;
                }
                continue;
            }
            let task = self.task(container, Role::Init, self.stop.clone());
            if task.run(found).await != Finish::Ended(0) {
                return false;
            }
        }
        self.stop.borrow().is_none()
    }

    /// Starts a sidecar and waits until it has started up. False if the pod is stopped before.
    async fn start_sidecar(&mut self, container: &Container, found: Vec<Found>) -> bool {
        let task = self.task(container, Role::Sidecar, self.sidecar_stop.subscribe());
        self.sidecars.spawn(task.run(found));
        let mut state = self.context.state.subscribe();
        let mut stop = self.stop.clone();
        let name = container.name.clone();
        let started = state.wait_for(|state| state.container(&name).is_some_and(|c| c.started == Some(true)));
        tokio::select! {
            started = started => started.is_ok(),
            _ = stopped(&mut stop) => false,
        }
    }

    /// The containers proper have run before: init containers are done, sidecars go on.
    fn skip_init(&mut self) -> bool {
        let pod = self.context.pod();
        let old = pod.status.as_ref().and_then(|s| s.init_container_statuses.clone()).unwrap_or_default();
        for container in spec(&pod).init_containers.iter().flatten() {
            let found = self.remains.remove(&container.name).unwrap_or_default();
            if init_role(container) == Role::Sidecar {
                let task = self.task(container, Role::Sidecar, self.sidecar_stop.subscribe());
                self.sidecars.spawn(task.run(found));
                continue;
            }
            let known = old.iter().find(|s| s.name == container.name && ended(s).is_some());
            self.context.update(&container.name, |status| match known {
                Some(known) => status.clone_from(known),
                None => {
                    status.ready = true;
                    status.state = Some(terminated(ContainerStateTerminated {
                        reason: Some("Completed".into()),
                        ..ContainerStateTerminated::default()
                    }));
                }
            });
        }
        true
    }

    /// Waits for the main containers; starts debug containers as they are added meanwhile.
    async fn follow_debuggers(&mut self) {
        let mut wish = self.context.wish.clone();
        let mut known: Vec<String> = Vec::new();
        let mut debuggers = JoinSet::new();
        let debug_stop = watch::channel(None).0;
        while !self.others.is_empty() {
            for container in ephemeral(&self.context) {
                if known.contains(&container.name) {
                    continue;
                }
                known.push(container.name.clone());
                let found = self.remains.remove(&container.name).unwrap_or_default();
                let task = self.task(&container, Role::Ephemeral, debug_stop.subscribe());
                add_status(&self.context, &container);
                debuggers.spawn(task.run(found));
            }
            tokio::select! {
                _ = self.others.join_next() => {}
                changed = wish.changed() => if changed.is_err() { return },
            }
        }
        debug_stop.send_replace(Some(self.stop.borrow().clone().unwrap_or_else(Stop::now)));
        debuggers.join_all().await;
    }

    /// Ends the sidecars, which outlive all others, within what is left of the pod's grace period.
    async fn end_sidecars(&mut self) {
        let stop = self.stop.borrow().clone();
        let pod_grace = grace(&self.context.pod());
        self.sidecar_stop.send_replace(Some(stop.unwrap_or_else(|| Stop::within(pod_grace))));
        let mut order = self.stop.clone();
        while !self.sidecars.is_empty() {
            tokio::select! {
                _ = self.sidecars.join_next() => {}
                changed = order.changed() => match changed {
                    Ok(()) => drop(self.sidecar_stop.send_replace(order.borrow().clone())),
                    Err(_) => return,
                },
            }
        }
    }

    /// Removes containers of earlier processes that had no place in this life.
    async fn end_leftovers(&mut self) {
        for found in self.remains.drain().flat_map(|(_, list)| list) {
            let id = found.state.id;
            if let Err(error) = self.context.shared.config.runtime.remove(&id).await {
                tracing::warn!(%id, %error, "remove a container left behind");
            }
        }
    }
}

/// The debug containers of a pod, as plain containers.
fn ephemeral(context: &Context) -> Vec<Container> {
    let pod = context.pod();
    let list = spec(&pod).ephemeral_containers.iter().flatten();
    let plain = |debug: &k8s_openapi::api::core::v1::EphemeralContainer| {
        // The two kinds share their fields; what only one has is of no use here.
        serde_json::to_value(debug).and_then(serde_json::from_value::<Container>).ok()
    };
    let taken = |container: &Container| containers(&pod).any(|c| c.name == container.name);
    list.filter_map(plain).filter(|container| !taken(container)).collect()
}

fn add_status(context: &Context, container: &Container) {
    context.state.send_if_modified(|state| {
        if state.ephemeral.iter().any(|c| c.name == container.name) {
            return false;
        }
        state.ephemeral.push(k8s_openapi::api::core::v1::ContainerStatus {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            state: Some(crate::state::waiting("ContainerCreating", None)),
            ..Default::default()
        });
        true
    });
}

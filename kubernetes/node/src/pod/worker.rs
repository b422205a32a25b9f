//! One pod on this node, from the first sight of it to the last trace.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::{DeleteParams, Preconditions};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::context::{Context, Stop, grace, replace_state, spec};
use super::life::{Life, Remains};
use super::publish::Publisher;
use super::{labels, sandbox};
use crate::backoff::Retry;
use crate::state::{Verdict, ended, terminated, waiting};
use crate::status::{is_final, phase_of};
use crate::volumes::host::unmount_below;

/// What a pod gets to end when its object is already gone.
const GONE_GRACE: Duration = Duration::from_secs(1);

/// What the node wants of a worker, besides what the pod itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Run,
    /// The pod's object is gone.
    Gone,
    /// The node stops: end the containers, keep the pod.
    Halt(Duration),
}

pub(crate) struct Worker {
    pub context: Arc<Context>,
    pub orders: watch::Receiver<Order>,
    pub remains: Remains,
    /// Whether the pod's network outlived the process that made it. After a restart of the machine it
    /// did not, and nothing that ran in it can go on.
    pub kept: bool,
}

impl Worker {
    pub(crate) async fn run(self) {
        let Self { context, orders, remains, kept } = self;
        let worker = Running { context, orders };
        let remains = if kept { remains } else { worker.start_over(remains).await };
        worker.recall(&remains);
        worker.live(remains).await;
        worker.tear_down().await;
        if matches!(*worker.orders.borrow(), Order::Halt(_)) {
            return;
        }
        worker.until_unwanted().await;
        if matches!(*worker.orders.borrow(), Order::Halt(_)) {
            return;
        }
        worker.forget().await;
    }
}

struct Running {
    context: Arc<Context>,
    orders: watch::Receiver<Order>,
}

impl Running {
    /// Runs the pod until none of its containers runs any more, and publishes how it ended.
    async fn live(&self, remains: Remains) {
        let context = &self.context;
        let pod = context.pod();
        if pod.status.as_ref().and_then(|s| s.phase.as_deref()).is_some_and(is_final) {
            self.end_all(remains).await;
            return;
        }
        context.state.send_modify(|state| {
            state.start_time.get_or_insert_with(|| Time(Timestamp::now()));
        });
        let (stop, order) = watch::channel(None);
        let mut publisher = Publisher::new(context);
        {
            let publish = async {
                publisher.run().await;
                give(&stop, Stop::within(GONE_GRACE));
                std::future::pending::<()>().await;
            };
            let life = Life::new(Arc::clone(context), order, remains);
            tokio::select! {
                () = life.run() => {}
                () = sandbox::maintain(context) => {}
                () = self.control(&stop) => {}
                () = publish => {}
            }
        }
        if matches!(*self.orders.borrow(), Order::Halt(_)) {
            self.reset();
        }
        if context.pod().metadata.deletion_timestamp.is_some() {
            context.state.send_modify(|state| state.over = true);
        }
        if self.last_words_matter() {
            // A pod that is gone has nobody to tell.
            publisher.flush().await.ok();
        }
    }

    /// Goes on from what the world knows of the containers that still run.
    fn recall(&self, remains: &Remains) {
        let running =
            remains.values().flatten().filter(|f| f.state.status == sealos_container::Status::Running);
        let running: Vec<String> = running.map(|f| super::container::runtime_id(&f.state.id)).collect();
        let pod = self.context.pod();
        self.context.state.send_modify(|state| state.recall(&pod, &running));
    }

    /// Forgets the containers of a network that is gone, but not how they ended. Init containers run
    /// again before new ones start. A pod that must not be restarted keeps its ends.
    async fn start_over(&self, remains: Remains) -> Remains {
        // The pod will have another address: its files are written anew.
        tokio::fs::remove_dir_all(self.context.dir().join("etc")).await.ok();
        if spec(&self.context.pod()).restart_policy.as_deref() == Some("Never") {
            return remains;
        }
        for found in remains.values().flatten() {
            let sealos_container::Status::Exited(exit) = &found.state.status else { continue };
            let id = super::container::runtime_id(&found.state.id);
            self.context.update(&found.container, |status| {
                status.restart_count = found.attempt;
                status.container_id = Some(id.clone());
                status.last_state = Some(terminated(ContainerStateTerminated {
                    exit_code: exit.code,
                    reason: Some(if exit.code == 0 { "Completed" } else { "Error" }.into()),
                    started_at: Some(Time(exit.started_at)),
                    finished_at: Some(Time(exit.finished_at)),
                    container_id: Some(id),
                    ..ContainerStateTerminated::default()
                }));
            });
        }
        self.end_all(remains).await;
        Remains::new()
    }

    /// Ends what is left of a pod that had come to its end already.
    async fn end_all(&self, remains: Remains) {
        let ids = remains.into_values().flatten().map(|found| found.state.id);
        self.remove_containers(ids.collect()).await;
    }

    /// Whether somebody will still read this pod's status.
    fn last_words_matter(&self) -> bool {
        let pod = self.context.pod();
        let gone = *self.orders.borrow() == Order::Gone;
        let held = pod.metadata.finalizers.as_ref().is_some_and(|list| !list.is_empty());
        !gone && (pod.metadata.deletion_timestamp.is_none() || held)
    }

    /// Turns deletions, deadlines and orders into the order to stop. Never returns.
    async fn control(&self, stop: &watch::Sender<Option<Stop>>) {
        let mut wish = self.context.wish.clone();
        let mut orders = self.orders.clone();
        loop {
            let pod = Arc::clone(&wish.borrow_and_update());
            if pod.metadata.deletion_timestamp.is_some() {
                give(stop, Stop::within(grace(&pod)));
            }
            match *orders.borrow_and_update() {
                Order::Run => {}
                Order::Gone => give(stop, Stop::within(GONE_GRACE)),
                Order::Halt(limit) => give(stop, Stop::within(grace(&pod).min(limit))),
            }
            tokio::select! {
                changed = wish.changed() => if changed.is_err() { return std::future::pending().await },
                changed = orders.changed() => if changed.is_err() { return std::future::pending().await },
                () = self.deadline(&pod) => {
                    self.context.state.send_modify(|state| {
                        state.verdict.get_or_insert_with(|| Verdict {
                            reason: "DeadlineExceeded".into(),
                            message: "Pod was active on the node longer than the specified deadline".into(),
                        });
                    });
                    give(stop, Stop::within(grace(&pod)));
                }
            }
        }
    }

    /// Returns when the pod has been active for as long as it may.
    async fn deadline(&self, pod: &Pod) {
        let state = self.context.state.borrow().clone();
        let limit = spec(pod).active_deadline_seconds.filter(|_| state.verdict.is_none());
        let (Some(limit), Some(start)) = (limit, state.start_time) else {
            return std::future::pending().await;
        };
        let left = start.0.as_second().saturating_add(limit) - Timestamp::now().as_second();
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        sleep_until(Instant::now() + left).await;
    }

    /// Forgets that the containers ended: they did so only because the node stops, and the next
    /// start runs them again.
    fn reset(&self) {
        let pod = self.context.pod();
        self.context.state.send_modify(|state| {
            if is_final(phase_of(spec(&pod), state)) && spec(&pod).restart_policy.as_deref() == Some("Never")
            {
                return;
            }
            state.prepared = false;
            for status in state.init.iter_mut().chain(&mut state.main) {
                if ended(status).is_some_and(|end| end.exit_code != 0) || ended(status).is_none() {
                    replace_state(status, waiting("ContainerCreating", None));
                }
            }
        });
    }

    /// Takes back all that the pod held, except its logs.
    async fn tear_down(&self) {
        let context = &self.context;
        let shared = &context.shared;
        context.sandbox.send_replace(None);
        self.remove_containers(self.container_ids()).await;
        shared.host_ports.remove(&context.uid).await;
        let mut retry = Retry::new(Duration::from_millis(100), Duration::from_secs(5));
        while let Err(error) = shared.config.network.detach(&context.uid).await {
            tracing::warn!(pod = context.name, %error, "detach a pod's network");
            sleep_until(retry.next()).await;
        }
        let dir = context.dir();
        let removed = tokio::task::spawn_blocking(move || {
            unmount_below(&dir)?;
            remove_dir(&dir)
        });
        match removed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(pod = context.name, %error, "remove a pod's directory"),
            Err(error) => tracing::warn!(pod = context.name, %error, "remove a pod's directory"),
        }
    }

    /// All containers this pod may still have in the runtime.
    fn container_ids(&self) -> Vec<String> {
        let state = self.context.state.borrow();
        let all = state.init.iter().chain(&state.main).chain(&state.ephemeral);
        all.flat_map(|status| {
            let last = status.restart_count;
            (last.saturating_sub(1).max(0)..=last)
                .map(|attempt| labels::container_id(&self.context.uid, &status.name, attempt))
        })
        .collect()
    }

    async fn remove_containers(&self, ids: Vec<String>) {
        let runtime = &self.context.shared.config.runtime;
        let removals = ids.into_iter().map(|id| async move {
            if let Err(error) = runtime.remove(&id).await {
                tracing::warn!(%id, %error, "remove a container");
            }
        });
        futures::future::join_all(removals).await;
    }

    /// Waits until the pod is to be deleted, is gone, or the node stops.
    async fn until_unwanted(&self) {
        let mut wish = self.context.wish.clone();
        let mut orders = self.orders.clone();
        let deleted = wish.wait_for(|pod| pod.metadata.deletion_timestamp.is_some());
        let ordered = orders.wait_for(|order| *order != Order::Run);
        tokio::select! {
            result = deleted => drop(result),
            result = ordered => drop(result),
        }
    }

    /// Removes the pod's object, if it is still there, and its logs.
    async fn forget(&self) {
        let context = &self.context;
        let logs = context.shared.log_dir(&context.pod());
        let api: Api<Pod> = Api::namespaced(context.shared.config.client.clone(), &context.namespace);
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: Some(context.uid.clone()), resource_version: None }),
            ..DeleteParams::default()
        };
        let mut retry = Retry::new(Duration::from_millis(50), Duration::from_secs(5));
        while *self.orders.borrow() != Order::Gone {
            match api.delete(&context.name, &params).await {
                Ok(_) => break,
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => break,
                Err(error) => {
                    tracing::warn!(pod = context.name, %error, "delete an ended pod");
                    sleep_until(retry.next()).await;
                }
            }
        }
        let removed = tokio::task::spawn_blocking(move || remove_dir(&logs));
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(pod = context.name, %error, "remove a pod's logs");
        }
    }
}

/// Gives the order to stop; once given, its deadline only comes nearer.
fn give(stop: &watch::Sender<Option<Stop>>, new: Stop) {
    stop.send_if_modified(|current| match current {
        Some(old) if old.deadline <= new.deadline => false,
        _ => {
            *current = Some(new);
            true
        }
    });
}

fn remove_dir(dir: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

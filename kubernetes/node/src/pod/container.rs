//! One container of a pod, from its first image pull to the end that is not followed by a restart.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;
use sealos_container::Status;
use sealos_oci::Image;
use tokio::time::{Instant, sleep_until};

use super::blueprint::{self, Parts};
use super::context::{Context, Sandbox, Stop, StopOrder, spec, stopped};
use super::labels::{self, Found};
use super::record::Ended;
use super::restart::restarts;
use super::run;
use super::sandbox::Watched;
use crate::backoff::Backoff;
use crate::env;
use crate::events::Events;
use crate::images::{Policy, Wanted, image_id};
use crate::state::{Role, running, waiting};

/// How long a failed pull is shown as the error it was, before it is shown as waiting.
const SHOW_ERROR: Duration = Duration::from_secs(2);
/// How often a container that cannot be configured is looked at again without any news.
const CONFIG_RETRY: Duration = Duration::from_secs(10);

/// Runs one container as often as its policy wants.
pub(crate) struct ContainerTask {
    pub context: Arc<Context>,
    pub container: Container,
    pub role: Role,
    pub stop: StopOrder,
    pub events: Events,
    backoff: Backoff,
}

/// Why a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The container ended by itself, with this exit code, and is not to be restarted.
    Ended(i32),
    Stopped,
}

/// A container that runs.
pub(crate) struct Live {
    pub id: String,
    pub started_at: Timestamp,
    pub stop_signal: Option<String>,
    /// It was started by an earlier process: its hooks have run.
    pub adopted: bool,
}

impl ContainerTask {
    pub(crate) fn new(context: Arc<Context>, container: Container, role: Role, stop: StopOrder) -> Self {
        let events = context.events.container(role, &container.name);
        Self { context, container, role, stop, events, backoff: Backoff::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.container.name
    }

    /// `found` are the attempts that earlier processes left in the runtime.
    pub(crate) async fn run(mut self, mut found: Vec<Found>) -> Finish {
        found.sort_by_key(|found| found.attempt);
        let latest = found.pop();
        for old in found {
            self.remove(old.state.id);
        }
        let mut attempt = latest.as_ref().map_or_else(|| self.next_attempt(), |found| found.attempt);
        let mut adopted = latest;
        loop {
            let ended = match adopted.take() {
                Some(found) => self.resume(found).await,
                None => self.attempt(attempt).await,
            };
            let Some(ended) = ended else { return Finish::Stopped };
            let policy = spec(&self.context.pod()).restart_policy.clone().unwrap_or_else(|| "Always".into());
            if self.stop.borrow().is_some() {
                return Finish::Stopped;
            }
            if !restarts(self.role, &self.container, &policy, ended.code) {
                return Finish::Ended(ended.code);
            }
            if !self.wait_before_restart(ended.lasted).await {
                return Finish::Stopped;
            }
            attempt += 1;
        }
    }

    /// The number of the first attempt of this process: one more than any attempt that is recorded.
    fn next_attempt(&self) -> i32 {
        let state = self.context.state.borrow();
        let status = state.container(self.name());
        let ran = |s: &k8s_openapi::api::core::v1::ContainerStatus| s.container_id.is_some();
        status.map_or(0, |status| if ran(status) { status.restart_count + 1 } else { status.restart_count })
    }

    /// Takes over a container of an earlier process, running or ended.
    async fn resume(&mut self, found: Found) -> Option<Ended> {
        let (id, attempt) = (found.state.id.clone(), found.attempt);
        self.context.update(self.name(), |status| {
            status.restart_count = attempt;
            status.container_id = Some(runtime_id(&id));
        });
        match found.state.status {
            Status::Exited(exit) => Some(self.record_exit(&id, attempt, &exit).await),
            Status::Running => {
                self.context.sandbox().await;
                let stop_signal = labels::stop_signal(&found.state.labels);
                let started_at = found.state.started_at;
                self.live(Live { id, started_at, stop_signal, adopted: true }, attempt).await
            }
        }
    }

    /// Gets everything the container needs, starts it, and stays until it ends. `None` if it was
    /// stopped before it started.
    async fn attempt(&mut self, attempt: i32) -> Option<Ended> {
        let context = Arc::clone(&self.context);
        let mut stop = self.stop.clone();
        let (spec, slot) = tokio::select! {
            biased;
            _ = stopped(&mut stop) => return None,
            ready = async {
                let (image, sandbox) = tokio::join!(self.image(), context.sandbox());
                let spec = self.configure(&image, &sandbox, attempt).await;
                (spec, context.shared.starts.acquire().await)
            } => ready,
        };
        // From here on nothing is cut off: what came to life would be lost from sight.
        let started = context.shared.config.runtime.start(&spec).await;
        drop(slot);
        self.remove_older(attempt);
        self.context.update(self.name(), |status| {
            status.restart_count = attempt;
            status.container_id = Some(runtime_id(&spec.id));
        });
        match started {
            Ok(started) => {
                self.events.normal("Created", format!("Created container: {}", self.name()));
                self.events.normal("Started", format!("Started container {}", self.name()));
                let stop_signal = labels::stop_signal(&spec.labels);
                let started_at = started.started_at;
                self.live(Live { id: spec.id, started_at, stop_signal, adopted: false }, attempt).await
            }
            Err(error) => Some(self.record_failure(&spec.id, error)),
        }
    }

    /// The image, however often it must be asked for.
    async fn image(&self) -> Image {
        let name = self.container.image.clone().unwrap_or_default();
        let policy = Policy::of(self.container.image_pull_policy.as_deref(), &name);
        let credentials = self.context.credentials().await;
        let wanted = Wanted { name: name.clone(), policy, credentials };
        let mut backoff = Backoff::default();
        loop {
            let error = match self.context.shared.puller.get(&wanted, &self.events).await {
                Ok(image) => {
                    self.context.update(self.name(), |status| {
                        status.image_id = image_id(&image);
                    });
                    return image;
                }
                Err(error) => error,
            };
            let message = error.to_string();
            self.events.warning("Failed", format!("Failed to pull image \"{name}\": {message}"));
            self.events.warning("Failed", format!("Error: {}", error.reason()));
            self.context.set_state(self.name(), waiting(error.reason(), Some(message.clone())));
            if !error.may_pass() {
                std::future::pending::<()>().await;
            }
            let next = Instant::now() + backoff.wait();
            tokio::time::sleep(SHOW_ERROR).await;
            if error.reason() == "ErrImagePull" {
                let text = format!("Back-off pulling image \"{name}\": {message}");
                self.events.normal("BackOff", format!("Back-off pulling image \"{name}\""));
                self.context.set_state(self.name(), waiting("ImagePullBackOff", Some(text)));
            }
            sleep_until(next).await;
        }
    }

    /// Puts the container together; waits while it cannot be configured.
    async fn configure(
        &self,
        image: &Image,
        sandbox: &Sandbox,
        attempt: i32,
    ) -> sealos_container::ContainerSpec {
        let mut watched: Option<Watched> = None;
        loop {
            let error = match self.blueprint(image, sandbox, attempt).await {
                Ok(spec) => return spec,
                Err(error) => error.to_string(),
            };
            self.events.warning("Failed", format!("Error: {error}"));
            self.context.set_state(self.name(), waiting("CreateContainerConfigError", Some(error)));
            let news = watched.get_or_insert_with(|| Watched::of(&self.context));
            let retry = Instant::now() + CONFIG_RETRY;
            tokio::select! {
                () = self.relevant(news) => {}
                () = sleep_until(retry) => {}
            }
        }
    }

    /// Returns when an object that the container's variables come from has changed.
    async fn relevant(&self, watched: &mut Watched) {
        let referred = env::references(&self.container);
        loop {
            match watched.next().await {
                Some(change) => {
                    if referred.iter().any(|(kind, name)| *kind == change.kind && **name == *change.name) {
                        return;
                    }
                }
                None => return,
            }
        }
    }

    async fn blueprint(
        &self,
        image: &Image,
        sandbox: &Sandbox,
        attempt: i32,
    ) -> Result<sealos_container::ContainerSpec, blueprint::Error> {
        let pod = self.context.pod();
        let shared = &self.context.shared;
        let links = spec(&pod).enable_service_links != Some(false);
        let (referred, services) = tokio::join!(
            env::read(&shared.sources, &self.context.namespace, &self.container),
            shared.services.variables(&self.context.namespace, links),
        );
        let place = shared.place(Some(sandbox.ip));
        let vars = env::assemble(&env::Inputs {
            pod: &pod,
            container: &self.container,
            place: &place,
            referred: &referred?,
            services,
        })?;
        let context = &self.context;
        let container = &self.container;
        Parts { context, pod: &pod, container, sandbox, image, vars, attempt }.build()
    }

    /// Stays with a running container until it has ended, and records how.
    async fn live(&mut self, live: Live, attempt: i32) -> Option<Ended> {
        let (ready, started) = self.known_health(&live);
        self.context.update(self.name(), |status| {
            super::context::replace_state(status, running(live.started_at));
            status.ready = ready;
            status.started = Some(started);
        });
        let exit = run::until_end(self, &live).await;
        Some(match exit {
            Ok(exit) => self.record_exit(&live.id, attempt, &exit).await,
            Err(error) => self.record_lost(&live, &error),
        })
    }

    /// Waits out the back-off. False if the pod was stopped meanwhile.
    async fn wait_before_restart(&mut self, lasted: Duration) -> bool {
        let wait = self.backoff.after(lasted);
        if !wait.is_zero() {
            let (name, pod) = (self.name(), &self.context);
            let full = format!("{}_{}({})", pod.name, pod.namespace, pod.uid);
            let length = minutes_and_seconds(wait);
            let message = format!("back-off {length} restarting failed container={name} pod={full}");
            self.context.set_state(name, waiting("CrashLoopBackOff", Some(message)));
            let text = format!("Back-off restarting failed container {name} in pod {full}");
            self.events.warning("BackOff", text);
        }
        let until = Instant::now() + wait;
        tokio::select! {
            biased;
            _ = stopped(&mut self.stop) => false,
            () = sleep_until(until) => true,
        }
    }
}

/// `10s`, `1m20s`, `5m0s`.
fn minutes_and_seconds(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// A container's id as statuses show it.
pub(crate) fn runtime_id(id: &str) -> String {
    format!("sealos://{id}")
}

impl ContainerTask {
    /// The order to stop, for whoever ends the container.
    pub(crate) fn stop_now(&self) -> Option<Stop> {
        self.stop.borrow().clone()
    }
}

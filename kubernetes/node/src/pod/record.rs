//! What is noted when an attempt at a container starts, ends or fails, and what is thrown away then.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ContainerStateTerminated;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sealos_container::Exit;

use super::container::{ContainerTask, Live, runtime_id};
use super::context::replace_state;
use super::{blueprint, ending, labels};
use crate::state::{Role, is_running, terminated};

/// An attempt that came to an end.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) lasted: Duration,
}

impl ContainerTask {
    /// Whether a container counts as ready and started at this moment. One that was found again is
    /// what it was; a new one without probes is both.
    pub(super) fn known_health(&self, live: &Live) -> (bool, bool) {
        let c = &self.container;
        if live.adopted {
            let pod = self.context.pod();
            let statuses = pod.status.as_ref().map(|s| {
                s.init_container_statuses.iter().flatten().chain(s.container_statuses.iter().flatten())
            });
            let known = statuses.into_iter().flatten().find(|s| s.name == c.name);
            let same = known.filter(|s| is_running(s) && s.container_id == Some(runtime_id(&live.id)));
            if let Some(status) = same {
                return (status.ready, status.started == Some(true));
            }
        }
        let hook = c.lifecycle.as_ref().is_some_and(|l| l.post_start.is_some());
        let started = c.startup_probe.is_none() && !hook;
        (started && c.readiness_probe.is_none() && self.role != Role::Init, started)
    }

    pub(super) async fn record_exit(&self, id: &str, attempt: i32, exit: &Exit) -> Ended {
        let pod_dir = self.context.dir();
        let logs = self.context.shared.log_dir(&self.context.pod());
        let remains = ending::Remains {
            container: &self.container,
            id: runtime_id(id),
            exit,
            message_file: blueprint::message_file(&pod_dir, self.name(), attempt),
            log: blueprint::log_path(&logs, self.name(), attempt),
        };
        self.record(ending::describe(&remains).await);
        let lasted = exit.finished_at.duration_since(exit.started_at);
        Ended { code: exit.code, lasted: Duration::try_from(lasted).unwrap_or_default() }
    }

    pub(super) fn record_lost(&self, live: &Live, error: &sealos_container::Error) -> Ended {
        tracing::warn!(id = live.id, error = error as &dyn std::error::Error, "a container was lost");
        self.record(ContainerStateTerminated {
            exit_code: 137,
            reason: Some("ContainerStatusUnknown".into()),
            message: Some(format!("The container could not be located when it ended: {error}")),
            container_id: Some(runtime_id(&live.id)),
            started_at: Some(Time(live.started_at)),
            finished_at: Some(Time(Timestamp::now())),
            ..ContainerStateTerminated::default()
        });
        Ended { code: 137, lasted: Duration::ZERO }
    }

    pub(super) fn record_failure(&self, id: &str, error: sealos_container::Error) -> Ended {
        let message = format!("Error: failed to start container \"{}\": {error}", self.name());
        self.events.warning("Failed", message.clone());
        let code = match error {
            sealos_container::Error::Start { failure, .. } => failure.into(),
            _ => 128,
        };
        let now = Time(Timestamp::now());
        self.record(ContainerStateTerminated {
            exit_code: code,
            reason: Some("StartError".into()),
            message: Some(message),
            container_id: Some(runtime_id(id)),
            started_at: Some(now.clone()),
            finished_at: Some(now),
            ..ContainerStateTerminated::default()
        });
        Ended { code, lasted: Duration::ZERO }
    }

    fn record(&self, end: ContainerStateTerminated) {
        let done = end.exit_code == 0 && self.role == Role::Init;
        self.context.update(self.name(), |status| {
            replace_state(status, terminated(end));
            status.ready = done;
        });
    }

    /// Removes what earlier attempts left, except the logs of the last one.
    pub(super) fn remove_older(&self, attempt: i32) {
        if attempt == 0 {
            return;
        }
        self.remove(labels::container_id(&self.context.uid, self.name(), attempt - 1));
        let logs = self.context.shared.log_dir(&self.context.pod()).join(self.name());
        let messages = blueprint::message_file(&self.context.dir(), self.name(), attempt - 1);
        tokio::task::spawn_blocking(move || {
            // What is not there needs no removing.
            std::fs::remove_file(messages).ok();
            ending::remove_logs_before(&logs, attempt - 1);
        });
    }

    pub(super) fn remove(&self, id: String) {
        let runtime = self.context.shared.config.runtime.clone();
        tokio::spawn(async move {
            if let Err(error) = runtime.remove(&id).await {
                tracing::warn!(%id, %error, "remove an ended container");
            }
        });
    }
}

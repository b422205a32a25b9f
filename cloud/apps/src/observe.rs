//! Why an app is not ready, in plain words. Pure.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, PersistentVolumeClaim, Pod};

use crate::status::Workload;

/// One reason, and whether waiting longer is unlikely to help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) reason: String,
    pub(crate) lasting: bool,
}

impl Trouble {
    fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: true }
    }

    fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), lasting: false }
    }
}

/// The most telling reason why the app is not ready.
pub(crate) fn trouble(
    workload: &Workload,
    pods: &[Pod],
    claims: &[PersistentVolumeClaim],
) -> Option<Trouble> {
    let mut all: Vec<_> =
        pods.iter().filter(|p| p.metadata.deletion_timestamp.is_none()).filter_map(of_pod).collect();
    all.sort_by_key(|t| !t.lasting);
    let found = all.into_iter().next().or_else(|| of_claims(claims));
    match (found, &workload.stuck) {
        (Some(trouble), Some(_)) => Some(Trouble { lasting: true, ..trouble }),
        (None, Some(message)) => Some(Trouble::lasting(message.clone())),
        (found, None) => found,
    }
}

fn of_claims(claims: &[PersistentVolumeClaim]) -> Option<Trouble> {
    let pending =
        claims.iter().find(|c| c.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Pending"))?;
    Some(Trouble::passing(format!("storage `{}` is being made", pending.metadata.name.as_deref()?)))
}

fn of_pod(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let ready = status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    if ready {
        return None;
    }
    let unschedulable =
        status.conditions.iter().flatten().find(|c| c.type_ == "PodScheduled" && c.status == "False");
    if let Some(condition) = unschedulable {
        let why = condition.message.as_deref().unwrap_or("no node has room");
        return Some(Trouble::lasting(format!("no room to run it: {why}")));
    }
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    containers.filter_map(of_container).min_by_key(|t| !t.lasting).or_else(|| not_listening(pod))
}

/// The container runs, but its probe says no.
fn not_listening(pod: &Pod) -> Option<Trouble> {
    let running =
        pod.status.as_ref()?.container_statuses.as_ref()?.iter().find(|c| !c.ready && is_running(c))?;
    let spec = pod.spec.as_ref()?.containers.iter().find(|c| c.name == running.name)?;
    let probe = spec.readiness_probe.as_ref()?;
    let port =
        probe.tcp_socket.as_ref().map(|t| &t.port).or_else(|| probe.http_get.as_ref().map(|h| &h.port))?;
    let port = match port {
        k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(n) => n.to_string(),
        k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::String(s) => s.clone(),
    };
    Some(Trouble::passing(format!(
        "it runs, but nothing answers on port {port} yet; if that does not change, check the port it listens on"
    )))
}

fn is_running(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|s| s.running.is_some())
}

fn of_container(status: &ContainerStatus) -> Option<Trouble> {
    let state = status.state.as_ref()?;
    if let Some(ended) = &state.terminated
        && ended.exit_code != 0
    {
        return Some(Trouble::passing(ending(ended)));
    }
    let waiting = state.waiting.as_ref()?;
    let detail = waiting.message.clone().unwrap_or_default();
    match waiting.reason.as_deref()? {
        "CrashLoopBackOff" => Some(Trouble::lasting(crash(status))),
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            Some(Trouble::lasting(format!("the image `{}` cannot be had: {detail}", status.image)))
        }
        "CreateContainerConfigError" => {
            Some(Trouble::lasting(format!("its configuration is incomplete: {detail}")))
        }
        "CreateContainerError" | "RunContainerError" => {
            Some(Trouble::lasting(format!("it cannot start: {detail}")))
        }
        "ContainerCreating" | "PodInitializing" => Some(Trouble::passing("its container is being made")),
        other => Some(Trouble::passing(format!("{other} {detail}").trim_end().to_owned())),
    }
}

fn crash(status: &ContainerStatus) -> String {
    let last = status.last_state.as_ref().and_then(|s| s.terminated.as_ref());
    let how = last.map_or_else(|| "it ended".to_owned(), ending);
    let times = match status.restart_count {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    if last.is_some_and(|t| t.exit_code == 0) {
        return format!(
            "it keeps ending by itself with exit code 0, restarted {times}; an app goes on running: give it a \
             command that does"
        );
    }
    format!("it keeps crashing: {how}, restarted {times}; look at its logs")
}

fn ending(ended: &ContainerStateTerminated) -> String {
    match (ended.reason.as_deref(), ended.exit_code) {
        (Some("StartError" | "ContainerCannotRun"), _) => {
            format!("it cannot start: {}", ended.message.as_deref().unwrap_or("no reason was given"))
        }
        (Some("OOMKilled"), _) => "it used more memory than it may and was ended; give it more".to_owned(),
        (_, 126) => "its command is not executable (exit code 126)".to_owned(),
        (_, 127) => "its command was not found (exit code 127)".to_owned(),
        (_, 137) => "it was killed (exit code 137)".to_owned(),
        (_, code) => format!("it ended with exit code {code}"),
    }
}

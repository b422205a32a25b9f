//! The status of a pod, computed from its spec and the facts. Pure: no client, no clock.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::quantity;
use crate::state::{PodState, Role, ended, init_role, is_running};

/// The five phases' names, as they appear in a status.
pub(crate) mod phase {
    pub(crate) const PENDING: &str = "Pending";
    pub(crate) const RUNNING: &str = "Running";
    pub(crate) const SUCCEEDED: &str = "Succeeded";
    pub(crate) const FAILED: &str = "Failed";
}

/// True for a pod that will never run again.
pub(crate) fn is_final(phase: &str) -> bool {
    phase == phase::SUCCEEDED || phase == phase::FAILED
}

/// The status to publish. Conditions of other writers are left out; transition times of conditions
/// that did not change are taken from the pod's present status.
pub(crate) fn compute(pod: &Pod, state: &PodState, host_ip: Ipv4Addr, now: Timestamp) -> PodStatus {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let phase = if state.verdict.is_some() { phase::FAILED } else { phase_of(spec, state) };
    let generation = pod.metadata.generation;
    let list = |statuses: &Vec<ContainerStatus>| (!statuses.is_empty()).then(|| statuses.clone());
    PodStatus {
        phase: Some(phase.into()),
        reason: state.verdict.as_ref().map(|v| v.reason.clone()),
        message: state.verdict.as_ref().map(|v| v.message.clone()),
        conditions: Some(conditions(pod, spec, state, phase, now)),
        host_ip: Some(host_ip.to_string()),
        host_ips: Some(vec![HostIP { ip: host_ip.to_string() }]),
        pod_ip: state.ip.map(|ip| ip.to_string()),
        pod_ips: state.ip.map(|ip| vec![PodIP { ip: ip.to_string() }]),
        start_time: state.start_time.clone(),
        qos_class: Some(qos_class(spec).into()),
        observed_generation: generation,
        init_container_statuses: list(&state.init),
        container_statuses: list(&state.main),
        ephemeral_container_statuses: list(&state.ephemeral),
        ..PodStatus::default()
    }
}

/// The phase the containers add up to.
pub(crate) fn phase_of(spec: &PodSpec, state: &PodState) -> &'static str {
    let init = init_summary(spec, state);
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    let (mut waiting, mut running, mut stopped, mut succeeded) = (0, 0, 0, 0);
    for status in &state.main {
        if is_running(status) {
            running += 1;
        } else if let Some(end) = ended(status) {
            stopped += 1;
            succeeded += usize::from(end.exit_code == 0);
        } else if status.last_state.as_ref().is_some_and(|last| last.terminated.is_some()) {
            stopped += 1;
        } else {
            waiting += 1;
        }
    }
    if init.failed && policy == "Never" {
        return phase::FAILED;
    }
    if state.over {
        let all = succeeded == state.main.len();
        return if all { phase::SUCCEEDED } else { phase::FAILED };
    }
    let began = running + stopped > 0;
    if (init.pending && !began) || waiting > 0 {
        return phase::PENDING;
    }
    if running > 0 || init.sidecars_running {
        return phase::RUNNING;
    }
    match policy {
        _ if stopped == 0 => phase::PENDING,
        "Always" => phase::RUNNING,
        _ if stopped == succeeded => phase::SUCCEEDED,
        "Never" => phase::FAILED,
        _ => phase::RUNNING,
    }
}

struct InitSummary {
    pending: bool,
    failed: bool,
    sidecars_running: bool,
}

fn init_summary(spec: &PodSpec, state: &PodState) -> InitSummary {
    let mut summary = InitSummary { pending: false, failed: false, sidecars_running: false };
    for (container, status) in spec.init_containers.iter().flatten().zip(&state.init) {
        if init_role(container) == Role::Sidecar {
            summary.sidecars_running |= is_running(status);
            summary.pending |= status.started != Some(true);
            continue;
        }
        let code = |state: &k8s_openapi::api::core::v1::ContainerState| {
            state.terminated.as_ref().map(|end| end.exit_code)
        };
        let present = status.state.as_ref().and_then(code);
        let waits = status.state.as_ref().is_some_and(|s| s.waiting.is_some());
        let last = status.last_state.as_ref().and_then(code).filter(|_| waits);
        match present.or(last) {
            Some(0) if present.is_some() => {}
            Some(code) if code != 0 => {
                summary.failed = true;
                summary.pending = true;
            }
            _ => summary.pending = true,
        }
    }
    summary
}

fn conditions(pod: &Pod, spec: &PodSpec, state: &PodState, phase: &str, now: Timestamp) -> Vec<PodCondition> {
    let old = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let containers_ready = containers_ready(spec, state, phase);
    let ready = pod_ready(spec, old, &containers_ready);
    let sandbox = Holds::plain(state.prepared);
    let initialized = initialized(spec, state, phase);
    [
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialized),
        ("Ready", ready),
        ("ContainersReady", containers_ready),
    ]
    .into_iter()
    .map(|(name, value)| value.condition(name, old, pod.metadata.generation, now))
    .collect()
}

/// One condition's value and, when it is false, why.
#[derive(Clone)]
struct Holds {
    holds: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Holds {
    fn plain(holds: bool) -> Self {
        Self { holds, reason: None, message: None }
    }

    fn not(reason: &'static str, message: Option<String>) -> Self {
        Self { holds: false, reason: Some(reason), message }
    }

    fn condition(
        self,
        name: &str,
        old: &[PodCondition],
        generation: Option<i64>,
        now: Timestamp,
    ) -> PodCondition {
        let status = if self.holds { "True" } else { "False" };
        let same = old.iter().find(|c| c.type_ == name && c.status == status);
        PodCondition {
            type_: name.into(),
            status: status.into(),
            reason: self.reason.map(Into::into),
            message: self.message,
            last_transition_time: same.and_then(|c| c.last_transition_time.clone()).or(Some(Time(now))),
            observed_generation: generation,
            ..PodCondition::default()
        }
    }
}

fn initialized(spec: &PodSpec, state: &PodState, phase: &str) -> Holds {
    if phase == phase::SUCCEEDED {
        return Holds { holds: true, reason: Some("PodCompleted"), message: None };
    }
    let began = state.main.iter().any(|s| {
        is_running(s) || ended(s).is_some() || s.last_state.as_ref().is_some_and(|l| l.terminated.is_some())
    });
    if began {
        return Holds::plain(true);
    }
    let incomplete: Vec<&str> = spec
        .init_containers
        .iter()
        .flatten()
        .zip(&state.init)
        .filter(|(container, status)| !init_done(container, status))
        .map(|(container, _)| container.name.as_str())
        .collect();
    if incomplete.is_empty() {
        return Holds::plain(true);
    }
    Holds::not(
        "ContainersNotInitialized",
        Some(format!("containers with incomplete status: [{}]", incomplete.join(" "))),
    )
}

fn init_done(container: &Container, status: &ContainerStatus) -> bool {
    match init_role(container) {
        Role::Sidecar => status.started == Some(true),
        _ => ended(status).is_some_and(|end| end.exit_code == 0),
    }
}

fn containers_ready(spec: &PodSpec, state: &PodState, phase: &str) -> Holds {
    match phase {
        phase::SUCCEEDED => return Holds::not("PodCompleted", None),
        phase::FAILED => return Holds::not("PodFailed", None),
        _ => {}
    }
    let sidecars = spec
        .init_containers
        .iter()
        .flatten()
        .zip(&state.init)
        .filter(|(container, _)| init_role(container) == Role::Sidecar)
        .map(|(_, status)| status);
    let unready: Vec<&str> =
        sidecars.chain(&state.main).filter(|s| !s.ready).map(|s| s.name.as_str()).collect();
    if unready.is_empty() {
        return Holds::plain(true);
    }
    Holds::not("ContainersNotReady", Some(format!("containers with unready status: [{}]", unready.join(" "))))
}

fn pod_ready(spec: &PodSpec, old: &[PodCondition], containers: &Holds) -> Holds {
    if !containers.holds {
        return containers.clone();
    }
    let missing: Vec<String> = spec
        .readiness_gates
        .iter()
        .flatten()
        .filter(|gate| !old.iter().any(|c| c.type_ == gate.condition_type && c.status == "True"))
        .map(|gate| match old.iter().find(|c| c.type_ == gate.condition_type) {
            Some(_) => {
                format!("the status of pod readiness gate \"{}\" is not \"True\"", gate.condition_type)
            }
            None => format!(
                "corresponding condition of pod readiness gate \"{}\" does not exist.",
                gate.condition_type
            ),
        })
        .collect();
    if missing.is_empty() {
        return Holds::plain(true);
    }
    Holds::not("ReadinessGatesNotReady", Some(missing.join(", ")))
}

/// The quality of service a pod's requests and limits entitle it to.
pub(crate) fn qos_class(spec: &PodSpec) -> &'static str {
    let mut any = false;
    let mut guaranteed = true;
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let resources = container.resources.as_ref();
        let requests = resources.and_then(|r| r.requests.as_ref());
        let limits = resources.and_then(|r| r.limits.as_ref());
        for name in ["cpu", "memory"] {
            let amount = |list: Option<&BTreeMap<_, _>>| {
                list.and_then(|list| list.get(name)).and_then(quantity::milli).filter(|q| *q > 0)
            };
            let (request, limit) = (amount(requests), amount(limits));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;

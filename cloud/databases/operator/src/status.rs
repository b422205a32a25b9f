//! How a database is, judged from what there is of it. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use sealos_db_engines::names;

use crate::model::{Cluster, ClusterStatus, ComponentStatus, Condition, Member, OPS_REQUEST, ReplicationSet};
use crate::observe::{Observed, has_role, is_ready};
use crate::plan::{VERSION_OF_IMAGE, revision};
use crate::wanted::Wanted;

/// So many restarts are a failure; fewer may heal themselves, as when a replica is up before its primary.
const MANY_RESTARTS: i32 = 3;

/// Condition: what was asked for can be had.
pub(crate) const PROVISIONING: &str = "ProvisioningStarted";
/// Condition: the objects were accepted.
pub(crate) const APPLIED: &str = "ApplyResources";
/// Condition: all pods are ready and one takes writes.
pub(crate) const READY: &str = "Ready";
/// Condition: it has been ready once.
pub(crate) const PROVISIONED: &str = "Provisioned";
/// Condition: what runs is not exactly what was asked for.
pub(crate) const SUBSTITUTED: &str = "ImageSubstituted";
/// Condition: the storage was asked to shrink.
pub(crate) const SHRINK: &str = "StorageShrinkRefused";

/// A judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) phase: &'static str,
    pub(crate) message: String,
}

impl Verdict {
    pub(crate) fn new(phase: &'static str, message: impl Into<String>) -> Self {
        Self { phase, message: message.into() }
    }
}

/// What is still missing; nothing if the database is as it is wanted.
pub(crate) fn unsettled(wanted: &Wanted, observed: &Observed) -> Option<String> {
    let Some(set) = &observed.set else { return Some("its pods are being described".into()) };
    let image = set.spec.template.spec.as_ref().and_then(|s| s.containers.first()?.image.clone());
    let expected = revision(wanted, &image.unwrap_or_default());
    let version = observed.annotation(VERSION_OF_IMAGE);
    if observed.revision().as_deref() != Some(expected.as_str()) || version != Some(wanted.version.number()) {
        return Some("the change is being carried over".into());
    }
    if observed.replicas() != wanted.replicas {
        return Some(format!("going from {} to {} pods", observed.replicas(), wanted.replicas));
    }
    let pods = observed.pods.len();
    let wanted_pods = usize::try_from(wanted.replicas).unwrap_or_default();
    if pods > wanted_pods {
        return Some(format!("{} of its pods are ending", pods - wanted_pods));
    }
    if let Some(pod) = observed.pods.iter().find(|pod| !observed.is_current(pod)) {
        return Some(format!("{} is being replaced", pod.name_any()));
    }
    let ready = observed.pods.iter().filter(|pod| is_ready(pod)).count();
    if ready < wanted_pods {
        let trouble = observed.pods.iter().find_map(trouble).map(|t| t.message);
        let why = trouble.map(|t| format!(": {t}")).unwrap_or_default();
        return Some(format!("{ready} of {wanted_pods} pods are ready{why}"));
    }
    if wanted_pods > 0 && observed.leader().is_none() {
        return Some("its pods are ready, and one is being made the primary".into());
    }
    if !observed.holds(wanted.storage) {
        return Some(format!("its volumes are growing to {}", wanted.storage));
    }
    None
}

/// How the database is.
pub(crate) fn verdict(cluster: &Cluster, wanted: &Wanted, observed: &Observed) -> Verdict {
    let Some(missing) = unsettled(wanted, observed) else {
        return if wanted.replicas == 0 {
            Verdict::new("Stopped", "it is stopped; its data is kept")
        } else {
            Verdict::new("Running", "")
        };
    };
    if wanted.replicas == 0 {
        return Verdict::new("Stopping", missing);
    }
    let lasting = observed.pods.iter().filter_map(trouble).find(|t| t.lasting);
    if let Some(trouble) = lasting {
        // One that takes writes is not lost for the trouble of another pod.
        let phase = if observed.leader().is_some() { "Abnormal" } else { "Failed" };
        return Verdict::new(phase, trouble.message);
    }
    if let Some(phase) = operation(cluster) {
        return Verdict::new(phase, missing);
    }
    let before = cluster.status.clone().unwrap_or_default();
    let was_ready = holds(&before.conditions, PROVISIONED);
    let phase = match before.phase.as_deref().unwrap_or_default() {
        "Stopped" | "Stopping" | "Starting" => "Starting",
        _ if !was_ready => "Creating",
        _ if !observed.holds(wanted.storage) => "VolumeExpanding",
        _ if observed.pods.iter().any(|pod| !observed.is_current(pod)) => "Updating",
        _ if observed.replicas() != wanted.replicas => "Updating",
        "Updating" if observed.pods.iter().any(is_ready) => "Updating",
        _ => "Abnormal",
    };
    Verdict::new(phase, missing)
}

/// The phase that an operation under way gives its Cluster.
fn operation(cluster: &Cluster) -> Option<&'static str> {
    let running = cluster.annotations().get(OPS_REQUEST)?;
    let running: serde_json::Value = serde_json::from_str(running).ok()?;
    Some(match running[0]["type"].as_str()? {
        "Start" => "Starting",
        "Stop" => "Stopping",
        "Restart" => "Rebooting",
        "VerticalScaling" => "VerticalScaling",
        "HorizontalScaling" => "HorizontalScaling",
        "VolumeExpansion" => "VolumeExpanding",
        "Upgrade" => "Upgrade",
        _ => "Updating",
    })
}

struct Trouble {
    message: String,
    lasting: bool,
}

/// What keeps a pod from being ready, if it says so.
fn trouble(pod: &Pod) -> Option<Trouble> {
    let status = pod.status.as_ref()?;
    let name = pod.name_any();
    let unscheduled = status.conditions.iter().flatten().find(|c| {
        c.type_ == "PodScheduled" && c.status == "False" && c.reason.as_deref() == Some("Unschedulable")
    });
    if let Some(condition) = unscheduled {
        let why = condition.message.clone().unwrap_or_default();
        return Some(Trouble { message: format!("{name} finds no place: {why}"), lasting: true });
    }
    status.container_statuses.iter().flatten().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        if matches!(reason, "ContainerCreating" | "PodInitializing") {
            return None;
        }
        let last = container.last_state.as_ref().and_then(|s| s.terminated.as_ref());
        let said = last.and_then(|t| t.message.clone()).or_else(|| waiting.message.clone());
        let said = said.map(|s| format!(": {}", s.trim())).unwrap_or_default();
        let lasting = match reason {
            "CrashLoopBackOff" => container.restart_count >= MANY_RESTARTS,
            _ => true,
        };
        Some(Trouble { message: format!("{name} cannot start ({reason}{said})"), lasting })
    })
}

/// Whether a condition holds.
pub(crate) fn holds(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|c| c.type_ == type_ && c.status == "True")
}

/// The parts of a status.
pub(crate) fn components(
    wanted: &Wanted,
    observed: &Observed,
    verdict: &Verdict,
) -> BTreeMap<String, ComponentStatus> {
    let mut all = BTreeMap::new();
    let ready = observed.pods.iter().filter(|pod| is_ready(pod)).count();
    let messages = observed
        .pods
        .iter()
        .filter_map(|pod| Some((format!("Pod/{}", pod.name_any()), trouble(pod)?.message)));
    let member = |pod: &Pod| Member { pod: pod.name_any() };
    let primary = observed.pods.iter().find(|pod| has_role(pod, names::PRIMARY)).map(member);
    let secondaries: Vec<_> =
        observed.pods.iter().filter(|pod| has_role(pod, names::SECONDARY)).map(member).collect();
    let main = ComponentStatus {
        phase: Some(verdict.phase.into()),
        pods_ready: Some(wanted.replicas > 0 && usize::try_from(wanted.replicas).is_ok_and(|n| ready >= n)),
        message: messages.collect(),
        replication_set_status: primary.map(|primary| ReplicationSet { primary, secondaries }),
    };
    all.insert(wanted.component.clone(), main);
    for idle in &wanted.idle {
        // It has nothing to do here, so it is as the database is.
        let (phase, pods_ready) = (all[&wanted.component].phase.clone(), all[&wanted.component].pods_ready);
        all.insert(idle.clone(), ComponentStatus { phase, pods_ready, ..ComponentStatus::default() });
    }
    all
}

/// A status under construction. Conditions keep their time while they do not change.
pub(crate) struct Builder {
    status: ClusterStatus,
    generation: Option<i64>,
    now: String,
}

impl Builder {
    pub(crate) fn new(cluster: &Cluster, now: String) -> Self {
        let mut status = cluster.status.clone().unwrap_or_default();
        status.observed_generation = cluster.metadata.generation;
        status.cluster_def_generation = Some(1);
        Self { status, generation: cluster.metadata.generation, now }
    }

    pub(crate) fn verdict(mut self, verdict: &Verdict) -> Self {
        self.status.phase = Some(verdict.phase.into());
        self.status.message = Some(verdict.message.clone());
        let is_ready = verdict.phase == "Running";
        let reason = if is_ready { "ClusterReady" } else { verdict.phase };
        let before = self.status.conditions.iter().find(|c| c.type_ == READY);
        // While nobody has seen it ready there is nothing that could have been lost.
        if is_ready || before.is_some() {
            self = self.condition(READY, is_ready, reason, &verdict.message);
        }
        if is_ready { self.condition(PROVISIONED, true, "ClusterReady", "it has been ready") } else { self }
    }

    pub(crate) fn components(mut self, components: BTreeMap<String, ComponentStatus>) -> Self {
        self.status.components = components;
        self
    }

    pub(crate) fn condition(mut self, type_: &str, status: bool, reason: &str, message: &str) -> Self {
        let status = if status { "True" } else { "False" };
        let all = &mut self.status.conditions;
        let before = all.iter().find(|c| c.type_ == type_ && c.status == status);
        let since = before.map_or_else(|| self.now.clone(), |c| c.last_transition_time.clone());
        let new = Condition {
            type_: type_.into(),
            status: status.into(),
            reason: reason.into(),
            message: message.into(),
            last_transition_time: since,
            observed_generation: self.generation,
        };
        match all.iter_mut().find(|c| c.type_ == type_) {
            Some(old) => *old = new,
            None => all.push(new),
        }
        self
    }

    pub(crate) fn without(mut self, type_: &str) -> Self {
        self.status.conditions.retain(|c| c.type_ != type_);
        self
    }

    pub(crate) fn done(self) -> ClusterStatus {
        self.status
    }
}

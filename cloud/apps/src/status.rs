//! From objects back to what a person wants to know of an app. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Container, PersistentVolumeClaim, Pod, PodSpec, Service};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use sealos_kit::labels;
use sealos_kit::quantity::{Bytes, Cpu};
use serde::{Deserialize, Serialize};

use crate::actions::Observed;
use crate::observe::{Trouble, trouble};

/// What an app is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Pods are being made or replaced.
    Creating,
    /// All replicas that are wanted are ready.
    Running,
    /// No replicas are wanted.
    Waiting,
    /// It does not come up.
    Error,
    /// It was stopped by a person.
    Stopped,
    /// It is going away.
    Deleting,
}

/// The state of an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// The name.
    pub name: String,
    /// The namespace.
    pub workspace: String,
    /// The image as it was asked for.
    pub image: String,
    /// What it is doing.
    pub phase: Phase,
    /// Why, in plain words; empty when all is well.
    pub message: String,
    /// `Deployment` or `StatefulSet`.
    pub kind: String,
    /// Wanted and ready pods.
    pub replicas: Replicas,
    /// Where it is reached.
    pub addresses: Vec<Address>,
    /// Ports of the machine that lead to it.
    pub node_ports: Vec<NodePort>,
    /// The limit of each pod.
    pub cpu: Option<Cpu>,
    /// The limit of each pod.
    pub memory: Option<Bytes>,
    /// When it was made, RFC 3339.
    pub created_at: Option<String>,
    /// Its pods.
    pub pods: Vec<PodStatus>,
    /// The free text.
    pub remark: Option<String>,
}

/// Wanted and ready pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// How many are wanted.
    pub desired: i32,
    /// How many are ready.
    pub ready: i32,
    /// How many run the newest template.
    pub updated: i32,
}

/// One way to reach an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    /// The host name.
    pub host: String,
    /// The app's port behind it.
    pub port: u16,
}

/// A port of the machine that leads to an app; TCP and UDP have no host names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePort {
    /// The app's port.
    pub port: u16,
    /// The machine's port.
    pub node_port: u16,
    /// `TCP` or `UDP`.
    pub protocol: String,
}

/// One pod of an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    /// The name.
    pub name: String,
    /// The phase or the reason why it waits.
    pub phase: String,
    /// Whether it takes traffic.
    pub ready: bool,
    /// How often its containers were restarted.
    pub restarts: i32,
    /// The node it runs on.
    pub node: Option<String>,
    /// Its address.
    pub ip: Option<String>,
    /// Its containers.
    pub containers: Vec<String>,
    /// When it was made, RFC 3339.
    pub created_at: Option<String>,
}

/// A Deployment or a StatefulSet, seen as an app's workload.
pub(crate) struct Workload {
    pub(crate) kind: &'static str,
    pub(crate) metadata: ObjectMeta,
    pub(crate) pod: Option<PodSpec>,
    pub(crate) desired: i32,
    pub(crate) ready: i32,
    pub(crate) updated: i32,
    pub(crate) total: i32,
    pub(crate) observed: bool,
    pub(crate) stuck: Option<String>,
    pub(crate) claims: Vec<PersistentVolumeClaim>,
}

impl From<Deployment> for Workload {
    fn from(d: Deployment) -> Self {
        let status = d.status.unwrap_or_default();
        let spec = d.spec;
        let stuck = status.conditions.iter().flatten().find(|c| {
            c.type_.as_deref() == Some("Progressing")
                && c.status.as_deref() == Some("False")
                && c.reason.as_deref() == Some("ProgressDeadlineExceeded")
        });
        Self {
            kind: "Deployment",
            desired: spec.replicas.unwrap_or(1),
            ready: status.ready_replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            total: status.replicas.unwrap_or(0),
            observed: status.observed_generation >= d.metadata.generation,
            claims: Vec::new(),
            stuck: stuck.and_then(|c| c.message.clone()),
            pod: spec.template.spec,
            metadata: d.metadata,
        }
    }
}

impl From<StatefulSet> for Workload {
    fn from(s: StatefulSet) -> Self {
        let status = s.status.unwrap_or_default();
        let spec = s.spec;
        Self {
            kind: "StatefulSet",
            desired: spec.replicas.unwrap_or(1),
            ready: status.ready_replicas.unwrap_or(0),
            updated: status.updated_replicas.unwrap_or(0),
            total: status.replicas,
            observed: status.observed_generation >= s.metadata.generation,
            claims: spec.volume_claim_templates.unwrap_or_default(),
            stuck: None,
            pod: spec.template.spec,
            metadata: s.metadata,
        }
    }
}

impl Workload {
    /// The app's own container: the one that has its name, else the first.
    pub(crate) fn container(&self) -> Option<&Container> {
        let containers = &self.pod.as_ref()?.containers;
        let named = containers.iter().find(|c| Some(&c.name) == self.metadata.name.as_ref());
        named.or_else(|| containers.first())
    }

    /// Whether something besides running tells when a pod is ready.
    pub(crate) fn is_probed(&self) -> bool {
        self.container().is_some_and(|c| c.readiness_probe.is_some())
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(labels::PAUSE))
    }
}

/// The app that these objects stand for.
pub(crate) fn app_status(observed: &Observed) -> AppStatus {
    let Observed { workload, pods, ingresses, claims, services } = observed;
    let name = workload.metadata.name.clone().unwrap_or_default();
    let annotations = workload.metadata.annotations.clone().unwrap_or_default();
    let trouble = trouble(workload, pods, claims);
    let phase = phase(workload, trouble.as_ref());
    let container = workload.container();
    let limit = |key: &str| Some(container?.resources.as_ref()?.limits.as_ref()?.get(key)?.0.clone());
    AppStatus {
        workspace: workload.metadata.namespace.clone().unwrap_or_default(),
        image: image(&annotations, container),
        message: message(phase, workload, trouble),
        phase,
        kind: workload.kind.to_owned(),
        replicas: Replicas { desired: workload.desired, ready: workload.ready, updated: workload.updated },
        addresses: addresses(ingresses),
        node_ports: node_ports(services),
        cpu: limit("cpu").and_then(|q| Cpu::parse(&q).ok()),
        memory: limit("memory").and_then(|q| Bytes::parse(&q).ok()),
        created_at: workload.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()),
        pods: pods.iter().map(pod_status).collect(),
        remark: annotations.get(labels::REMARK).cloned(),
        name,
    }
}

fn image(annotations: &BTreeMap<String, String>, container: Option<&Container>) -> String {
    let asked = annotations.get(labels::ORIGIN_IMAGE).cloned();
    asked.or_else(|| container?.image.clone()).unwrap_or_default()
}

fn phase(workload: &Workload, trouble: Option<&Trouble>) -> Phase {
    if workload.metadata.deletion_timestamp.is_some() {
        return Phase::Deleting;
    }
    if workload.is_paused() {
        return Phase::Stopped;
    }
    if workload.desired == 0 {
        return Phase::Waiting;
    }
    // As long as pods of an older version are there, a rollout is under way.
    let settled = workload.observed
        && workload.ready >= workload.desired
        && workload.updated >= workload.desired
        && workload.total <= workload.updated;
    match trouble {
        _ if settled => Phase::Running,
        Some(trouble) if trouble.lasting => Phase::Error,
        _ => Phase::Creating,
    }
}

fn message(phase: Phase, workload: &Workload, trouble: Option<Trouble>) -> String {
    match phase {
        Phase::Running | Phase::Deleting => String::new(),
        Phase::Stopped => "stopped; start it to serve again".into(),
        Phase::Waiting => "scaled to zero; scale it up to serve".into(),
        Phase::Creating | Phase::Error => trouble
            .map(|t| t.reason)
            .or_else(|| workload.stuck.clone())
            .unwrap_or_else(|| format!("{} of {} replicas are ready", workload.ready, workload.desired)),
    }
}

pub(crate) fn addresses(ingresses: &[Ingress]) -> Vec<Address> {
    let rules = ingresses.iter().filter_map(|i| i.spec.as_ref()).flat_map(|s| s.rules.iter().flatten());
    let mut all: Vec<_> = rules
        .filter_map(|rule| {
            let path = rule.http.as_ref()?.paths.first()?;
            let port = path.backend.service.as_ref()?.port.as_ref()?.number?;
            Some(Address { host: rule.host.clone()?, port: u16::try_from(port).ok()? })
        })
        .collect();
    all.sort_by(|a, b| (a.host.len(), &a.host).cmp(&(b.host.len(), &b.host)));
    all
}

fn node_ports(services: &[Service]) -> Vec<NodePort> {
    let ports = services.iter().filter_map(|s| s.spec.as_ref()).flat_map(|s| s.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(NodePort {
                port: u16::try_from(port.port).ok()?,
                node_port: u16::try_from(port.node_port?).ok()?,
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            })
        })
        .collect()
}

/// One pod as a row.
pub(crate) fn pod_status(pod: &Pod) -> PodStatus {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let waiting = containers.iter().find_map(|c| c.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let phase = match () {
        () if pod.metadata.deletion_timestamp.is_some() => "Terminating".to_owned(),
        () => waiting.or(status.phase).unwrap_or_else(|| "Pending".to_owned()),
    };
    PodStatus {
        name: pod.name_any(),
        phase,
        ready: status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True"),
        restarts: containers.iter().map(|c| c.restart_count).sum(),
        node: pod.spec.as_ref().and_then(|s| s.node_name.clone()),
        ip: status.pod_ip,
        containers: pod.spec.iter().flat_map(|s| s.containers.iter().map(|c| c.name.clone())).collect(),
        created_at: pod.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()),
    }
}

//! From a service to what stands behind it: ready endpoints, or the reason why there are none. Pure.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodTemplateSpec, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::api::networking::v1::IngressServiceBackend;
use kube::ResourceExt;
use sealos_gateway::{Backend, State};

use crate::world::World;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Reasons of a waiting container that do not pass by themselves, and what they mean.
const STUCK: [(&str, &str); 8] = [
    ("CrashLoopBackOff", "its container crashes again and again"),
    ("ImagePullBackOff", "its image cannot be pulled"),
    ("ErrImagePull", "its image cannot be pulled"),
    ("ErrImageNeverPull", "its image is not on this machine"),
    ("InvalidImageName", "the name of its image is not valid"),
    ("CreateContainerConfigError", "its configuration is incomplete"),
    ("CreateContainerError", "its container cannot be created"),
    ("RunContainerError", "its container cannot be started"),
];

/// The objects of a world by name.
pub(crate) struct Index<'a> {
    world: &'a World,
    services: HashMap<(&'a str, &'a str), &'a Service>,
    slices: HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let services = world.services.iter().map(|service| (key(service.as_ref()), service.as_ref()));
        let mut slices: HashMap<_, Vec<_>> = HashMap::new();
        for slice in &world.slices {
            if let Some(service) = slice.labels().get(SERVICE_NAME) {
                let namespace = slice.metadata.namespace.as_deref().unwrap_or_default();
                slices.entry((namespace, service.as_str())).or_default().push(slice.as_ref());
            }
        }
        Self { world, services: services.collect(), slices }
    }

    /// What a path of an Ingress in `namespace` leads to.
    pub(crate) fn backend(&self, namespace: &str, wanted: &IngressServiceBackend) -> Backend {
        let name = wanted.name.as_str();
        let missing = |reason| Backend::Unavailable(State::Missing { reason });
        let Some(service) = self.services.get(&(namespace, name)) else {
            return missing(format!("the Service {name} does not exist"));
        };
        if service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            return missing(format!("the Service {name} is only another name"));
        }
        let Some(port) = find_port(service, wanted) else {
            return missing(format!("the Service {name} has no such port"));
        };
        let endpoints = self.endpoints(namespace, name, port);
        if endpoints.is_empty() {
            return Backend::Unavailable(self.state(namespace, service));
        }
        Backend::Endpoints(endpoints)
    }

    /// Ready endpoints; when there are none, those that leave but still answer.
    fn endpoints(&self, namespace: &str, service: &str, port: &ServicePort) -> Vec<SocketAddr> {
        let (mut ready, mut leaving) = (Vec::new(), Vec::new());
        for slice in self.slices.get(&(namespace, service)).into_iter().flatten() {
            let Some(number) = slice_port(slice, port) else { continue };
            for endpoint in slice.endpoints.iter().flatten() {
                let addresses = endpoint.addresses.iter().filter_map(|text| text.parse::<IpAddr>().ok());
                let addresses = addresses.map(|ip| SocketAddr::new(ip, number));
                match readiness(endpoint) {
                    Readiness::Ready => ready.extend(addresses),
                    Readiness::Leaving => leaving.extend(addresses),
                    Readiness::Not => {}
                }
            }
        }
        let mut chosen = if ready.is_empty() { leaving } else { ready };
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    /// Why a service has no endpoints.
    fn state(&self, namespace: &str, service: &Service) -> State {
        let Some(selector) = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()) else {
            return State::Starting;
        };
        let workload = self.workload(namespace, selector);
        if workload.as_ref().is_some_and(|workload| workload.replicas == 0) {
            return State::Stopped;
        }
        let pods = self.world.pods.iter().filter(|pod| {
            pod.metadata.namespace.as_deref() == Some(namespace)
                && pod.metadata.deletion_timestamp.is_none()
                && matches(selector, pod.labels())
        });
        let mut pods = pods.peekable();
        let any = pods.peek().is_some();
        if let Some(reason) = pods.find_map(|pod| trouble(pod)) {
            return State::Failing { reason };
        }
        match workload {
            Some(Workload { late: true, .. }) => {
                State::Failing { reason: "it does not become ready".to_owned() }
            }
            None if !any => State::Missing { reason: "no app stands behind the Service".to_owned() },
            _ => State::Starting,
        }
    }

    fn workload(&self, namespace: &str, selector: &BTreeMap<String, String>) -> Option<Workload> {
        let here = |of: Option<&str>| of == Some(namespace);
        let made_by = |template: &PodTemplateSpec| {
            let labels = template.metadata.as_ref().and_then(|meta| meta.labels.as_ref());
            labels.is_some_and(|labels| matches(selector, labels))
        };
        let mut deployments = self.world.deployments.iter().filter(|d| here(d.metadata.namespace.as_deref()));
        if let Some(deployment) = deployments.find(|deployment| made_by(&deployment.spec.template)) {
            let conditions = deployment.status.as_ref().and_then(|status| status.conditions.as_ref());
            let late = conditions.into_iter().flatten().any(|condition| {
                condition.type_.as_deref() == Some("Progressing")
                    && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
            });
            return Some(Workload { replicas: deployment.spec.replicas.unwrap_or(1), late });
        }
        let mut sets = self.world.stateful_sets.iter().filter(|s| here(s.metadata.namespace.as_deref()));
        let set = sets.find(|set| made_by(&set.spec.template))?;
        Some(Workload { replicas: set.spec.replicas.unwrap_or(1), late: false })
    }
}

/// What makes the pods of a service.
struct Workload {
    replicas: i32,
    /// It has been unready for longer than it was given.
    late: bool,
}

enum Readiness {
    Ready,
    Leaving,
    Not,
}

fn readiness(endpoint: &Endpoint) -> Readiness {
    let Some(conditions) = &endpoint.conditions else { return Readiness::Ready };
    let leaving = conditions.terminating.unwrap_or(false);
    if conditions.ready.unwrap_or(true) && !leaving {
        return Readiness::Ready;
    }
    if leaving && conditions.serving.unwrap_or(false) { Readiness::Leaving } else { Readiness::Not }
}

fn find_port<'a>(service: &'a Service, wanted: &IngressServiceBackend) -> Option<&'a ServicePort> {
    let ports = service.spec.as_ref()?.ports.as_ref()?;
    let port = wanted.port.as_ref()?;
    ports.iter().find(|candidate| match (&port.name, port.number) {
        (Some(name), _) if !name.is_empty() => candidate.name.as_deref() == Some(name),
        (_, Some(number)) => candidate.port == number,
        _ => false,
    })
}

/// Ports of slices are found by the name of the service's port, which may be empty.
fn slice_port(slice: &EndpointSlice, port: &ServicePort) -> Option<u16> {
    let name = port.name.as_deref().unwrap_or_default();
    let found = slice.ports.iter().flatten().find(|p| p.name.as_deref().unwrap_or_default() == name)?;
    u16::try_from(found.port?).ok()
}

fn matches(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Why a pod will not become ready by waiting.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let waiting = |container: &ContainerStatus| {
        let reason = container.state.as_ref()?.waiting.as_ref()?.reason.clone()?;
        let (_, meaning) = STUCK.iter().find(|(name, _)| *name == reason)?;
        let killed = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        Some(match killed {
            Some(end) if end.reason.as_deref() == Some("OOMKilled") => "it runs out of memory".to_owned(),
            Some(end) if reason == "CrashLoopBackOff" => format!("{meaning} (exit code {})", end.exit_code),
            _ => (*meaning).to_owned(),
        })
    };
    containers.filter_map(waiting).next()
}

fn key<K: ResourceExt>(object: &K) -> (&str, &str) {
    let meta = object.meta();
    (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
}

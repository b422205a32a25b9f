//! Endpoints: which addresses stand behind each Service, as EndpointSlices and in the older form.

mod legacy;
mod slices;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::kind::Error;
use crate::meta::{self, Key};
use crate::owners;
use crate::pods;
use crate::queue::{Again, Queue};

const AT_ONCE: usize = 8;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.services, &queue);
    wake_by_pod(&cluster, &queue);
    wake_by_slice(&cluster, &queue);
    // An object of this kind has the name of its Service.
    owners::wake_self(&cluster.endpoints, &queue);
    queue.work("endpoints", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

fn wake_by_pod(cluster: &Cluster, queue: &Queue<Key>) {
    let (services, queue) = (cluster.services.clone(), queue.clone());
    cluster.pods.on_change(move |change| {
        if let (Some(old), Some(new)) = (change.old, change.new)
            && shown(old) == shown(new)
        {
            return;
        }
        for service in services.in_namespace(meta::namespace(&change.latest().metadata)) {
            let fits = |pod: &Arc<Pod>| selects(&service, pod);
            if change.old.is_some_and(fits) || change.new.is_some_and(fits) {
                queue.add(Key::of(&service.metadata));
            }
        }
    });
}

/// A slice that someone else changed or deleted is put right.
fn wake_by_slice(cluster: &Cluster, queue: &Queue<Key>) {
    let queue = queue.clone();
    cluster.slices.on_change(move |change| {
        let metadata = &change.latest().metadata;
        if let Some(service) = meta::label(metadata, slices::SERVICE_NAME) {
            queue.add(Key::new(meta::namespace(metadata), service));
        }
    });
}

/// Everything about a pod that its endpoint shows.
fn shown(pod: &Pod) -> impl PartialEq + '_ {
    let status = pod.status.as_ref();
    (
        pod.metadata.labels.as_ref(),
        pods::is_ready(pod),
        pods::is_finished(pod),
        meta::is_deleting(&pod.metadata),
        status.and_then(|s| s.pod_ip.as_deref()),
        pods::node(pod),
    )
}

fn selects(service: &Service, pod: &Pod) -> bool {
    let selector = service.spec.as_ref().and_then(|s| s.selector.as_ref());
    meta::matches(selector, pod.metadata.labels.as_ref())
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(service) = cluster.services.get(&key) else {
        legacy::remove(&cluster, &key).await?;
        return Ok(None);
    };
    let Some(spec) = &service.spec else { return Ok(None) };
    let external = spec.type_.as_deref() == Some("ExternalName");
    if external || meta::is_deleting(&service.metadata) {
        return Ok(None);
    }
    if spec.selector.as_ref().is_none_or(std::collections::BTreeMap::is_empty) {
        return slices::mirror(&cluster, &service).await;
    }
    let pods = cluster.pods.in_namespace(&key.namespace);
    let targets: Vec<Target> =
        pods.iter().filter(|p| selects(&service, p)).filter_map(|p| target(&service, p)).collect();
    slices::write(&cluster, &service, &targets).await?;
    legacy::write(&cluster, &service, &targets).await?;
    Ok(None)
}

/// One pod behind a Service.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    address: String,
    hostname: Option<String>,
    node: Option<String>,
    pod: ObjectReference,
    ports: Vec<Port>,
    ready: bool,
    serving: bool,
    terminating: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    name: String,
    protocol: String,
    number: i32,
    app_protocol: Option<String>,
}

fn target(service: &Service, pod: &Pod) -> Option<Target> {
    let spec = service.spec.as_ref()?;
    let address = pod.status.as_ref()?.pod_ip.clone().filter(|ip| !ip.is_empty())?;
    if pods::is_finished(pod) {
        return None;
    }
    let serving = pods::is_ready(pod);
    let terminating = meta::is_deleting(&pod.metadata);
    let published = spec.publish_not_ready_addresses == Some(true);
    let pod_spec = pod.spec.as_ref()?;
    let named = pod_spec.subdomain.as_deref() == service.metadata.name.as_deref();
    Some(Target {
        address,
        hostname: pod_spec.hostname.clone().filter(|_| named),
        node: pods::node(pod).map(str::to_owned),
        pod: ObjectReference {
            kind: Some("Pod".to_owned()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        },
        ports: ports(service, pod),
        ready: published || (serving && !terminating),
        serving: serving || published,
        terminating,
    })
}

fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let wanted = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
    let found = wanted.filter_map(|p| {
        let protocol = p.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        let number = match &p.target_port {
            None | Some(IntOrString::Int(0)) => Some(p.port),
            Some(IntOrString::Int(number)) => Some(*number),
            Some(IntOrString::String(name)) => named_port(pod, name, &protocol),
        };
        let name = p.name.clone().unwrap_or_default();
        number.map(|number| Port { name, protocol, number, app_protocol: p.app_protocol.clone() })
    });
    found.collect()
}

fn named_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let sidecars =
        spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    let fits = |p: &&k8s_openapi::api::core::v1::ContainerPort| {
        p.name.as_deref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol
    };
    ports.into_iter().find(fits).map(|p| p.container_port)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(super) fn service(ports: &Value) -> Service {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "s"},
            "spec": {"selector": {"app": "web"}, "ports": ports}
        }))
        .unwrap()
    }

    pub(super) fn pod(name: &str, address: &str, ready: bool) -> Pod {
        let mut pod = crate::pods::tests::pod(name, "Running", ready);
        pod.status.get_or_insert_default().pod_ip = Some(address.to_owned());
        let spec = pod.spec.get_or_insert_default();
        spec.containers = serde_json::from_value(
            json!([{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]),
        )
        .unwrap();
        pod
    }

    #[test]
    fn a_pod_is_a_target_with_its_own_port_numbers() {
        let service =
            service(&json!([{"name": "a", "port": 80, "targetPort": "http"}, {"name": "b", "port": 90}]));
        let target = target(&service, &pod("p", "10.0.0.1", true)).unwrap();
        let numbers: Vec<_> = target.ports.iter().map(|p| (p.name.as_str(), p.number)).collect();
        assert_eq!(numbers, [("a", 8080), ("b", 90)]);
        assert!(target.ready);
    }

    #[test]
    fn a_leaving_pod_serves_but_is_not_ready() {
        let service = service(&json!([{"port": 80}]));
        let mut leaving = pod("p", "10.0.0.1", true);
        leaving.metadata.deletion_timestamp = Some(meta::now());
        let target = target(&service, &leaving).unwrap();
        assert_eq!((target.ready, target.serving, target.terminating), (false, true, true));
    }

    #[test]
    fn pods_without_address_are_no_targets() {
        let service = service(&json!([{"port": 80}]));
        assert_eq!(target(&service, &crate::pods::tests::pod("p", "Running", true)), None);
    }
}

//! EndpointSlices: at most a hundred endpoints with the same ports in each.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::{Port, Target};
use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::queue::Again;

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const OURS: &str = "endpointslice-controller.k8s.io";
const MIRROR: &str = "endpointslicemirroring-controller.k8s.io";
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
const LARGEST: usize = 100;

/// The contents of one slice.
#[derive(Debug, PartialEq)]
struct Content {
    endpoints: Vec<Endpoint>,
    ports: Vec<EndpointPort>,
}

#[derive(Debug, PartialEq)]
enum Change {
    Create(Content),
    Update(Key, Content),
    Delete(Key),
}

pub(super) async fn write(cluster: &Cluster, service: &Service, targets: &[Target]) -> Result<(), Error> {
    let mut contents = contents(targets);
    if contents.is_empty() {
        // An empty slice tells that the Service is looked after and has nobody.
        contents.push(Content { endpoints: Vec::new(), ports: Vec::new() });
    }
    bring(cluster, service, OURS, contents).await
}

/// Shows hand-written Endpoints of a Service without selector as slices.
pub(super) async fn mirror(cluster: &Cluster, service: &Service) -> Result<Again, Error> {
    let key = Key::of(&service.metadata);
    let endpoints = cluster.endpoints.get(&key);
    let skipped = endpoints.as_ref().is_some_and(|e| meta::label(&e.metadata, SKIP_MIRROR) == Some("true"));
    let foreign = |s: &Arc<EndpointSlice>| {
        meta::label(&s.metadata, SERVICE_NAME) == Some(&key.name)
            && meta::label(&s.metadata, MANAGED_BY) != Some(MIRROR)
    };
    // Whoever writes slices of their own needs no mirror.
    if skipped || cluster.slices.in_namespace(&key.namespace).iter().any(foreign) {
        return Ok(None);
    }
    bring(cluster, service, MIRROR, endpoints.map(|e| mirrored(&e)).unwrap_or_default()).await?;
    Ok(None)
}

async fn bring(
    cluster: &Cluster,
    service: &Service,
    manager: &str,
    contents: Vec<Content>,
) -> Result<(), Error> {
    let name = meta::name(&service.metadata);
    let slices = cluster.slices.in_namespace(meta::namespace(&service.metadata));
    let ours = |s: &Arc<EndpointSlice>| {
        meta::label(&s.metadata, SERVICE_NAME) == Some(name)
            && meta::label(&s.metadata, MANAGED_BY) == Some(manager)
    };
    let existing: Vec<_> = slices.into_iter().filter(ours).collect();
    for change in changes(&existing, contents) {
        match change {
            Change::Create(content) => {
                let slice = slice(service, manager, content);
                cluster.slices.create(&slice).await?;
            }
            Change::Update(key, content) => {
                let body = json!({"endpoints": content.endpoints, "ports": content.ports});
                cluster.slices.merge(&key, &body).await?;
            }
            Change::Delete(key) => cluster.slices.delete(&key, Delete::default()).await?,
        }
    }
    Ok(())
}

fn contents(targets: &[Target]) -> Vec<Content> {
    let mut groups: BTreeMap<&[Port], Vec<&Target>> = BTreeMap::new();
    for target in targets {
        groups.entry(&target.ports).or_default().push(target);
    }
    let mut contents = Vec::new();
    for (ports, mut group) in groups {
        group.sort_by(|a, b| a.pod.name.cmp(&b.pod.name));
        for chunk in group.chunks(LARGEST) {
            let endpoints = chunk.iter().map(|t| endpoint(t)).collect();
            contents.push(Content { endpoints, ports: ports.iter().map(port).collect() });
        }
    }
    contents
}

fn endpoint(target: &Target) -> Endpoint {
    Endpoint {
        addresses: vec![target.address.clone()],
        conditions: Some(EndpointConditions {
            ready: Some(target.ready),
            serving: Some(target.serving),
            terminating: Some(target.terminating),
        }),
        hostname: target.hostname.clone(),
        node_name: target.node.clone(),
        target_ref: Some(target.pod.clone()),
        ..Endpoint::default()
    }
}

fn port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()),
        protocol: Some(port.protocol.clone()),
        port: Some(port.number),
        app_protocol: port.app_protocol.clone(),
    }
}

/// Uses the slices that are there, first those with the right ports.
fn changes(existing: &[Arc<EndpointSlice>], contents: Vec<Content>) -> Vec<Change> {
    let mut left: Vec<_> = existing.to_vec();
    let mut changes = Vec::new();
    let mut homeless = Vec::new();
    for content in contents {
        match left.iter().position(|s| s.ports.as_deref().unwrap_or_default() == content.ports) {
            Some(place) => {
                let slice = left.remove(place);
                if slice.endpoints.as_deref().unwrap_or_default() != content.endpoints {
                    changes.push(Change::Update(Key::of(&slice.metadata), content));
                }
            }
            None => homeless.push(content),
        }
    }
    for content in homeless {
        changes.push(match left.pop() {
            Some(slice) => Change::Update(Key::of(&slice.metadata), content),
            None => Change::Create(content),
        });
    }
    changes.extend(left.iter().map(|s| Change::Delete(Key::of(&s.metadata))));
    changes
}

fn slice(service: &Service, manager: &str, content: Content) -> EndpointSlice {
    let name = meta::name(&service.metadata);
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    if service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None") {
        labels.insert("service.kubernetes.io/headless".to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), name.to_owned());
    labels.insert(MANAGED_BY.to_owned(), manager.to_owned());
    EndpointSlice {
        address_type: "IPv4".to_owned(),
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: service.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![meta::controller_reference(service)]),
            ..ObjectMeta::default()
        },
        endpoints: Some(content.endpoints),
        ports: Some(content.ports),
    }
}

fn mirrored(endpoints: &Endpoints) -> Vec<Content> {
    let mut contents = Vec::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ports: Vec<EndpointPort> = subset
            .ports
            .iter()
            .flatten()
            .map(|p| EndpointPort {
                name: Some(p.name.clone().unwrap_or_default()),
                protocol: p.protocol.clone(),
                port: Some(p.port),
                app_protocol: p.app_protocol.clone(),
            })
            .collect();
        let side = |addresses: &Option<Vec<k8s_openapi::api::core::v1::EndpointAddress>>, ready: bool| {
            let endpoint = |a: &k8s_openapi::api::core::v1::EndpointAddress| Endpoint {
                addresses: vec![a.ip.clone()],
                conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
                hostname: a.hostname.clone(),
                node_name: a.node_name.clone(),
                target_ref: a.target_ref.clone(),
                ..Endpoint::default()
            };
            addresses.iter().flatten().map(endpoint).collect::<Vec<_>>()
        };
        let mut all = side(&subset.addresses, true);
        all.extend(side(&subset.not_ready_addresses, false));
        for chunk in all.chunks(LARGEST) {
            contents.push(Content { endpoints: chunk.to_vec(), ports: ports.clone() });
        }
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::super::target;
    use super::super::tests::{pod, service};
    use super::*;

    fn content(pods: usize) -> Vec<Content> {
        let service = service(&json!([{"port": 80}]));
        let made = (0..pods)
            .filter_map(|i| target(&service, &pod(&format!("p{i:03}"), &format!("10.0.1.{i}"), true)));
        contents(&made.collect::<Vec<_>>())
    }

    fn stored(name: &str, content: &Content) -> Arc<EndpointSlice> {
        let mut slice = slice(
            &service(&json!([])),
            OURS,
            Content { endpoints: content.endpoints.clone(), ports: content.ports.clone() },
        );
        slice.metadata.name = Some(name.to_owned());
        Arc::new(slice)
    }

    #[test]
    fn many_endpoints_are_split() {
        assert_eq!(content(150).iter().map(|c| c.endpoints.len()).collect::<Vec<_>>(), [100, 50]);
    }

    #[test]
    fn nothing_is_written_when_nothing_changes() {
        let one = content(3);
        assert_eq!(changes(&[stored("a", &one[0])], content(3)), []);
    }

    #[test]
    fn slices_are_reused_and_superfluous_ones_deleted() {
        let many = content(150);
        let existing = [stored("a", &many[0]), stored("b", &many[1])];
        let told = changes(&existing, content(3));
        assert!(
            matches!(told.as_slice(), [Change::Update(key, _), Change::Delete(other)] if key.name == "a" && other.name == "b")
        );
        let told = changes(&[], content(3));
        assert!(matches!(told.as_slice(), [Change::Create(_)]));
    }
}

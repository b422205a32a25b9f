//! Endpoints, the older form: one object per Service, under the Service's name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::{Port, Target};
use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const OURS: &str = "endpoint-controller";

pub(super) async fn write(cluster: &Cluster, service: &Service, targets: &[Target]) -> Result<(), Error> {
    let key = Key::of(&service.metadata);
    let subsets = subsets(targets);
    match cluster.endpoints.get(&key) {
        Some(known) if known.subsets.as_deref().unwrap_or_default() == subsets => Ok(()),
        Some(_) => cluster.endpoints.merge(&key, &json!({ "subsets": subsets })).await.map(drop),
        None => {
            let mut labels = service.metadata.labels.clone().unwrap_or_default();
            labels.insert(MANAGED_BY.to_owned(), OURS.to_owned());
            let endpoints = Endpoints {
                metadata: ObjectMeta {
                    name: service.metadata.name.clone(),
                    namespace: service.metadata.namespace.clone(),
                    labels: Some(labels),
                    ..ObjectMeta::default()
                },
                subsets: Some(subsets),
            };
            cluster.endpoints.create(&endpoints).await.map(drop)
        }
    }
}

/// Deletes the Endpoints of a Service that is gone, unless a user wrote them.
pub(super) async fn remove(cluster: &Cluster, key: &Key) -> Result<(), Error> {
    let ours = |e: &Endpoints| meta::label(&e.metadata, MANAGED_BY) == Some(OURS);
    if cluster.endpoints.get(key).is_some_and(|e| ours(&e)) {
        cluster.endpoints.delete(key, Delete::default()).await?;
    }
    Ok(())
}

fn subsets(targets: &[Target]) -> Vec<EndpointSubset> {
    let mut groups: BTreeMap<&[Port], (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for target in targets.iter().filter(|t| !t.terminating || t.ready) {
        let (ready, waiting) = groups.entry(&target.ports).or_default();
        let address = EndpointAddress {
            ip: target.address.clone(),
            hostname: target.hostname.clone(),
            node_name: target.node.clone(),
            target_ref: Some(target.pod.clone()),
        };
        if target.ready { ready.push(address) } else { waiting.push(address) }
    }
    let filled = |mut addresses: Vec<EndpointAddress>| {
        addresses.sort_by(|a, b| a.ip.cmp(&b.ip));
        (!addresses.is_empty()).then_some(addresses)
    };
    let subset = |(ports, (ready, waiting)): (&[Port], (Vec<_>, Vec<_>))| EndpointSubset {
        addresses: filled(ready),
        not_ready_addresses: filled(waiting),
        ports: (!ports.is_empty()).then(|| ports.iter().map(port).collect()),
    };
    groups.into_iter().map(subset).collect()
}

fn port(port: &Port) -> EndpointPort {
    EndpointPort {
        name: Some(port.name.clone()).filter(|n| !n.is_empty()),
        port: port.number,
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::target;
    use super::super::tests::{pod, service};
    use super::*;

    #[test]
    fn ready_and_waiting_addresses_stand_apart() {
        let service = service(&json!([{"port": 80}]));
        let pods = [pod("a", "10.0.0.1", true), pod("b", "10.0.0.2", false)];
        let targets: Vec<_> = pods.iter().filter_map(|p| target(&service, p)).collect();
        let subsets = subsets(&targets);
        assert_eq!(subsets.len(), 1);
        assert_eq!(subsets[0].addresses.as_ref().unwrap()[0].ip, "10.0.0.1");
        assert_eq!(subsets[0].not_ready_addresses.as_ref().unwrap()[0].ip, "10.0.0.2");
    }
}

//! Ports of the machine that lead to pods.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use k8s_openapi::api::core::v1::Pod;
use sealos_network::{HostPort, Network};
use tokio::sync::Mutex;

use crate::pod::context::{containers, spec};
use crate::services::protocol;

/// The host ports of all pods.
pub(crate) struct HostPorts {
    network: Network,
    by_pod: Mutex<HashMap<String, Vec<HostPort>>>,
}

impl HostPorts {
    pub(crate) fn new(network: Network) -> Self {
        Self { network, by_pod: Mutex::default() }
    }

    /// Notes the ports of a pod that an earlier process published already.
    pub(crate) async fn recall(&self, uid: &str, pod: &Pod, ip: Ipv4Addr) {
        let ports = of(pod, ip);
        if !ports.is_empty() {
            self.by_pod.lock().await.insert(uid.to_owned(), ports);
        }
    }

    pub(crate) async fn publish(&self, uid: &str, pod: &Pod, ip: Ipv4Addr) {
        let ports = of(pod, ip);
        let mut by_pod = self.by_pod.lock().await;
        if ports.is_empty() {
            return;
        }
        by_pod.insert(uid.to_owned(), ports);
        self.apply(&by_pod).await;
    }

    pub(crate) async fn remove(&self, uid: &str) {
        let mut by_pod = self.by_pod.lock().await;
        if by_pod.remove(uid).is_some() {
            self.apply(&by_pod).await;
        }
    }

    async fn apply(&self, by_pod: &HashMap<String, Vec<HostPort>>) {
        let mut all: Vec<HostPort> = by_pod.values().flatten().cloned().collect();
        all.sort_by_key(|port| (port.port, port.protocol, port.target));
        if let Err(error) = self.network.host_ports(all).await {
            tracing::error!(error = &error as &dyn std::error::Error, "publish the host ports of pods");
        }
    }
}

fn of(pod: &Pod, ip: Ipv4Addr) -> Vec<HostPort> {
    if spec(pod).host_network == Some(true) {
        return Vec::new();
    }
    let ports = containers(pod).flat_map(|c| c.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(HostPort {
                protocol: protocol(port.protocol.as_deref())?,
                host_ip: port
                    .host_ip
                    .as_deref()
                    .and_then(|ip| ip.parse().ok())
                    .filter(|ip: &Ipv4Addr| !ip.is_unspecified()),
                port: u16::try_from(port.host_port?).ok().filter(|port| *port > 0)?,
                target: SocketAddrV4::new(ip, u16::try_from(port.container_port).ok()?),
            })
        })
        .collect()
}

//! What all parts of the node hold in common.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::downward::Place;
use crate::events::Recorder;
use crate::host::Host;
use crate::host_ports::HostPorts;
use crate::images::Puller;
use crate::services::ServiceMap;
use crate::sources::Sources;

pub(crate) struct Shared {
    pub config: Config,
    pub host: Host,
    pub puller: Puller,
    pub recorder: Recorder,
    pub sources: Sources,
    pub services: ServiceMap,
    pub host_ports: HostPorts,
    /// Bounds how many containers are being started at one time.
    pub starts: Semaphore,
}

impl Shared {
    /// The directory of one pod's volumes and files.
    pub(crate) fn pod_dir(&self, uid: &str) -> PathBuf {
        self.config.data_dir.join("pods").join(uid)
    }

    pub(crate) fn pod_dirs(&self) -> PathBuf {
        self.config.data_dir.join("pods")
    }

    /// The directory of one container's files.
    pub(crate) fn container_dir(&self, id: &str) -> PathBuf {
        self.config.data_dir.join("containers").join(id)
    }

    pub(crate) fn log_dirs(&self) -> PathBuf {
        self.config.data_dir.join("logs").join("pods")
    }

    /// The directory of one pod's logs: a directory per container, a file per attempt.
    pub(crate) fn log_dir(&self, pod: &Pod) -> PathBuf {
        let meta = &pod.metadata;
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let name = format!("{}_{}_{}", part(&meta.namespace), part(&meta.name), part(&meta.uid));
        self.log_dirs().join(name)
    }

    pub(crate) fn place(&self, pod_ip: Option<std::net::Ipv4Addr>) -> Place {
        Place { host_ip: self.host.ip, pod_ip, allocatable: self.host.allocatable.clone() }
    }
}

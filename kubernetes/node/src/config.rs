//! What a node needs to know and to hold before it starts.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use kube::Client;
use sealos_container::Runtime;
use sealos_network::Network;
use sealos_oci::{Images, RegistryConfig};

/// A node's engines and settings.
#[derive(Clone)]
pub struct Config {
    /// The node's name in the cluster, a DNS label.
    pub name: String,
    /// The cloud's data directory. The runtime's state lies in its `containers`.
    pub data_dir: PathBuf,
    /// Acts as `system:node:<name>`.
    pub client: Client,
    pub runtime: Runtime,
    pub network: Network,
    pub images: Images,
    pub registries: RegistryConfig,
    /// The domain of service names, usually `cluster.local`.
    pub cluster_domain: String,
    /// Where pods send name queries. The node answers on the gateway's address; an address in the
    /// service range is led there.
    pub dns_ip: Ipv4Addr,
    pub system_reserved: Reserved,
    pub max_pods: u32,
}

/// What is kept from pods, for the machine and for the cloud itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    pub cpu_millis: u64,
    pub memory_bytes: u64,
}

impl Default for Reserved {
    fn default() -> Self {
        Self { cpu_millis: 100, memory_bytes: 256 << 20 }
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{attempt} `{}`", path.display())]
    Io {
        attempt: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{attempt}")]
    Network {
        attempt: &'static str,
        #[source]
        source: sealos_network::Error,
    },
    #[error("{attempt}")]
    Api {
        attempt: &'static str,
        #[source]
        source: Box<kube::Error>,
    },
}

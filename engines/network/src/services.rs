//! What callers say about services and published ports.

use std::net::{Ipv4Addr, SocketAddrV4};

/// A transport protocol that services can balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// The IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The name, as DNS and nftables spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One service: addresses that stand for a changing set of endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRule {
    /// Unique name, for example `default/web`; it appears in the names of nftables chains.
    pub name: String,
    /// The virtual address; none when only node ports lead to the endpoints.
    pub cluster_ip: Option<Ipv4Addr>,
    /// Further addresses that lead to the same ports, for example external or load balancer addresses.
    pub extra_ips: Vec<Ipv4Addr>,
    pub ports: Vec<PortRule>,
    /// How long a client address stays with one endpoint; none when each connection is free.
    pub affinity_seconds: Option<u32>,
}

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRule {
    pub protocol: Protocol,
    pub port: u16,
    /// The same port on every address of the host, loopback included.
    pub node_port: Option<u16>,
    /// Ready endpoints. Without any, connections are refused at once.
    pub endpoints: Vec<SocketAddrV4>,
}

/// A port of the host that leads to one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    pub protocol: Protocol,
    /// Only on this address of the host; none means all.
    pub host_ip: Option<Ipv4Addr>,
    pub port: u16,
    pub target: SocketAddrV4,
}

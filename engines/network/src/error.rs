//! What can go wrong when the kernel is asked for a network.

use std::io;
use std::path::PathBuf;

use crate::Ipv4Net;

/// A network operation that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{attempt}: {source}; root rights (CAP_NET_ADMIN) are needed")]
    Link {
        attempt: String,
        #[source]
        source: Box<rtnetlink::Error>,
    },
    #[error("{attempt}: {source}")]
    Rules {
        attempt: String,
        #[source]
        source: Box<crabtables::Error>,
    },
    #[error("{attempt}: {source}")]
    Io {
        attempt: String,
        #[source]
        source: io::Error,
    },
    #[error("all {count} addresses of {cidr} are taken; remove pods or choose a larger pod range")]
    Exhausted { cidr: Ipv4Net, count: usize },
    #[error("no free private address range is left on this host; choose pod and service ranges by hand")]
    NoFreeRange,
    #[error("`{text}` is no IPv4 range; write it like 10.42.0.0/16")]
    Cidr { text: String },
    #[error("range {cidr} is too small: a pod range needs at least 8 addresses")]
    TooSmall { cidr: Ipv4Net },
    #[error("`{id}` is no usable attachment name: it becomes a file name below {dir}")]
    Name { id: String, dir: PathBuf },
    #[error("device {name} exists and is not ours; remove it or use another data directory")]
    ForeignDevice { name: String },
    #[error("the network is destroyed")]
    Destroyed,
}

impl Error {
    pub(crate) fn link(attempt: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Link { attempt, source: Box::new(source) }
    }

    pub(crate) fn rules(attempt: impl Into<String>) -> impl FnOnce(crabtables::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Rules { attempt, source: Box::new(source) }
    }

    pub(crate) fn io(attempt: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Io { attempt, source }
    }
}

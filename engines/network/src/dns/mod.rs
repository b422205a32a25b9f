//! The name server of one cloud: answers for its own domain from memory, and passes the rest to the
//! host's resolvers. Names of the cloud's domain never leave the machine.

mod forward;
mod handler;
mod records;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Error;
use forward::Forwarder;
pub use forward::Upstream;
use handler::Handler;
pub use records::{HeadlessEndpoint, NamedPort, NamedService, Records, Target};

/// A silent TCP client is closed after this long.
const TCP_IDLE: Duration = Duration::from_secs(10);
const TCP_RESPONSES: usize = 32;
/// How often a port free for both UDP and TCP is looked for when any will do.
const ANY_PORT_ATTEMPTS: usize = 16;

/// A running name server. It stops with the token it was started with.
#[derive(Debug, Clone)]
pub struct Server {
    records: Arc<ArcSwap<Records>>,
    address: SocketAddr,
}

impl Server {
    /// Serves `cluster_domain` on `bind`, UDP and TCP, and asks the host's resolvers for the rest.
    pub async fn start(
        bind: SocketAddr,
        cluster_domain: &str,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        Self::start_with(bind, cluster_domain, Upstream::Host, shutdown).await
    }

    /// The same with another place to ask for foreign names.
    pub async fn start_with(
        bind: SocketAddr,
        cluster_domain: &str,
        upstream: Upstream,
        shutdown: CancellationToken,
    ) -> Result<Self, Error> {
        let (udp, tcp, address) =
            listen(bind).await.map_err(Error::io(format!("listen for name queries on {bind}")))?;
        let records = Arc::new(ArcSwap::from_pointee(Records::new(cluster_domain, &[], &[])));
        let handler = Handler::new(Arc::clone(&records), Forwarder::new(upstream, address));
        let mut server = hickory_server::Server::new(handler);
        server.register_socket(udp);
        server.register_listener(tcp, TCP_IDLE, TCP_RESPONSES);
        tokio::spawn(run(server, shutdown));
        debug!(%address, "the name server listens");
        Ok(Self { records, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces all names at once.
    pub fn set_records(&self, records: Records) {
        self.records.store(Arc::new(records));
    }
}

/// Both sockets on one port. A port that the system chose for UDP may be taken for TCP: then another one.
async fn listen(bind: SocketAddr) -> io::Result<(UdpSocket, TcpListener, SocketAddr)> {
    let mut attempts_left = if bind.port() == 0 { ANY_PORT_ATTEMPTS } else { 1 };
    loop {
        attempts_left -= 1;
        let udp = UdpSocket::bind(bind).await?;
        let address = udp.local_addr()?;
        match TcpListener::bind(address).await {
            Ok(tcp) => return Ok((udp, tcp, address)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts_left > 0 => {}
            Err(error) => return Err(error),
        }
    }
}

async fn run(mut server: hickory_server::Server<Handler>, shutdown: CancellationToken) {
    let result = tokio::select! {
        () = shutdown.cancelled() => server.shutdown_gracefully().await,
        result = server.block_until_done() => result,
    };
    if let Err(error) = result {
        warn!(%error, "the name server ended");
    }
}

//! A reverse proxy for HTTP/1.1, HTTP/2, WebSocket and gRPC. It is told routes and never asks where
//! they come from; a change of routes touches no request in flight.

mod app_stream;
mod body;
mod connection;
mod endpoint;
mod error;
mod headers;
mod metrics;
mod pages;
mod proxy;
mod reply;
mod routes;
mod send;
mod serve;
mod table;
mod tls;
mod tunnel;
mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::watch as channel;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use metrics::{HostMetrics, LATENCY_BUCKETS};
pub use pages::STATE_HEADER;
pub use routes::{
    Affinity, Backend, Balance, Certificate, HeaderChange, HeaderRule, Host, PathKind, PathRule, Redirect,
    Route, RouteOptions, RouteTable, State, Upstream,
};

use crate::endpoint::Registry;
use crate::metrics::Metrics;
use crate::proxy::Proxy;
use crate::serve::Door;
use crate::table::Table;
use crate::tls::{Authority, Certificates};

/// How the gateway treats clients. What differs by app is in [`RouteOptions`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the authority for own certificates is kept; none keeps it in memory.
    pub authority_dir: Option<PathBuf>,
    /// The port that clients are sent to when they shall use HTTPS.
    pub https_port: u16,
    /// From the first byte of a request's header to its last.
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Larger headers are refused with 431.
    pub max_header_bytes: usize,
    /// Connections per listener; more wait.
    pub max_connections: usize,
    /// How long requests in flight may take at shutdown.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            authority_dir: None,
            https_port: 443,
            header_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            max_header_bytes: 128 << 10,
            max_connections: 16_384,
            drain: Duration::from_secs(10),
        }
    }
}

/// The gateway. Clones share it.
#[derive(Debug, Clone)]
pub struct Gateway {
    proxy: Arc<Proxy>,
    certificates: Arc<Certificates>,
    /// Counts tables, so that callers can wait for a change.
    version: Arc<channel::Sender<u64>>,
}

impl Gateway {
    pub fn new(config: Config) -> Result<Self, Error> {
        let authority = Authority::open(config.authority_dir.as_deref())?;
        let proxy = Proxy {
            config,
            table: ArcSwap::default(),
            endpoints: Registry::default(),
            metrics: Metrics::default(),
        };
        Ok(Self {
            proxy: Arc::new(proxy),
            certificates: Arc::new(Certificates::new(authority)),
            version: Arc::new(channel::Sender::new(0)),
        })
    }

    /// Replaces all routes. Requests in flight go on where they are.
    pub fn set_routes(&self, routes: RouteTable) {
        let table = Table::compile(&routes, &self.proxy.endpoints, &self.proxy.metrics);
        self.certificates.set(&routes.certificates, routes.hosts.into_keys().collect());
        self.proxy.table.store(Arc::new(table));
        self.proxy.endpoints.sweep();
        self.version.send_modify(|version| *version += 1);
    }

    /// Serves plain HTTP until `shutdown`, then finishes what is in flight.
    pub async fn serve_http(&self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        serve::run(listener, Door { proxy: Arc::clone(&self.proxy), tls: None }, shutdown).await
    }

    /// Serves HTTPS until `shutdown`, then finishes what is in flight.
    pub async fn serve_https(&self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let config = tls::server_config(Arc::clone(&self.certificates)).map_err(io::Error::other)?;
        let tls = Some(TlsAcceptor::from(config));
        serve::run(listener, Door { proxy: Arc::clone(&self.proxy), tls }, shutdown).await
    }

    /// Whether a ready endpoint stands behind `host` now.
    pub fn is_routed(&self, host: &str) -> bool {
        self.proxy.table.load().is_routed(&host.to_ascii_lowercase())
    }

    /// Waits until a ready endpoint stands behind `host`.
    pub async fn until_routed(&self, host: &str) {
        let mut version = self.version.subscribe();
        while !self.is_routed(host) {
            if version.changed().await.is_err() {
                // The sender lives as long as we do.
                return;
            }
        }
    }

    /// Changes with every new set of routes.
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.version.subscribe()
    }

    /// Counters of all hosts; `-` stands for unknown ones.
    pub fn metrics(&self) -> Vec<HostMetrics> {
        self.proxy.metrics.snapshot()
    }
}

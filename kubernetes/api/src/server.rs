//! The server: what it is made of, and how it is started, reached and stopped.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{Request, Response};
use sealos_store::Store;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

use crate::access::authenticate::Authenticator;
use crate::access::rbac::Rbac;
use crate::access::token::Tokens;
use crate::admission::{Allocator, Books};
use crate::cidr::Cidr;
use crate::discovery::Schemas;
use crate::error::Error;
use crate::identity::Identity;
use crate::net::{memory::InProcess, tls};
use crate::pki::Pki;
use crate::registry::Registry;
use crate::{bootstrap, definitions, expiry, quotas, route};

/// The node's HTTP handler: logs, exec, attach, port-forward, stats.
pub type NodeService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What the server needs to know.
pub struct Config {
    /// Where objects are kept.
    pub store: Store,
    /// Where keys and certificates are kept.
    pub pki_dir: PathBuf,
    /// Addresses for Services.
    pub service_cidr: Cidr,
    /// Ports for Services of type NodePort.
    pub node_port_range: RangeInclusive<u16>,
    /// Where pods reach this server: the endpoint of the `kubernetes` Service.
    pub advertise: SocketAddr,
    /// The domain of Service names.
    pub cluster_domain: String,
    /// Further names and addresses for the server's certificate.
    pub names: Vec<String>,
    /// How long a client may take for its handshake, and for the headers of each request.
    pub patience: Duration,
}

impl Config {
    /// The defaults: Services in 10.96.0.0/16, node ports 30000-32767, `cluster.local`.
    pub fn new(store: Store, pki_dir: impl Into<PathBuf>, advertise: SocketAddr) -> Self {
        let service_cidr = Cidr::new([10, 96, 0, 0].into(), 16).expect("a /16 has room for services");
        Self {
            store,
            pki_dir: pki_dir.into(),
            service_cidr,
            node_port_range: 30000..=32767,
            advertise,
            cluster_domain: "cluster.local".to_owned(),
            names: Vec::new(),
            patience: Duration::from_secs(30),
        }
    }
}

/// The API server. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    pub(crate) parts: Arc<Parts>,
}

/// Everything a request may need.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) pki: Pki,
    pub(crate) registry: Registry,
    pub(crate) authenticator: Authenticator,
    pub(crate) rbac: Rbac,
    pub(crate) allocator: Arc<Allocator>,
    pub(crate) books: Books,
    pub(crate) schemas: Schemas,
    pub(crate) node: ArcSwapOption<NodeService>,
    pub(crate) patience: Duration,
    tls: TlsAcceptor,
}

impl Server {
    /// Makes keys where there are none, writes the objects every cluster has, and is ready.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let pki = Pki::open(&config.pki_dir)?;
        let leaf = pki.server(&certificate_names(&config))?;
        let tls = tls::acceptor(&pki, &leaf)?;
        let store = config.store.clone();
        let tokens = Tokens::new(pki.token_key(), &config.cluster_domain)?;
        let allocator = Allocator::new(store.clone(), config.service_cidr, config.node_port_range.clone());
        let parts = Arc::new(Parts {
            registry: Registry::new(store.clone()),
            authenticator: Authenticator::new(tokens, store.clone()),
            rbac: Rbac::new(store.clone()),
            allocator: Arc::new(allocator),
            books: Books::default(),
            schemas: Schemas::default(),
            node: ArcSwapOption::empty(),
            patience: config.patience,
            store,
            pki,
            tls,
        });
        bootstrap::run(&parts, &config).await?;
        definitions::resume(&parts);
        expiry::start(&parts);
        quotas::start(&parts);
        Ok(Self { parts })
    }

    /// A client in this process that acts as `identity`: no socket, no TLS.
    pub fn client(&self, identity: Identity) -> kube::Client {
        kube::Client::new(InProcess::new(self.clone(), Some(identity)), "default")
    }

    /// A client in this process that acts as whoever the `Authorization` header of each request names.
    pub fn open_client(&self) -> kube::Client {
        kube::Client::new(InProcess::new(self.clone(), None), "default")
    }

    /// Serves the TLS port until `shutdown`.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
        tls::serve(self.clone(), self.parts.tls.clone(), listener, shutdown).await
    }

    /// Who answers for logs, exec, attach, port-forward and stats.
    pub fn set_node(&self, node: NodeService) {
        self.parts.node.store(Some(Arc::new(node)));
    }

    /// A kubeconfig with the administrator's client certificate.
    pub fn admin_kubeconfig(&self, server_url: &str) -> Result<String, Error> {
        let leaf = self.parts.pki.admin()?;
        let encode = |text: &str| BASE64.encode(text);
        Ok(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: sealos\nclusters:\n- name: sealos\n  cluster:\n    \
             server: {server_url}\n    certificate-authority-data: {ca}\ncontexts:\n- name: sealos\n  context:\n    \
             cluster: sealos\n    user: admin\n    namespace: default\nusers:\n- name: admin\n  user:\n    \
             client-certificate-data: {certificate}\n    client-key-data: {key}\n",
            ca = encode(self.parts.pki.ca_pem()),
            certificate = encode(&leaf.certificate),
            key = encode(&leaf.key),
        ))
    }

    /// The certificate authority's certificate, as PEM.
    pub fn ca_pem(&self) -> &str {
        self.parts.pki.ca_pem()
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, request: Request<Body>) -> Response<Body> {
        route::handle(&self.parts, request).await
    }
}

/// Every name under which clients reach the server.
fn certificate_names(config: &Config) -> Vec<String> {
    let mut names: Vec<String> =
        ["localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default"].map(str::to_owned).into();
    names.push("kubernetes.default.svc".to_owned());
    names.push(format!("kubernetes.default.svc.{}", config.cluster_domain));
    names.push(config.service_cidr.nth(1).to_string());
    names.push(config.advertise.ip().to_string());
    names.extend(config.names.iter().cloned());
    names.sort();
    names.dedup();
    names
}

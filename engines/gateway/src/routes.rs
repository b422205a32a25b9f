//! What callers say about hosts and where they lead. Plain data; compiled by the gateway when set.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

/// Everything the gateway shall answer for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RouteTable {
    /// By host name in lower case: `shop.example.com`, or `*.example.com` for one more label.
    pub hosts: BTreeMap<String, Host>,
    /// For hosts that are not listed; none answers that no app lives there.
    pub default: Option<Host>,
    pub certificates: Vec<Certificate>,
}

/// The rules of one host. An exact path wins, then the longest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Host {
    pub paths: Vec<PathRule>,
}

/// One path of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct PathRule {
    pub kind: PathKind,
    pub path: String,
    pub route: Route,
}

/// How a path is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathKind {
    Exact,
    /// By whole segments: `/a` covers `/a` and `/a/b`, not `/ab`.
    Prefix,
    /// By characters, as nginx does: `/a` covers `/ab`.
    ImplementationSpecific,
    /// A regular expression, anchored at the start, ignoring case.
    Regex,
}

/// Where requests go, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    pub backend: Backend,
    pub options: RouteOptions,
}

impl Route {
    /// A route with the usual options.
    pub fn to(backend: Backend) -> Self {
        Self { backend, options: RouteOptions::default() }
    }
}

/// What is behind a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Ready endpoints.
    Endpoints(Vec<SocketAddr>),
    /// An app that cannot answer now.
    Unavailable(State),
}

/// Why an app cannot answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It will in a moment.
    Starting,
    /// Somebody stopped it.
    Stopped,
    /// It tries and fails.
    Failing { reason: String },
    /// The route leads to something that does not exist.
    Missing { reason: String },
}

/// How requests of one route are treated. The defaults are nginx's where apps rely on them.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteOptions {
    pub upstream: Upstream,
    pub connect_timeout: Duration,
    /// The longest silence of the app, before and within an answer.
    pub read_timeout: Duration,
    /// The longest silence of the client within a request body.
    pub send_timeout: Duration,
    /// None means no limit.
    pub max_body: Option<u64>,
    /// Replaces the path; `$1` stands for a group of a [`PathKind::Regex`].
    pub rewrite: Option<String>,
    pub redirect: Option<Redirect>,
    /// Sends plain HTTP to HTTPS.
    pub ssl_redirect: bool,
    pub affinity: Option<Affinity>,
    pub balance: Balance,
    pub request_headers: Vec<(HeaderName, HeaderValue)>,
    pub response_headers: Vec<HeaderRule>,
}

impl Default for RouteOptions {
    fn default() -> Self {
        Self {
            upstream: Upstream::Http1,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            send_timeout: Duration::from_secs(60),
            max_body: None,
            rewrite: None,
            redirect: None,
            ssl_redirect: false,
            affinity: None,
            balance: Balance::LeastConnections,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        }
    }
}

/// What the app speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Upstream {
    Http1,
    /// HTTP/2 without TLS, as gRPC servers expect.
    Http2,
    /// TLS, certificate unchecked: it is the app's own.
    Https,
    /// HTTP/2 over TLS.
    Https2,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    LeastConnections,
    RoundRobin,
}

/// An answer that sends the client elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    pub status: StatusCode,
    /// An address; `$request_uri` and `$host` are replaced.
    pub to: String,
}

/// A cookie that keeps a client with one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affinity {
    pub cookie: String,
    pub path: String,
    pub max_age: Option<Duration>,
}

/// A change to the headers of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    /// Only when this regular expression is found in the path and query.
    pub when: Option<String>,
    pub name: HeaderName,
    pub change: HeaderChange,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderChange {
    Set(HeaderValue),
    Add(HeaderValue),
    Remove,
}

/// A certificate and the hosts it is shown for.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Exact names or `*.` wildcards.
    pub hosts: Vec<String>,
    /// The chain, leaf first, in PEM.
    pub chain: Vec<u8>,
    /// The private key in PEM.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

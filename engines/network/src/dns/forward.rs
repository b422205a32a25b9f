//! Asks other resolvers. An unreachable one must cost a client little: pods ask often, and many try
//! several names.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, Record, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use parking_lot::Mutex;
use tracing::debug;

const PATIENCE: Duration = Duration::from_millis(1500);
const GIVE_UP: Duration = Duration::from_secs(2);
/// How often the host's configuration is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Whom to ask for names that are not ours.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// Those in the host's `/etc/resolv.conf`, also after it changes.
    Host,
    /// These.
    Servers(Vec<SocketAddr>),
    /// Nobody: every foreign name is refused.
    Nobody,
}

/// What the others said.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) code: ResponseCode,
    pub(super) answers: Vec<Record>,
    pub(super) soa: Option<Record>,
}

impl Reply {
    fn failed(code: ResponseCode) -> Self {
        Self { code, answers: Vec::new(), soa: None }
    }
}

#[derive(Debug)]
pub(super) struct Forwarder {
    upstream: Upstream,
    /// Our own address: asking ourselves would never end.
    own: SocketAddr,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    resolver: Option<TokioResolver>,
    changed: Option<SystemTime>,
    looked: Option<Instant>,
}

impl Forwarder {
    pub(super) fn new(upstream: Upstream, own: SocketAddr) -> Self {
        Self { upstream, own, current: Mutex::default() }
    }

    pub(super) async fn ask(&self, name: Name, kind: RecordType) -> Reply {
        let Some(resolver) = self.resolver() else { return Reply::failed(ResponseCode::Refused) };
        match tokio::time::timeout(GIVE_UP, resolver.lookup(name, kind)).await {
            Ok(Ok(lookup)) => {
                let answers = lookup.answers().to_vec();
                Reply { code: ResponseCode::NoError, answers, soa: None }
            }
            Ok(Err(error)) if error.is_no_records_found() => {
                let code = if error.is_nx_domain() { ResponseCode::NXDomain } else { ResponseCode::NoError };
                let soa = error.into_soa().map(|soa| soa.into_record_of_rdata());
                Reply { code, answers: Vec::new(), soa }
            }
            Ok(Err(error)) => {
                debug!(%error, "a foreign name was not resolved");
                Reply::failed(ResponseCode::ServFail)
            }
            Err(_) => Reply::failed(ResponseCode::ServFail),
        }
    }

    fn resolver(&self) -> Option<TokioResolver> {
        let mut current = self.current.lock();
        if current.looked.is_some_and(|looked| looked.elapsed() < LOOK_AGAIN) {
            return current.resolver.clone();
        }
        let changed = match self.upstream {
            Upstream::Host => std::fs::metadata(RESOLV_CONF).and_then(|file| file.modified()).ok(),
            Upstream::Servers(_) | Upstream::Nobody => None,
        };
        if current.looked.is_none() || current.changed != changed {
            current.resolver = self.build();
            current.changed = changed;
        }
        current.looked = Some(Instant::now());
        current.resolver.clone()
    }

    fn build(&self) -> Option<TokioResolver> {
        let servers: Vec<NameServerConfig> = match &self.upstream {
            Upstream::Host => {
                let (config, _) = hickory_resolver::system_conf::read_system_conf()
                    .inspect_err(|error| debug!(%error, "the host has no resolvers"))
                    .ok()?;
                let mut servers = config.name_servers().to_vec();
                servers.retain(|server| server.ip != self.own.ip());
                servers
            }
            Upstream::Servers(servers) => servers.iter().map(|server| at(*server)).collect(),
            Upstream::Nobody => return None,
        };
        if servers.is_empty() {
            return None;
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options();
        builder.build().inspect_err(|error| debug!(%error, "the host's resolvers are not usable")).ok()
    }
}

fn at(server: SocketAddr) -> NameServerConfig {
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut config.connections {
        connection.port = server.port();
    }
    config
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = PATIENCE;
    options.attempts = 0;
    options.cache_size = 1024;
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    options.max_active_requests = 512;
    options
}

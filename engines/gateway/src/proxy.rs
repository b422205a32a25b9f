//! One request: find its route, pick an endpoint, send it, and try again where that is safe.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tracing::debug;

use crate::body::{self, ClientBody, ReplyBody, RequestBody};
use crate::connection::{Connection, Lease, Repeatable};
use crate::endpoint::{Busy, Endpoint, Group, Registry};
use crate::headers::{self, Client, Scheme};
use crate::metrics::{Active, Metrics};
use crate::pages::Trouble;
use crate::routes::Upstream;
use crate::send::{self, Failure};
use crate::table::{Found, Table, Target, TargetRoute};
use crate::watch::InService;
use crate::{Config, reply, tunnel};

/// Attempts for one request, stale connections included.
const ATTEMPTS: usize = 6;
/// When no endpoint takes connections, the route may be about to change: look again this often.
const LOOK_AGAIN: Duration = Duration::from_millis(25);
const LOOK_FOR: Duration = Duration::from_millis(500);

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) config: Config,
    pub(crate) table: ArcSwap<Table>,
    pub(crate) endpoints: Registry,
    pub(crate) metrics: Metrics,
}

/// What is known about a request from its head.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) client: Client,
    pub(crate) id: HeaderValue,
    /// Without port, in lower case.
    pub(crate) host: String,
    /// As the client wrote it.
    pub(crate) authority: HeaderValue,
    pub(crate) path: String,
    pub(crate) path_and_query: String,
    pub(crate) start: Instant,
    pub(crate) grpc: bool,
}

/// The request on its way: what an attempt needs.
struct Journey {
    parts: Parts,
    body: Option<RequestBody>,
    progress: Arc<body::Progress>,
    repeatable: Repeatable,
    upgrade: Option<(HeaderValue, OnUpgrade)>,
    cookie: Option<String>,
    tried: Vec<SocketAddr>,
    /// Take no connection that was used before.
    fresh: bool,
}

impl Proxy {
    /// Answers a request, whatever happens.
    pub(crate) async fn handle(
        &self,
        request: Request<ClientBody>,
        client: Client,
        service: InService,
    ) -> Response<ReplyBody> {
        let id = headers::request_id(request.headers());
        let accept = request.headers().get(header::ACCEPT).cloned();
        let authority = headers::authority(&request).map(ToOwned::to_owned);
        let host = authority.as_deref().and_then(headers::host_name);
        let (Some(authority), Some(host)) = (authority, host) else {
            return reply::trouble(&Trouble::BadHost, "", accept, &id, false);
        };
        let asked = Asked {
            client,
            id,
            host,
            authority: HeaderValue::try_from(authority).unwrap_or(HeaderValue::from_static("unknown")),
            path: request.uri().path().to_owned(),
            path_and_query: request.uri().path_and_query().map_or("/", PathAndQuery::as_str).to_owned(),
            start: Instant::now(),
            grpc: headers::is_grpc(request.headers(), request.version()),
        };
        let table = self.table.load_full();
        let (site, found) = match table.find(&asked.host, &asked.path) {
            Found::Route(site, target) => (Some(site), Ok(Arc::clone(target))),
            Found::NoPath(site) => (Some(site), Err(Trouble::UnknownPath)),
            Found::NoHost => (None, Err(Trouble::UnknownHost)),
        };
        // Unknown hosts share one counter: names that strangers invent must not fill the memory.
        let counters = site.map_or_else(|| self.metrics.of("-"), |site| Arc::clone(&site.counters));
        let active = Active::begin(Arc::clone(&counters));
        let result = match found {
            Ok(target) => self.follow(&asked, target, request, active, service).await,
            Err(trouble) => Err(trouble),
        };
        let response = result
            .unwrap_or_else(|trouble| reply::trouble(&trouble, &asked.host, accept, &asked.id, asked.grpc));
        counters.answer(response.status(), asked.start.elapsed());
        response
    }

    async fn follow(
        &self,
        asked: &Asked,
        target: Arc<TargetRoute>,
        request: Request<ClientBody>,
        active: Active,
        service: InService,
    ) -> Result<Response<ReplyBody>, Trouble> {
        if let Some(response) = reply::redirect(asked, &target.options, self.config.https_port) {
            return Ok(response);
        }
        if let Target::Unavailable(state) = &target.backend {
            return Err(Trouble::Unavailable(state.clone()));
        }
        refuse_large(&request, target.options.max_body)?;
        let mut journey = Journey::begin(request, asked, &target, &active);
        let mut target = target;
        let looking_since = Instant::now();
        loop {
            let trouble = match &target.backend {
                Target::Unavailable(state) => return Err(Trouble::Unavailable(state.clone())),
                Target::Endpoints(group) => {
                    match self.attempt(&mut journey, asked, &target, group, &active).await? {
                        Ok((response, arrival)) => {
                            return Ok(finish(response, arrival, journey, asked, &target, active, service));
                        }
                        Err(trouble) => trouble,
                    }
                }
            };
            // Endpoints that went away are seen here a moment before the table says so.
            if looking_since.elapsed() > LOOK_FOR || journey.body.is_none() {
                return Err(trouble);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            if let Found::Route(_, now) = self.table.load_full().find(&asked.host, &asked.path) {
                target = Arc::clone(now);
            }
            journey.tried.clear();
        }
    }

    /// Tries the endpoints of a group. The inner error means that none took the request.
    async fn attempt(
        &self,
        journey: &mut Journey,
        asked: &Asked,
        target: &TargetRoute,
        group: &Group,
        active: &Active,
    ) -> Result<Result<(Response<Incoming>, Arrival), Trouble>, Trouble> {
        let mut trouble = Trouble::Unreachable;
        for attempt in 0..ATTEMPTS {
            let Some(endpoint) = journey.pick(group, target) else { break };
            if attempt > 0 {
                active.counters().retry();
            }
            let busy = endpoint.begin();
            let timeout = target.options.connect_timeout;
            let connection = match journey.connect(&endpoint, timeout).await {
                Ok(connection) => connection,
                Err(error) => {
                    debug!(endpoint = %endpoint.address, %error, host = asked.host, "no connection");
                    endpoint.eject();
                    journey.tried.push(endpoint.address);
                    continue;
                }
            };
            let Some(request) = journey.request(&endpoint) else { break };
            match send::send(connection, request, target.options.read_timeout, &journey.progress).await {
                Ok((response, connection)) => {
                    endpoint.recover();
                    return Ok(Ok((response, Arrival { endpoint, connection, busy })));
                }
                Err(Failure::NotSent(body)) => journey.take_back(body, &endpoint),
                Err(Failure::Broken(_)) if journey.progress.is_too_large() => {
                    return Err(Trouble::BodyTooLarge(target.options.max_body.unwrap_or_default()));
                }
                Err(Failure::Broken(_)) if journey.progress.is_stalled() => return Err(Trouble::SlowBody),
                Err(Failure::Broken(error)) => {
                    debug!(endpoint = %endpoint.address, %error, host = asked.host, "no answer");
                    trouble = Trouble::Broken;
                    if journey.repeatable == Repeatable::No {
                        return Err(trouble);
                    }
                    journey.take_back(RequestBody::empty(), &endpoint);
                }
                Err(Failure::TimedOut) => return Err(Trouble::TimedOut),
            }
        }
        Ok(Err(trouble))
    }
}

/// An answer and how it came.
struct Arrival {
    endpoint: Arc<Endpoint>,
    connection: Option<Connection>,
    busy: Busy,
}

impl Journey {
    fn begin(request: Request<ClientBody>, asked: &Asked, target: &TargetRoute, active: &Active) -> Self {
        let options = &target.options;
        let (mut parts, body) = request.into_parts();
        let upgrade = headers::upgrade(&parts.headers).zip(parts.extensions.remove::<OnUpgrade>());
        let cookie = options.affinity.as_ref().and_then(|a| headers::cookie(&parts.headers, &a.cookie));
        let cookie = cookie.map(ToOwned::to_owned);
        let without_body = body.is_end_stream();
        let body = RequestBody::new(body, options.max_body, options.send_timeout, active.counters());
        let repeatable = if without_body && headers::is_idempotent(&parts.method) {
            Repeatable::Yes
        } else {
            Repeatable::No
        };
        prepare(&mut parts, asked, target, upgrade.as_ref().map(|(protocol, _)| protocol));
        let progress = body.progress();
        let tried = Vec::new();
        Self { parts, body: Some(body), progress, repeatable, upgrade, cookie, tried, fresh: false }
    }

    fn pick(&self, group: &Group, target: &TargetRoute) -> Option<Arc<Endpoint>> {
        let kept = self.cookie.as_deref().and_then(|token| group.by_token(token));
        kept.filter(|endpoint| !self.tried.contains(&endpoint.address))
            .or_else(|| group.pick(target.options.balance, &self.tried))
    }

    async fn connect(&self, endpoint: &Endpoint, timeout: Duration) -> std::io::Result<Connection> {
        if self.fresh || self.upgrade.is_some() {
            return endpoint.pool.connect(timeout).await;
        }
        endpoint.pool.take(self.repeatable, timeout).await
    }

    /// The request for one attempt. It is kept for another one only if it may be repeated.
    fn request(&mut self, endpoint: &Endpoint) -> Option<Request<RequestBody>> {
        let body = self.body.take()?;
        let mut request = Request::new(body);
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.parts.uri.clone();
        *request.headers_mut() = self.parts.headers.clone();
        if endpoint.pool.is_http2() {
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(header::HOST);
        } else {
            *request.uri_mut() = origin_form(&self.parts.uri);
        }
        Some(request)
    }

    /// Prepares for another attempt: with a new connection first, then elsewhere.
    fn take_back(&mut self, body: RequestBody, endpoint: &Endpoint) {
        self.body = Some(body);
        if self.fresh {
            endpoint.eject();
            self.tried.push(endpoint.address);
        }
        self.fresh = true;
    }
}

/// What the app shall see of the request, whichever endpoint gets it.
fn prepare(parts: &mut Parts, asked: &Asked, target: &TargetRoute, upgrade: Option<&HeaderValue>) {
    headers::remove_hop_by_hop(&mut parts.headers);
    if let Some(protocol) = upgrade {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(header::UPGRADE, protocol.clone());
    }
    if parts.version == Version::HTTP_2 {
        headers::join_cookies(&mut parts.headers);
    }
    headers::add_forwarded(&mut parts.headers, &asked.client, &asked.authority, &asked.id);
    parts.headers.insert(header::HOST, asked.authority.clone());
    for (name, value) in &target.options.request_headers {
        parts.headers.insert(name, value.clone());
    }
    let path = match target.rewrite(&asked.path) {
        Some(path) => match parts.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        },
        None => asked.path_and_query.clone(),
    };
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(match target.options.upstream {
        Upstream::Http1 | Upstream::Http2 => UriScheme::HTTP,
        Upstream::Https | Upstream::Https2 => UriScheme::HTTPS,
    });
    uri.authority = Authority::try_from(asked.authority.as_bytes()).ok();
    uri.path_and_query = PathAndQuery::try_from(path).ok().or(Some(PathAndQuery::from_static("/")));
    if let Ok(uri) = Uri::from_parts(uri) {
        parts.uri = uri;
    }
    if parts.method == Method::CONNECT {
        // Nobody behind us is a proxy.
        parts.method = Method::GET;
    }
}

fn origin_form(uri: &Uri) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).unwrap_or_default()
}

/// Refuses a body that announces itself as too large.
fn refuse_large(request: &Request<ClientBody>, max: Option<u64>) -> Result<(), Trouble> {
    match max {
        Some(max) if request.body().size_hint().lower() > max => Err(Trouble::BodyTooLarge(max)),
        _ => Ok(()),
    }
}

fn finish(
    response: Response<Incoming>,
    arrival: Arrival,
    journey: Journey,
    asked: &Asked,
    target: &TargetRoute,
    active: Active,
    service: InService,
) -> Response<ReplyBody> {
    let Arrival { endpoint, connection, busy } = arrival;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return match journey.upgrade {
            Some((_, client)) => {
                let head = reply::switching(&response, asked);
                tunnel::start(
                    client,
                    response,
                    target.options.read_timeout,
                    tunnel::Guards { active, _busy: busy, _service: service },
                );
                head
            }
            None => reply::trouble(&Trouble::Broken, &asked.host, None, &asked.id, false),
        };
    }
    let token = target.options.affinity.as_ref().map(|_| endpoint.token());
    let new_token = token.filter(|token| journey.cookie.as_ref() != Some(token));
    let lease = Lease::new(endpoint, connection, journey.progress);
    reply::stream(
        response,
        asked,
        target,
        new_token,
        reply::Hold { lease, active, _busy: busy, _service: service },
    )
}

/// How the scheme and port of a redirect to HTTPS look.
pub(crate) fn https_location(asked: &Asked, port: u16) -> Option<String> {
    if asked.client.scheme == Scheme::Https {
        return None;
    }
    let host = if asked.host.contains(':') { format!("[{}]", asked.host) } else { asked.host.clone() };
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    Some(format!("https://{host}{port}{}", asked.path_and_query))
}

//! A gateway, apps behind it, and clients in front.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sealos_gateway::{Backend, Config, Gateway, Host, PathKind, PathRule, Route, RouteTable};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub(crate) const HOST: &str = "app.example.com";

/// A running gateway; it stops when dropped.
pub(crate) struct Front {
    pub(crate) gateway: Gateway,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) shutdown: CancellationToken,
}

impl Front {
    pub(crate) async fn start(config: Config) -> Self {
        let gateway = Gateway::new(config).expect("a gateway");
        let shutdown = CancellationToken::new();
        let (http, https) = (listen().await, listen().await);
        let addresses = (http.local_addr().expect("bound"), https.local_addr().expect("bound"));
        let (one, two) = (gateway.clone(), gateway.clone());
        let (stop_one, stop_two) = (shutdown.clone(), shutdown.clone());
        tokio::spawn(async move { one.serve_http(http, stop_one).await });
        tokio::spawn(async move { two.serve_https(https, stop_two).await });
        Self { gateway, http: addresses.0, https: addresses.1, shutdown }
    }

    /// A gateway that leads `HOST` to `route`.
    pub(crate) async fn leading_to(route: Route) -> Self {
        let front = Self::start(Config::default()).await;
        front.gateway.set_routes(table(route));
        front
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        get(self.http, HOST, path).await
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("bind")
}

/// All paths of `HOST` to one route.
pub(crate) fn table(route: Route) -> RouteTable {
    paths(vec![(PathKind::Prefix, "/", route)])
}

pub(crate) fn paths(rules: Vec<(PathKind, &str, Route)>) -> RouteTable {
    let rule = |(kind, path, route): (PathKind, &str, Route)| PathRule { kind, path: path.to_owned(), route };
    let host = Host { paths: rules.into_iter().map(rule).collect() };
    RouteTable { hosts: [(HOST.to_owned(), host)].into(), ..RouteTable::default() }
}

pub(crate) fn to(endpoints: &[SocketAddr]) -> Route {
    Route::to(Backend::Endpoints(endpoints.to_vec()))
}

/// An app that answers as `answer` says, over HTTP/1.1 and HTTP/2. It stops when the token is cancelled.
pub(crate) async fn app<F, R>(answer: F) -> (SocketAddr, CancellationToken)
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            let stream = tokio::select! {
                () = stopped.cancelled() => return,
                accepted = listener.accept() => accepted.expect("accept").0,
            };
            let (answer, stopped) = (answer.clone(), stopped.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let reply = answer(request);
                    async move { Ok::<_, Infallible>(reply.await) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                tokio::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => {}
                    () = stopped.cancelled() => {
                        connection.as_mut().graceful_shutdown();
                        drop(connection.await);
                    }
                }
            });
        }
    });
    (address, stop)
}

pub(crate) fn ok(text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(text.into()))
}

/// An app that always says its name.
pub(crate) async fn named(name: &'static str) -> (SocketAddr, CancellationToken) {
    app(move |_| async move { ok(name) }).await
}

/// An app that says what it saw: the request line and headers.
pub(crate) async fn mirror() -> (SocketAddr, CancellationToken) {
    app(|request| async move {
        let mut text = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            text.push_str(&format!("{name}: {}\n", value.to_str().unwrap_or("?")));
        }
        ok(text)
    })
    .await
}

/// An address where nothing listens.
pub(crate) async fn nobody() -> SocketAddr {
    listen().await.local_addr().expect("bound")
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

pub(crate) fn request(host: &str, path: &str) -> http::request::Builder {
    Request::builder().uri(path).header("host", host)
}

pub(crate) async fn get(server: SocketAddr, host: &str, path: &str) -> Reply {
    send(server, request(host, path).body(Full::default()).expect("a request")).await
}

pub(crate) async fn send(server: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    try_send(server, request).await.expect("an answer")
}

pub(crate) async fn try_send(server: SocketAddr, request: Request<Full<Bytes>>) -> Result<Reply, String> {
    let work = async {
        let stream = TcpStream::connect(server).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|e| format!("{e:?}"))?;
        read(response).await
    };
    tokio::time::timeout(Duration::from_secs(20), work).await.map_err(|_| "no answer in time".to_owned())?
}

pub(crate) async fn read(response: Response<Incoming>) -> Result<Reply, String> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(|e| format!("the body: {e:?}"))?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    Ok(Reply { status: parts.status, headers: parts.headers, text })
}

/// Counts calls across clones.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicU32>);

impl Count {
    pub(crate) fn up(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

//! Listeners and connections: accept, handshake, serve, drain.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use sealos_linger::{Linger, Tracked, Unread};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::Config;
use crate::body::ReplyBody;
use crate::headers::{Client, Scheme};
use crate::proxy::Proxy;
use crate::watch::{Activity, Limits, Watched};

/// A client must finish its TLS handshake in this time.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What all connections of one listener share.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) proxy: Arc<Proxy>,
    /// None for plain HTTP.
    pub(crate) tls: Option<TlsAcceptor>,
}

/// Serves a listener until shutdown, then waits for what is in flight, but not for long.
pub(crate) async fn run(listener: TcpListener, door: Door, shutdown: CancellationToken) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    let config = &door.proxy.config;
    let drain = config.drain;
    let places = Arc::new(Semaphore::new(config.max_connections));
    let connections = TaskTracker::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let (place, accepted) = tokio::select! {
            () = shutdown.cancelled() => break,
            next = async { (place.await, listener.accept().await) } => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let scheme = if door.tls.is_some() { Scheme::Https } else { Scheme::Http };
                let client = Client { peer, scheme, port };
                let (door, shutdown) = (door.clone(), shutdown.clone());
                connections.spawn(async move {
                    let _place = place;
                    connection(stream, client, door, shutdown).await;
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: some connections must end first.
                warn!(%error, port, "no new connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(drain, connections.wait()).await.is_err() {
        debug!(port, left = connections.len(), "connections are cut off at shutdown");
    }
    Ok(())
}

async fn connection(stream: TcpStream, client: Client, door: Door, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection is gone already");
        return;
    }
    let Some(acceptor) = door.tls else { return serve(stream, client, door.proxy, shutdown).await };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, client, door.proxy, shutdown).await,
        Ok(Err(error)) => debug!(%error, peer = %client.peer, "a TLS handshake failed"),
        Err(_) => debug!(peer = %client.peer, "a TLS handshake took too long"),
    }
}

async fn serve<S>(stream: S, client: Client, proxy: Arc<Proxy>, shutdown: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let builder = builder(&proxy.config);
    let limits = Limits { header: proxy.config.header_timeout, idle: proxy.config.idle_timeout };
    let unread = Unread::default();
    let stream = Linger::new(stream, unread.clone());
    let stream = TokioIo::new(Watched::new(stream, Arc::clone(&activity), limits));
    let service = service_fn(move |request: Request<Incoming>| {
        let http2 = request.version() == Version::HTTP_2;
        let (proxy, service) = (Arc::clone(&proxy), activity.begin(http2));
        let unread = unread.clone();
        let request = request.map(|body| if http2 { Tracked::of_stream(body) } else { unread.track(body) });
        async move {
            let mut response = proxy.handle(request, client, service).await;
            if !http2 && unread.is_set() {
                announce_close(&mut response);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = pin!(builder.serve_connection_with_upgrades(stream, service));
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        debug!(error, peer = %client.peer, "a connection ended early");
    }
}

/// An answer of ours to a request that was not read to its end is the last one of its connection.
fn announce_close(response: &mut Response<ReplyBody>) {
    if matches!(response.body(), ReplyBody::Page(_)) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

fn builder(config: &Config) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Silence is watched by the stream itself.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(config.max_header_bytes);
    let list = u32::try_from(config.max_header_bytes).unwrap_or(u32::MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(250)
        .max_header_list_size(list)
        .adaptive_window(true)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

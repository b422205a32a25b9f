//! The app that suites deploy: says its version and echoes bodies over HTTP/1.1 and HTTP/2, gRPC with
//! trailers, and WebSockets. It ends as apps should: no new connections, requests in flight finish.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// How long `/slow` takes: longer than a pod is left alone before it is told to end.
const SLOW: Duration = Duration::from_millis(1500);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("0.0.0.0:8080").await.context("listen")?;
    let mut end = signal(SignalKind::terminate()).context("wait for the end")?;
    let open = GracefulShutdown::new();
    loop {
        let (stream, _) = tokio::select! {
            _ = end.recv() => break,
            accepted = listener.accept() => accepted.context("accept")?,
        };
        let builder = auto::Builder::new(TokioExecutor::new());
        let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service_fn(answer));
        let served = open.watch(served.into_owned());
        // How a client leaves does not matter here.
        tokio::spawn(async move { drop(served.await) });
    }
    drop(listener);
    open.shutdown().await;
    Ok(())
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Body>> {
    if request.headers().contains_key(header::SEC_WEBSOCKET_KEY) {
        return web_socket(&mut request);
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.context("read the body")?.to_bytes();
    if head.uri.path() == "/slow" {
        tokio::time::sleep(SLOW).await;
    }
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("application/grpc")) {
        let trailers = HeaderMap::from_iter([(
            header::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]);
        let body = Full::new(body).with_trailers(async { Some(Ok(trailers)) });
        let mut response = Response::new(body.boxed());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        return Ok(response);
    }
    let version = std::env::var("VERSION").unwrap_or_else(|_| "1".to_owned());
    let text = [version.as_bytes(), b" ", &body].concat();
    Ok(Response::new(Full::new(Bytes::from(text)).boxed()))
}

/// Changes to a WebSocket that says everything back.
fn web_socket(request: &mut Request<Incoming>) -> Result<Response<Body>> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).context("a key")?;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes())).context("accept the key")?;
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.await.context("change the protocol")?);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Some(message) = socket.next().await {
            let message = message.context("receive")?;
            if message.is_text() || message.is_binary() {
                socket.send(message).await.context("send")?;
            }
        }
        anyhow::Ok(())
    });
    let mut response = Response::new(Full::default().boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

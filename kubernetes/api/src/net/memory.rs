//! The API server as a service in the process. Plain requests are function calls; requests that want
//! to change protocol (exec, port-forward) get a real HTTP connection over an in-memory pipe.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use http::{HeaderValue, Request, Response, header};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tower::Service;

use crate::identity::Identity;
use crate::server::Server;
use crate::status::Status;

/// Bytes in flight on an in-memory connection.
const PIPE: usize = 64 << 10;

/// Requests act as `identity`, or as whoever their credentials name when there is none.
#[derive(Clone)]
pub(crate) struct InProcess {
    server: Server,
    identity: Option<Identity>,
}

impl InProcess {
    pub(crate) fn new(server: Server, identity: Option<Identity>) -> Self {
        Self { server, identity }
    }
}

impl Service<Request<kube::client::Body>> for InProcess {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let (server, identity) = (self.server.clone(), self.identity.clone());
        let mut request = request.map(Body::new);
        Box::pin(async move {
            if request.headers().contains_key(header::UPGRADE) {
                return Ok(connect(server, identity, request).await);
            }
            if let Some(identity) = identity {
                request.extensions_mut().insert(identity);
            }
            Ok(server.handle(request).await)
        })
    }
}

/// Sends one request over a pipe of its own, so that both ends can take the connection over.
async fn connect(server: Server, identity: Option<Identity>, mut request: Request<Body>) -> Response<Body> {
    let (near, far) = tokio::io::duplex(PIPE);
    let answering = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (server, identity) = (server.clone(), identity.clone());
        let mut request = request.map(Body::new);
        if let Some(identity) = identity {
            request.extensions_mut().insert(identity);
        }
        async move { Ok::<_, Infallible>(server.handle(request).await) }
    });
    tokio::spawn(async move {
        let builder = hyper::server::conn::http1::Builder::new();
        let connection = builder.serve_connection(TokioIo::new(far), answering).with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!(%error, "an in-memory connection ended");
        }
    });
    request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("kubernetes.default.svc"));
    match send(near, request).await {
        Ok(response) => response,
        Err(error) => Status::internal(error.to_string()).into_response(),
    }
}

async fn send(pipe: tokio::io::DuplexStream, request: Request<Body>) -> hyper::Result<Response<Body>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(pipe)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "an in-memory connection ended");
        }
    });
    Ok(sender.send_request(request).await?.map(Body::new))
}

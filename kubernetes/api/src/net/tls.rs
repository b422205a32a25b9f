//! The TLS port: HTTP/1.1 and HTTP/2, client certificates wanted but not needed.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{self, HeaderValue};
use http::{Request, StatusCode};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use sealos_linger::{Linger, Tracked, Unread};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::Error;
use crate::identity::Identity;
use crate::pki::{Leaf, Pki};
use crate::server::Server;

/// Open requests have this long when the server stops; watches are cut.
const DRAIN: Duration = Duration::from_secs(2);
const MAX_HEADERS: usize = 128 << 10;

pub(crate) fn acceptor(pki: &Pki, leaf: &Leaf) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(pki.ca_der()?).map_err(|error| Error::Tls(error.into()))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| Error::Tls(error.into()))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls(error.into()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(leaf.chain()?, leaf.private_key()?)
        .map_err(|error| Error::Tls(error.into()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts until `shutdown`, then lets open requests finish for a moment.
pub(crate) async fn serve(
    server: Server,
    acceptor: TlsAcceptor,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (server, acceptor) = (server.clone(), acceptor.clone());
                let shutdown = shutdown.clone();
                connections.spawn(async move { connection(server, acceptor, stream, shutdown).await });
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn connection(server: Server, acceptor: TlsAcceptor, stream: TcpStream, shutdown: CancellationToken) {
    let patience = server.parts.patience;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "set TCP_NODELAY");
    }
    let accepted = tokio::select! {
        () = shutdown.cancelled() => return,
        accepted = tokio::time::timeout(patience, acceptor.accept(stream)) => accepted,
    };
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let peer =
        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(certificate_identity);
    // Told by ALPN: waiting for the first bytes to find out would have no end.
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let unread = Unread::default();
    let io = TokioIo::new(Linger::new(stream, unread.clone()));
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let server = server.clone();
        let unread = unread.clone();
        let track = |body| if http2 { Tracked::of_stream(body) } else { unread.track(body) };
        let mut request = request.map(|body| Body::new(track(body)));
        if let Some(identity) = &peer {
            request.extensions_mut().insert(identity.clone());
        }
        async move {
            let mut response = server.handle(request).await;
            // Answered before its end: the last request of this connection, unless it changes protocol.
            if !http2 && unread.is_set() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let result = if http2 {
        let mut served = pin!(speak_http2(patience).serve_connection(io, service));
        tokio::select! {
            result = served.as_mut() => result,
            () = shutdown.cancelled() => {
                served.as_mut().graceful_shutdown();
                drain(served).await
            }
        }
    } else {
        let mut served = pin!(speak_http1(patience).serve_connection(io, service).with_upgrades());
        tokio::select! {
            result = served.as_mut() => result,
            () = shutdown.cancelled() => {
                served.as_mut().graceful_shutdown();
                drain(served).await
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Watches do not end by themselves; they are cut.
async fn drain(served: impl Future<Output = hyper::Result<()>>) -> hyper::Result<()> {
    tokio::time::timeout(DRAIN, served).await.unwrap_or(Ok(()))
}

fn speak_http1(patience: Duration) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEADERS);
    builder
}

fn speak_http2(patience: Duration) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(250)
        .keep_alive_interval(patience)
        .keep_alive_timeout(patience)
        .max_header_list_size(64 << 10);
    builder
}

/// The certificate's common name is the user, its organisations are the groups.
fn certificate_identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let subject = parsed.subject();
    let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|name| name.as_str().ok()).map(str::to_owned);
    Some(Identity::new(user, groups.collect::<Vec<_>>()))
}

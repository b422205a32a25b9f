//! The TLS port: HTTP/1.1 and HTTP/2, client certificates wanted but not needed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::identity::Identity;
use crate::pki::{Leaf, Pki};
use crate::server::Server;

/// A client has this long for its handshake, and again for the headers of each request.
const PATIENCE: Duration = Duration::from_secs(10);
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
    let graceful = Arc::new(GracefulShutdown::new());
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (server, acceptor) = (server.clone(), acceptor.clone());
                let (watcher, shutdown) = (graceful.watcher(), shutdown.clone());
                tokio::spawn(async move { connection(server, acceptor, stream, watcher, shutdown).await });
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if let Some(graceful) = Arc::into_inner(graceful) {
        drop(tokio::time::timeout(DRAIN, graceful.shutdown()).await);
    }
    Ok(())
}

async fn connection(
    server: Server,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    watcher: hyper_util::server::graceful::Watcher,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "set TCP_NODELAY");
    }
    let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake"),
        Err(_) => return tracing::debug!("TLS handshake took too long"),
    };
    let peer =
        stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).and_then(certificate_identity);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let server = server.clone();
        let mut request = request.map(Body::new);
        if let Some(identity) = &peer {
            request.extensions_mut().insert(identity.clone());
        }
        async move { Ok::<_, Infallible>(server.handle(request).await) }
    });
    // Told by ALPN: waiting for the first bytes to find out would have no end.
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let builder = Builder::new(TokioExecutor::new());
    let mut builder = if http2 { builder.http2_only() } else { builder.http1_only() };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEADERS)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(250)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_header_list_size(64 << 10);
    let connection =
        watcher.watch(builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned());
    tokio::select! {
        result = connection => {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection ended");
            }
        }
        () = async { shutdown.cancelled().await; tokio::time::sleep(DRAIN).await } => {}
    }
}

/// The certificate's common name is the user, its organisations are the groups.
fn certificate_identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let subject = parsed.subject();
    let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|name| name.as_str().ok()).map(str::to_owned);
    Some(Identity::new(user, groups.collect::<Vec<_>>()))
}

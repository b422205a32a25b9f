//! HTTP/2, TLS, WebSocket and gRPC.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use sealos_gateway::{Certificate, Config, Upstream};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

async fn http2_client<B>(server: SocketAddr) -> http2::SendRequest<B>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(server).await.expect("connect");
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn http2_clients_reach_http1_apps() {
    let (mirror, _stop) = mirror().await;
    let front = Front::leading_to(to(&[mirror])).await;
    let mut client = http2_client::<Full<Bytes>>(front.http).await;
    let request = Request::builder()
        .uri(format!("http://{HOST}/x"))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(Full::default())
        .expect("a request");
    let response = client.send_request(request).await.expect("an answer");
    assert_eq!(response.version(), Version::HTTP_2);
    let reply = read(response).await.expect("a body");
    assert!(reply.text.starts_with("GET /x\n"), "{}", reply.text);
    assert!(reply.text.contains("cookie: a=1; b=2\n") && reply.text.contains(&format!("host: {HOST}\n")));
}

#[tokio::test]
async fn grpc_passes_with_trailers() {
    let (app, _stop) = grpc_app().await;
    let mut route = to(&[app]);
    route.options.upstream = Upstream::Http2;
    let front = Front::leading_to(route).await;
    let mut client = http2_client::<Full<Bytes>>(front.http).await;
    let call = || {
        Request::builder()
            .method("POST")
            .uri(format!("http://{HOST}/greeter.Greeter/Hello"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(Bytes::from_static(b"\0\0\0\0\0")))
            .expect("a request")
    };
    let response = client.send_request(call()).await.expect("an answer");
    let collected = response.into_body().collect().await.expect("a body");
    let trailers = collected.trailers().expect("trailers").clone();
    assert_eq!(trailers.get("grpc-status"), Some(&HeaderValue::from_static("0")));
    assert_eq!(collected.to_bytes(), Bytes::from_static(b"trailers /greeter.Greeter/Hello"));
    let mut nowhere = to(&[nobody().await]);
    nowhere.options.upstream = Upstream::Http2;
    front.gateway.set_routes(table(nowhere));
    let response = client.send_request(call()).await.expect("an answer");
    assert_eq!(
        (response.status(), &response.headers()["grpc-status"]),
        (StatusCode::OK, &HeaderValue::from(14))
    );
}

/// Answers with the `te` header and path, then trailers.
async fn grpc_app() -> (SocketAddr, tokio_util::sync::CancellationToken) {
    let listener = listen().await;
    let address = listener.local_addr().expect("bound");
    let stop = tokio_util::sync::CancellationToken::new();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async move {
                let te = request.headers().get("te").and_then(|te| te.to_str().ok()).unwrap_or("-");
                let text = format!("{te} {}", request.uri().path());
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from(0));
                let frames = [
                    Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(text))),
                    Ok(Frame::trailers(trailers)),
                ];
                Ok::<_, std::convert::Infallible>(Response::new(StreamBody::new(futures::stream::iter(
                    frames,
                ))))
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, stop)
}

#[tokio::test]
async fn websockets_pass_both_ways() {
    let listener = listen().await;
    let app = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
            tokio::spawn(async move {
                use futures::{SinkExt, StreamExt};
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() {
                        drop(socket.send(message).await);
                    }
                }
            });
        }
    });
    let front = Front::leading_to(to(&[app])).await;
    let stream = TcpStream::connect(front.http).await.expect("connect");
    let (mut socket, response) =
        tokio_tungstenite::client_async(format!("ws://{HOST}/chat"), stream).await.expect("a handshake");
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    use futures::{SinkExt, StreamExt};
    for n in 0..20 {
        socket.send(Message::text(format!("hello {n}"))).await.expect("send");
        let back = socket.next().await.expect("an echo").expect("a message");
        assert_eq!(back.into_text().expect("text").as_str(), format!("hello {n}"));
    }
    front.gateway.set_routes(table(to(&[nobody().await])));
    socket.send(Message::text("still here")).await.expect("a tunnel outlives its route");
    assert!(socket.next().await.expect("an echo").expect("a message").is_text());
    socket.close(None).await.expect("close");
    drop(socket);
    let ended = async {
        while front.gateway.metrics().iter().any(|metrics| metrics.active > 0) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(2), ended).await.expect("the tunnel ends");
}

/// The certificate a server shows for a name, and the protocol it agrees on.
async fn shown(server: SocketAddr, name: &str, alpn: &[&str]) -> (Vec<u8>, Option<Vec<u8>>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(server).await.expect("connect");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(|chain| chain.first()).expect("a certificate").to_vec();
    (leaf, session.alpn_protocol().map(<[u8]>::to_vec))
}

#[derive(Debug)]
struct Trusting;

impl rustls::client::danger::ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn certificates_follow_the_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Config { authority_dir: Some(dir.path().to_owned()), ..Config::default() };
    let front = Front::start(config.clone()).await;
    let key = rcgen::generate_simple_self_signed(vec!["*.example.com".to_owned()]).expect("a certificate");
    let mut routes = table(to(&[nobody().await]));
    let own = routes.hosts[HOST].clone();
    routes.hosts.insert("other.test".to_owned(), own);
    let pem = |text: String| text.into_bytes();
    routes.certificates = vec![
        Certificate {
            hosts: vec!["*.example.com".to_owned()],
            chain: pem(key.cert.pem()),
            key: pem(key.signing_key.serialize_pem()),
        },
        Certificate { hosts: vec![HOST.to_owned()], chain: b"nonsense".to_vec(), key: Vec::new() },
    ];
    front.gateway.set_routes(routes);
    let (leaf, protocol) = shown(front.https, HOST, &["h2", "http/1.1"]).await;
    assert_eq!(leaf, key.cert.der().to_vec(), "the wildcard, because the exact one is damaged");
    assert_eq!(protocol.as_deref(), Some(&b"h2"[..]));
    let (own, protocol) = shown(front.https, "other.test", &["http/1.1"]).await;
    assert_eq!(protocol.as_deref(), Some(&b"http/1.1"[..]));
    let (again, _) = shown(front.https, "other.test", &[]).await;
    assert_eq!(own, again, "own certificates are kept");
    let (stranger, _) = shown(front.https, "stranger.test", &[]).await;
    assert_ne!(own, stranger);
    let authority = std::fs::read(dir.path().join("gateway-ca.crt")).expect("the authority is kept");
    drop(sealos_gateway::Gateway::new(config).expect("the authority is found again"));
    assert_eq!(std::fs::read(dir.path().join("gateway-ca.crt")).expect("kept"), authority);
}

//! The smallest HTTP client a probe needs: one request on one fresh connection, certificates unchecked.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How much of a health answer is read.
const ANSWER_LIMIT: usize = 64 << 10;

/// Opens a connection; the error reads like the ones people know.
pub(crate) async fn connect(to: SocketAddr) -> Result<TcpStream, String> {
    let stream =
        TcpStream::connect(to).await.map_err(|e| format!("dial tcp {to}: connect: {}", plain(&e)))?;
    stream.set_nodelay(true).map_err(|e| format!("dial tcp {to}: {}", plain(&e)))?;
    Ok(stream)
}

/// Asks once and returns the status code.
pub(crate) async fn status(
    to: SocketAddr,
    tls: bool,
    request: Request<Empty<Bytes>>,
) -> Result<StatusCode, String> {
    let stream = connect(to).await?;
    if !tls {
        return exchange(stream, request).await;
    }
    let name = ServerName::IpAddress(to.ip().into());
    let stream = TlsConnector::from(trusting())
        .connect(name, stream)
        .await
        .map_err(|e| format!("TLS handshake with {to}: {e}"))?;
    exchange(stream, request).await
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| format!("HTTP connection: {e}"))?;
    let answer = async { sender.send_request(request).await.map(|response| response.status()) };
    let (status, ended) = alongside(answer, connection).await;
    match (status, ended) {
        (Ok(status), _) => Ok(status),
        (Err(_), Some(Ok(()))) => Err("EOF".to_owned()),
        (Err(_), Some(Err(error))) => Err(format!("HTTP connection: {error}")),
        (Err(error), None) => Err(format!("HTTP request: {error}")),
    }
}

/// Waits for the answer while the connection works. A connection may end in the same moment in which
/// the answer arrives, so its end is not the end of waiting.
async fn alongside<A, C>(answer: impl Future<Output = A>, connection: C) -> (A, Option<C::Output>)
where
    C: Future,
{
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => (answer, None),
        ended = connection => (answer.await, Some(ended)),
    }
}

/// A gRPC call without a streaming body: the answer's bytes and the `grpc-status`.
pub(crate) async fn grpc(to: SocketAddr, path: &str, message: Vec<u8>) -> Result<(Bytes, String), String> {
    let stream = connect(to).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|e| format!("HTTP/2 connection: {e}"))?;
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&message);
    let request = Request::post(format!("http://{to}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(framed)))
        .map_err(|e| e.to_string())?;
    let call = async {
        let response = sender.send_request(request).await.map_err(|e| format!("gRPC call: {e}"))?;
        let early = response.headers().get("grpc-status").cloned();
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        let body = body.map_err(|e| format!("gRPC answer: {e}"))?;
        let late = body.trailers().and_then(|t| t.get("grpc-status")).cloned();
        let status = late.or(early).and_then(|v| v.to_str().map(str::to_owned).ok());
        Ok((body.to_bytes(), status.unwrap_or_default()))
    };
    alongside(call, connection).await.0
}

/// The text of an I/O error without Rust's `(os error N)`.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.to_lowercase()
}

/// Probes ask whether something answers, not who.
fn trusting() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let schemes = provider.signature_verification_algorithms.supported_schemes();
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("the ring provider supports the default TLS versions")
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anyone(schemes)))
                .with_no_client_auth();
            Arc::new(config)
        })
        .clone()
}

#[derive(Debug)]
struct Anyone(Vec<SignatureScheme>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

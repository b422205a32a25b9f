//! A keep-alive HTTP/1.1 connection over TLS to an API server, with as little client work as possible.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use kube::client::ConfigExt as _;
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// An API server and how to be let in.
#[derive(Clone)]
pub(crate) struct Target {
    tls: TlsConnector,
    host: String,
    port: u16,
    bearer: Option<String>,
}

/// One connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    bearer: Option<String>,
}

impl Target {
    /// From a kubeconfig's context.
    pub(crate) fn new(config: &kube::Config) -> Result<Self> {
        let tls = config.rustls_client_config().context("use the kubeconfig's certificates")?;
        let token = config.auth_info.token.as_ref();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(tls)),
            host: config.cluster_url.host().context("a server without a host")?.to_owned(),
            port: config.cluster_url.port_u16().unwrap_or(443),
            bearer: token.map(|t| format!("Bearer {}", t.expose_secret())),
        })
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.context("connect")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.host.clone()).context("a server name")?;
        let stream = self.tls.connect(name, stream).await.context("agree on TLS")?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Connection { sender, host: self.host.clone(), bearer: self.bearer.clone() })
    }
}

impl Connection {
    /// Sends a request; the answer's body is still to be read.
    pub(crate) async fn open(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", kind);
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        self.sender.ready().await?;
        Ok(self.sender.send_request(request.body(Full::new(body))?).await?)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Bytes> {
        let response = self.open(method, path, body).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&bytes));
        Ok(bytes)
    }
}

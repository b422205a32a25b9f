//! The client side of the admin socket: HTTP over a unix socket that only root may open.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::locate::CloudStatus;

/// A body to send.
pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

/// The admin socket of one cloud.
#[derive(Debug, Clone)]
pub(crate) struct Socket {
    path: PathBuf,
}

/// The last line of a stream that failed.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Failed {
    /// What went wrong.
    pub(crate) error: String,
}

impl Socket {
    /// The socket at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The cloud's status.
    pub(crate) async fn status(&self) -> Result<CloudStatus> {
        self.json(Method::GET, "/status", &()).await
    }

    /// Sends JSON, reads JSON.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T> {
        let response = self.send(method, path, json_body(body)?).await?;
        let bytes = response.into_body().collect().await.context("read the cloud's answer")?.to_bytes();
        serde_json::from_slice(&bytes).context("understand the cloud's answer")
    }

    /// Sends a request; an error status becomes an error with the daemon's own words.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Body) -> Result<Response<Incoming>> {
        let stream = UnixStream::connect(&self.path).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "sealos")
            .header("content-type", "application/json")
            .body(body)
            .context("make a request")?;
        let response = sender.send_request(request).await.context("talk to the cloud")?;
        if response.status().is_success() {
            return Ok(response);
        }
        let bytes = response.into_body().collect().await.context("read the cloud's answer")?.to_bytes();
        let failed = serde_json::from_slice::<Failed>(&bytes).map(|f| f.error);
        bail!("{}", failed.unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Sends a request whose answer is one JSON object a line, and gives each to `each`. A last line
    /// `{"error": …}` becomes an error.
    pub(crate) async fn lines<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body,
        mut each: impl FnMut(T),
    ) -> Result<()> {
        let mut body = self.send(method, path, body).await?.into_body();
        let mut buffer = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| anyhow!("the cloud went away in the middle of it"))?;
            buffer.extend_from_slice(frame.data_ref().map_or(&[], |d| d));
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line = buffer.split_to(end + 1);
                if let Ok(failed) = serde_json::from_slice::<Failed>(&line) {
                    bail!("{}", failed.error);
                }
                each(serde_json::from_slice(&line).context("understand the cloud's answer")?);
            }
        }
        Ok(())
    }
}

/// A JSON body.
pub(crate) fn json_body(value: &impl serde::Serialize) -> Result<Body> {
    let bytes = serde_json::to_vec(value).context("write JSON")?;
    Ok(Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed())
}

/// A body that is read from somewhere as it is sent.
pub(crate) fn stream_body(reader: impl tokio::io::AsyncRead + Send + Sync + 'static) -> Body {
    use futures::TryStreamExt as _;
    let frames =
        tokio_util::io::ReaderStream::with_capacity(reader, 64 << 10).map_ok(hyper::body::Frame::data);
    http_body_util::StreamBody::new(frames).boxed()
}

//! A service in a temporary directory, and a client that signs by presigning.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use sealos_s3::{Config, Presign, S3, User};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const BUCKET: &str = "photos";
pub(crate) const OWNER: &str = "alice";

/// A running service with a user and an empty bucket.
pub(crate) struct Service {
    pub(crate) s3: S3,
    pub(crate) address: SocketAddr,
    pub(crate) closing: CancellationToken,
    pub(crate) serving: JoinHandle<()>,
    pub(crate) dir: TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text header"))
    }

    /// Fails with the whole answer when it has another status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }

    /// The content of an XML element, as it stands.
    pub(crate) fn element(&self, name: &str) -> &str {
        let open = format!("<{name}>");
        let from = self.text().find(&open).map_or(0, |at| at + open.len());
        let to = self.text().find(&format!("</{name}>")).unwrap_or(from);
        &self.text()[from..to]
    }
}

pub(crate) async fn service() -> Service {
    service_with(|_| ()).await
}

pub(crate) async fn service_with(change: impl FnOnce(&mut Config)) -> Service {
    let dir = TempDir::new().expect("a directory");
    let mut config = Config::at(dir.path().join("s3"));
    config.domains = vec!["s3.localhost".to_owned()];
    change(&mut config);
    let s3 = S3::open(config).await.expect("a service");
    for name in [OWNER, "bob"] {
        s3.put_user(User { name: name.to_owned(), ..User::default() }, "secret").await.expect("a user");
    }
    s3.create_bucket(BUCKET, OWNER).await.expect("a bucket");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let closing = CancellationToken::new();
    let serving = tokio::spawn(s3.clone().serve(listener, closing.clone()));
    Service { s3, address, closing, serving, dir }
}

impl Service {
    /// A request signed by `user`; `target` is `key?query`.
    pub(crate) async fn signed(&self, user: &str, method: Method, target: &str, body: &str) -> Answer {
        self.signed_with(user, method, target, &[], body).await
    }

    pub(crate) async fn signed_with(
        &self,
        user: &str,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let (key, query) = target.split_once('?').unwrap_or((target, ""));
        let query: Vec<(&str, &str)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|p| p.split_once('=').unwrap_or((p, "")))
            .collect();
        let base = format!("http://{}", self.address);
        let presign = Presign {
            method: method.as_str(),
            bucket: BUCKET,
            key,
            access_key: user,
            expires: Duration::from_secs(60),
            base: &base,
            query: &query,
        };
        let url = self.s3.presign(presign).await.expect("a URL");
        let path = url.strip_prefix(&base).expect("our base").to_owned();
        self.plain(method, &path, headers, body).await
    }

    /// The owner's request.
    pub(crate) async fn own(&self, method: Method, target: &str, body: &str) -> Answer {
        self.signed(OWNER, method, target, body).await
    }

    /// A request as it is, without a signature of ours.
    pub(crate) async fn plain(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        let connection = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
        let (parts, body) = sender.send_request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        connection.abort();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// Waits until `done` says so, or fails.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while !done().await {
        assert!(tokio::time::Instant::now() < limit, "it did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

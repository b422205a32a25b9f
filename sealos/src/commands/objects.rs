//! Talking S3 to the cloud's own object storage, with the keys that the API has.

use std::time::Duration;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use async_trait::async_trait;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::{Client, connect::HttpConnector as Tcp};
use hyper_util::rt::TokioExecutor;
use object_store::ClientOptions;
use object_store::RetryConfig;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::path::Path;
use sealos_buckets::{BucketView, Keys};

use crate::locate::Found;

/// The region that signatures name; the store takes any.
const REGION: &str = "us-east-1";
/// How long one silence of the store may last.
const SILENCE: Duration = Duration::from_secs(300);

/// A bucket that can be read and written.
pub(crate) struct Objects {
    /// The bucket.
    pub(crate) view: BucketView,
    /// Its objects.
    pub(crate) store: AmazonS3,
}

impl Objects {
    /// Opens a bucket of the command's workspace by its name.
    pub(crate) async fn open(found: &Found, name: &str) -> Result<Self> {
        let buckets = found.buckets().await?;
        let view = buckets.get(name).await?;
        let keys = buckets.keys(Some(&view.name)).await?;
        let store = connect(&loopback(found)?, &keys, &view.bucket)?;
        Ok(Self { view, store })
    }
}

/// The S3 port on this machine: the domain's name need not be known here.
fn loopback(found: &Found) -> Result<String> {
    let port = found.status.s3.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let port =
        port.context("the running cloud has no S3 port; restart it with this version of `sealos up`")?;
    Ok(format!("http://127.0.0.1:{port}"))
}

/// A client of one bucket at an endpoint.
pub(crate) fn connect(endpoint: &str, keys: &Keys, bucket: &str) -> Result<AmazonS3> {
    let options = ClientOptions::new().with_allow_http(true).with_timeout_disabled();
    let retry =
        RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(20), ..RetryConfig::default() };
    AmazonS3Builder::new()
        .with_http_connector(Direct)
        .with_client_options(options)
        .with_retry(retry)
        .with_region(REGION)
        .with_endpoint(endpoint)
        .with_bucket_name(bucket)
        .with_access_key_id(&keys.access_key)
        .with_secret_access_key(&keys.secret_key)
        .build()
        .with_context(|| format!("use the object storage at {endpoint}"))
}

/// Splits `BUCKET/KEY`; the key may be empty.
pub(crate) fn split(text: &str) -> Result<(&str, &str)> {
    let text = text.strip_prefix("s3://").unwrap_or(text);
    let (bucket, key) = text.split_once('/').unwrap_or((text, ""));
    if bucket.is_empty() {
        bail!("`{text}` names no bucket; write BUCKET/KEY");
    }
    Ok((bucket, key))
}

/// The path of a key.
pub(crate) fn path(key: &str) -> Result<Path> {
    Path::parse(key).map_err(|_| {
        anyhow!("`{key}` cannot be copied by this command: its parts must not be empty, `.` or `..`")
    })
}

/// An error of the store in its own words, without the wrapping of the protocol.
pub(crate) fn explain(error: object_store::Error, attempt: &str) -> Error {
    let text = chain(&error);
    let said = text.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>"));
    let why = match (&error, said) {
        (object_store::Error::NotFound { .. }, None) => "there is no such object".to_owned(),
        (_, Some((message, _))) => unescape(message),
        _ => text,
    };
    anyhow!("{attempt}: {why}")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}

fn unescape(xml: &str) -> String {
    xml.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

/// Connects straight to where it is told, over plain HTTP: the store is on this machine, and no proxy of
/// the environment may come between.
#[derive(Debug)]
struct Direct;

#[derive(Debug)]
struct Service(Client<Tcp, HttpRequestBody>);

impl HttpConnector for Direct {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = Tcp::new();
        tcp.set_nodelay(true);
        Ok(HttpClient::new(Service(Client::builder(TokioExecutor::new()).build(tcp))))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = tokio::time::timeout(SILENCE, self.0.request(request)).await;
        let answer = answer.map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?;
        let answer = answer.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
            HttpError::new(kind, error)
        })?;
        let (head, body) = answer.into_parts();
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

#[cfg(test)]
mod tests {
    use super::{path, split};

    #[test]
    fn a_bucket_and_a_key_are_told_apart() {
        for (text, expected) in [
            ("photos", ("photos", "")),
            ("photos/", ("photos", "")),
            ("photos/a/b.jpg", ("photos", "a/b.jpg")),
            ("s3://photos/a b", ("photos", "a b")),
        ] {
            assert_eq!(split(text).expect(text), expected);
        }
        assert!(split("s3:///key").is_err());
    }

    #[test]
    fn keys_that_climb_are_refused() {
        for bad in ["../etc/passwd", "a/../b", "a//b", "./a"] {
            assert!(path(bad).is_err(), "{bad}");
        }
        assert!(path("a/b c/ü.jpg").is_ok());
    }
}

//! The S3 store behind the buckets, spoken to with the workspace's own keys.
//!
//! The keys name the store as pods reach it. The console is no pod: it asks the API where that Service leads.

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::{Client, connect::HttpConnector as Tcp};
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse,
    HttpResponseBody, HttpService,
};
use object_store::path::Path;
use object_store::{ClientOptions, RetryConfig};
use sealos_buckets::Keys;

use crate::failure::Failure;

/// The region that signatures name; the store takes any.
pub(crate) const REGION: &str = "us-east-1";
/// How long one silence of the store may last.
const SILENCE: Duration = Duration::from_secs(300);

/// Endpoints are written with and without their scheme.
pub(crate) fn with_scheme(endpoint: &str) -> String {
    if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") }
}

/// A client of one bucket, at an endpoint that this process reaches.
pub(crate) async fn open(client: &kube::Client, keys: &Keys, bucket: &str) -> Result<AmazonS3, Failure> {
    at(&reachable(client, &with_scheme(&keys.internal)).await?, keys, bucket)
}

/// A client of one bucket, at the endpoint that everybody else uses: for links.
pub(crate) fn outside(keys: &Keys, bucket: &str) -> Result<AmazonS3, Failure> {
    at(&with_scheme(&keys.external), keys, bucket)
}

fn at(endpoint: &str, keys: &Keys, bucket: &str) -> Result<AmazonS3, Failure> {
    let options = ClientOptions::new().with_allow_http(true).with_timeout_disabled();
    let retry =
        RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(10), ..RetryConfig::default() };
    let built = AmazonS3Builder::new()
        .with_http_connector(Direct)
        .with_client_options(options)
        .with_retry(retry)
        .with_region(REGION)
        .with_endpoint(endpoint)
        .with_bucket_name(bucket)
        .with_access_key_id(&keys.access_key)
        .with_secret_access_key(&keys.secret_key)
        .build();
    built.map_err(|error| failed(&error, &format!("use the object storage at {endpoint}")))
}

/// Where the store's Service leads; any other host is used as it is.
async fn reachable(client: &kube::Client, internal: &str) -> Result<String, Failure> {
    let Some((service, namespace)) = service_of(internal) else { return Ok(internal.to_owned()) };
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let selector = format!("kubernetes.io/service-name={service}");
    let found = slices.list(&ListParams::default().labels(&selector)).await?;
    let address = found.items.iter().find_map(|slice| {
        let address = slice.endpoints.as_ref()?.first()?.addresses.first()?;
        Some(format!("{address}:{}", slice.ports.as_ref()?.first()?.port?))
    });
    address.map(|address| format!("http://{address}")).ok_or_else(|| {
        let what = format!("the object storage is not there yet: Service `{service}` leads nowhere");
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "NotReady", what)
    })
}

/// The Service and its namespace in `http://<service>.<namespace>.svc.…`.
fn service_of(url: &str) -> Option<(&str, &str)> {
    let host = url.split_once("://")?.1.split(['/', ':']).next()?;
    let mut parts = host.split('.');
    let (service, namespace) = (parts.next()?, parts.next()?);
    (parts.next() == Some("svc")).then_some((service, namespace))
}

/// The path of a key.
pub(crate) fn path(key: &str) -> Result<Path, Failure> {
    Path::parse(key).map_err(|_| {
        Failure::bad_request(format!(
            "`{key}` cannot be handled in the console: the parts of a key must not be empty, `.` or `..`"
        ))
    })
}

/// What the store refused, in its own words.
pub(crate) fn failed(error: &object_store::Error, attempt: &str) -> Failure {
    let text = chain(error);
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0)
    };
    let why = tag("Message").map_or_else(|| text.clone(), unescaped);
    let (status, code) = match error {
        object_store::Error::NotFound { .. } => (StatusCode::NOT_FOUND, "NotFound"),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            (StatusCode::FORBIDDEN, "Forbidden")
        }
        _ if tag("Code").is_some() => (StatusCode::UNPROCESSABLE_ENTITY, "Refused"),
        _ => (StatusCode::BAD_GATEWAY, "Unreachable"),
    };
    let why = if status == StatusCode::NOT_FOUND && tag("Message").is_none() {
        "there is no such file".to_owned()
    } else {
        why
    };
    Failure::new(status, tag("Code").unwrap_or(code), format!("{attempt}: {why}"))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

fn unescaped(xml: &str) -> String {
    let plain = xml.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    plain.replace("&apos;", "'").replace("&amp;", "&")
}

/// Connects straight to where it is told: no proxy of the environment may come between.
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
    use super::{service_of, with_scheme};

    #[test]
    fn a_service_is_told_from_another_host() {
        let inside = "http://object-storage.sealos-system.svc.cluster.local";
        assert_eq!(with_scheme("s3.localhost:8080"), "http://s3.localhost:8080");
        assert_eq!(with_scheme(inside), inside);
        assert_eq!(service_of(inside), Some(("object-storage", "sealos-system")));
        assert_eq!(service_of("https://s3.example.com:9000/"), None);
    }
}

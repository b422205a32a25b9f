//! `/k8s/*`: the Kubernetes API itself, as the session's user, for what has no page of its own yet.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderName, StatusCode, Uri, header};

use crate::Parts;
use crate::failure::Failure;
use crate::guard;
use crate::session::User;

const PREFIX: &str = "/k8s";
/// What a request may say to the API; everything else, the cookie first of all, stays here.
const PASSED: [HeaderName; 4] =
    [header::ACCEPT, header::CONTENT_TYPE, header::CONTENT_LENGTH, header::USER_AGENT];
const MOST_BODY: usize = 3 << 20;

pub(crate) fn routes(parts: Arc<Parts>) -> Router<Arc<Parts>> {
    Router::new()
        .route("/k8s/{*path}", any(pass))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(from_fn(guard::own_page))
        .with_state(parts)
}

async fn pass(User(client): User, request: Request) -> Result<Response, Failure> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let target = target.strip_prefix(PREFIX).unwrap_or(target);
    let uri: Uri = target.parse().map_err(|_| Failure::bad_request("the address cannot be read"))?;
    if request.headers().contains_key(header::UPGRADE) {
        return Err(Failure::bad_request("sockets have addresses of their own under /api/v1"));
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MOST_BODY).await.map_err(|_| {
        let message = format!("a request may have {} MiB", MOST_BODY >> 20);
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message)
    })?;
    let mut outgoing = http::Request::builder().method(parts.method).uri(uri);
    for name in PASSED {
        if let Some(value) = parts.headers.get(&name) {
            outgoing = outgoing.header(name, value);
        }
    }
    let outgoing = outgoing
        .body(kube::client::Body::from(body.to_vec()))
        .map_err(|_| Failure::bad_request("the request cannot be passed on"))?;
    let answer = client.send(outgoing).await?;
    Ok(answer.map(Body::new).into_response())
}

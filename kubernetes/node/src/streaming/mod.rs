//! What a client sees of a pod from outside: its logs, commands in it, its ports.
//!
//! The API server checks who may and passes requests on whole. Everything here speaks the
//! protocols of `kubectl` and knows pods only through [`Pods`].

mod forward;
mod handshake;
mod logs;
mod remote;
mod session;
mod spdy;
mod websocket;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use sealos_container::Runtime;
use serde_json::json;

/// Where requests find the pods of this node.
#[async_trait]
pub(crate) trait Pods: Send + Sync + 'static {
    /// One container of a pod, running or not.
    async fn container(&self, namespace: &str, pod: &str, container: &str) -> Result<Target, Refusal>;

    /// The pod's network namespace; `None` is the host's.
    async fn network(&self, namespace: &str, pod: &str) -> Result<Option<PathBuf>, Refusal>;
}

/// A container as streaming needs it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The present attempt in the runtime, if one was started.
    pub id: Option<String>,
    pub running: bool,
    /// The log of the present attempt; the file may not exist yet.
    pub log: Option<PathBuf>,
    /// The log of the attempt before.
    pub previous_log: Option<PathBuf>,
}

/// A request that cannot be served, as the API tells it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    pub message: String,
}

impl Refusal {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let reason = match self.status {
            StatusCode::BAD_REQUEST => "BadRequest",
            StatusCode::NOT_FOUND => "NotFound",
            _ => "InternalError",
        };
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": reason, "code": self.status.as_u16(),
        });
        (self.status, axum::Json(status)).into_response()
    }
}

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Context {
    pub runtime: Runtime,
    pub pods: Arc<dyn Pods>,
}

/// The node's streaming endpoints.
pub(crate) fn router(context: Context) -> Router {
    Router::new()
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs::serve))
        .route("/exec/{namespace}/{pod}/{container}", get(remote::exec).post(remote::exec))
        .route("/attach/{namespace}/{pod}/{container}", get(remote::attach).post(remote::attach))
        .route("/portForward/{namespace}/{pod}", get(forward::serve).post(forward::serve))
        .with_state(context)
}

/// The pairs of a query; names may repeat.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    fn of(request: &axum::extract::Request) -> Result<Self, Refusal> {
        axum::extract::Query::try_from_uri(request.uri())
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|error| Refusal::bad_request(format!("the query cannot be read: {error}")))
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    fn first(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn flag(&self, name: &str) -> bool {
        self.first(name).is_some_and(|value| matches!(value, "1" | "true" | "True" | "t"))
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Refusal::bad_request(format!("`{name}` must be a number, not `{text}`")))
        };
        self.first(name).map(parse).transpose()
    }
}

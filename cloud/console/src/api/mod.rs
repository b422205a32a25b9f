//! What the page asks for, under `/api/v1`. Everything here acts as the session's user.

pub(crate) mod apps;
mod backups;
mod buckets;
mod cluster;
mod command;
mod databases;
mod events;
mod exec;
pub(crate) mod kubernetes;
mod live;
mod logs;
mod metrics;
mod objects;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use bytes::Bytes;
use http::request::Parts as RequestParts;
use http::{HeaderValue, Method, StatusCode, header};
use sealos_apps::Apps;
use serde::de::DeserializeOwned;

use crate::Parts;
use crate::failure::Failure;
use crate::guard;
use crate::session::User;

/// A request with its config files fits; Kubernetes itself takes no more than about this.
const MOST_BODY: usize = 2 << 20;

pub(crate) fn routes(parts: Arc<Parts>) -> Router<Arc<Parts>> {
    let app = Router::new()
        .route("/", get(apps::get).put(apps::update).delete(apps::delete))
        .route("/draft", get(apps::draft))
        .route("/scale", post(apps::scale))
        .route("/restart", post(apps::restart))
        .route("/stop", post(apps::stop))
        .route("/start", post(apps::start))
        .route("/events", get(events::list))
        .route("/metrics", get(metrics::of_app))
        .route("/logs", get(logs::follow))
        .route("/logs.txt", get(logs::download))
        .route("/exec", get(exec::open));
    let workspace = Router::new()
        .route("/databases", get(databases::list).post(databases::create))
        .nest("/databases/{name}", database_routes())
        .route("/buckets", get(buckets::list).post(buckets::create))
        .nest("/buckets/{name}", bucket_routes())
        .route("/bucket-keys", get(buckets::keys))
        .route("/bucket-keys/rotate", post(buckets::rotate))
        .route("/apps", get(apps::list).post(apps::create))
        .nest("/apps/{name}", app)
        .route("/preview", post(apps::preview))
        .route("/metrics", get(metrics::of_workspace))
        .route("/stream", get(live::follow));
    Router::new()
        .route("/session", get(cluster::session))
        .route("/logout", post(cluster::logout))
        .route("/capacity", get(cluster::capacity))
        .route("/engines", get(databases::engines))
        .nest("/workspaces/{workspace}", workspace)
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(from_fn(to_the_end))
        .layer(from_fn(guard::own_page))
        .layer(from_fn(no_store))
        .with_state(parts)
}

fn database_routes() -> Router<Arc<Parts>> {
    Router::new()
        .route("/", get(databases::get).delete(databases::delete))
        .route("/connection", get(databases::connection))
        .route("/scale", post(databases::scale))
        .route("/resize", post(databases::resize))
        .route("/grow", post(databases::grow))
        .route("/restart", post(databases::restart))
        .route("/stop", post(databases::stop))
        .route("/start", post(databases::start))
        .route("/switchover", post(databases::switchover))
        .route("/password", post(databases::password))
        .route("/external", post(databases::external))
        .route("/query", post(databases::query))
        .route("/slow", get(databases::slow))
        .route("/metrics", get(databases::metrics))
        .route("/events", get(databases::events))
        .route("/parameters", get(databases::parameters).put(databases::set_parameters))
        .route("/backups", get(backups::list).post(backups::create))
        .route("/backups/{backup}", delete(backups::delete))
        .route("/drill", post(backups::drill))
        .route("/restore", post(backups::restore))
        .route("/schedule", put(backups::set_schedule))
        .route("/logs", get(logs::follow_database))
        .route("/logs.txt", get(logs::download_database))
        .route("/exec", get(exec::open_database))
}

fn bucket_routes() -> Router<Arc<Parts>> {
    let content = get(objects::read).put(objects::write).layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/", get(buckets::get).delete(buckets::delete))
        .route("/policy", put(buckets::set_policy))
        .route("/usage", get(buckets::usage))
        .route("/objects", get(objects::list))
        .route("/content", content)
        .route("/remove", post(objects::remove))
        .route("/share", post(objects::share))
}

async fn unknown(request: Request) -> Failure {
    Failure::not_found(format!("there is nothing at {}", request.uri().path()))
}

async fn not_allowed(request: Request) -> Failure {
    let what = format!("{} is not understood at {}", request.method(), request.uri().path());
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", what)
}

/// What changes something is done to the end, even when the browser does not wait for the answer:
/// half a deletion would leave an app without its address.
async fn to_the_end(request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    tokio::spawn(next.run(request)).await.unwrap_or_else(|error| {
        let what = "the console failed while doing this";
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed", what)
            .detail(error.to_string())
            .into_response()
    })
}

/// Answers of the API are nobody else's, and old at once.
async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The workspace in the address, as the session's user sees it.
pub(crate) struct Workspace {
    pub(crate) parts: Arc<Parts>,
    pub(crate) client: kube::Client,
    pub(crate) name: String,
    pub(crate) apps: Apps,
}

#[derive(serde::Deserialize)]
struct WorkspacePath {
    workspace: String,
}

impl FromRequestParts<Arc<Parts>> for Workspace {
    type Rejection = Failure;

    async fn from_request_parts(request: &mut RequestParts, parts: &Arc<Parts>) -> Result<Self, Failure> {
        let User(client) = User::from_request_parts(request, parts).await?;
        let path = Path::<WorkspacePath>::from_request_parts(request, parts).await;
        let Path(WorkspacePath { workspace: name }) =
            path.map_err(|_| Failure::not_found("the address names no workspace"))?;
        let apps = Apps::new(client.clone(), name.clone(), parts.config.domain.clone());
        Ok(Self { parts: parts.clone(), client, name, apps })
    }
}

/// The name in the address: an app's, a database's or a bucket's.
pub(crate) struct Name(pub(crate) String);

#[derive(serde::Deserialize)]
struct NamePath {
    name: String,
}

impl FromRequestParts<Arc<Parts>> for Name {
    type Rejection = Failure;

    async fn from_request_parts(request: &mut RequestParts, parts: &Arc<Parts>) -> Result<Self, Failure> {
        let path = Path::<NamePath>::from_request_parts(request, parts).await;
        let Path(NamePath { name }) =
            path.map_err(|_| Failure::not_found("the address has no name in it"))?;
        Ok(Self(name))
    }
}

/// A JSON body, with errors that say where it is wrong.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Parts>> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, parts: &Arc<Parts>) -> Result<Self, Failure> {
        let body = Bytes::from_request(request, parts).await.map_err(too_large)?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Failure::bad_request("the request cannot be read").detail(error.to_string()))
    }
}

fn too_large(rejection: BytesRejection) -> Failure {
    let status = rejection.into_response().status();
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::new(status, "TooLarge", format!("a request may have {} MiB", MOST_BODY >> 20))
        }
        _ => Failure::bad_request("the request ended too early"),
    }
}

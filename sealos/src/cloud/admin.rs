//! The admin socket: images, builds and the daemon itself, for root on this machine.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::TryStreamExt as _;
use sealos_oci::{Credentials, Error as ImageError, Progress, Reference};
use serde::Serialize;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::start::Cloud;
use super::{build, in_use};
use crate::commands::images::{BuildRequest, ImageNames, ImageRow, Pruned, PullRequest, TagRequest};
use crate::locate::{CloudStatus, Layout};
use crate::socket::Failed;

/// How long apps may take to end when the cloud goes down.
const GRACE: std::time::Duration = std::time::Duration::from_secs(30);

/// What the handlers work on.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(super) cloud: Arc<Cloud>,
    shutdown: CancellationToken,
}

/// An error as the client will show it.
pub(crate) struct Refusal(String);

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, Json(Failed { error: self.0 })).into_response()
    }
}

/// Serves the socket until shutdown.
pub(crate) async fn serve(layout: &Layout, cloud: Cloud, shutdown: CancellationToken) -> Result<Arc<Cloud>> {
    let path = layout.socket();
    let attempt = || format!("listen on {}", path.display());
    let dir = path.parent().with_context(attempt)?;
    std::fs::create_dir_all(dir).with_context(attempt)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)).with_context(attempt)?;
    // A socket left behind belongs to a daemon that is gone: the lock is ours.
    drop(std::fs::remove_file(&path));
    let listener = UnixListener::bind(&path).with_context(attempt)?;
    let cloud = Arc::new(cloud);
    let router = router(Admin { cloud: cloud.clone(), shutdown: shutdown.clone() });
    let stop = shutdown.cancelled_owned();
    // Counted among the tasks, so that the answer to `/stop` is out before the process ends.
    cloud.tasks.spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop).await });
    Ok(cloud)
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/console-link", post(console_link))
        .route("/stop", post(stop))
        .route("/images", get(list).delete(remove))
        .route("/images/pull", post(pull))
        .route("/images/load", post(load))
        .route("/images/save", post(save))
        .route("/images/tag", post(tag))
        .route("/images/prune", post(prune))
        .route("/build", post(build_image))
        .with_state(admin)
}

async fn status(State(admin): State<Admin>) -> Json<CloudStatus> {
    Json(admin.cloud.status.clone())
}

async fn console_link(State(admin): State<Admin>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "link": admin.cloud.console.login_link() }))
}

/// Ends every pod, then the daemon.
async fn stop(State(admin): State<Admin>) -> Json<serde_json::Value> {
    admin.cloud.node.stop_all(GRACE).await;
    admin.shutdown.cancel();
    Json(serde_json::json!({ "stopped": true }))
}

async fn list(State(admin): State<Admin>) -> Json<Vec<ImageRow>> {
    let rows = admin.cloud.images.list().into_iter().map(|image| ImageRow {
        created: image.config.created().clone(),
        names: image.names,
        digest: image.digest,
        size: image.size,
    });
    Json(rows.collect())
}

async fn remove(
    State(admin): State<Admin>,
    Json(request): Json<ImageNames>,
) -> Result<Json<ImageNames>, Refusal> {
    let in_use = in_use::images(&admin.cloud.client).await?;
    let references: Vec<_> = request.names.iter().map(|n| Reference::parse(n)).collect::<Result<_, _>>()?;
    blocking(&admin, move |images| references.iter().try_for_each(|r| images.remove(r, &in_use).map(drop)))
        .await?;
    Ok(Json(request))
}

async fn tag(
    State(admin): State<Admin>,
    Json(request): Json<TagRequest>,
) -> Result<Json<ImageNames>, Refusal> {
    let name = Reference::parse(&request.name)?;
    let image = admin.cloud.images.find(&Reference::parse(&request.image)?);
    let image = image.ok_or_else(|| not_here(&request.image))?;
    admin.cloud.images.tag(&image, &name)?;
    Ok(Json(ImageNames { names: vec![name.to_string()] }))
}

async fn prune(State(admin): State<Admin>) -> Result<Json<Pruned>, Refusal> {
    let in_use = in_use::images(&admin.cloud.client).await?;
    let freed = blocking(&admin, move |images| images.prune_unused(&in_use)).await?;
    Ok(Json(Pruned { images: freed.images.len(), bytes: freed.bytes }))
}

async fn pull(State(admin): State<Admin>, Json(request): Json<PullRequest>) -> Response {
    lines(|out| async move {
        let reference = Reference::parse(&request.image)?;
        let mut credentials = Credentials::none();
        if let Some((user, password)) = request.credentials {
            credentials.set(reference.registry(), user, password);
        }
        let options = admin.cloud.registries.pull_options(credentials, Some(out.sink()));
        admin.cloud.images.pull(&reference, &options).await.map(drop)
    })
}

async fn load(State(admin): State<Admin>, body: Body) -> Response {
    lines(|out| async move {
        let archive = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
        for image in admin.cloud.images.load(archive).await? {
            out.send(&Progress::Done { digest: image.digest, names: image.names });
        }
        Ok(())
    })
}

async fn save(State(admin): State<Admin>, Json(request): Json<ImageNames>) -> Result<Response, Refusal> {
    let references: Vec<_> = request.names.iter().map(|n| Reference::parse(n)).collect::<Result<_, _>>()?;
    for (reference, name) in references.iter().zip(&request.names) {
        if admin.cloud.images.find(reference).is_none() {
            return Err(not_here(name));
        }
    }
    let (writer, reader) = tokio::io::duplex(256 << 10);
    tokio::spawn(async move {
        if let Err(error) = admin.cloud.images.save(&references, writer).await {
            tracing::warn!(%error, "an archive was not written to its end");
        }
    });
    Ok(Body::from_stream(tokio_util::io::ReaderStream::new(reader)).into_response())
}

async fn build_image(State(admin): State<Admin>, Json(request): Json<BuildRequest>) -> Response {
    lines(|out| async move {
        let built = build::build(&admin.cloud, request, out.sink()).await?;
        out.send(&built);
        Ok(())
    })
}

fn not_here(name: &str) -> Refusal {
    Refusal(format!("image `{name}` is not on this machine; `sealos image ls` lists those that are"))
}

/// Runs what waits for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(
    admin: &Admin,
    work: impl FnOnce(&sealos_oci::Images) -> Result<T, ImageError> + Send + 'static,
) -> Result<T, Refusal> {
    let images = admin.cloud.images.clone();
    Ok(tokio::task::spawn_blocking(move || work(&images)).await??)
}

/// Writes one JSON object a line.
#[derive(Clone)]
struct Lines(mpsc::UnboundedSender<Vec<u8>>);

impl Lines {
    fn send(&self, value: &impl Serialize) {
        let Ok(mut line) = serde_json::to_vec(value) else { return };
        line.push(b'\n');
        // A client that went away misses the rest; the operation ends by itself.
        drop(self.0.send(line));
    }

    fn sink(&self) -> sealos_oci::ProgressSink {
        let lines = self.clone();
        Arc::new(move |event| lines.send(&event))
    }
}

/// An answer that grows while an operation runs; its failure is the last line.
fn lines<F: Future<Output = Result<(), ImageError>> + Send + 'static>(
    operation: impl FnOnce(Lines) -> F,
) -> Response {
    let (sender, receiver) = mpsc::unbounded_channel();
    let lines = Lines(sender);
    let work = operation(lines.clone());
    tokio::spawn(async move {
        let closed = lines.0.clone();
        tokio::select! {
            ended = work => {
                if let Err(error) = ended {
                    lines.send(&Failed { error: error.to_string() });
                }
            }
            // Nobody waits for it any more: what was asked for is dropped where it stands.
            () = closed.closed() => {}
        }
    });
    let stream = futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|line| (Ok::<_, std::convert::Infallible>(line), receiver))
    });
    Body::from_stream(stream).into_response()
}

//! The web console: a single-page app and the HTTP door it talks to.
//!
//! The door has no powers of its own. Every request to the Kubernetes API carries the bearer
//! token of the person who logged in, so the console can do what that person can do and no more.
//! It never knows where the API runs, nor on which machine a pod is.

mod api;
mod assets;
mod failure;
mod gauges;
mod guard;
mod login;
mod quantity;
mod samples;
mod session;
mod store;
mod tracks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::login::Links;
use crate::samples::Samples;
use crate::session::Sessions;
use crate::tracks::Tracks;

/// How long a login link works.
pub const LINK_LIFETIME: Duration = Duration::from_secs(600);

/// Gives a fresh bearer token of the administrator, for a session that begins with a login link.
pub type TokenSource = Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

/// What the console needs to know.
#[derive(Clone)]
pub struct Config {
    /// Reaches the API without credentials; each request gets the session's bearer token.
    pub client: kube::Client,
    /// Where browsers reach the console, as `http://console.localhost:8080`.
    pub public_url: String,
    /// The domain under which apps get their addresses.
    pub domain: String,
    /// Where the token of a new session comes from.
    pub token_source: TokenSource,
}

/// Why the console stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listener gave out.
    #[error("serve the console")]
    Serve(#[source] std::io::Error),
}

/// The console of one cloud. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    parts: Arc<Parts>,
}

/// What a request may need.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) links: Links,
    pub(crate) sessions: Sessions,
    pub(crate) samples: Samples,
    /// What databases say of themselves.
    pub(crate) databases: Tracks,
    /// How large buckets are.
    pub(crate) buckets: Tracks,
    /// Ends the streams that would otherwise keep the console from closing.
    pub(crate) closing: CancellationToken,
}

impl Console {
    /// A console that nobody has logged in to yet.
    pub fn new(config: Config) -> Self {
        let parts = Parts {
            config,
            links: Links::default(),
            sessions: Sessions::default(),
            samples: Samples::default(),
            databases: Tracks::default(),
            buckets: Tracks::default(),
            closing: CancellationToken::new(),
        };
        Self { parts: Arc::new(parts) }
    }

    /// A link that logs one browser in, once, within [`LINK_LIFETIME`].
    pub fn login_link(&self) -> String {
        format!("{}/login?token={}", self.parts.config.public_url, self.parts.links.issue())
    }

    /// Serves the console, and samples what pods use, until `shutdown`.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), Error> {
        let closing = self.parts.closing.clone();
        let sampling = samples::run(self.parts.clone());
        let gauging = gauges::run(self.parts.clone());
        let stop = async move {
            shutdown.cancelled().await;
            closing.cancel();
        };
        let serving = axum::serve(listener, router(self.parts)).with_graceful_shutdown(stop);
        tokio::select! {
            done = serving.into_future() => done.map_err(Error::Serve),
            () = sampling => Ok(()),
            () = gauging => Ok(()),
        }
    }
}

fn router(parts: Arc<Parts>) -> Router {
    Router::new()
        .merge(login::routes())
        .nest("/api/v1", api::routes(parts.clone()))
        .merge(api::kubernetes::routes(parts.clone()))
        .fallback(assets::serve)
        .layer(axum::middleware::from_fn(guard::headers))
        .with_state(parts)
}

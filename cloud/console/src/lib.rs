//! The web console: a single-page app and the HTTP door it talks to.
//!
//! The door has no powers of its own. Every request to the Kubernetes API carries the bearer
//! token of the person who logged in, so the console can do what that person can do and no more.
//! It never knows where the API runs, nor which node a pod is on.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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

/// The console of one cloud. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    config: Arc<Config>,
}

/// Why the console stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("serve the console")]
    Serve(#[source] std::io::Error),
}

impl Console {
    pub fn new(config: Config) -> Self {
        Self { config: Arc::new(config) }
    }

    /// A link that logs one browser in once, within [`LINK_LIFETIME`].
    pub fn login_link(&self) -> String {
        format!("{}/login", self.config.public_url)
    }

    /// Serves the console until `shutdown`.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        axum::serve(listener, axum::Router::new())
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
            .map_err(Error::Serve)
    }
}

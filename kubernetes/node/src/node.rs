//! The node itself: its parts, started together.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::util::BoxCloneSyncService;

use crate::config::{Config, Error};
use crate::events::Recorder;
use crate::garbage;
use crate::host::Host;
use crate::host_ports::HostPorts;
use crate::images::Puller;
use crate::pod::labels;
use crate::pods::Pods;
use crate::register::Registration;
use crate::services::Proxy;
use crate::shared::Shared;
use crate::sources::Sources;
use crate::{stats, streaming};

/// How many containers are started at one time, per processor.
const STARTS_PER_CPU: usize = 4;

/// What the API server forwards requests about pods to.
pub type NodeService = BoxCloneSyncService<Request<Body>, Response<Body>, std::convert::Infallible>;

/// This machine as a node of the cluster. Dropping it changes nothing: the node runs until its
/// token is cancelled, and its containers run on after that.
#[derive(Clone)]
pub struct Node {
    pods: Arc<Pods>,
    router: Router,
}

impl Node {
    /// Finds what earlier processes left, registers the node and begins to run its pods.
    pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Self, Error> {
        let host = Host::examine(&config)?;
        for dir in ["pods", "logs/pods"] {
            let path = config.data_dir.join(dir);
            private_dir(&path).map_err(|source| Error::Io { attempt: "make", path, source })?;
        }
        let services = Proxy::start(&config, shutdown.clone()).await?;
        let client = config.client.clone();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shared = Arc::new(Shared {
            host,
            puller: Puller::new(config.images.clone(), config.registries.clone()),
            recorder: Recorder::start(client.clone(), &config.name, shutdown.clone()),
            sources: Sources::new(client, shutdown.clone()),
            services,
            host_ports: HostPorts::new(config.network.clone()),
            starts: Semaphore::new(cpus * STARTS_PER_CPU),
            config,
        });
        Registration::start(Arc::clone(&shared), shutdown.clone());
        let runtime = shared.config.runtime.clone();
        let containers = tokio::task::spawn_blocking(move || runtime.list()).await.unwrap_or_default();
        garbage::end_builds(&shared, &containers).await;
        let pods = Pods::new(Arc::clone(&shared), labels::by_pod(containers), shutdown.clone());
        let streams =
            streaming::Context { runtime: shared.config.runtime.clone(), pods: Arc::clone(&pods) as _ };
        let router = stats::router(shared, Arc::clone(&pods)).merge(streaming::router(streams));
        let following = Arc::clone(&pods);
        tokio::spawn(async move { shutdown.run_until_cancelled(following.run()).await });
        Ok(Self { pods, router })
    }

    /// Logs, exec, attach, port-forward and stats.
    pub fn service(&self) -> NodeService {
        BoxCloneSyncService::new(self.router.clone())
    }

    /// Ends every container, all at once, each within its own grace period but none longer than
    /// `limit`. The pods stay in the API; a later start runs them again.
    pub async fn stop_all(&self, limit: Duration) {
        self.pods.halt(limit).await;
    }
}

/// Pod directories hold secrets and logs: only root may look inside.
fn private_dir(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}

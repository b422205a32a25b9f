//! The entrance: what the controllers need, and the task that runs them all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::events::Recorder;
use crate::{
    autoscaler, budgets, cron_jobs, daemon_sets, deployments, endpoints, gc, jobs, namespaces, nodes, pod_gc,
    replica_sets, scheduler, service_accounts, stateful_sets, volumes,
};

/// The API as seen by the controllers and by the scheduler, each under its own identity.
#[derive(Clone)]
pub struct Clients {
    pub controllers: kube::Client,
    pub scheduler: kube::Client,
}

/// Why a directory for a volume could not be made, resized or removed.
pub type VolumeError = Box<dyn std::error::Error + Send + Sync>;

/// Makes the directories behind local persistent volumes. `name` is the name of the PersistentVolume.
#[async_trait]
pub trait Provisioner: Send + Sync + 'static {
    /// Makes a directory that holds at most `bytes`; the same name again gives the same directory.
    async fn provision(&self, name: &str, bytes: u64) -> Result<PathBuf, VolumeError>;
    /// Lets an existing directory hold `bytes`.
    async fn resize(&self, name: &str, bytes: u64) -> Result<(), VolumeError>;
    /// Removes the directory and what is in it; one that is gone already is no error.
    async fn remove(&self, name: &str) -> Result<(), VolumeError>;
}

/// What the controllers cannot learn from the API.
#[derive(Clone)]
pub struct Config {
    pub provisioner: Arc<dyn Provisioner>,
    /// PEM of the certificate authority of the API, published as `kube-root-ca.crt` in each namespace.
    pub ca_certificate: String,
    /// The node whose disk holds the local volumes.
    pub node_name: String,
    /// How long a node's lease may be silent before the node counts as not ready.
    pub node_grace: Duration,
    /// How long a terminated pod without an owner's interest is kept: the number of pods before the oldest go.
    pub terminated_pods_kept: usize,
}

impl Config {
    /// The usual values around what has no default.
    pub fn new(provisioner: Arc<dyn Provisioner>, node_name: &str, ca_certificate: &str) -> Self {
        Self {
            provisioner,
            ca_certificate: ca_certificate.to_owned(),
            node_name: node_name.to_owned(),
            node_grace: Duration::from_secs(40),
            terminated_pods_kept: 500,
        }
    }
}

/// Runs all controllers and the scheduler until `shutdown` is cancelled.
pub async fn run(clients: Clients, shutdown: CancellationToken, config: Config) {
    let mut tasks = JoinSet::new();
    let (events, writer) = Recorder::start(clients.controllers.clone(), None, shutdown.clone());
    tasks.spawn(writer);
    let cluster = Cluster::new(clients.controllers.clone(), events);
    // Every controller sets its handlers up before the watches start, so that none misses an object.
    let (scheduler_events, writer) =
        Recorder::start(clients.scheduler.clone(), Some("default-scheduler"), shutdown.clone());
    tasks.spawn(writer);
    let mut controllers = controllers(&cluster, &shutdown, config);
    let scheduler =
        scheduler::start(cluster.clone(), clients.scheduler.clone(), scheduler_events, shutdown.clone());
    controllers.push(Box::pin(scheduler));
    cluster.follow(&mut tasks, &shutdown);
    tokio::select! {
        () = cluster.synced() => {}
        () = shutdown.cancelled() => return,
    }
    for controller in controllers {
        tasks.spawn(controller);
    }
    shutdown.cancelled().await;
    while tasks.join_next().await.is_some() {}
}

type Controller = futures::future::BoxFuture<'static, ()>;

fn controllers(cluster: &Cluster, shutdown: &CancellationToken, config: Config) -> Vec<Controller> {
    let (all, stop) = (|| cluster.clone(), || shutdown.clone());
    let mut controllers: Vec<Controller> = vec![
        Box::pin(deployments::start(all(), stop())),
        Box::pin(replica_sets::start(all(), stop())),
        Box::pin(stateful_sets::start(all(), stop())),
        Box::pin(daemon_sets::start(all(), stop())),
        Box::pin(jobs::start(all(), stop())),
        Box::pin(cron_jobs::start(all(), stop())),
        Box::pin(budgets::start(all(), stop())),
        Box::pin(autoscaler::start(all(), stop())),
        Box::pin(nodes::start(all(), stop(), config.node_grace)),
        Box::pin(pod_gc::start(all(), stop(), config.terminated_pods_kept)),
        Box::pin(endpoints::start(all(), stop())),
        Box::pin(namespaces::start(all(), stop())),
        Box::pin(service_accounts::start(all(), stop(), config.ca_certificate)),
        Box::pin(gc::start(cluster, stop())),
    ];
    controllers.extend(volumes::start(cluster, config.provisioner, config.node_name, shutdown));
    controllers
}

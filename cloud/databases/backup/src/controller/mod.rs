//! Makes what the objects ask for: policies, backups, schedules, archived logs, restores, drills. It looks at
//! everything again on every change and every few seconds; what takes time runs as a job of its own, one for
//! each object.

mod archives;
mod backups;
mod drills;
mod policies;
mod restores;
mod status;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, conditions, wait, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cluster::View;
use crate::kinds::{Backup, BackupSchedule, Cluster};
use crate::shell::{Exec, Shell};
use crate::stores::{Buckets, Stores};
use crate::{Error, crds};

/// The world is looked at at least this often.
const TICK: Duration = Duration::from_secs(3);

/// What does not come from the cluster.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where the platform's own S3 store is reached from this process, as in `http://10.0.0.1:9000`; without
    /// it, by the address in the bucket's Secret.
    pub s3_endpoint: Option<String>,
}

/// What all jobs share.
pub(crate) struct Shared {
    client: Client,
    shell: Box<dyn Shell>,
    stores: Box<dyn Stores>,
    recorder: Recorder,
    clusters: Store<Cluster>,
    backups: Store<Backup>,
    /// By the Cluster's uid: where its archive is.
    archives: Mutex<HashMap<String, archives::Position>>,
    changed: Notify,
}

/// Follows the cluster until `shutdown`. Where KubeBlocks makes backups, nothing is done.
pub async fn run(client: Client, config: Config, shutdown: CancellationToken) -> Result<(), Error> {
    let work = async {
        if !crds::install(&client).await? {
            info!("KubeBlocks serves backups on this cluster; they are left to it");
            return std::future::pending().await;
        }
        clusters_known(&client).await?;
        let mut controller = Controller::start(client, config, &shutdown);
        controller.shared.clusters.wait_until_ready().await.map_err(|_| ended("Clusters"))?;
        controller.shared.backups.wait_until_ready().await.map_err(|_| ended("Backups"))?;
        controller.schedules.wait_until_ready().await.map_err(|_| ended("BackupSchedules"))?;
        loop {
            controller.look().await;
            drop(tokio::time::timeout(TICK, controller.shared.changed.notified()).await);
            // A burst of changes is looked at once.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        result = work => result,
    }
}

fn ended(what: &str) -> Error {
    Error::Refused(format!("the watch of {what} ended; the API can no longer be followed"))
}

async fn clusters_known(client: &Client) -> Result<(), Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = "clusters.apps.kubeblocks.io";
    let known = wait::await_condition(api, name, conditions::is_crd_established()).await;
    known.map(drop).map_err(|error| Error::Refused(format!("wait for the kind `{name}`: {error}")))
}

struct Controller {
    shared: Arc<Shared>,
    schedules: Store<BackupSchedule>,
    jobs: HashMap<String, AbortHandle>,
    applied: HashMap<String, String>,
    shutdown: CancellationToken,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.jobs.drain().for_each(|(_, job)| job.abort());
    }
}

impl Controller {
    fn start(client: Client, config: Config, shutdown: &CancellationToken) -> Self {
        let (clusters, write_clusters) = reflector::store();
        let (backups, write_backups) = reflector::store();
        let (schedules, write_schedules) = reflector::store();
        let shared = Arc::new(Shared {
            shell: Box::new(Exec(client.clone())),
            stores: Box::new(Buckets::new(client.clone(), config.s3_endpoint)),
            recorder: Recorder::new(client.clone(), "sealos-backup".into()),
            client,
            clusters,
            backups,
            archives: Mutex::default(),
            changed: Notify::new(),
        });
        follow(&shared, write_clusters, shutdown);
        follow(&shared, write_backups, shutdown);
        follow(&shared, write_schedules, shutdown);
        Self { shared, schedules, jobs: HashMap::new(), applied: HashMap::new(), shutdown: shutdown.clone() }
    }

    /// One look at everything.
    async fn look(&mut self) {
        self.jobs.retain(|_, job| !job.is_finished());
        let views: Vec<_> = self.shared.clusters.state().iter().filter_map(|c| View::of(c)).collect();
        for view in views.iter().filter(|v| !v.is_going) {
            if !view.is_drill {
                self.policies(view).await;
            }
            if view.waits() {
                self.restore(view);
            }
            if view.archives() {
                self.archive(view);
            }
        }
        self.backups(&views);
        self.due(&views).await;
        self.expire(&views).await;
        self.drills(&views).await;
    }

    /// Runs a job unless it runs already.
    fn job<F>(&mut self, key: String, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if self.jobs.contains_key(&key) {
            return;
        }
        let (stop, shared) = (self.shutdown.clone(), self.shared.clone());
        let task = tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => shared.changed.notify_one(),
            }
        });
        self.jobs.insert(key, task.abort_handle());
    }

    /// Ends a job.
    fn stop(&mut self, key: &str) {
        if let Some(job) = self.jobs.remove(key) {
            job.abort();
        }
    }
}

/// Keeps a store up to date, and wakes the controller.
fn follow<K>(shared: &Arc<Shared>, writer: reflector::store::Writer<K>, shutdown: &CancellationToken)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (shared, shutdown) = (shared.clone(), shutdown.clone());
    let stream = watcher(Api::<K>::all(shared.client.clone()), watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer);
    tokio::spawn(async move {
        let each = stream.for_each(|event| {
            match event {
                Ok(_) => shared.changed.notify_one(),
                Err(error) => {
                    warn!(%error, kind = %K::kind(&()), "a watch was interrupted, it is tried again")
                }
            }
            futures::future::ready(())
        });
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = each => {}
        }
    });
}

/// A moment as objects write it.
fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

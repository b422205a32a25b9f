//! CronJobs: starts jobs by the clock and keeps a few of the finished ones.

mod plan;
mod schedule;

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::jiff::Timestamp;
use kube::api::PropagationPolicy;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::owners;
use crate::queue::{Again, Queue};
use plan::{Action, Plan};

const AT_ONCE: usize = 4;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.cron_jobs, &queue);
    owners::wake_owners(&cluster.jobs, &cluster.cron_jobs, &queue, |_| None);
    queue.work("cronjobs", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(cron) = cluster.cron_jobs.get(&key) else { return Ok(None) };
    if meta::is_deleting(&cron.metadata) {
        return Ok(None);
    }
    let jobs = cluster.jobs.controlled_by(meta::uid(&cron.metadata));
    let plan = match plan::plan(&cron, &jobs, Timestamp::now()) {
        Ok(plan) => plan,
        Err((reason, message)) => {
            cluster.events.warning(&*cron, reason, message);
            return Ok(None);
        }
    };
    let Plan { actions, status, again, news } = plan;
    for (reason, message) in news {
        cluster.events.warning(&*cron, reason, message);
    }
    for action in actions {
        act(&cluster, &cron, action).await?;
    }
    let jobs = cluster.jobs.controlled_by(meta::uid(&cron.metadata));
    let status = plan::with_active(status, &jobs);
    cluster.cron_jobs.set_status(&key, cron.status.as_ref(), &status).await?;
    Ok(again)
}

async fn act(cluster: &Cluster, cron: &Arc<CronJob>, action: Action) -> Result<(), Error> {
    match action {
        Action::Create(job) => {
            let name = meta::name(&job.metadata).to_owned();
            match cluster.jobs.create(&job).await {
                Ok(_) => cluster.events.normal(&**cron, "SuccessfulCreate", format!("Created job {name}")),
                // The name holds the time: the job of this time exists already.
                Err(error) if error.is_conflict() => {}
                Err(error) => {
                    let message = format!("Error creating job: {}", error.reason());
                    cluster.events.warning(&**cron, "FailedCreate", message);
                    return Err(error);
                }
            }
        }
        Action::Delete(job) => {
            delete(cluster, &job).await?;
            let message = format!("Deleted job {}", meta::name(&job.metadata));
            cluster.events.normal(&**cron, "SuccessfulDelete", message);
        }
    }
    Ok(())
}

async fn delete(cluster: &Cluster, job: &Job) -> Result<(), Error> {
    let how = Delete {
        uid: job.metadata.uid.as_deref(),
        propagation: Some(PropagationPolicy::Background),
        ..Delete::default()
    };
    cluster.jobs.delete(&Key::of(&job.metadata), how).await
}

//! Jobs: runs pods until enough have succeeded, or too many have failed.

mod index;
mod plan;
mod status;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::Timestamp;
use kube::api::PropagationPolicy;
use tokio_util::sync::CancellationToken;

use crate::batch::in_batches;
use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::owners;
use crate::queue::{Again, Queue};
use plan::{Action, Count};
pub(crate) use status::end;

const AT_ONCE: usize = 8;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.jobs, &queue);
    owners::wake_owners(&cluster.pods, &cluster.jobs, &queue, |j| {
        j.spec.as_ref().and_then(|s| s.selector.as_ref())
    });
    queue.work("jobs", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(job) = cluster.jobs.get(&key) else { return Ok(None) };
    let Some(spec) = &job.spec else { return Ok(None) };
    if spec.managed_by.as_deref().is_some_and(|m| m != "kubernetes.io/job-controller") {
        return Ok(None);
    }
    if meta::is_deleting(&job.metadata) {
        return Ok(None);
    }
    if let Some(end) = status::end(&job) {
        return expire(&cluster, &job, end).await;
    }
    let selector = spec.selector.clone().unwrap_or_default();
    let pods = owners::claimed(&*job, &selector, &cluster.pods).await?;
    let now = Timestamp::now();
    let plan = plan::plan(&job, &Count::new(&job, &pods), now);
    let failure = act(&cluster, &job, plan.actions).await;
    let pods = cluster.pods.controlled_by(meta::uid(&job.metadata));
    let (status, news) = status::status(&job, &Count::new(&job, &pods), plan.verdict, now);
    cluster.jobs.set_status(&key, job.status.as_ref(), &status).await?;
    for (reason, message) in news {
        if reason == "Completed" || reason == "Suspended" || reason == "Resumed" {
            cluster.events.normal(&*job, reason, message);
        } else {
            cluster.events.warning(&*job, reason, message);
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(plan.again),
    }
}

/// Deletes a finished job when its time is over.
async fn expire(cluster: &Cluster, job: &Arc<Job>, end: Timestamp) -> Result<Again, Error> {
    let Some(ttl) = job.spec.as_ref().and_then(|s| s.ttl_seconds_after_finished) else { return Ok(None) };
    let left = i64::from(ttl) - (Timestamp::now().as_second() - end.as_second());
    if left > 0 {
        return Ok(Some(Duration::from_secs(left.unsigned_abs())));
    }
    let how = Delete {
        uid: job.metadata.uid.as_deref(),
        propagation: Some(PropagationPolicy::Foreground),
        ..Delete::default()
    };
    cluster.jobs.delete(&Key::of(&job.metadata), how).await?;
    Ok(None)
}

async fn act(cluster: &Cluster, job: &Arc<Job>, actions: Vec<Action>) -> Option<Error> {
    let (_, error) = in_batches(actions, |action| take(cluster, job, action)).await;
    error
}

async fn take(cluster: &Cluster, job: &Arc<Job>, action: Action) -> Result<(), Error> {
    match action {
        Action::Create(pod) => match cluster.pods.create(&pod).await {
            Ok(made) => {
                let message = format!("Created pod: {}", meta::name(&made.metadata));
                cluster.events.normal(&**job, "SuccessfulCreate", message);
                Ok(())
            }
            Err(error) => {
                cluster.events.warning(&**job, "FailedCreate", format!("Error creating: {}", error.reason()));
                Err(error)
            }
        },
        Action::Delete(key) => {
            cluster.pods.delete(&key, Delete::default()).await?;
            cluster.events.normal(&**job, "SuccessfulDelete", format!("Deleted pod: {}", key.name));
            Ok(())
        }
    }
}

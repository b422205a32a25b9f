//! DaemonSets: one pod on each node that wants one.

mod plan;
mod status;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::batch::in_batches;
use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::queue::{Again, Queue};
use crate::replica_sets::next_available;
use crate::revisions::{self, HASH, POD_HASH};
use crate::{owners, pods};
use plan::{Action, View};

const AT_ONCE: usize = 4;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.daemon_sets, &queue);
    owners::wake_owners(&cluster.pods, &cluster.daemon_sets, &queue, |d| Some(&d.spec.selector));
    let (wake, sets) = (queue.clone(), cluster.daemon_sets.clone());
    cluster.nodes.on_change(move |change| {
        let shape = |n: &Node| (n.metadata.labels.clone(), n.spec.clone());
        if change.old.map(|n| shape(n)) != change.new.map(|n| shape(n)) {
            sets.all().iter().for_each(|s| wake.add(Key::of(&s.metadata)));
        }
    });
    queue.work("daemonsets", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(set) = cluster.daemon_sets.get(&key) else { return Ok(None) };
    if meta::is_deleting(&set.metadata) {
        return Ok(None);
    }
    let selector = &set.spec.selector;
    let history = revisions::sync(&cluster, &*set, selector, &set.spec.template).await?;
    let hash = meta::label(&history.present.metadata, HASH).unwrap_or_default().to_owned();
    let owned = owners::claimed(&*set, selector, &cluster.pods).await?;
    let now = Timestamp::now();
    let view = View { set: set.clone(), nodes: cluster.nodes.all(), pods: owned, hash, now };
    let act = |action: Action| {
        let (cluster, set, hash) = (&cluster, &set, &view.hash);
        async move {
            match action {
                Action::Create(node) => {
                    let made =
                        cluster.pods.create(&plan::pod(set, &node, hash)).await.inspect_err(|error| {
                            let message = format!("Error creating: {}", error.reason());
                            cluster.events.warning(&**set, "FailedCreate", message);
                        })?;
                    let message = format!("Created pod: {}", meta::name(&made.metadata));
                    cluster.events.normal(&**set, "SuccessfulCreate", message);
                }
                Action::Delete(pod) => {
                    cluster.pods.delete(&pod, Delete::default()).await?;
                    cluster.events.normal(&**set, "SuccessfulDelete", format!("Deleted pod: {}", pod.name));
                }
            }
            Ok(())
        }
    };
    let (_, failure) = in_batches(plan::plan(&view), act).await;
    let owned: Vec<Arc<Pod>> = cluster.pods.controlled_by(meta::uid(&set.metadata));
    let again = next_available(&owned, set.spec.min_ready_seconds.unwrap_or(0), now);
    let used: Vec<String> =
        owned.iter().filter_map(|p| meta::label(&p.metadata, POD_HASH).map(str::to_owned)).collect();
    let view = View { pods: owned.into_iter().filter(|p| !pods::is_finished(p)).collect(), ..view };
    cluster.daemon_sets.set_status(&key, set.status.as_ref(), &status::status(&view)).await?;
    if let Some(error) = failure {
        return Err(error);
    }
    let in_use = |r: &k8s_openapi::api::apps::v1::ControllerRevision| {
        let hash = meta::label(&r.metadata, HASH).unwrap_or_default();
        hash == view.hash || used.iter().any(|u| u == hash)
    };
    revisions::truncate(&cluster, &history, set.spec.revision_history_limit, in_use).await?;
    Ok(again)
}

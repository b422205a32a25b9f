//! StatefulSets: pods with a name, a place in order and storage of their own.

mod identity;
mod plan;
mod status;
mod storage;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::batch::in_batches;
use crate::cluster::Cluster;
use crate::kind::{Delete, Error};
use crate::meta::{self, Key};
use crate::queue::{Again, Queue};
use crate::replica_sets::next_available;
use crate::revisions::{self, History, POD_HASH};
use crate::{owners, pods};
use plan::{Action, View};

const AT_ONCE: usize = 8;

pub(crate) fn start(cluster: Cluster, shutdown: CancellationToken) -> impl Future<Output = ()> {
    let queue = Queue::new();
    owners::wake_self(&cluster.stateful_sets, &queue);
    owners::wake_owners(&cluster.pods, &cluster.stateful_sets, &queue, |s| Some(&s.spec.selector));
    queue.work("statefulsets", AT_ONCE, shutdown, move |key| reconcile(cluster.clone(), key))
}

async fn reconcile(cluster: Cluster, key: Key) -> Result<Again, Error> {
    let Some(set) = cluster.stateful_sets.get(&key) else { return Ok(None) };
    let selector = &set.spec.selector;
    let history = revisions::sync(&cluster, &*set, selector, &set.spec.template).await?;
    let owned = members(&set, owners::claimed(&*set, selector, &cluster.pods).await?);
    let current = current_revision(&set, &history);
    let now = Timestamp::now();
    let view = View {
        set: set.clone(),
        pods: owned,
        current: meta::name(&current.metadata).to_owned(),
        update: meta::name(&history.present.metadata).to_owned(),
        now,
    };
    let templates = Templates {
        old: revisions::template_of(&current).unwrap_or_else(|| set.spec.template.clone()),
        new: set.spec.template.clone(),
    };
    let failure = act(&cluster, &view, &templates).await;
    let view = View { pods: members(&set, cluster.pods.controlled_by(meta::uid(&set.metadata))), ..view };
    let status = status::status(&view);
    cluster.stateful_sets.set_status(&key, set.status.as_ref(), &status).await?;
    if let Some(error) = failure {
        return Err(error);
    }
    let used = |r: &ControllerRevision| {
        let name = meta::name(&r.metadata);
        name == view.current
            || name == view.update
            || view.pods.iter().any(|p| meta::label(&p.metadata, POD_HASH) == Some(name))
    };
    revisions::truncate(&cluster, &history, set.spec.revision_history_limit, used).await?;
    Ok(next_available(&view.pods, set.spec.min_ready_seconds.unwrap_or(0), now))
}

/// The templates before and after an update under way.
struct Templates {
    old: PodTemplateSpec,
    new: PodTemplateSpec,
}

fn members(set: &StatefulSet, owned: Vec<Arc<Pod>>) -> Vec<Arc<Pod>> {
    let mut pods: Vec<_> = owned.into_iter().filter(|p| identity::ordinal(set, p).is_some()).collect();
    pods.sort_by_key(|p| identity::ordinal(set, p));
    pods
}

/// The revision the set is at; the present one unless an update is under way.
fn current_revision(set: &StatefulSet, history: &History) -> Arc<ControllerRevision> {
    let name = set.status.as_ref().and_then(|s| s.current_revision.as_deref());
    let known = history.all.iter().find(|r| r.metadata.name.as_deref() == name);
    known.unwrap_or(&history.present).clone()
}

async fn act(cluster: &Cluster, view: &View, templates: &Templates) -> Option<Error> {
    for actions in plan::plan(view) {
        let (_, error) = in_batches(actions, |action| take(cluster, view, templates, action)).await;
        if error.is_some() {
            return error;
        }
    }
    None
}

async fn take(cluster: &Cluster, view: &View, templates: &Templates, action: Action) -> Result<(), Error> {
    let set = &*view.set;
    match action {
        Action::Claims(ordinal) => storage::ensure(cluster, set, ordinal, None).await,
        Action::Create { ordinal, revision } => {
            storage::ensure(cluster, set, ordinal, None).await?;
            let template = if revision == view.update { &templates.new } else { &templates.old };
            let pod = identity::pod(set, template, &revision, ordinal);
            let name = meta::name(&pod.metadata);
            match cluster.pods.create(&pod).await {
                Ok(_) => {
                    let message =
                        format!("create Pod {name} in StatefulSet {} successful", meta::name(&set.metadata));
                    cluster.events.normal(set, "SuccessfulCreate", message);
                    Ok(())
                }
                Err(error) => {
                    let message = format!(
                        "create Pod {name} in StatefulSet {} failed error: {}",
                        meta::name(&set.metadata),
                        error.reason()
                    );
                    cluster.events.warning(set, "FailedCreate", message);
                    Err(error)
                }
            }
        }
        Action::Delete(pod) => delete(cluster, set, &pod).await,
        Action::Condemn(pod) => {
            if let Some(ordinal) = identity::ordinal(set, &pod) {
                storage::ensure(cluster, set, ordinal, Some(&pod)).await?;
            }
            delete(cluster, set, &pod).await
        }
    }
}

async fn delete(cluster: &Cluster, set: &StatefulSet, pod: &Pod) -> Result<(), Error> {
    let how = Delete { uid: pod.metadata.uid.as_deref(), ..Delete::default() };
    cluster.pods.delete(&Key::of(&pod.metadata), how).await?;
    let (pod_name, name) = (meta::name(&pod.metadata), meta::name(&set.metadata));
    let message = if pods::is_finished(pod) {
        format!("StatefulSet {name} is recreating terminated Pod {pod_name}")
    } else {
        format!("delete Pod {pod_name} in StatefulSet {name} successful")
    };
    let reason = if pods::is_finished(pod) { "RecreatingTerminatedPod" } else { "SuccessfulDelete" };
    cluster.events.normal(set, reason, message);
    Ok(())
}

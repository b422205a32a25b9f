//! The pods of a database: which of them to talk to. Pure.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use sealos_db_engines::names as db;
use sealos_kit::exec::Target;

use crate::cluster::View;

/// The label selector of a component's pods.
pub(crate) fn selector(view: &View) -> String {
    format!("{}={},{}={}", db::INSTANCE, view.name, db::COMPONENT, view.component)
}

/// The engine's container of a pod.
pub(crate) fn target(pod: &Pod) -> Target {
    let containers = pod.spec.as_ref().map(|s| s.containers.as_slice()).unwrap_or_default();
    Target {
        namespace: pod.namespace().unwrap_or_default(),
        pod: pod.name_any(),
        container: containers.first().map(|c| c.name.clone()).unwrap_or_default(),
    }
}

/// Whether the engine's container runs.
pub(crate) fn runs(pod: &Pod) -> bool {
    let target = target(pod);
    let statuses = pod.status.as_ref().and_then(|s| s.container_statuses.as_ref());
    let running = statuses.into_iter().flatten().find(|c| c.name == target.container);
    let running = running.and_then(|c| c.state.as_ref()?.running.as_ref()).is_some();
    running && pod.metadata.deletion_timestamp.is_none()
}

/// Whether it is ready.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
    conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// The pod that takes writes, if it runs.
pub(crate) fn primary(pods: &[Pod]) -> Option<&Pod> {
    pods.iter().find(|p| p.labels().get(db::ROLE).is_some_and(|r| r == db::PRIMARY) && runs(p))
}

/// The ready pods that follow, by name.
pub(crate) fn secondaries(pods: &[Pod]) -> Vec<&Pod> {
    let follows = |p: &&Pod| p.labels().get(db::ROLE).is_some_and(|r| r == db::SECONDARY);
    let mut found: Vec<_> = pods.iter().filter(follows).filter(|p| runs(p) && is_ready(p)).collect();
    found.sort_by_key(|p| p.name_any());
    found
}

//! The labels by which the node finds its containers again.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::Pod;
use sealos_container::ContainerState;

const UID: &str = "io.kubernetes.pod.uid";
const NAME: &str = "io.kubernetes.pod.name";
const NAMESPACE: &str = "io.kubernetes.pod.namespace";
const CONTAINER: &str = "io.kubernetes.container.name";
const STOP_SIGNAL: &str = "sealos.io/stop-signal";
const ATTEMPT: &str = "io.kubernetes.container.restartCount";
/// Marks containers that run a build step and belong to no pod.
pub(crate) const BUILD: &str = "sealos.io/build";

pub(crate) fn of(pod: &Pod, container: &str, attempt: i32) -> BTreeMap<String, String> {
    let meta = &pod.metadata;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    BTreeMap::from([
        (UID.to_owned(), text(&meta.uid)),
        (NAME.to_owned(), text(&meta.name)),
        (NAMESPACE.to_owned(), text(&meta.namespace)),
        (CONTAINER.to_owned(), container.to_owned()),
        (ATTEMPT.to_owned(), attempt.to_string()),
    ])
}

/// Notes the signal that the image wants for its end; later processes do not look at the image.
pub(crate) fn set_stop_signal(labels: &mut BTreeMap<String, String>, signal: String) {
    labels.insert(STOP_SIGNAL.to_owned(), signal);
}

pub(crate) fn stop_signal(labels: &BTreeMap<String, String>) -> Option<String> {
    labels.get(STOP_SIGNAL).cloned()
}

/// The id of one attempt at one container. It says what it is, and is never used twice.
pub(crate) fn container_id(uid: &str, container: &str, attempt: i32) -> String {
    format!("{uid}-{container}-{attempt}")
}

/// A container of a pod, found in the runtime.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub container: String,
    pub attempt: i32,
    pub state: ContainerState,
}

/// The containers in the runtime by the pod they belong to; those of no pod are left out.
pub(crate) fn by_pod(list: Vec<ContainerState>) -> HashMap<String, Vec<Found>> {
    let mut pods: HashMap<String, Vec<Found>> = HashMap::new();
    for state in list {
        let label = |name: &str| state.labels.get(name).cloned();
        let (Some(uid), Some(container)) = (label(UID), label(CONTAINER)) else { continue };
        let attempt = label(ATTEMPT).and_then(|a| a.parse().ok()).unwrap_or(0);
        pods.entry(uid).or_default().push(Found { container, attempt, state });
    }
    pods
}

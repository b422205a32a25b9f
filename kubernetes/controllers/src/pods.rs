//! What the controllers ask about pods, and how a pod is made from a template.

use std::cmp::Ordering;

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::meta;

const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or("Pending")
}

pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Neither finished nor on its way out.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && !meta::is_deleting(&pod.metadata)
}

pub(crate) fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|n| !n.is_empty())
}

pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == kind)
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|c| c.status == "True")
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|c| c.status == "True")?;
    ready.last_transition_time.as_ref().map(|t| t.0)
}

/// Ready for at least `min_ready_seconds`.
pub(crate) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    is_ready(pod) && available_in(pod, min_ready_seconds, now).is_none()
}

/// How long a ready pod must stay ready to become available.
pub(crate) fn available_in(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Option<std::time::Duration> {
    if min_ready_seconds <= 0 || !is_ready(pod) {
        return None;
    }
    let at = ready_since(pod).unwrap_or(now) + SignedDuration::from_secs(min_ready_seconds.into());
    std::time::Duration::try_from(at.duration_since(now)).ok().filter(|d| !d.is_zero())
}

pub(crate) fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    statuses.map(|c| c.restart_count).sum()
}

/// Which of two pods is missed less: it comes first, and is deleted first.
pub(crate) fn deletion_order(a: &Pod, b: &Pod) -> Ordering {
    let phase_rank = |p: &Pod| match phase(p) {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    };
    let cost = |p: &Pod| {
        meta::annotation(&p.metadata, DELETION_COST).and_then(|c| c.parse::<i32>().ok()).unwrap_or(0)
    };
    let newest_first = |x: Option<Timestamp>, y: Option<Timestamp>| y.cmp(&x);
    node(a)
        .is_some()
        .cmp(&node(b).is_some())
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| is_ready(a).cmp(&is_ready(b)))
        .then_with(|| cost(a).cmp(&cost(b)))
        .then_with(|| newest_first(ready_since(a), ready_since(b)))
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| meta::created(&b.metadata).cmp(&meta::created(&a.metadata)))
        .then_with(|| meta::version(&b.metadata).cmp(&meta::version(&a.metadata)))
}

/// A pod as the template says, owned by `owner`; the server completes its name.
pub(crate) fn from_template(template: &PodTemplateSpec, namespace: &str, owner: OwnerReference) -> Pod {
    let source = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", owner.name)),
            namespace: Some(namespace.to_owned()),
            labels: source.labels,
            annotations: source.annotations,
            finalizers: source.finalizers,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

pub(crate) fn set_label(meta: &mut ObjectMeta, key: &str, value: &str) {
    meta.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

pub(crate) fn set_annotation(meta: &mut ObjectMeta, key: &str, value: &str) {
    meta.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

/// A short name for a template, from letters that form no words.
pub(crate) fn hash(template: &impl serde::Serialize, collisions: i32) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    // A value made of maps and strings always serialises.
    let mut digest = Sha256::new_with_prefix(serde_json::to_vec(template).unwrap_or_default());
    if collisions > 0 {
        digest.update(collisions.to_le_bytes());
    }
    digest.finalize().iter().take(10).map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A pod in the given phase, ready or not.
    pub(crate) fn pod(name: &str, phase: &str, ready: bool) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "default", "uid": name, "resourceVersion": "1", "labels": {"app": "web"}},
            "spec": {"containers": [], "nodeName": "n1"},
            "status": {"phase": phase, "conditions": [{
                "type": "Ready", "status": if ready { "True" } else { "False" },
                "lastTransitionTime": "2024-01-01T00:00:00Z"
            }]}
        }))
        .unwrap()
    }

    #[test]
    fn the_least_useful_pod_goes_first() {
        let mut pods = [
            pod("ready", "Running", true),
            pod("waiting", "Pending", false),
            pod("unready", "Running", false),
        ];
        pods.sort_by(deletion_order);
        let names: Vec<_> = pods.iter().map(|p| meta::name(&p.metadata)).collect();
        assert_eq!(names, ["waiting", "unready", "ready"]);
    }

    #[test]
    fn availability_waits_for_the_minimum_time() {
        let pod = pod("a", "Running", true);
        let ready: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        assert!(is_available(&pod, 0, ready));
        assert!(!is_available(&pod, 10, ready + SignedDuration::from_secs(4)));
        assert_eq!(
            available_in(&pod, 10, ready + SignedDuration::from_secs(4)),
            Some(std::time::Duration::from_secs(6))
        );
        assert!(is_available(&pod, 10, ready + SignedDuration::from_secs(10)));
    }

    #[test]
    fn hashes_differ_by_collision_count() {
        assert_ne!(hash(&json!({"a": 1}), 0), hash(&json!({"a": 1}), 1));
        assert_eq!(hash(&json!({"a": 1}), 0).len(), 10);
    }
}

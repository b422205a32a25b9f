//! Replacing pods that run an old description: replicas first, one at a time, the primary last and after
//! it has handed over. Pure.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::observe::{Observed, is_ready};

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Every pod is as described.
    Nothing,
    /// Something under way must end first.
    Wait,
    /// This pod goes, and comes back as described.
    Replace(String),
    /// The primary should hand over before it goes; this is its name.
    HandOver(String),
}

/// The next step.
pub(crate) fn next(observed: &Observed) -> Step {
    let ends = |pod: &Pod| pod.metadata.deletion_timestamp.is_some();
    let old: Vec<_> = observed.pods.iter().filter(|pod| !observed.is_current(pod)).collect();
    if old.is_empty() {
        return Step::Nothing;
    }
    if observed.pods.iter().any(ends) {
        return Step::Wait;
    }
    // One that is not ready has nothing to lose, and may be waiting for just this change.
    if let Some(pod) = old.iter().rev().find(|pod| !is_ready(pod)) {
        return Step::Replace(pod.name_any());
    }
    if observed.pods.iter().any(|pod| !is_ready(pod)) {
        return Step::Wait;
    }
    let leader = observed.leader().map(ResourceExt::name_any);
    if let Some(pod) = old.iter().rev().find(|pod| Some(pod.name_any()) != leader) {
        return Step::Replace(pod.name_any());
    }
    match leader {
        Some(leader) if observed.pods.len() > 1 => Step::HandOver(leader),
        Some(leader) => Step::Replace(leader),
        None => Step::Wait,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Step, next};
    use crate::observe::Observed;

    /// A pod: its revision, whether it is ready, and its role.
    fn pod(ordinal: usize, revision: &str, ready: &str, role: &str) -> Value {
        json!({
            "metadata": { "name": format!("pg-{ordinal}"), "labels": { "kubeblocks.io/role": role },
                "annotations": { "databases.sealos.io/revision": revision } },
            "status": { "conditions": [{ "type": "Ready", "status": ready }] },
        })
    }

    fn observed(pods: &[Value]) -> Observed {
        let template = json!({ "metadata": { "annotations": { "databases.sealos.io/revision": "new" } } });
        let set = json!({ "spec": { "serviceName": "pg", "selector": {}, "template": template } });
        let pods = pods.iter().map(|pod| serde_json::from_value(pod.clone()).expect("a pod"));
        let pods = pods.collect();
        Observed { set: serde_json::from_value(set).expect("a set"), pods, ..Observed::default() }
    }

    #[test]
    fn replicas_go_before_the_primary_hands_over() {
        let (primary, replica) = ("primary", "secondary");
        let old = |n, role| pod(n, "old", "True", role);
        let new = |n, role| pod(n, "new", "True", role);
        assert_eq!(next(&observed(&[new(0, primary), new(1, replica)])), Step::Nothing);
        assert_eq!(next(&observed(&[old(0, primary), old(1, replica)])), Step::Replace("pg-1".into()));
        assert_eq!(next(&observed(&[old(0, replica), old(1, primary)])), Step::Replace("pg-0".into()));
        assert_eq!(next(&observed(&[old(0, primary), pod(1, "new", "False", replica)])), Step::Wait);
        assert_eq!(next(&observed(&[old(0, primary), new(1, replica)])), Step::HandOver("pg-0".into()));
        assert_eq!(next(&observed(&[old(0, replica), new(1, primary)])), Step::Replace("pg-0".into()));
    }

    #[test]
    fn one_that_cannot_start_is_replaced_at_once() {
        let stuck = pod(0, "old", "False", "");
        assert_eq!(next(&observed(std::slice::from_ref(&stuck))), Step::Replace("pg-0".into()));
    }

    #[test]
    fn a_lone_primary_is_replaced() {
        assert_eq!(next(&observed(&[pod(0, "old", "True", "primary")])), Step::Replace("pg-0".into()));
    }

    #[test]
    fn while_one_is_ending_nothing_else_goes() {
        let mut ending = pod(1, "new", "True", "secondary");
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(next(&observed(&[pod(0, "old", "True", "primary"), ending])), Step::Wait);
    }
}

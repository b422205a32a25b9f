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

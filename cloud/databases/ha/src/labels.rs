//! What pods are labelled with, so that Services and people find the primary. Pure.

use std::collections::BTreeMap;

use sealos_db_engines::names::{PRIMARY, SECONDARY};

use crate::seen::{Answer, Life, Observed, PodSeen, Role};

/// The pods whose role label must change, and to what.
pub(crate) fn changes(seen: &Observed) -> BTreeMap<String, Option<&'static str>> {
    let change = |(name, pod): (&String, &PodSeen)| {
        let wanted = label(seen, name, pod);
        (wanted != pod.label.as_deref()).then(|| (name.clone(), wanted))
    };
    seen.pods.iter().filter_map(change).collect()
}

fn label(seen: &Observed, name: &str, pod: &PodSeen) -> Option<&'static str> {
    let named = seen.topology.as_ref().is_some_and(|topology| topology.primary == name);
    if pod.life != Life::Running {
        return None;
    }
    match &pod.answer {
        Answer::Says { state, .. } => match state.role {
            Role::Primary if named && leads_alone(seen) && !state.read_only => Some(PRIMARY),
            Role::Primary => None,
            Role::Secondary => Some(SECONDARY),
        },
        // One short silence says nothing, and neither does a daemon that has just begun.
        Answer::Silent { since, before: true } if *since < seen.policy.silence => kept(pod, named),
        Answer::Unknown if pod.up > seen.policy.settled => kept(pod, named),
        Answer::Unknown | Answer::Silent { .. } => None,
    }
}

/// The label as it is, unless it would call a pod the primary that is not.
fn kept(pod: &PodSeen, named: bool) -> Option<&'static str> {
    match pod.label.as_deref() {
        Some(PRIMARY) if named => Some(PRIMARY),
        Some(SECONDARY) => Some(SECONDARY),
        _ => None,
    }
}

/// Whether nobody is left who may think it leads as well.
fn leads_alone(seen: &Observed) -> bool {
    let takeover = seen.topology.as_ref().and_then(|topology| topology.takeover.as_ref());
    takeover.is_none_or(|takeover| {
        let alive = |pod: &PodSeen, uid: &str| pod.uid == uid && pod.life != Life::Dead;
        !takeover.suspects.iter().any(|s| seen.pods.get(&s.pod).is_some_and(|pod| alive(pod, &s.uid)))
    })
}

//! The primary leads: what is left is to move it when asked, and to keep it informed.

use std::collections::BTreeSet;

use super::Step;
use super::candidates::{Named, best, complete, follows, healthy, lag, voters};
use crate::seen::{Answer, Mode, Observed, PodSeen, Position};
use crate::topology::{Topology, Why};

pub(super) fn keep(seen: &Observed, topology: &Topology) -> Step {
    match &seen.switchover {
        Some(asked) => match switch(seen, topology, asked) {
            Step::Wait => members(seen, topology),
            step => step,
        },
        None => match shrink(seen, topology) {
            Step::Wait => members(seen, topology),
            step => step,
        },
    }
}

/// A person wants another primary.
fn switch(seen: &Observed, topology: &Topology, asked: &str) -> Step {
    let refuse = |why: String| Step::Refuse { why };
    if asked == topology.primary {
        return Step::Switched;
    }
    let others = seen.others(&topology.primary);
    if others.is_empty() {
        return refuse("there is no replica to switch to; scale the database up first".into());
    }
    if !asked.is_empty() && !others.contains(asked) {
        let names = others.into_iter().collect::<Vec<_>>().join(", ");
        return refuse(format!("there is no replica `{asked}`; choose one of {names}"));
    }
    let ready = ready(seen, topology);
    let chosen = ready.into_iter().filter(|(name, _)| asked.is_empty() || *name == asked);
    match best(seen, chosen, asked) {
        Some((name, _)) => Step::Begin { to: name.clone(), why: Why::Switchover },
        None if seen.switchover_for < seen.policy.catch_up => Step::Wait,
        None => refuse(not_ready(seen, topology, asked)),
    }
}

/// Why nobody could take over.
fn not_ready(seen: &Observed, topology: &Topology, asked: &str) -> String {
    let who = if asked.is_empty() { "no replica" } else { asked };
    let behind = seen.pods.get(asked).filter(|pod| follows(seen, pod)).and_then(|pod| lag(seen, pod));
    let limit = seen.policy.catch_up;
    if let Some(bytes) = behind.filter(|bytes| *bytes > u128::from(seen.policy.caught_up)) {
        return format!("{who} has not caught up within {limit:?}: it lacks {bytes} bytes");
    }
    if seen.policy.mode == Mode::Sync && !complete(seen, &voters(seen, topology)) {
        return format!("not all synchronous replicas answered within {limit:?}");
    }
    format!("{who} was healthy within {limit:?}")
}

/// Replicas that could take over now without loss.
fn ready<'a>(seen: &'a Observed, topology: &Topology) -> Vec<Named<'a>> {
    let voters = voters(seen, topology);
    let safe = |name: &str| match seen.policy.mode {
        Mode::Sync => voters.contains(name) && complete(seen, &voters),
        Mode::Async => true,
    };
    let near = |pod: &PodSeen| lag(seen, pod).is_some_and(|lag| lag <= u128::from(seen.policy.caught_up));
    let healthy = healthy(seen, &topology.primary).into_iter();
    healthy.filter(|(name, pod)| safe(name) && near(pod)).collect()
}

/// The primary's pod is about to be taken away.
fn shrink(seen: &Observed, topology: &Topology) -> Step {
    let leaves =
        seen.pods.get(&topology.primary).is_some_and(|pod| pod.ordinal >= seen.asked && seen.asked > 0);
    match best(seen, ready(seen, topology), "").filter(|_| leaves) {
        Some((name, _)) => Step::Begin { to: name.clone(), why: Why::ScaleDown },
        None => Step::Wait,
    }
}

/// Keeps the primary informed of its replicas. In synchronous mode a replica that keeps silent is left out
/// so that commits need not wait for it, as long as another one acknowledges. The record always holds at
/// least those whose acknowledgement the primary accepts: it grows before, and shrinks after, when those
/// that stay have all that was ever acknowledged.
fn members(seen: &Observed, topology: &Topology) -> Step {
    let all = seen.others(&topology.primary);
    if seen.policy.mode == Mode::Async {
        if topology.synchronous.is_some() {
            return Step::Record { synchronous: None };
        }
        return tell(seen, topology, &all, &BTreeSet::new()).unwrap_or(Step::Wait);
    }
    let wanted = synchronous(seen, &all);
    let recorded = topology.synchronous.clone().unwrap_or_else(|| all.clone());
    // A primary that was told nothing yet takes anybody's word.
    if seen.told.is_none() && recorded != all {
        return record(all.clone(), &all);
    }
    if !wanted.is_subset(&recorded) {
        return record(recorded.union(&wanted).cloned().collect(), &all);
    }
    if let Some(step) = tell(seen, topology, &all, &wanted) {
        return step;
    }
    let told = seen.told.as_ref().map(|told| told.position.clone()).unwrap_or_default();
    if recorded != wanted && newest(seen, &wanted) >= told {
        return record(wanted, &all);
    }
    Step::Wait
}

/// Those whose acknowledgement should count: all that were heard of lately; if none was, everybody.
fn synchronous(seen: &Observed, all: &BTreeSet<String>) -> BTreeSet<String> {
    if !seen.policy.names_synchronous {
        return all.clone();
    }
    let lately = |pod: &PodSeen| match &pod.answer {
        Answer::Says { .. } => follows(seen, pod),
        Answer::Silent { since, before } => *before && *since < seen.policy.long_silence,
        Answer::Unknown => false,
    };
    let heard = all.iter().filter(|name| seen.pods.get(*name).is_some_and(lately));
    let heard: BTreeSet<String> = heard.cloned().collect();
    if heard.is_empty() { all.clone() } else { heard }
}

fn record(names: BTreeSet<String>, all: &BTreeSet<String>) -> Step {
    Step::Record { synchronous: (names != *all).then(|| names.into_iter().collect()) }
}

fn tell(
    seen: &Observed,
    topology: &Topology,
    all: &BTreeSet<String>,
    synchronous: &BTreeSet<String>,
) -> Option<Step> {
    let told = seen.told.as_ref();
    let known = told.is_some_and(|told| told.replicas == *all && told.synchronous == *synchronous);
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect();
    (!known).then(|| Step::Members {
        pod: topology.primary.clone(),
        replicas: list(all),
        synchronous: list(synchronous),
    })
}

fn newest(seen: &Observed, names: &BTreeSet<String>) -> Position {
    let positions = names.iter().filter_map(|name| seen.pods.get(name)).map(PodSeen::position);
    positions.max().unwrap_or_default()
}

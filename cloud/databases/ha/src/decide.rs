//! What to do next for a component, given what is known. A pure function: everything that must be
//! remembered between two steps is in the API's objects, so that each step can be the first after a crash.
//!
//! A takeover goes: name the new primary in the topology, with the pods that may think they lead
//! ([`Step::Begin`]); see to it that those are dead ([`Step::Stop`], [`Step::Fence`]); ask the replicas
//! anew and correct the choice if another knows more ([`Step::Ask`], [`Step::Retarget`]); promote; take the
//! note away ([`Step::Finish`]).

mod candidates;
mod leading;
mod takeover;
#[cfg(test)]
mod tests;

pub(crate) use candidates::voters;

use crate::seen::{Answer, Life, Observed, PodSeen, Role};
use crate::topology::{Topology, Why};

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, until something changes.
    Wait,
    /// Write that another pod is to lead.
    Begin { to: String, why: Why },
    /// Write that yet another pod is to lead; the suspects grow by `also`, if the first choice may lead.
    Retarget { to: String, also: Option<String> },
    /// Write that the takeover is over.
    Finish,
    /// Write which replicas acknowledge commits (`None`: all).
    Record { synchronous: Option<Vec<String>> },
    /// Ask a healthy pod to end.
    Stop { pod: String, uid: String },
    /// Make an end to a pod, now.
    Fence { pod: String, uid: String, how: Fence },
    /// Ask these pods for their role now.
    Ask { pods: Vec<String> },
    /// Make a replica the primary.
    Promote { pod: String },
    /// Tell the primary who its replicas are.
    Members { pod: String, replicas: Vec<String>, synchronous: Vec<String> },
    /// Let a dead pod's object go.
    Release { pod: String, uid: String },
    /// The switchover that was asked for is done, or was not needed.
    Switched,
    /// The switchover that was asked for cannot be.
    Refuse { why: String },
}

/// How to make an end to a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Hold its object by a finalizer, so that the API tells when its containers are dead, and kill them.
    Kill,
    /// It is ending already, and can no longer be held: shorten its time to a second.
    Shorten,
}

/// Decides.
pub(crate) fn decide(seen: &Observed) -> Step {
    let Some(topology) = seen.topology.as_ref().filter(|_| seen.wanted > 0) else {
        // Stopped, or about to be deleted: nobody is to lead.
        return release(seen);
    };
    let step = match (rival(seen, topology), &topology.takeover) {
        (Some(step), _) => step,
        (None, Some(takeover)) => takeover::go_on(seen, topology, takeover),
        (None, None) => keep(seen, topology),
    };
    if step == Step::Wait { release(seen) } else { step }
}

/// Lets go of pods that are dead: their successors wait for the name.
fn release(seen: &Observed) -> Step {
    let dead = seen.pods.iter().find(|(_, pod)| pod.held && pod.life == Life::Dead);
    dead.map_or(Step::Wait, |(name, pod)| Step::Release { pod: name.clone(), uid: pod.uid.clone() })
}

/// A pod that leads without being named: it must end at once. Those a planned takeover is about to stop
/// gracefully are no rivals.
fn rival(seen: &Observed, topology: &Topology) -> Option<Step> {
    let takeover = topology.takeover.as_ref();
    let graceful = |name: &str, pod: &PodSeen| {
        let planned = takeover.is_some_and(|t| t.why.planned());
        planned && takeover.is_some_and(|t| t.suspects.iter().any(|s| s.pod == name && s.uid == pod.uid))
    };
    let leads = |pod: &PodSeen| {
        let says = pod.says().is_some_and(|(state, _)| state.role == Role::Primary);
        says && matches!(pod.life, Life::Running | Life::Ending { .. })
    };
    let mut all = seen.pods.iter().filter(|(name, _)| **name != topology.primary);
    all.find(|(name, pod)| leads(pod) && !graceful(name, pod)).and_then(|(name, pod)| fence(name, pod))
}

/// What is still to be done to make sure that a pod is dead; `None` if it is.
fn fence(name: &str, pod: &PodSeen) -> Option<Step> {
    let step = |how| Some(Step::Fence { pod: name.to_owned(), uid: pod.uid.clone(), how });
    match pod.life {
        Life::Dead => None,
        Life::Ending { grace, .. } if pod.held && grace > 0 => step(Fence::Kill),
        Life::Ending { grace, .. } if !pod.held && grace > 1 => step(Fence::Shorten),
        // The node is at it.
        Life::Ending { .. } => Some(Step::Wait),
        Life::Starting | Life::Running | Life::Ended => step(Fence::Kill),
    }
}

/// How the pod that is named stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Leads,
    Follows,
    /// It is not known yet, or not for long enough.
    Unclear,
    Down(Why),
}

fn standing(seen: &Observed, pod: Option<&PodSeen>) -> Standing {
    let Some(pod) = pod else { return Standing::Down(Why::Gone) };
    match pod.life {
        Life::Ending { .. } | Life::Dead => Standing::Down(Why::Deleted),
        Life::Ended => Standing::Down(Why::Killed),
        Life::Starting => Standing::Down(Why::Gone),
        Life::Running => standing_of_running(seen, pod),
    }
}

fn standing_of_running(seen: &Observed, pod: &PodSeen) -> Standing {
    let restarts = pod.restarted.is_some_and(|ago| ago < seen.policy.patience * 3);
    match &pod.answer {
        Answer::Says { state, .. } if state.role == Role::Primary => Standing::Leads,
        Answer::Says { .. } => Standing::Follows,
        Answer::Unknown | Answer::Silent { before: false, .. } if restarts => Standing::Down(Why::Killed),
        Answer::Unknown => Standing::Unclear,
        Answer::Silent { since, .. } => {
            let limit = if pod.ready { seen.policy.long_silence } else { seen.policy.silence };
            if *since >= limit { Standing::Down(Why::Silent) } else { Standing::Unclear }
        }
    }
}

/// No takeover is under way.
fn keep(seen: &Observed, topology: &Topology) -> Step {
    let named = seen.pods.get(&topology.primary);
    match standing(seen, named) {
        Standing::Leads => leading::keep(seen, topology),
        Standing::Unclear => Step::Wait,
        // It was named by hand, or came up as a replica after all: nobody else leads, or it would have
        // been a rival.
        Standing::Follows => resume(seen, topology),
        Standing::Down(why) => fail_over(seen, topology, why),
    }
}

/// The pod that is named follows nobody: it is promoted, unless another knows more.
fn resume(seen: &Observed, topology: &Topology) -> Step {
    let unclear = |pod: &PodSeen| pod.life == Life::Running && pod.answer == Answer::Unknown;
    if seen.pods.values().any(unclear) {
        return Step::Wait;
    }
    let own = seen.pods.get(&topology.primary).map(PodSeen::position).unwrap_or_default();
    match candidates::best(seen, seen.pods.iter(), &topology.primary) {
        Some((name, pod)) if *name != topology.primary && pod.position() > own => {
            Step::Retarget { to: name.clone(), also: None }
        }
        _ => Step::Promote { pod: topology.primary.clone() },
    }
}

fn fail_over(seen: &Observed, topology: &Topology, why: Why) -> Step {
    let primary = &topology.primary;
    let healthy = candidates::healthy(seen, primary);
    let by_hand = seen.switchover.as_deref().filter(|name| !name.is_empty());
    let chosen = healthy.into_iter().filter(|(name, pod)| match by_hand {
        // A person who names a pod takes responsibility for what it lacks.
        Some(asked) => asked == *name,
        None => candidates::may_lead(seen, topology, name, pod),
    });
    match candidates::best(seen, chosen, primary) {
        Some((name, _)) => Step::Begin { to: name.clone(), why },
        None => Step::Wait,
    }
}

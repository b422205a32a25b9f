//! The way of a takeover that has begun.

use super::candidates::{Named, best, complete, follows, undecided};
use super::{Standing, Step, fence, standing};
use crate::seen::{Life, Mode, Observed, PodSeen, Role};
use crate::topology::{Takeover, Topology, Why};

pub(super) fn go_on(seen: &Observed, topology: &Topology, takeover: &Takeover) -> Step {
    if let Some(step) = end_suspects(seen, takeover) {
        return step;
    }
    let target = seen.pods.get(&topology.primary);
    if target.is_some_and(|pod| pod.is(Role::Primary)) {
        let asked = takeover.why == Why::Switchover && seen.switchover.is_some();
        return if asked { Step::Switched } else { Step::Finish };
    }
    // Somebody deleted its object by force: that says nothing about its containers. Nodes end those soon.
    if takeover.why == Why::Gone && seen.fenced < seen.policy.vanished {
        return Step::Wait;
    }
    let able: Vec<Named<'_>> = seen.pods.iter().filter(|(_, pod)| follows(seen, pod)).collect();
    let stale = |(name, pod): &Named<'_>| {
        pod.says().is_some_and(|(_, age)| age >= seen.fenced).then(|| (*name).clone())
    };
    let old: Vec<String> = able.iter().filter_map(stale).collect();
    if !old.is_empty() && able.len() > 1 {
        return Step::Ask { pods: old };
    }
    if !has_everything(seen, takeover) {
        return Step::Wait;
    }
    let Some((name, pod)) = best(seen, able, &topology.primary) else { return Step::Wait };
    let better = target.is_none_or(|target| !follows(seen, target) || pod.position() > target.position());
    if *name == topology.primary || !better {
        return Step::Promote { pod: topology.primary.clone() };
    }
    leave(seen, topology, name, target)
}

/// What is still to be done until everybody who may think it leads is dead.
fn end_suspects(seen: &Observed, takeover: &Takeover) -> Option<Step> {
    let alive = takeover.suspects.iter().filter_map(|suspect| {
        let (name, pod) = seen.pods.get_key_value(&suspect.pod)?;
        (pod.uid == suspect.uid).then_some((name, pod))
    });
    let mut steps =
        alive.filter_map(
            |(name, pod)| {
                if takeover.why.planned() { stop(seen, name, pod) } else { fence(name, pod) }
            },
        );
    let first = steps.next()?;
    // One that ends by itself must not hold up the end of another.
    Some(if first == Step::Wait { steps.find(|s| *s != Step::Wait).unwrap_or(first) } else { first })
}

/// A healthy pod ends in peace, within its time.
fn stop(seen: &Observed, name: &str, pod: &PodSeen) -> Option<Step> {
    match pod.life {
        Life::Running => Some(Step::Stop { pod: name.to_owned(), uid: pod.uid.clone() }),
        Life::Ending { asked, .. } if asked < seen.policy.stop => fence(name, pod).map(|_| Step::Wait),
        _ => fence(name, pod),
    }
}

/// Whether every acknowledged commit is on a pod that answers. The old primary has them all: when it is
/// back as a replica it counts for everybody.
fn has_everything(seen: &Observed, takeover: &Takeover) -> bool {
    let Some(voters) = takeover.voters.as_ref().filter(|_| seen.policy.mode == Mode::Sync) else {
        return true;
    };
    complete(seen, voters) || seen.pods.get(&takeover.from).is_some_and(|pod| follows(seen, pod))
}

/// Another pod is to lead instead of the one that was chosen first. If that one may come up as the primary,
/// which the topology still calls it, it must be dead before.
fn leave(seen: &Observed, topology: &Topology, to: &str, target: Option<&PodSeen>) -> Step {
    let also = match standing(seen, target) {
        Standing::Leads | Standing::Unclear => return Step::Wait,
        Standing::Follows => None,
        Standing::Down(_) if target.is_some_and(|pod| undecided(pod) && seen.down < seen.policy.silence) => {
            return Step::Wait;
        }
        Standing::Down(_) => target.map(|_| topology.primary.clone()),
    };
    Step::Retarget { to: to.to_owned(), also }
}

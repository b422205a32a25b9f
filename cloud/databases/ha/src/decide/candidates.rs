//! Which replicas may lead.

use std::collections::BTreeSet;

use crate::seen::{Life, Mode, Observed, PodSeen, Role};
use crate::topology::Topology;

pub(super) type Named<'a> = (&'a String, &'a PodSeen);

/// Replicas that answered a moment ago and that are to stay. While the primary's outage is young only
/// those that were up before it count: after a restart of the whole machine it gets its time.
pub(super) fn healthy<'a>(seen: &'a Observed, primary: &str) -> Vec<Named<'a>> {
    let policy = &seen.policy;
    let stays = |pod: &PodSeen| pod.ordinal < seen.asked.min(seen.wanted);
    let steady = |pod: &PodSeen| pod.up >= seen.down + policy.settled || seen.down >= policy.patience;
    let all = seen.pods.iter().filter(|(name, pod)| *name != primary && follows(seen, pod));
    all.filter(|(_, pod)| stays(pod) && steady(pod)).collect()
}

/// Whether a pod follows and said so a moment ago.
pub(super) fn follows(seen: &Observed, pod: &PodSeen) -> bool {
    pod.is(Role::Secondary) && pod.says().is_some_and(|(_, age)| age <= seen.policy.fresh)
}

/// The pod with the newest position; of equals `favourite`, then the lowest ordinal.
pub(super) fn best<'a>(
    seen: &Observed,
    pods: impl IntoIterator<Item = Named<'a>>,
    favourite: &str,
) -> Option<Named<'a>> {
    let able = pods.into_iter().filter(|(_, pod)| follows(seen, pod));
    able.max_by_key(|(name, pod)| (pod.position(), *name == favourite, std::cmp::Reverse(pod.ordinal)))
}

/// Whether a replica may take over without anybody losing what they must not lose.
pub(super) fn may_lead(seen: &Observed, topology: &Topology, name: &str, pod: &PodSeen) -> bool {
    match seen.policy.mode {
        Mode::Sync => {
            let voters = voters(seen, topology);
            voters.contains(name) && complete(seen, &voters)
        }
        Mode::Async => {
            seen.data_gone || lag(seen, pod).is_some_and(|lag| lag <= u128::from(seen.policy.lag_limit))
        }
    }
}

/// The replicas that together have every acknowledged commit.
pub(crate) fn voters(seen: &Observed, topology: &Topology) -> BTreeSet<String> {
    topology.synchronous.clone().unwrap_or_else(|| seen.others(&topology.primary))
}

/// Whether all voters answer: one of them has every commit, and the most advanced has them all.
pub(super) fn complete(seen: &Observed, voters: &BTreeSet<String>) -> bool {
    !voters.is_empty() && voters.iter().all(|name| seen.pods.get(name).is_some_and(|pod| follows(seen, pod)))
}

/// How far a replica is behind the primary, as far as that can be told.
pub(super) fn lag(seen: &Observed, pod: &PodSeen) -> Option<u128> {
    let own = pod.says().and_then(|(state, _)| state.lag_bytes).map(u128::from);
    let behind = seen.last.as_ref().and_then(|last| pod.position().behind(last));
    own.max(behind)
}

/// Whether a running engine may still become the primary by itself: it has not said what it is.
pub(super) fn undecided(pod: &PodSeen) -> bool {
    pod.life == Life::Running && pod.says().is_none()
}

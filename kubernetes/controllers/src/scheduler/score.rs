//! Which of the nodes that fit is best: the emptiest, adjusted by what the pod prefers.

use k8s_openapi::api::core::v1::Pod;

use super::affinity;
use super::fit::{term, tolerates};
use super::ledger::Seat;
use crate::meta;
use crate::resources::Amounts;

pub(super) fn best<'a>(
    pod: &Pod,
    requests: &Amounts,
    seats: &[&'a Seat],
    related: &affinity::Rules,
) -> Option<&'a Seat> {
    // Of equals the first by name, so that a decision can be repeated.
    let better = |a: &&&Seat, b: &&&Seat| {
        score(pod, requests, a, related)
            .cmp(&score(pod, requests, b, related))
            .then_with(|| b.name().cmp(a.name()))
    };
    seats.iter().max_by(better).copied()
}

fn score(pod: &Pod, requests: &Amounts, seat: &Seat, related: &affinity::Rules) -> i64 {
    let free = (free_share(requests, seat, "cpu") + free_share(requests, seat, "memory")) / 2;
    free + preferred_nodes(pod, seat) + related.preference(seat)
        - avoided(pod, seat)
        - 10 * siblings(pod, seat)
}

/// The percentage of a resource left after the pod came.
fn free_share(requests: &Amounts, seat: &Seat, name: &str) -> i64 {
    let amount = |from: &Amounts| from.get(name).map_or(0, sealos_objects::quantity::Quantity::millis);
    let all = amount(&seat.allocatable).max(1);
    let left = all.saturating_sub(amount(&seat.reserved)).saturating_sub(amount(requests)).max(0);
    i64::try_from(i128::from(left) * 100 / i128::from(all)).unwrap_or(0)
}

fn preferred_nodes(pod: &Pod, seat: &Seat) -> i64 {
    let affinity = pod.spec.as_ref().and_then(|s| s.affinity.as_ref()).and_then(|a| a.node_affinity.as_ref());
    let preferred =
        affinity.iter().flat_map(|a| a.preferred_during_scheduling_ignored_during_execution.iter().flatten());
    preferred.filter(|p| term(&p.preference, &seat.node)).map(|p| i64::from(p.weight)).sum()
}

fn avoided(pod: &Pod, seat: &Seat) -> i64 {
    let tolerations = pod.spec.as_ref().and_then(|s| s.tolerations.as_deref()).unwrap_or_default();
    let taints = seat.node.spec.iter().flat_map(|s| s.taints.iter().flatten());
    let soft = taints.filter(|t| t.effect == "PreferNoSchedule" && !tolerates(tolerations, t));
    i64::try_from(soft.count()).unwrap_or(0) * 50
}

/// Pods of the same controller on the node: spreading them survives the loss of one.
fn siblings(pod: &Pod, seat: &Seat) -> i64 {
    let Some(owner) = meta::controller(&pod.metadata) else { return 0 };
    let same = seat.pods.iter().filter(|p| meta::is_controlled_by(&p.pod.metadata, &owner.uid)).count();
    i64::try_from(same).unwrap_or(0)
}

//! The status of a daemon set.

use k8s_openapi::api::apps::v1::DaemonSetStatus;

use super::plan::View;
use crate::meta;
use crate::numbers::{count, nonzero};
use crate::pods;

pub(super) fn status(view: &View) -> DaemonSetStatus {
    let (mut desired, mut current, mut misplaced) = (0, 0, 0);
    let (mut ready, mut available, mut updated) = (0, 0, 0);
    for node in &view.nodes {
        let here: Vec<_> = view.on(meta::name(&node.metadata)).collect();
        if !view.wants(node) {
            misplaced += usize::from(!here.is_empty());
            continue;
        }
        desired += 1;
        let Some(pod) =
            here.iter().min_by_key(|p| (meta::is_deleting(&p.metadata), meta::created(&p.metadata)))
        else {
            continue;
        };
        current += 1;
        ready += usize::from(pods::is_ready(pod));
        available += usize::from(view.is_available(pod));
        updated += usize::from(view.is_current(pod));
    }
    let old = view.set.status.as_ref();
    DaemonSetStatus {
        observed_generation: view.set.metadata.generation,
        desired_number_scheduled: count(desired),
        current_number_scheduled: count(current),
        number_misscheduled: count(misplaced),
        number_ready: count(ready),
        number_available: nonzero(count(available)),
        number_unavailable: nonzero(count(desired - available)),
        updated_number_scheduled: nonzero(count(updated)),
        collision_count: old.and_then(|s| s.collision_count),
        conditions: old.and_then(|s| s.conditions.clone()),
    }
}

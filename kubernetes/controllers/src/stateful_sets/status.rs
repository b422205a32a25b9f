//! The status of a set, from which `kubectl rollout status` reads how far an update is.

use k8s_openapi::api::apps::v1::StatefulSetStatus;

use super::plan::View;
use crate::meta;
use crate::numbers::{count, nonzero};
use crate::pods;
use crate::revisions::POD_HASH;

pub(super) fn status(view: &View) -> StatefulSetStatus {
    let number = |fits: &dyn Fn(&k8s_openapi::api::core::v1::Pod) -> bool| {
        count(view.pods.iter().filter(|p| !pods::is_finished(p) && fits(p)).count())
    };
    let at = |revision: &str| {
        number(&|p| !meta::is_deleting(&p.metadata) && meta::label(&p.metadata, POD_HASH) == Some(revision))
    };
    let replicas = number(&|_| true);
    let ready = number(&|p| pods::phase(p) == "Running" && pods::is_ready(p));
    let (mut current, updated) = (at(&view.current), at(&view.update));
    let mut revision = view.current.clone();
    let wanted = view.wanted();
    if view.rolls() && updated == wanted && ready == wanted && replicas == wanted {
        current = updated;
        revision.clone_from(&view.update);
    }
    let old = view.set.status.as_ref();
    StatefulSetStatus {
        observed_generation: view.set.metadata.generation,
        replicas,
        ready_replicas: nonzero(ready),
        available_replicas: Some(number(&|p| view.is_available(p))),
        current_replicas: nonzero(current),
        updated_replicas: nonzero(updated),
        current_revision: Some(revision),
        update_revision: Some(view.update.clone()),
        collision_count: Some(old.and_then(|s| s.collision_count).unwrap_or(0)),
        conditions: old.and_then(|s| s.conditions.clone()),
    }
}

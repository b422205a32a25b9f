//! The status of a deployment, and the conditions from which `kubectl rollout status` reads progress.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::plan::{View, available, replicas};
use crate::meta;
use crate::numbers::nonzero;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const FAILURE: &str = "ReplicaFailure";
/// A deadline of the largest number means none.
const NO_DEADLINE: i32 = i32::MAX;

pub(super) fn is_complete(view: &View) -> bool {
    reached(view, &counts(view))
}

fn reached(view: &View, status: &DeploymentStatus) -> bool {
    let wanted = Some(view.wanted()).filter(|w| *w != 0);
    status.updated_replicas == wanted && status.replicas == wanted && status.available_replicas == wanted
}

fn counts(view: &View) -> DeploymentStatus {
    let sum = |count: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> i32| -> i32 {
        view.all().filter_map(|s| s.status.as_ref()).map(count).sum()
    };
    let available: i32 = view.all().map(|s| available(s)).sum();
    let total: i32 = view.all().map(|s| replicas(s)).sum();
    let updated = view.new.as_ref().and_then(|s| s.status.as_ref()).map_or(0, |s| s.replicas);
    let old = view.deployment.status.as_ref();
    DeploymentStatus {
        observed_generation: view.deployment.metadata.generation,
        replicas: nonzero(sum(|s| s.replicas)),
        updated_replicas: nonzero(updated),
        ready_replicas: nonzero(sum(|s| s.ready_replicas.unwrap_or(0))),
        available_replicas: nonzero(available),
        unavailable_replicas: nonzero((total - available).max(0)),
        terminating_replicas: Some(sum(|s| s.terminating_replicas.unwrap_or(0))),
        collision_count: old.and_then(|s| s.collision_count),
        conditions: old.and_then(|s| s.conditions.clone()),
    }
}

pub(super) fn status(view: &View, now: Timestamp) -> DeploymentStatus {
    let mut status = counts(view);
    let mut conditions = status.conditions.take().unwrap_or_default();
    let least = view.wanted() - view.bounds().1;
    let enough = status.available_replicas.unwrap_or(0) >= least;
    set(&mut conditions, availability(enough, now));
    if !meta::is_deleting(&view.deployment.metadata) {
        progress(view, &status, &mut conditions, now);
        failure(view, &mut conditions, now);
    }
    status.conditions = Some(conditions);
    status
}

fn availability(enough: bool, now: Timestamp) -> DeploymentCondition {
    if enough {
        condition(AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    } else {
        let message = "Deployment does not have minimum availability.";
        condition(AVAILABLE, "False", "MinimumReplicasUnavailable", message, now)
    }
}

fn progress(
    view: &View,
    status: &DeploymentStatus,
    conditions: &mut Vec<DeploymentCondition>,
    now: Timestamp,
) {
    if view.spec.progress_deadline_seconds.is_none_or(|d| d == NO_DEADLINE) {
        conditions.retain(|c| c.type_.as_deref() != Some(PROGRESSING));
        return;
    }
    let known = conditions.iter().find(|c| c.type_.as_deref() == Some(PROGRESSING)).cloned();
    let reason = known.as_ref().and_then(|c| c.reason.as_deref()).unwrap_or_default();
    if view.spec.paused == Some(true) {
        if reason != "DeploymentPaused" && reason != "ProgressDeadlineExceeded" {
            set(
                conditions,
                condition(PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused", now),
            );
        }
        return;
    }
    let Some(new) = &view.new else { return };
    let name = meta::name(&new.metadata);
    let quoted = format!("\"{name}\"");
    let about_this = known.as_ref().and_then(|c| c.message.as_deref()).is_some_and(|m| m.contains(&quoted));
    if reached(view, status) {
        if !(about_this && reason == "NewReplicaSetAvailable") {
            let message = format!("ReplicaSet {quoted} has successfully progressed.");
            renew(conditions, condition(PROGRESSING, "True", "NewReplicaSetAvailable", &message, now));
        }
    } else if !about_this {
        let resumed = reason == "DeploymentPaused";
        let condition = if resumed {
            condition(
                PROGRESSING,
                "Unknown",
                "DeploymentResumed",
                &format!("Deployment is resumed with {quoted}"),
                now,
            )
        } else if known.is_none() && replicas(new) > 0 && status.replicas.is_some() {
            condition(
                PROGRESSING,
                "True",
                "FoundNewReplicaSet",
                &format!("Found new replica set {quoted}"),
                now,
            )
        } else {
            condition(
                PROGRESSING,
                "True",
                "NewReplicaSetCreated",
                &format!("Created new replica set {quoted}"),
                now,
            )
        };
        renew(conditions, condition);
    } else if moved(view.deployment.status.as_ref(), status) {
        let message = format!("ReplicaSet {quoted} is progressing.");
        renew(conditions, condition(PROGRESSING, "True", "ReplicaSetUpdated", &message, now));
    } else if timed_out(view, known.as_ref(), now) {
        let message = format!("ReplicaSet {quoted} has timed out progressing.");
        set(conditions, condition(PROGRESSING, "False", "ProgressDeadlineExceeded", &message, now));
    }
}

/// Whether more is updated, ready or available, or less is old, than last told.
fn moved(before: Option<&DeploymentStatus>, now: &DeploymentStatus) -> bool {
    let Some(before) = before else { return false };
    let outdated = |s: &DeploymentStatus| s.replicas.unwrap_or(0) - s.updated_replicas.unwrap_or(0);
    now.updated_replicas > before.updated_replicas
        || outdated(now) < outdated(before)
        || now.ready_replicas > before.ready_replicas
        || now.available_replicas > before.available_replicas
}

fn timed_out(view: &View, known: Option<&DeploymentCondition>, now: Timestamp) -> bool {
    let Some(known) = known.filter(|c| c.reason.as_deref() != Some("NewReplicaSetAvailable")) else {
        return false;
    };
    if known.reason.as_deref() == Some("ProgressDeadlineExceeded") {
        return true;
    }
    deadline_of(view, known).is_some_and(|at| at <= now)
}

fn deadline_of(view: &View, progressing: &DeploymentCondition) -> Option<Timestamp> {
    let seconds = view.spec.progress_deadline_seconds.filter(|d| *d != NO_DEADLINE)?;
    let from = progressing.last_update_time.as_ref()?.0;
    Some(from + SignedDuration::from_secs(seconds.into()))
}

/// When to look whether the rollout ran out of time, or a pod became available.
pub(super) fn deadline(view: &View, status: &DeploymentStatus, now: Timestamp) -> Option<Duration> {
    let progressing = status.conditions.iter().flatten().find(|c| c.type_.as_deref() == Some(PROGRESSING))?;
    let reason = progressing.reason.as_deref().unwrap_or_default();
    if matches!(reason, "NewReplicaSetAvailable" | "ProgressDeadlineExceeded" | "DeploymentPaused") {
        return None;
    }
    let left = deadline_of(view, progressing)?.duration_since(now);
    Some(Duration::try_from(left).unwrap_or_default() + Duration::from_secs(1))
}

fn failure(view: &View, conditions: &mut Vec<DeploymentCondition>, now: Timestamp) {
    let failed = |s: &std::sync::Arc<k8s_openapi::api::apps::v1::ReplicaSet>| {
        s.status
            .iter()
            .flat_map(|s| s.conditions.iter().flatten())
            .find(|c| c.type_.as_deref() == Some(FAILURE))
            .cloned()
    };
    match view.new.as_ref().and_then(failed).or_else(|| view.old.iter().find_map(failed)) {
        Some(c) => {
            let (reason, message) = (c.reason.unwrap_or_default(), c.message.unwrap_or_default());
            set(conditions, condition(FAILURE, "True", &reason, &message, now));
        }
        None => conditions.retain(|c| c.type_.as_deref() != Some(FAILURE)),
    }
}

/// The status when the set of the present template could not be created.
pub(super) fn creation_failed(deployment: &Deployment, message: String, now: Timestamp) -> DeploymentStatus {
    let mut status = deployment.status.clone().unwrap_or_default();
    status.observed_generation = deployment.metadata.generation;
    let conditions = status.conditions.get_or_insert_default();
    set(conditions, condition(PROGRESSING, "False", "ReplicaSetCreateError", &message, now));
    status
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(kind.to_owned()),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(now)),
        last_update_time: Some(Time(now)),
    }
}

/// Sets the condition unless one of the same status and reason stands already.
fn set(conditions: &mut Vec<DeploymentCondition>, new: DeploymentCondition) {
    let same =
        |c: &DeploymentCondition| c.type_ == new.type_ && c.status == new.status && c.reason == new.reason;
    if !conditions.iter().any(same) {
        renew(conditions, new);
    }
}

/// Sets the condition, with the time of its last change of status kept.
fn renew(conditions: &mut Vec<DeploymentCondition>, mut new: DeploymentCondition) {
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.take();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::plan::tests::{deployment, set as replica_set};
    use super::*;

    fn reasons(status: &DeploymentStatus) -> Vec<(String, String)> {
        let conditions = status.conditions.iter().flatten();
        conditions
            .map(|c| (c.status.clone().unwrap_or_default(), c.reason.clone().unwrap_or_default()))
            .collect()
    }

    fn pair(status: &str, reason: &str) -> (String, String) {
        (status.to_owned(), reason.to_owned())
    }

    #[test]
    fn a_rollout_goes_from_created_to_available() {
        let mut web = (*deployment(2, "a", &json!({"progressDeadlineSeconds": 600}))).clone();
        let now = Timestamp::now();
        let mut step = |available: i32| {
            let view = View::new(
                &std::sync::Arc::new(web.clone()),
                vec![replica_set("a", 1, 2, available, 2, 3)],
                |_| false,
            );
            let status = status(&view, now);
            web.status = Some(status.clone());
            reasons(&status)
        };
        assert_eq!(
            step(0),
            [pair("False", "MinimumReplicasUnavailable"), pair("True", "FoundNewReplicaSet")]
        );
        assert_eq!(step(1), [pair("False", "MinimumReplicasUnavailable"), pair("True", "ReplicaSetUpdated")]);
        assert_eq!(
            step(2),
            [pair("True", "MinimumReplicasAvailable"), pair("True", "NewReplicaSetAvailable")]
        );
        assert_eq!(
            step(1),
            [pair("False", "MinimumReplicasUnavailable"), pair("True", "NewReplicaSetAvailable")]
        );
    }

    #[test]
    fn a_rollout_that_stands_still_runs_out_of_time() {
        let mut web = (*deployment(1, "a", &json!({"progressDeadlineSeconds": 10}))).clone();
        let start = Timestamp::now();
        let at = |web: &Deployment, seconds: i64| {
            let sets = vec![replica_set("a", 1, 1, 0, 1, 2)];
            let view = View::new(&std::sync::Arc::new(web.clone()), sets, |_| false);
            let now = start + SignedDuration::from_secs(seconds);
            let status = status(&view, now);
            let wait = deadline(&view, &status, now);
            (status, wait)
        };
        let (first, wait) = at(&web, 0);
        assert_eq!(wait, Some(Duration::from_secs(11)));
        web.status = Some(first);
        let (last, wait) = at(&web, 11);
        assert_eq!(reasons(&last)[1], pair("False", "ProgressDeadlineExceeded"));
        assert_eq!(wait, None);
    }
}

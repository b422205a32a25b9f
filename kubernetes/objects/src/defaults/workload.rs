//! Defaults of the kinds that make pods.

use serde_json::{Value, json};

use super::{Object, pod, storage};
use crate::value::{child, child_if, fill, fill_text, items_mut};

pub(super) fn deployment(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    if let Some(strategy) = child(spec, "strategy") {
        fill_text(strategy, "type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", "25%");
            fill(rolling, "maxSurge", "25%");
        }
    }
    pod::template(spec);
}

pub(super) fn replica_set(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill(spec, "replicas", 1);
    pod::template(spec);
}

/// Selector and labels of a ReplicationController default to the template's labels.
pub(super) fn replication_controller(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill(spec, "replicas", 1);
    pod::template(spec);
    let labels = spec.get("template").and_then(|t| t.pointer("/metadata/labels")).cloned();
    if let Some(labels) = labels {
        fill(spec, "selector", labels.clone());
        if let Some(meta) = child(object, "metadata") {
            fill(meta, "labels", labels);
        }
    }
}

pub(super) fn stateful_set(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    fill_text(spec, "podManagementPolicy", "OrderedReady");
    fill(spec, "serviceName", "");
    if let Some(strategy) = child(spec, "updateStrategy") {
        fill_text(strategy, "type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            fill(rolling, "partition", 0);
        }
    }
    if let Some(policy) = child(spec, "persistentVolumeClaimRetentionPolicy") {
        fill_text(policy, "whenDeleted", "Retain");
        fill_text(policy, "whenScaled", "Retain");
    }
    for claim in items_mut(spec, "volumeClaimTemplates") {
        fill_text(claim, "apiVersion", "v1");
        fill_text(claim, "kind", "PersistentVolumeClaim");
        storage::claim_spec(claim);
        fill(claim, "status", json!({"phase": "Pending"}));
    }
    pod::template(spec);
}

pub(super) fn daemon_set(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill(spec, "revisionHistoryLimit", 10);
    if let Some(strategy) = child(spec, "updateStrategy") {
        fill_text(strategy, "type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
            && let Some(rolling) = child(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", 1);
            fill(rolling, "maxSurge", 0);
        }
    }
    pod::template(spec);
}

/// One completion and one at a time, unless either is said: then the other stays open or one.
pub(super) fn job(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    job_spec(spec);
    let labels = spec.get("template").and_then(|t| t.pointer("/metadata/labels")).cloned();
    if let (Some(labels), Some(meta)) = (labels, child(object, "metadata")) {
        fill(meta, "labels", labels);
    }
}

fn job_spec(spec: &mut Object) {
    let missing = |spec: &Object, key: &str| spec.get(key).is_none_or(Value::is_null);
    if missing(spec, "completions") && missing(spec, "parallelism") {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    if missing(spec, "backoffLimit") {
        let limit = if missing(spec, "backoffLimitPerIndex") { 6 } else { i64::from(i32::MAX) };
        fill(spec, "backoffLimit", limit);
    }
    fill_text(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    fill(spec, "manualSelector", false);
    let policy = if missing(spec, "podFailurePolicy") { "TerminatingOrFailed" } else { "Failed" };
    fill_text(spec, "podReplacementPolicy", policy);
    pod::template(spec);
}

pub(super) fn cron_job(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill_text(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    if let Some(job) = child(spec, "jobTemplate").and_then(|template| child_if(template, "spec"))
        && let Some(template) = child(job, "template")
        && let Some(spec) = child(template, "spec")
    {
        pod::spec(spec);
    }
}

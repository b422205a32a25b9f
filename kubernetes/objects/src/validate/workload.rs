//! Rules for the kinds that make pods.

use super::{At, meta, names, pod, selectors};
use crate::field::FieldErrors;

pub(super) fn check(kind: &str, root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    match kind {
        "Deployment" => {
            common(&spec, "deployment", errors);
            deployment(&spec, errors);
        }
        "ReplicaSet" => common(&spec, "ReplicaSet", errors),
        "StatefulSet" => {
            common(&spec, "statefulset", errors);
            stateful_set(&spec, errors);
        }
        "DaemonSet" => {
            common(&spec, "daemonset", errors);
            let strategy = spec.get("updateStrategy");
            strategy.get("type").one_of(&["OnDelete", "RollingUpdate"], errors);
            rolling(&strategy, errors);
        }
        "ReplicationController" => controller(&spec, errors),
        "ControllerRevision" => revision(root, errors),
        _ => {}
    }
}

/// Selector, replicas and a template whose pods run for ever.
fn common(spec: &At<'_>, kind: &str, errors: &mut FieldErrors) {
    spec.get("replicas").not_negative(errors);
    spec.get("minReadySeconds").not_negative(errors);
    spec.get("revisionHistoryLimit").not_negative(errors);
    selectors::check_against_template(spec, kind, errors);
    let claims = spec.list("volumeClaimTemplates");
    let added: Vec<String> = claims.iter().map(|c| c.to(&["metadata", "name"]).text().to_owned()).collect();
    pod::check_template_with(&spec.get("template"), &added, errors);
    restarts_always(spec, errors);
}

fn restarts_always(spec: &At<'_>, errors: &mut FieldErrors) {
    let policy = spec.to(&["template", "spec", "restartPolicy"]);
    if ["OnFailure", "Never"].contains(&policy.text()) {
        policy.one_of(&["Always"], errors);
    }
}

fn controller(spec: &At<'_>, errors: &mut FieldErrors) {
    spec.get("replicas").not_negative(errors);
    let selector = spec.get("selector");
    if selector.need(errors) {
        let parsed =
            selector.value.as_object().map(crate::selector::LabelSelector::from_map).unwrap_or_default();
        let labels = spec.to(&["template", "metadata", "labels"]);
        if !parsed.matches_labels(labels.value.as_object()) {
            labels.invalid("`selector` does not match template `labels`", errors);
        }
    }
    pod::check_template(&spec.get("template"), errors);
    restarts_always(spec, errors);
}

fn deployment(spec: &At<'_>, errors: &mut FieldErrors) {
    let strategy = spec.get("strategy");
    strategy.get("type").one_of(&["Recreate", "RollingUpdate"], errors);
    if strategy.get("type").text() == "Recreate" && strategy.get("rollingUpdate").exists() {
        let at = strategy.get("rollingUpdate");
        at.forbidden("may not be specified when strategy `type` is 'Recreate'", errors);
        return;
    }
    rolling(&strategy, errors);
    let deadline = spec.get("progressDeadlineSeconds");
    deadline.not_negative(errors);
    let ready = spec.get("minReadySeconds").int().unwrap_or(0);
    if deadline.int().is_some_and(|seconds| seconds <= ready) {
        deadline.invalid("must be greater than minReadySeconds", errors);
    }
}

/// maxUnavailable and maxSurge: numbers or percentages, not both zero.
fn rolling(strategy: &At<'_>, errors: &mut FieldErrors) {
    let update = strategy.get("rollingUpdate");
    if !update.exists() {
        return;
    }
    let (unavailable, surge) = (update.get("maxUnavailable"), update.get("maxSurge"));
    share(&unavailable, true, errors);
    share(&surge, false, errors);
    let zero = |at: &At<'_>| at.int() == Some(0) || at.text() == "0%";
    if zero(&unavailable) && zero(&surge) {
        unavailable.invalid("may not be 0 when `maxSurge` is 0", errors);
    }
}

/// A number of pods, or a percentage.
pub(super) fn share(at: &At<'_>, at_most_all: bool, errors: &mut FieldErrors) {
    if !at.exists() {
        return;
    }
    at.not_negative(errors);
    if at.int().is_some() {
        return;
    }
    match at.text().strip_suffix('%').and_then(|number| number.parse::<u32>().ok()) {
        Some(percent) if at_most_all && percent > 100 => at.invalid("must not be greater than 100%", errors),
        Some(_) => {}
        None => at.invalid(
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            errors,
        ),
    }
}

fn stateful_set(spec: &At<'_>, errors: &mut FieldErrors) {
    spec.get("podManagementPolicy").one_of(&["OrderedReady", "Parallel"], errors);
    let strategy = spec.get("updateStrategy");
    strategy.get("type").one_of(&["OnDelete", "RollingUpdate"], errors);
    strategy.to(&["rollingUpdate", "partition"]).not_negative(errors);
    share(&strategy.to(&["rollingUpdate", "maxUnavailable"]), true, errors);
    for key in ["whenDeleted", "whenScaled"] {
        let policy = spec.to(&["persistentVolumeClaimRetentionPolicy", key]);
        if policy.exists() {
            policy.one_of(&["Delete", "Retain"], errors);
        }
    }
    let service = spec.get("serviceName");
    if !service.text().is_empty() {
        service.named(names::dns_subdomain, errors);
    }
    for claim in spec.list("volumeClaimTemplates") {
        let name = claim.to(&["metadata", "name"]);
        if name.need(errors) {
            name.named(names::dns_subdomain, errors);
        }
        super::storage::claim_spec(&claim.get("spec"), errors);
    }
}

fn revision(root: &At<'_>, errors: &mut FieldErrors) {
    root.get("data").need(errors);
    root.get("revision").not_negative(errors);
}

/// Selectors never change; of a StatefulSet most of the rest does not either.
pub(super) fn check_change(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    let (new_spec, old_spec) = (new.get("spec"), old.get("spec"));
    match kind {
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            new_spec.get("selector").immutable(&old_spec.get("selector"), errors);
        }
        "StatefulSet" => stateful_set_change(&new_spec, &old_spec, errors),
        "ControllerRevision" => new.get("data").immutable(&old.get("data"), errors),
        _ => {}
    }
}

const CHANGEABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

fn stateful_set_change(new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    let fixed = |at: &At<'_>| {
        let mut map = at.value.as_object().cloned().unwrap_or_default();
        map.retain(|key, _| !CHANGEABLE.contains(&key.as_str()));
        map
    };
    if fixed(new) != fixed(old) {
        new.forbidden(
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            errors,
        );
    }
}

pub(super) fn job(root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    job_spec(&spec, errors);
    let selector = spec.get("selector");
    if !selector.exists() {
        selector.required("", errors);
        return;
    }
    selectors::check(&selector, errors);
    let parsed = crate::selector::LabelSelector::from_json(selector.value).unwrap_or_default();
    let labels = spec.to(&["template", "metadata", "labels"]);
    if !parsed.matches_labels(labels.value.as_object()) {
        labels.invalid("`selector` does not match template `labels`", errors);
    }
}

fn job_spec(spec: &At<'_>, errors: &mut FieldErrors) {
    for key in
        ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"]
    {
        spec.get(key).not_negative(errors);
    }
    let mode = spec.get("completionMode");
    if mode.exists() {
        mode.one_of(&["NonIndexed", "Indexed"], errors);
        if mode.text() == "Indexed" && !spec.get("completions").exists() {
            spec.get("completions").required("when completion mode is Indexed", errors);
        }
    }
    pod::check_template(&spec.get("template"), errors);
    let policy = spec.to(&["template", "spec", "restartPolicy"]);
    if policy.text() == "Always" {
        policy.required("valid values: \"OnFailure\", \"Never\"", errors);
    }
}

/// What a Job counts and makes never changes, except while it is suspended and never started.
pub(super) fn check_job_change(new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    let (new_spec, old_spec) = (new.get("spec"), old.get("spec"));
    if new_spec.get("completionMode").text() != "Indexed" {
        new_spec.get("completions").immutable(&old_spec.get("completions"), errors);
    }
    new_spec.get("selector").immutable(&old_spec.get("selector"), errors);
    new_spec.get("completionMode").immutable(&old_spec.get("completionMode"), errors);
    let steerable = old_spec.get("suspend").flag() && !old.to(&["status", "startTime"]).exists();
    if !steerable {
        new_spec.get("template").immutable(&old_spec.get("template"), errors);
    }
}

/// Job names get a suffix of eleven characters.
const MAX_CRON_NAME: usize = 52;

pub(super) fn cron_job(root: &At<'_>, errors: &mut FieldErrors) {
    let name = root.to(&["metadata", "name"]);
    if name.text().len() > MAX_CRON_NAME {
        name.invalid("must be no more than 52 characters", errors);
    }
    let spec = root.get("spec");
    let schedule = spec.get("schedule");
    if schedule.need(errors)
        && let Some(problem) = cron_problem(schedule.text())
    {
        schedule.invalid(problem, errors);
    }
    spec.get("concurrencyPolicy").one_of(&["Allow", "Forbid", "Replace"], errors);
    for key in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        spec.get(key).not_negative(errors);
    }
    let template = spec.get("jobTemplate");
    for (key, value) in template.get("metadata").entries("labels") {
        meta::label(key, &value, &template.to(&["metadata", "labels"]), errors);
    }
    job_spec(&template.get("spec"), errors);
}

const CRON_RANGES: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
const MACROS: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Why this is no cron schedule.
fn cron_problem(schedule: &str) -> Option<String> {
    if MACROS.contains(&schedule) || schedule.starts_with("@every ") {
        return None;
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != CRON_RANGES.len() {
        return Some(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    let bad = fields
        .iter()
        .zip(CRON_RANGES)
        .find(|(field, range)| !field.split(',').all(|part| cron_part(part, *range)));
    bad.map(|(field, (low, high))| format!("failed to parse {field}: values are from {low} to {high}"))
}

/// `*`, `3`, `MON`, `1-5`, each with an optional `/step`.
fn cron_part(part: &str, (low, high): (u32, u32)) -> bool {
    let (range, step) = part.split_once('/').unwrap_or((part, "1"));
    let value = |text: &str| {
        let named = text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic());
        named || text.parse::<u32>().is_ok_and(|n| (low..=high).contains(&n))
    };
    let range = range == "*"
        || range == "?"
        || range.split_once('-').map_or_else(|| value(range), |(a, b)| value(a) && value(b));
    range && step.parse::<u32>().is_ok_and(|step| step > 0)
}

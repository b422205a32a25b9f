//! Which job a schedule starts now, and which finished ones go. Pure.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::schedule::Schedule;
use crate::jobs::end;
use crate::meta;

const SCHEDULED_AT: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

pub(super) enum Action {
    Create(Box<Job>),
    Delete(Arc<Job>),
}

pub(super) struct Plan {
    pub(super) actions: Vec<Action>,
    pub(super) status: CronJobStatus,
    pub(super) again: Option<Duration>,
    pub(super) news: Vec<(&'static str, String)>,
}

type Problem = (&'static str, String);

pub(super) fn plan(cron: &CronJob, jobs: &[Arc<Job>], now: Timestamp) -> Result<Plan, Problem> {
    let mut plan = Plan {
        actions: Vec::new(),
        status: cron.status.clone().unwrap_or_default(),
        again: None,
        news: Vec::new(),
    };
    let success = jobs.iter().filter(|j| succeeded(j)).filter_map(|j| end(j)).max();
    plan.status.last_successful_time = success.map(Time).max(plan.status.last_successful_time.take());
    forget(cron, jobs, &mut plan.actions);
    if cron.spec.suspend == Some(true) {
        return Ok(plan);
    }
    let zone = match cron.spec.time_zone.as_deref() {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name)
            .map_err(|e| ("UnknownTimeZone", format!("invalid timeZone: {name:?}: {e}")))?,
    };
    let schedule =
        Schedule::parse(&cron.spec.schedule).map_err(|e| ("UnparseableSchedule", e.to_string()))?;
    run(cron, jobs, (&schedule, &zone), now, &mut plan);
    let next = schedule.next(now, &zone);
    let wait = next.and_then(|t| Duration::try_from(t.duration_since(now)).ok());
    plan.again = wait.map(|w| w + Duration::from_millis(100));
    Ok(plan)
}

fn run(
    cron: &CronJob,
    jobs: &[Arc<Job>],
    (schedule, zone): (&Schedule, &TimeZone),
    now: Timestamp,
    plan: &mut Plan,
) {
    let last = plan.status.last_schedule_time.as_ref().map(|t| t.0);
    let mut from = last.unwrap_or_else(|| meta::created(&cron.metadata));
    let deadline = cron.spec.starting_deadline_seconds.map(SignedDuration::from_secs);
    if let Some(deadline) = deadline {
        from = from.max(now - deadline);
    }
    let (due, missed) = schedule.latest(from, now, zone);
    let Some(due) = due else { return };
    if missed > 100 {
        let message =
            "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        plan.news.push(("TooManyMissedTimes", message.to_owned()));
    }
    let running: Vec<_> = jobs.iter().filter(|j| end(j).is_none()).collect();
    match cron.spec.concurrency_policy.as_deref() {
        Some("Forbid") if !running.is_empty() => return,
        Some("Replace") => plan.actions.extend(running.into_iter().map(|j| Action::Delete(j.clone()))),
        _ => {}
    }
    plan.actions.push(Action::Create(Box::new(job(cron, due))));
    plan.status.last_schedule_time = Some(Time(due));
}

fn job(cron: &CronJob, at: Timestamp) -> Job {
    let template = &cron.spec.job_template;
    let source = template.metadata.clone().unwrap_or_default();
    let mut annotations = source.annotations.unwrap_or_default();
    annotations.insert(SCHEDULED_AT.to_owned(), at.to_string());
    Job {
        metadata: ObjectMeta {
            name: Some(format!("{}-{}", meta::name(&cron.metadata), at.as_second() / 60)),
            namespace: cron.metadata.namespace.clone(),
            labels: source.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![meta::controller_reference(cron)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

fn succeeded(job: &Job) -> bool {
    let conditions = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| c.type_ == "Complete" && c.status == "True")
}

/// Deletes finished jobs beyond the limits, the oldest first.
fn forget(cron: &CronJob, jobs: &[Arc<Job>], actions: &mut Vec<Action>) {
    let finished = jobs.iter().filter(|j| end(j).is_some() && !meta::is_deleting(&j.metadata));
    let (good, bad): (Vec<_>, Vec<_>) = finished.partition(|j| succeeded(j));
    let limits =
        [(good, cron.spec.successful_jobs_history_limit, 3), (bad, cron.spec.failed_jobs_history_limit, 1)];
    for (mut jobs, limit, default) in limits {
        let limit = usize::try_from(limit.unwrap_or(default)).unwrap_or(0);
        jobs.sort_by_key(|j| meta::created(&j.metadata));
        let surplus = jobs.len().saturating_sub(limit);
        actions.extend(jobs.into_iter().take(surplus).map(|j| Action::Delete(j.clone())));
    }
}

/// The status with references to the jobs that run.
pub(super) fn with_active(mut status: CronJobStatus, jobs: &[Arc<Job>]) -> CronJobStatus {
    let running = jobs.iter().filter(|j| end(j).is_none() && !meta::is_deleting(&j.metadata));
    let references: Vec<_> = running
        .map(|j| {
            let mut reference = kube::Resource::object_ref(&**j, &());
            reference.resource_version = None;
            reference
        })
        .collect();
    status.active = (!references.is_empty()).then_some(references);
    status
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(spec: &Value, jobs: &[(&str, &str)]) -> Vec<String> {
        let mut value = json!({"metadata": {"name": "c", "namespace": "a", "uid": "c", "creationTimestamp": "2024-01-01T00:00:30Z"},
            "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": {}}}}});
        for (key, field) in spec.as_object().unwrap() {
            value["spec"][key] = field.clone();
        }
        let jobs = jobs.iter().map(|(name, state)| {
            let conditions = match *state {
                "running" => json!([]),
                kind => json!([{"type": kind, "status": "True", "lastTransitionTime": "2024-01-01T00:00:00Z"}]),
            };
            let job = json!({"metadata": {"name": name, "uid": name, "creationTimestamp": "2024-01-01T00:00:00Z"},
                "status": {"conditions": conditions}});
            Arc::new(serde_json::from_value(job).unwrap())
        });
        let cron = serde_json::from_value(value).unwrap();
        let now: Timestamp = "2024-01-01T00:11:00Z".parse().unwrap();
        let plan = plan(&cron, &jobs.collect::<Vec<_>>(), now).map_err(|(reason, _)| reason);
        let words = |action: Action| match action {
            Action::Create(job) => format!("create {}", meta::name(&job.metadata)),
            Action::Delete(job) => format!("delete {}", meta::name(&job.metadata)),
        };
        match plan {
            Ok(plan) => plan.actions.into_iter().map(words).collect(),
            Err(reason) => vec![reason.to_owned()],
        }
    }

    #[test]
    fn the_latest_missed_time_starts_a_job() {
        assert_eq!(told(&json!({}), &[]), ["create c-28401130"]);
        assert_eq!(told(&json!({"suspend": true}), &[]), [""; 0]);
        assert_eq!(told(&json!({"startingDeadlineSeconds": 30}), &[]), [""; 0]);
        assert_eq!(told(&json!({"timeZone": "Nowhere/Never"}), &[]), ["UnknownTimeZone"]);
    }

    #[test]
    fn concurrency_is_as_asked() {
        let running = [("old", "running")];
        assert_eq!(told(&json!({"concurrencyPolicy": "Forbid"}), &running), [""; 0]);
        assert_eq!(
            told(&json!({"concurrencyPolicy": "Replace"}), &running),
            ["delete old", "create c-28401130"]
        );
        assert_eq!(told(&json!({"concurrencyPolicy": "Allow"}), &running), ["create c-28401130"]);
    }

    #[test]
    fn few_finished_jobs_are_kept() {
        let jobs = [("a", "Complete"), ("b", "Complete"), ("x", "Failed")];
        let spec = json!({"suspend": true, "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0});
        assert_eq!(told(&spec, &jobs), ["delete a", "delete x"]);
    }
}

//! What a job does next. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::index;
use crate::meta::{self, Key};
use crate::numbers::count;
use crate::pods;

pub(super) const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const FIRST_PAUSE: i64 = 10;
const LAST_PAUSE: i64 = 600;

#[derive(Debug, PartialEq)]
pub(super) enum Action {
    Create(Box<Pod>),
    Delete(Key),
}

/// What becomes of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Runs,
    Suspended,
    Complete,
    Failed { reason: &'static str, message: String },
}

pub(super) struct Plan {
    pub(super) actions: Vec<Action>,
    pub(super) verdict: Verdict,
    pub(super) again: Option<Duration>,
}

/// The pods of a job, counted.
pub(super) struct Count {
    pub(super) active: Vec<Arc<Pod>>,
    pub(super) ready: i32,
    pub(super) terminating: i32,
    pub(super) succeeded: i32,
    pub(super) failed: i32,
    pub(super) done: BTreeSet<i32>,
    restarts: i32,
    /// Failures since the last success, and when the last of them was.
    row: i64,
    last_failure: Option<Timestamp>,
}

fn finished_at(pod: &Pod) -> Timestamp {
    let statuses = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    let ends =
        statuses.filter_map(|c| c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref().map(|t| t.0));
    ends.max().unwrap_or_else(|| meta::created(&pod.metadata))
}

pub(super) fn index_of(pod: &Pod) -> Option<i32> {
    meta::annotation(&pod.metadata, INDEX)?.parse().ok()
}

pub(super) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

impl Count {
    pub(super) fn new(job: &Job, all: &[Arc<Pod>]) -> Self {
        let spec = job.spec.clone().unwrap_or_default();
        let known = job.status.clone().unwrap_or_default();
        let (mut succeeded, mut failed) = (Vec::new(), Vec::new());
        let (mut active, mut terminating) = (Vec::new(), 0);
        for pod in all {
            match pods::phase(pod) {
                "Succeeded" => succeeded.push(pod),
                "Failed" => failed.push(pod),
                _ if meta::is_deleting(&pod.metadata) => terminating += 1,
                _ => active.push(pod.clone()),
            }
        }
        let mut done = index::read(known.completed_indexes.as_deref().unwrap_or_default());
        done.extend(succeeded.iter().filter_map(|p| index_of(p)));
        done.retain(|i| (0..spec.completions.unwrap_or(0)).contains(i));
        let last_success = succeeded.iter().map(|p| finished_at(p)).max();
        let row: Vec<_> =
            failed.iter().map(|p| finished_at(p)).filter(|t| last_success.is_none_or(|s| *t > s)).collect();
        // Pods may be cleaned away; what was counted once stays counted.
        let number = |pods: usize, known: Option<i32>| count(pods).max(known.unwrap_or(0));
        Self {
            ready: count(active.iter().filter(|p| pods::is_ready(p)).count()),
            restarts: active.iter().map(|p| pods::restarts(p)).sum(),
            terminating,
            succeeded: if is_indexed(&spec) {
                count(done.len())
            } else {
                number(succeeded.len(), known.succeeded)
            },
            failed: number(failed.len(), known.failed),
            done,
            last_failure: row.iter().max().copied(),
            row: i64::try_from(row.len()).unwrap_or(i64::MAX),
            active,
        }
    }
}

pub(super) fn plan(job: &Job, count_: &Count, now: Timestamp) -> Plan {
    let spec = job.spec.clone().unwrap_or_default();
    let verdict = verdict(job, &spec, count_, now);
    match verdict {
        Verdict::Runs => {
            let (actions, pause) = pods_to_run(job, &spec, count_, now);
            Plan { actions, verdict, again: earliest(pause, deadline(job, &spec, now)) }
        }
        Verdict::Suspended | Verdict::Complete | Verdict::Failed { .. } => {
            let actions = count_.active.iter().map(|p| Action::Delete(Key::of(&p.metadata))).collect();
            Plan { actions, verdict, again: None }
        }
    }
}

fn verdict(job: &Job, spec: &JobSpec, count: &Count, now: Timestamp) -> Verdict {
    let limit = spec.backoff_limit.unwrap_or(6);
    let restarting =
        spec.template.spec.as_ref().and_then(|s| s.restart_policy.as_deref()) == Some("OnFailure");
    let too_many =
        count.failed > limit || (restarting && count.restarts > 0 && count.restarts >= limit.max(1));
    let known = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let target = known.into_iter().find(|c| c.type_ == "FailureTarget" && c.status == "True");
    if let Some(target) = target {
        let reason = match target.reason.as_deref() {
            Some("DeadlineExceeded") => "DeadlineExceeded",
            _ => "BackoffLimitExceeded",
        };
        return Verdict::Failed { reason, message: target.message.clone().unwrap_or_default() };
    }
    if is_complete(spec, count) {
        return Verdict::Complete;
    }
    if too_many {
        let message = "Job has reached the specified backoff limit".to_owned();
        return Verdict::Failed { reason: "BackoffLimitExceeded", message };
    }
    if spec.suspend == Some(true) {
        return Verdict::Suspended;
    }
    if deadline(job, spec, now).is_some_and(|left| left.is_zero()) {
        let message = "Job was active longer than specified deadline".to_owned();
        return Verdict::Failed { reason: "DeadlineExceeded", message };
    }
    Verdict::Runs
}

fn is_complete(spec: &JobSpec, count: &Count) -> bool {
    match spec.completions {
        Some(completions) => count.succeeded >= completions,
        None => count.succeeded > 0 && count.active.is_empty() && count.terminating == 0,
    }
}

/// The time left to the deadline, zero when it is over.
fn deadline(job: &Job, spec: &JobSpec, now: Timestamp) -> Option<Duration> {
    let seconds = spec.active_deadline_seconds?;
    let start = job.status.as_ref()?.start_time.as_ref()?.0;
    let left = (start + SignedDuration::from_secs(seconds)).duration_since(now);
    Some(Duration::try_from(left).unwrap_or_default())
}

fn earliest(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    a.into_iter().chain(b).min()
}

fn pods_to_run(job: &Job, spec: &JobSpec, state: &Count, now: Timestamp) -> (Vec<Action>, Option<Duration>) {
    let parallel = spec.parallelism.unwrap_or(1);
    let active = count(state.active.len());
    let wanted = match spec.completions {
        Some(completions) => (completions - state.succeeded).min(parallel),
        None if state.succeeded > 0 => active,
        None => parallel,
    };
    if active > wanted {
        let mut order = state.active.clone();
        order.sort_by(|a, b| pods::deletion_order(a, b));
        let surplus = usize::try_from(active - wanted).unwrap_or(0);
        let going = order.iter().take(surplus).map(|p| Action::Delete(Key::of(&p.metadata)));
        return (going.collect(), None);
    }
    let waits_for_end = spec.pod_replacement_policy.as_deref() == Some("Failed");
    let leaving = if waits_for_end { state.terminating } else { 0 };
    let missing = usize::try_from(wanted - active - leaving).unwrap_or(0);
    if missing == 0 {
        return (Vec::new(), None);
    }
    if let Some(pause) = pause(state, now) {
        return (Vec::new(), Some(pause));
    }
    let make = |index| Action::Create(Box::new(pod(job, spec, index)));
    if !is_indexed(spec) {
        return ((0..missing).map(|_| make(None)).collect(), None);
    }
    let running: BTreeSet<i32> = state.active.iter().filter_map(|p| index_of(p)).collect();
    let free = (0..spec.completions.unwrap_or(0)).filter(|i| !state.done.contains(i) && !running.contains(i));
    (free.take(missing).map(|i| make(Some(i))).collect(), None)
}

/// After failures the next pod waits, twice as long each time.
fn pause(state: &Count, now: Timestamp) -> Option<Duration> {
    let last = state.last_failure?;
    let doublings = u32::try_from(state.row - 1).unwrap_or(0).min(16);
    let seconds = FIRST_PAUSE.saturating_mul(1 << doublings).min(LAST_PAUSE);
    let left = (last + SignedDuration::from_secs(seconds)).duration_since(now);
    Duration::try_from(left).ok().filter(|d| !d.is_zero())
}

fn pod(job: &Job, spec: &JobSpec, index: Option<i32>) -> Pod {
    let namespace = meta::namespace(&job.metadata);
    let mut pod = pods::from_template(&spec.template, namespace, meta::controller_reference(job));
    let Some(index) = index else { return pod };
    let text = index.to_string();
    let name = format!("{}-{index}", meta::name(&job.metadata));
    pods::set_annotation(&mut pod.metadata, INDEX, &text);
    pods::set_label(&mut pod.metadata, INDEX, &text);
    pod.metadata.generate_name = Some(format!("{name}-"));
    let spec = pod.spec.get_or_insert_default();
    spec.hostname.get_or_insert(name);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let env = container.env.get_or_insert_default();
        if !env.iter().any(|e| e.name == "JOB_COMPLETION_INDEX") {
            env.push(index_variable());
        }
    }
    pod
}

fn index_variable() -> EnvVar {
    let field =
        ObjectFieldSelector { api_version: None, field_path: format!("metadata.annotations['{INDEX}']") };
    EnvVar {
        name: "JOB_COMPLETION_INDEX".to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        value: None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn job(spec: &Value) -> Job {
        let mut value = json!({
            "metadata": {"name": "sum", "namespace": "default", "uid": "j"},
            "spec": {"template": {"spec": {"containers": [{"name": "c"}], "restartPolicy": "Never"}}},
            "status": {"startTime": "2024-01-01T00:00:00Z"}
        });
        for (key, field) in spec.as_object().into_iter().flatten() {
            value["spec"][key] = field.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    pub(crate) fn pods(phases: &[(&str, i32)]) -> Vec<Arc<Pod>> {
        let made = phases.iter().enumerate().map(|(i, (phase, index))| {
            let mut pod = crate::pods::tests::pod(&format!("sum-{i}"), phase, false);
            pods::set_annotation(&mut pod.metadata, INDEX, &index.to_string());
            pod.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
                "2024-01-01T00:00:00Z".parse().unwrap(),
            ));
            Arc::new(pod)
        });
        made.collect()
    }

    fn told(spec: &Value, phases: &[(&str, i32)], seconds: i64) -> (Vec<String>, Verdict, Option<u64>) {
        let job = job(spec);
        let now: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let plan = plan(&job, &Count::new(&job, &pods(phases)), now + SignedDuration::from_secs(seconds));
        let words = plan.actions.into_iter().map(|action| match action {
            Action::Create(pod) => {
                format!("create {}", index_of(&pod).map_or("any".to_owned(), |i| i.to_string()))
            }
            Action::Delete(key) => format!("delete {}", key.name),
        });
        (words.collect(), plan.verdict, plan.again.map(|d| d.as_secs()))
    }

    #[test]
    fn pods_run_in_parallel_until_enough_succeeded() {
        let spec = json!({"completions": 3, "parallelism": 2});
        let create = || vec!["create any".to_owned(); 2];
        assert_eq!(told(&spec, &[], 0), (create(), Verdict::Runs, None));
        assert_eq!(told(&spec, &[("Succeeded", 0), ("Succeeded", 0)], 0).0, ["create any"]);
        let all = [("Succeeded", 0), ("Succeeded", 0), ("Succeeded", 0)];
        assert_eq!(told(&spec, &all, 0).1, Verdict::Complete);
    }

    #[test]
    fn failures_make_it_wait_and_then_give_up() {
        let spec = json!({"completions": 1, "parallelism": 1, "backoffLimit": 2});
        let failed = [("Failed", 0), ("Failed", 0)];
        assert_eq!(told(&spec, &failed, 5), (vec![], Verdict::Runs, Some(15)));
        assert_eq!(told(&spec, &failed, 20).0, ["create any"]);
        let given_up = told(&spec, &[("Failed", 0), ("Failed", 0), ("Failed", 0)], 60).1;
        assert!(matches!(given_up, Verdict::Failed { reason: "BackoffLimitExceeded", .. }));
    }

    #[test]
    fn indexes_run_once_each() {
        let spec = json!({"completions": 3, "parallelism": 3, "completionMode": "Indexed"});
        assert_eq!(told(&spec, &[("Succeeded", 1), ("Running", 0)], 0).0, ["create 2"]);
        let two_of_one = [("Succeeded", 1), ("Succeeded", 1), ("Succeeded", 0)];
        assert_eq!(told(&spec, &two_of_one, 0).1, Verdict::Runs);
    }

    #[test]
    fn deadline_and_suspension_stop_the_pods() {
        let running = [("Running", 0)];
        let spec = json!({"completions": 1, "parallelism": 1, "activeDeadlineSeconds": 30});
        assert_eq!(told(&spec, &running, 10), (vec![], Verdict::Runs, Some(20)));
        let (actions, verdict, _) = told(&spec, &running, 30);
        assert_eq!(actions, ["delete sum-0"]);
        assert!(matches!(verdict, Verdict::Failed { reason: "DeadlineExceeded", .. }));
        let suspended = told(&json!({"completions": 1, "parallelism": 1, "suspend": true}), &running, 0);
        assert_eq!((suspended.0, suspended.1), (vec!["delete sum-0".to_owned()], Verdict::Suspended));
    }
}

//! The status of a job and its conditions.

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus, UncountedTerminatedPods};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::index;
use super::plan::{Count, Verdict, is_indexed};
use crate::numbers::{count, nonzero};

/// When the job ended, if it did.
pub(crate) fn end(job: &Job) -> Option<Timestamp> {
    let status = job.status.as_ref()?;
    let ended = |c: &&JobCondition| matches!(c.type_.as_str(), "Complete" | "Failed") && c.status == "True";
    let condition = status.conditions.iter().flatten().find(ended)?;
    condition.last_transition_time.as_ref().or(status.completion_time.as_ref()).map(|t| t.0)
}

type News = Vec<(&'static str, String)>;

/// The new status, and what it is worth telling.
pub(super) fn status(job: &Job, state: &Count, verdict: Verdict, now: Timestamp) -> (JobStatus, News) {
    let spec = job.spec.clone().unwrap_or_default();
    let old = job.status.clone().unwrap_or_default();
    let mut status = JobStatus {
        active: nonzero(count(state.active.len())),
        ready: Some(state.ready),
        terminating: Some(state.terminating),
        succeeded: nonzero(state.succeeded),
        failed: nonzero(state.failed),
        start_time: old.start_time,
        completion_time: old.completion_time,
        completed_indexes: is_indexed(&spec).then(|| index::write(&state.done)).filter(|t| !t.is_empty()),
        failed_indexes: old.failed_indexes,
        conditions: old.conditions,
        uncounted_terminated_pods: Some(UncountedTerminatedPods::default()),
    };
    let mut news = News::new();
    let mut conditions = status.conditions.take().unwrap_or_default();
    let stopped = state.active.is_empty() && state.terminating == 0;
    match verdict {
        Verdict::Runs => {
            status.start_time.get_or_insert(Time(now));
            let known = conditions.iter_mut().find(|c| c.type_ == "Suspended" && c.status == "True");
            if let Some(suspended) = known {
                *suspended = condition("Suspended", "False", "JobResumed", "Job resumed", now);
                status.start_time = Some(Time(now));
                news.push(("Resumed", "Job resumed".to_owned()));
            }
        }
        Verdict::Suspended => {
            status.start_time = None;
            if set(&mut conditions, condition("Suspended", "True", "JobSuspended", "Job suspended", now)) {
                news.push(("Suspended", "Job suspended".to_owned()));
            }
        }
        Verdict::Complete => {
            let message = "Reached expected number of succeeded pods";
            set(&mut conditions, condition("SuccessCriteriaMet", "True", "CompletionsReached", message, now));
            if stopped {
                set(&mut conditions, condition("Complete", "True", "CompletionsReached", message, now));
                status.completion_time = Some(Time(now));
                news.push(("Completed", "Job completed".to_owned()));
            }
        }
        Verdict::Failed { reason, message } => {
            set(&mut conditions, condition("FailureTarget", "True", reason, &message, now));
            if stopped {
                set(&mut conditions, condition("Failed", "True", reason, &message, now));
                news.push((reason, message));
            }
        }
    }
    status.conditions = (!conditions.is_empty()).then_some(conditions);
    (status, news)
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> JobCondition {
    JobCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

/// Sets the condition; tells whether that changed something.
fn set(conditions: &mut Vec<JobCondition>, new: JobCondition) -> bool {
    match conditions.iter_mut().find(|c| c.type_ == new.type_) {
        Some(known) if known.status == new.status => false,
        Some(known) => {
            *known = new;
            true
        }
        None => {
            conditions.push(new);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::plan::tests::{job, pods};
    use super::*;

    #[test]
    fn a_job_is_complete_when_its_pods_are_gone() {
        let job = job(&json!({"completions": 1}));
        let kinds = |phases: &[(&str, i32)]| {
            let (status, _) =
                status(&job, &Count::new(&job, &pods(phases)), Verdict::Complete, Timestamp::now());
            status.conditions.unwrap().into_iter().map(|c| c.type_).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&[("Succeeded", 0), ("Running", 0)]), ["SuccessCriteriaMet"]);
        assert_eq!(kinds(&[("Succeeded", 0)]), ["SuccessCriteriaMet", "Complete"]);
    }

    #[test]
    fn resuming_starts_the_clock_anew() {
        let mut job = job(&json!({"completions": 1, "suspend": true}));
        let count = Count::new(&job, &[]);
        let (suspended, _) = status(&job, &count, Verdict::Suspended, Timestamp::now());
        assert_eq!(suspended.start_time, None);
        job.status = Some(suspended);
        let (resumed, news) = status(&job, &count, Verdict::Runs, Timestamp::now());
        assert!(resumed.start_time.is_some());
        assert_eq!(news[0].0, "Resumed");
    }
}

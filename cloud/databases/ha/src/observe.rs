//! Reads pods: what their objects say of an engine, without having asked it.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use sealos_db_engines::names::ROLE;

use crate::HOLD;
use crate::seen::{Answer, Life, PodSeen};

/// What one pod's object says.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// All but the answer, which the object does not have.
    pub seen: PodSeen,
    /// The engine's container.
    pub container: String,
    /// Which run of it this is, while it runs.
    pub incarnation: Option<String>,
    /// The position the pod was last annotated with.
    pub position: Option<String>,
}

/// Reads a pod of a workload; `None` if it is not one of those the workload numbers.
pub(crate) fn read(workload: &str, pod: &Pod, now: Timestamp) -> Option<Facts> {
    let ordinal = pod.name_any().strip_prefix(workload)?.strip_prefix('-')?.parse().ok()?;
    let container = pod.spec.as_ref()?.containers.first()?.name.clone();
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref());
    let status = statuses.unwrap_or_default().iter().find(|status| status.name == container);
    let life = life(pod, status, now);
    let state = status.and_then(|status| status.state.as_ref());
    let running = state.and_then(|state| state.running.as_ref()).filter(|_| life == Life::Running);
    let last =
        status.and_then(|status| status.last_state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    let seen = PodSeen {
        uid: pod.uid().unwrap_or_default(),
        ordinal,
        life,
        held: pod.finalizers().iter().any(|name| name == HOLD),
        ready: is_ready(pod),
        up: running
            .and_then(|running| running.started_at.as_ref())
            .map_or(Duration::ZERO, |at| since(at, now)),
        restarted: last.map(|at| since(at, now)),
        answer: Answer::Unknown,
        label: pod.labels().get(ROLE).cloned(),
    };
    let incarnation = running.and(status).map(|status| {
        let id = status.container_id.clone().unwrap_or_default();
        format!("{id}#{}", status.restart_count)
    });
    let position = pod.annotations().get(crate::POSITION).cloned();
    Some(Facts { seen, container, incarnation, position })
}

fn life(pod: &Pod, engine: Option<&ContainerStatus>, now: Timestamp) -> Life {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
    let over = matches!(phase, "Succeeded" | "Failed");
    if let Some(deadline) = &pod.metadata.deletion_timestamp {
        let scheduled = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
        // The node writes a final phase only when the last container has ended, and starts none after it.
        if over || !scheduled {
            return Life::Dead;
        }
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
        let left = deadline.0.duration_since(now).as_secs_f64();
        let asked = Duration::try_from_secs_f64(grace as f64 - left).unwrap_or_default();
        return Life::Ending { asked, grace };
    }
    let Some(state) = engine.and_then(|engine| engine.state.as_ref()) else { return Life::Starting };
    let ran =
        engine.and_then(|engine| engine.last_state.as_ref()).is_some_and(|last| last.terminated.is_some());
    match (&state.running, &state.terminated) {
        _ if over => Life::Ended,
        (Some(_), _) => Life::Running,
        (_, Some(_)) => Life::Ended,
        _ if ran => Life::Ended,
        _ => Life::Starting,
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref());
    conditions.unwrap_or_default().iter().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn since(at: &Time, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at.0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(meta: Value, status: Value, life: Life, restarted: Option<u64>) {
        let mut metadata = json!({"name": "pg-pg-0", "uid": "u"});
        for (key, value) in meta.as_object().unwrap() {
            metadata[key] = value.clone();
        }
        let pod = json!({"metadata": metadata, "status": status,
            "spec": {"nodeName": "n", "containers": [{"name": "engine"}, {"name": "side"}]}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let facts = read("pg-pg", &pod, now).unwrap();
        assert_eq!(facts.seen.life, life);
        assert_eq!(facts.seen.restarted, restarted.map(Duration::from_secs));
        assert_eq!(facts.incarnation.is_some(), life == Life::Running);
    }

    #[test]
    fn lives_are_read_from_objects() {
        let with = |state: Value| {
            json!({"phase": "Running", "containerStatuses": [
            {"name": "side", "state": {"running": {}}, "image": "", "imageID": "", "ready": true, "restartCount": 0},
            {"name": "engine", "state": state["state"], "lastState": state["last"],
             "image": "", "imageID": "", "ready": true, "restartCount": 1}]})
        };
        let running = json!({"state": {"running": {"startedAt": "2026-01-01T00:00:55Z"}},
            "last": {"terminated": {"exitCode": 137, "finishedAt": "2026-01-01T00:00:50Z"}}});
        let ended = json!({"state": {"terminated": {"exitCode": 137}}});
        let waits = json!({"state": {"waiting": {}},
            "last": {"terminated": {"exitCode": 137, "finishedAt": "2026-01-01T00:00:50Z"}}});
        check(json!({}), json!({}), Life::Starting, None);
        check(json!({}), with(json!({"state": {"waiting": {}}})), Life::Starting, None);
        check(json!({}), with(running.clone()), Life::Running, Some(10));
        check(json!({}), with(ended.clone()), Life::Ended, None);
        check(json!({}), with(waits), Life::Ended, Some(10));
        let deleted = json!({"deletionTimestamp": "2026-01-01T00:01:20Z", "deletionGracePeriodSeconds": 30});
        let ending = Life::Ending { asked: Duration::from_secs(10), grace: 30 };
        check(deleted.clone(), with(running), ending, Some(10));
        // An ended container proves nothing: the node may be starting it again in this moment.
        check(deleted.clone(), with(ended), ending, None);
        check(deleted, json!({"phase": "Failed"}), Life::Dead, None);
    }

    #[test]
    fn pods_of_other_workloads_are_none_of_ours() {
        let now = Timestamp::UNIX_EPOCH;
        for name in ["pg-pg", "pg-pg-x", "pg-pg2-0", "other-0"] {
            let pod = json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c"}]}});
            assert!(read("pg-pg", &serde_json::from_value(pod).unwrap(), now).is_none(), "{name}");
        }
    }
}

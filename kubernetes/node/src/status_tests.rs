//! Phases and conditions for the situations a pod can be in.

use super::*;
use crate::state::{running, terminated, waiting};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated};
use serde_json::json;

fn end(code: i32) -> ContainerState {
    terminated(ContainerStateTerminated { exit_code: code, ..ContainerStateTerminated::default() })
}

fn status(name: &str, state: ContainerState, last: Option<ContainerState>) -> ContainerStatus {
    let up = state.running.is_some();
    ContainerStatus {
        name: name.into(),
        ready: up,
        started: Some(up),
        state: Some(state),
        last_state: last,
        ..ContainerStatus::default()
    }
}

fn pod(policy: &str, init: &[&str], main: &[&str]) -> Pod {
    let list = |names: &[&str]| names.iter().map(|n| json!({"name": n, "image": "x"})).collect::<Vec<_>>();
    serde_json::from_value(json!({
        "metadata": {"name": "p", "generation": 3},
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(main)},
    }))
    .unwrap()
}

#[track_caller]
fn check(policy: &str, containers: Vec<ContainerState>, expected: &str) {
    let names: Vec<String> = (0..containers.len()).map(|i| format!("c{i}")).collect();
    let refs: Vec<&str> = names.iter().map(String::as_str).collect();
    let pod = pod(policy, &[], &refs);
    let state = PodState {
        main: refs.iter().zip(containers).map(|(n, c)| status(n, c, None)).collect(),
        ..PodState::default()
    };
    assert_eq!(phase_of(pod.spec.as_ref().unwrap(), &state), expected);
}

#[test]
fn phases_follow_the_restart_policy() {
    let now = Timestamp::UNIX_EPOCH;
    check("Always", vec![running(now), running(now)], "Running");
    check("Always", vec![running(now), waiting("ErrImagePull", None)], "Pending");
    check("Always", vec![end(0)], "Running");
    check("Never", vec![end(0), end(1)], "Failed");
    check("Never", vec![end(0), end(0)], "Succeeded");
    check("OnFailure", vec![end(0), end(1)], "Running");
    check("OnFailure", vec![end(0), end(0)], "Succeeded");
    check("Never", vec![running(now), end(1)], "Running");
}

#[test]
fn a_crash_loop_is_running() {
    let pod = pod("Always", &[], &["a"]);
    let state = PodState {
        main: vec![status("a", waiting("CrashLoopBackOff", None), Some(end(1)))],
        ..PodState::default()
    };
    assert_eq!(phase_of(pod.spec.as_ref().unwrap(), &state), "Running");
}

#[test]
fn a_pod_that_is_over_has_a_final_phase() {
    let pod = pod("Always", &[], &["a", "b"]);
    let phase = |codes: [i32; 2]| {
        let main = ["a", "b"].iter().zip(codes).map(|(name, code)| status(name, end(code), None)).collect();
        phase_of(pod.spec.as_ref().unwrap(), &PodState { main, over: true, ..PodState::default() })
    };
    assert_eq!(phase([0, 0]), "Succeeded");
    assert_eq!(phase([0, 143]), "Failed");
}

#[test]
fn running_containers_are_recalled_as_they_were() {
    let mut pod = pod("Always", &["i"], &["a", "b"]);
    let now = Timestamp::UNIX_EPOCH;
    let known = |name: &str, id: &str| ContainerStatus {
        container_id: Some(id.into()),
        ..status(name, running(now), None)
    };
    let old = PodState {
        prepared: true,
        ip: Some(Ipv4Addr::new(10, 1, 0, 2)),
        init: vec![status("i", end(0), None)],
        main: vec![known("a", "x://1"), known("b", "x://2")],
        ..PodState::default()
    };
    pod.status = Some(compute(&pod, &old, Ipv4Addr::LOCALHOST, now));
    let mut state = PodState::new(&pod);
    state.recall(&pod, &["x://1".into(), "x://2".into()]);
    assert_eq!(state, old);
    let mut state = PodState::new(&pod);
    state.recall(&pod, &["x://1".into()]);
    assert!(is_running(&state.main[0]) && !is_running(&state.main[1]));
    let mut state = PodState::new(&pod);
    state.recall(&pod, &[]);
    assert!(!state.prepared && ended(&state.init[0]).is_none());
}

#[test]
fn init_containers_hold_the_pod_back() {
    let pod = pod("Never", &["i"], &["a"]);
    let spec = pod.spec.as_ref().unwrap();
    let with = |init: ContainerState| PodState {
        init: vec![status("i", init, None)],
        main: vec![status("a", waiting("PodInitializing", None), None)],
        ..PodState::default()
    };
    assert_eq!(phase_of(spec, &with(running(Timestamp::UNIX_EPOCH))), "Pending");
    assert_eq!(phase_of(spec, &with(end(0))), "Pending");
    assert_eq!(phase_of(spec, &with(end(2))), "Failed");
    let status = compute(&pod, &with(end(2)), Ipv4Addr::LOCALHOST, Timestamp::UNIX_EPOCH);
    let conditions = status.conditions.unwrap();
    let initialized = conditions.iter().find(|c| c.type_ == "Initialized").unwrap();
    assert_eq!(initialized.status, "False");
    assert_eq!(initialized.message.as_deref(), Some("containers with incomplete status: [i]"));
}

#[test]
fn conditions_keep_their_transition_times() {
    let mut pod = pod("Always", &[], &["a"]);
    let early = Timestamp::UNIX_EPOCH;
    let late: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut state =
        PodState { prepared: true, main: vec![status("a", running(early), None)], ..PodState::default() };
    pod.status = Some(compute(&pod, &state, Ipv4Addr::LOCALHOST, early));
    state.main[0].ready = false;
    let next = compute(&pod, &state, Ipv4Addr::LOCALHOST, late).conditions.unwrap();
    let time = |name: &str| next.iter().find(|c| c.type_ == name).unwrap().last_transition_time.clone();
    assert_eq!(time("Initialized"), Some(Time(early)));
    assert_eq!(time("Ready"), Some(Time(late)));
    let ready = next.iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!(ready.message.as_deref(), Some("containers with unready status: [a]"));
    assert_eq!(ready.observed_generation, Some(3));
}

#[test]
fn readiness_gates_must_be_true() {
    let mut pod = pod("Always", &[], &["a"]);
    pod.spec.as_mut().unwrap().readiness_gates =
        serde_json::from_value(json!([{"conditionType": "example.com/ok"}])).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let state = PodState { main: vec![status("a", running(now), None)], ..PodState::default() };
    let ready = |pod: &Pod| {
        let conditions = compute(pod, &state, Ipv4Addr::LOCALHOST, now).conditions.unwrap();
        conditions.into_iter().find(|c| c.type_ == "Ready").unwrap().status
    };
    assert_eq!(ready(&pod), "False");
    pod.status = serde_json::from_value(json!({
        "conditions": [{"type": "example.com/ok", "status": "True"}],
    }))
    .unwrap();
    assert_eq!(ready(&pod), "True");
}

#[test]
fn qos_classes() {
    let class = |resources: serde_json::Value| {
        let spec: PodSpec =
            serde_json::from_value(json!({"containers": [{"name": "a", "resources": resources}]})).unwrap();
        qos_class(&spec)
    };
    assert_eq!(class(json!({})), "BestEffort");
    assert_eq!(class(json!({"requests": {"cpu": "1"}})), "Burstable");
    assert_eq!(class(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
    assert_eq!(
        class(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})),
        "Burstable"
    );
}

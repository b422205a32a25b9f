//! Pods, nodes, namespaces, events.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Printer;
use super::cells::{age, human, name, number, or, since};
use crate::value::{at, flag, int, list, text};

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    Some(match (group, kind) {
        ("", "Pod") => Printer { columns: POD, cells: pod },
        ("", "Node") => Printer { columns: NODE, cells: node },
        ("", "Namespace") => Printer {
            columns: &["Name", "Status", "Age"],
            cells: |o, now| vec![name(o), text(o, &["status", "phase"]).into(), age(o, now)],
        },
        ("", "Event") => Printer { columns: EVENT, cells: event },
        ("events.k8s.io", "Event") => Printer {
            columns: EVENT,
            cells: |o, now| event(&crate::meta::convert(o.clone(), ("", "v1")), now),
        },
        _ => return None,
    })
}

const POD: &[&str] =
    &["Name", "Ready", "Status", "Restarts", "Age", "+IP", "+Node", "+Nominated Node", "+Readiness Gates"];

fn pod(object: &Value, now: Timestamp) -> Vec<Value> {
    let summary = Summary::of(object);
    let restarts = match summary.last_restart {
        Some(last) if summary.restarts > 0 => {
            format!("{} ({} ago)", summary.restarts, human(now.as_second() - last.as_second()))
        }
        _ => summary.restarts.to_string(),
    };
    vec![
        name(object),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.into(),
        restarts.into(),
        age(object, now),
        or(object, &["status", "podIP"], "<none>"),
        or(object, &["spec", "nodeName"], "<none>"),
        or(object, &["status", "nominatedNodeName"], "<none>"),
        gates(object),
    ]
}

fn gates(object: &Value) -> Value {
    let gates = list(object, &["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".into();
    }
    let met =
        gates.iter().filter(|gate| condition(object, text(gate, &["conditionType"])) == Some("True")).count();
    format!("{met}/{}", gates.len()).into()
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    let found = list(object, &["status", "conditions"]).iter().find(|c| text(c, &["type"]) == kind)?;
    Some(text(found, &["status"]))
}

/// What the READY, STATUS and RESTARTS columns say about a pod.
struct Summary {
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let sidecars = list(pod, &["spec", "initContainers"]).iter().filter(|c| is_sidecar(c)).count();
        let mut summary = Self {
            reason: first(&[text(pod, &["status", "reason"]), text(pod, &["status", "phase"])]).to_owned(),
            ready: 0,
            total: list(pod, &["spec", "containers"]).len() + sidecars,
            restarts: 0,
            last_restart: None,
        };
        if list(pod, &["status", "conditions"])
            .iter()
            .any(|c| text(c, &["type"]) == "PodScheduled" && text(c, &["reason"]) == "SchedulingGated")
        {
            summary.reason = "SchedulingGated".to_owned();
        }
        let waiting = summary.init_containers(pod);
        if !waiting || condition(pod, "Initialized") == Some("True") {
            summary.containers(pod);
        }
        summary.deletion(pod);
        summary
    }

    fn deletion(&mut self, pod: &Value) {
        if at(pod, &["metadata", "deletionTimestamp"]).is_none() {
            return;
        }
        if text(pod, &["status", "reason"]) == "NodeLost" {
            self.reason = "Unknown".to_owned();
        } else if !matches!(text(pod, &["status", "phase"]), "Failed" | "Succeeded") {
            self.reason = "Terminating".to_owned();
        }
    }

    /// Whether the pod is still at its init containers.
    fn init_containers(&mut self, pod: &Value) -> bool {
        let specs = list(pod, &["spec", "initContainers"]);
        let statuses = list(pod, &["status", "initContainerStatuses"]);
        for (index, status) in statuses.iter().enumerate() {
            self.count_restarts(status);
            let spec = specs.iter().find(|spec| text(spec, &["name"]) == text(status, &["name"]));
            let sidecar = spec.is_some_and(is_sidecar);
            let state = status.get("state").unwrap_or(&Value::Null);
            if int(state, &["terminated", "exitCode"]) == Some(0) {
                continue;
            }
            if sidecar && flag(status, &["started"]) {
                self.ready += usize::from(flag(status, &["ready"]));
                continue;
            }
            self.reason = match (state.get("terminated"), text(state, &["waiting", "reason"])) {
                (Some(ended), _) => format!("Init:{}", ending(ended)),
                (None, waiting) if !waiting.is_empty() && waiting != "PodInitializing" => {
                    format!("Init:{waiting}")
                }
                _ => format!("Init:{index}/{}", specs.len()),
            };
            return true;
        }
        false
    }

    /// Once the pod runs, restarts of init containers no longer count, except those of sidecars.
    fn containers(&mut self, pod: &Value) {
        (self.restarts, self.last_restart) = (0, None);
        let specs = list(pod, &["spec", "initContainers"]);
        for status in list(pod, &["status", "initContainerStatuses"]) {
            let sidecar =
                |spec: &&Value| text(spec, &["name"]) == text(status, &["name"]) && is_sidecar(spec);
            if specs.iter().any(|spec| sidecar(&spec)) {
                self.count_restarts(status);
            }
        }
        let mut running = false;
        for status in list(pod, &["status", "containerStatuses"]).iter().rev() {
            self.count_restarts(status);
            let state = status.get("state").unwrap_or(&Value::Null);
            let waiting = text(state, &["waiting", "reason"]);
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if let Some(ended) = state.get("terminated") {
                self.reason = ending(ended);
            } else if flag(status, &["ready"]) && state.get("running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = condition(pod, "Ready") == Some("True");
            self.reason = if ready { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += int(status, &["restartCount"]).unwrap_or(0);
        let ended = text(status, &["lastState", "terminated", "finishedAt"]);
        if let Ok(ended) = ended.parse::<Timestamp>() {
            self.last_restart = self.last_restart.max(Some(ended));
        }
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, &["restartPolicy"]) == "Always"
}

/// Why a container ended: a reason, a signal or an exit code.
fn ending(ended: &Value) -> String {
    match (text(ended, &["reason"]), int(ended, &["signal"]).unwrap_or(0)) {
        ("", 0) => format!("ExitCode:{}", int(ended, &["exitCode"]).unwrap_or(0)),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn first<'a>(options: &[&'a str]) -> &'a str {
    options.iter().copied().find(|option| !option.is_empty()).unwrap_or_default()
}

const NODE: &[&str] = &[
    "Name",
    "Status",
    "Roles",
    "Age",
    "Version",
    "+Internal-IP",
    "+External-IP",
    "+OS-Image",
    "+Kernel-Version",
    "+Container-Runtime",
];

fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut status = match condition(object, "Ready") {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".to_owned(),
        None => "Unknown".to_owned(),
    };
    if flag(object, &["spec", "unschedulable"]) {
        status.push_str(",SchedulingDisabled");
    }
    let info = |key: &str| or(object, &["status", "nodeInfo", key], "<unknown>");
    vec![
        name(object),
        status.into(),
        roles(crate::value::map(object, &["metadata", "labels"])),
        age(object, now),
        text(object, &["status", "nodeInfo", "kubeletVersion"]).into(),
        address(object, "InternalIP"),
        address(object, "ExternalIP"),
        info("osImage"),
        info("kernelVersion"),
        info("containerRuntimeVersion"),
    ]
}

fn roles(labels: Option<&Map<String, Value>>) -> Value {
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) if !role.is_empty() => Some(role),
            _ if key == "kubernetes.io/role" => value.as_str().filter(|role| !role.is_empty()),
            _ => None,
        })
        .collect();
    roles.sort_unstable();
    if roles.is_empty() { "<none>".into() } else { roles.join(",").into() }
}

fn address(node: &Value, kind: &str) -> Value {
    let found = list(node, &["status", "addresses"]).iter().find(|a| text(a, &["type"]) == kind);
    found.map_or("<none>", |address| text(address, &["address"])).into()
}

const EVENT: &[&str] = &[
    "Last Seen",
    "Type",
    "Reason",
    "Object",
    "+Subobject",
    "+Source",
    "Message",
    "+First Seen",
    "+Count",
    "+Name",
];

fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    let first_seen = match text(object, &["firstTimestamp"]) {
        "" => since(object, &["eventTime"], now),
        _ => since(object, &["firstTimestamp"], now),
    };
    let last_seen = match (object.get("series"), text(object, &["lastTimestamp"])) {
        (Some(series), _) if series.is_object() => since(object, &["series", "lastObservedTime"], now),
        (_, "") => first_seen.clone(),
        _ => since(object, &["lastTimestamp"], now),
    };
    let count =
        int(object, &["series", "count"]).or_else(|| int(object, &["count"])).filter(|count| *count > 0);
    vec![
        last_seen.into(),
        text(object, &["type"]).into(),
        text(object, &["reason"]).into(),
        format!(
            "{}/{}",
            text(object, &["involvedObject", "kind"]).to_lowercase(),
            text(object, &["involvedObject", "name"])
        )
        .into(),
        text(object, &["involvedObject", "fieldPath"]).into(),
        source(object).into(),
        text(object, &["message"]).trim().into(),
        first_seen.into(),
        count.map_or_else(|| number(object, &["count"]), Value::from),
        name(object),
    ]
}

fn source(event: &Value) -> String {
    let component = first(&[text(event, &["source", "component"]), text(event, &["reportingComponent"])]);
    let host = first(&[text(event, &["source", "host"]), text(event, &["reportingInstance"])]);
    if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") }
}

//! Deployments and their like, jobs, autoscalers.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Printer;
use super::cells::{age, containers, human, join, labels, name, number, or, plain, selector, since};
use crate::value::{at, flag, int, list, map, text};

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    Some(match (group, kind) {
        ("apps", "Deployment") => Printer {
            columns: &[
                "Name",
                "Ready",
                "Up-to-date",
                "Available",
                "Age",
                "+Containers",
                "+Images",
                "+Selector",
            ],
            cells: deployment,
        },
        ("apps", "ReplicaSet") | ("", "ReplicationController") => Printer {
            columns: &["Name", "Desired", "Current", "Ready", "Age", "+Containers", "+Images", "+Selector"],
            cells: replica_set,
        },
        ("apps", "StatefulSet") => {
            Printer { columns: &["Name", "Ready", "Age", "+Containers", "+Images"], cells: stateful_set }
        }
        ("apps", "DaemonSet") => Printer { columns: DAEMON_SET, cells: daemon_set },
        ("batch", "Job") => Printer {
            columns: &[
                "Name",
                "Status",
                "Completions",
                "Duration",
                "Age",
                "+Containers",
                "+Images",
                "+Selector",
            ],
            cells: job,
        },
        ("batch", "CronJob") => Printer { columns: CRON_JOB, cells: cron_job },
        ("apps", "ControllerRevision") => {
            Printer { columns: &["Name", "Controller", "Revision", "Age"], cells: revision }
        }
        ("autoscaling", _) => Printer {
            columns: &["Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"],
            cells: autoscaler,
        },
        ("", "PodTemplate") => {
            Printer { columns: &["Name", "Containers", "Images", "Pod Labels"], cells: pod_template }
        }
        _ => return None,
    })
}

/// `ready/wanted`.
fn fraction(object: &Value, ready: &[&str], wanted: &[&str]) -> Value {
    format!("{}/{}", int(object, ready).unwrap_or(0), int(object, wanted).unwrap_or(0)).into()
}

fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(object);
    vec![
        name(object),
        fraction(object, &["status", "readyReplicas"], &["spec", "replicas"]),
        number(object, &["status", "updatedReplicas"]),
        number(object, &["status", "availableReplicas"]),
        age(object, now),
        names,
        images,
        selector(object, &["spec", "selector"]),
    ]
}

fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(object);
    let plain_map = text(object, &["kind"]) == "ReplicationController";
    vec![
        name(object),
        number(object, &["spec", "replicas"]),
        number(object, &["status", "replicas"]),
        number(object, &["status", "readyReplicas"]),
        age(object, now),
        names,
        images,
        if plain_map {
            labels(map(object, &["spec", "selector"]))
        } else {
            selector(object, &["spec", "selector"])
        },
    ]
}

fn stateful_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(object);
    let ready = fraction(object, &["status", "readyReplicas"], &["spec", "replicas"]);
    vec![name(object), ready, age(object, now), names, images]
}

const DAEMON_SET: &[&str] = &[
    "Name",
    "Desired",
    "Current",
    "Ready",
    "Up-to-date",
    "Available",
    "Node Selector",
    "Age",
    "+Containers",
    "+Images",
    "+Selector",
];

fn daemon_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(object);
    vec![
        name(object),
        number(object, &["status", "desiredNumberScheduled"]),
        number(object, &["status", "currentNumberScheduled"]),
        number(object, &["status", "numberReady"]),
        number(object, &["status", "updatedNumberScheduled"]),
        number(object, &["status", "numberAvailable"]),
        labels(map(object, &["spec", "template", "spec", "nodeSelector"])),
        age(object, now),
        names,
        images,
        selector(object, &["spec", "selector"]),
    ]
}

fn job(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(object);
    vec![
        name(object),
        job_status(object).into(),
        completions(object).into(),
        duration(object, now).into(),
        age(object, now),
        names,
        images,
        selector(object, &["spec", "selector"]),
    ]
}

fn job_status(job: &Value) -> &'static str {
    let has = |kind: &str| {
        list(job, &["status", "conditions"])
            .iter()
            .any(|c| text(c, &["type"]) == kind && text(c, &["status"]) == "True")
    };
    match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if at(job, &["metadata", "deletionTimestamp"]).is_some() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let done = int(job, &["status", "succeeded"]).unwrap_or(0);
    match (int(job, &["spec", "completions"]), int(job, &["spec", "parallelism"])) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, Some(parallel)) if parallel > 1 => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let time = |key: &str| text(job, &["status", key]).parse::<Timestamp>().ok();
    match (time("startTime"), time("completionTime")) {
        (Some(start), Some(end)) => human(end.as_second() - start.as_second()),
        (Some(start), None) => human(now.as_second() - start.as_second()),
        (None, _) => String::new(),
    }
}

const CRON_JOB: &[&str] = &[
    "Name",
    "Schedule",
    "Timezone",
    "Suspend",
    "Active",
    "Last Schedule",
    "Age",
    "+Containers",
    "+Images",
    "+Selector",
];

fn cron_job(object: &Value, now: Timestamp) -> Vec<Value> {
    let last = match at(object, &["status", "lastScheduleTime"]) {
        Some(_) => since(object, &["status", "lastScheduleTime"], now),
        None => "<none>".to_owned(),
    };
    let pods = list(object, &["spec", "jobTemplate", "spec", "template", "spec", "containers"]);
    vec![
        name(object),
        text(object, &["spec", "schedule"]).into(),
        or(object, &["spec", "timeZone"], "<none>"),
        if flag(object, &["spec", "suspend"]) { "True" } else { "False" }.into(),
        list(object, &["status", "active"]).len().into(),
        last.into(),
        age(object, now),
        join(pods, "name").into(),
        join(pods, "image").into(),
        selector(object, &["spec", "jobTemplate", "spec", "selector"]),
    ]
}

fn revision(object: &Value, now: Timestamp) -> Vec<Value> {
    let owner = list(object, &["metadata", "ownerReferences"]).iter().find(|o| flag(o, &["controller"]));
    let owner = match owner {
        Some(owner) => {
            let group = text(owner, &["apiVersion"]).split_once('/').map(|(group, _)| format!(".{group}"));
            let kind = text(owner, &["kind"]).to_lowercase();
            format!("{kind}{}/{}", group.unwrap_or_default(), text(owner, &["name"]))
        }
        None => "<none>".to_owned(),
    };
    vec![name(object), owner.into(), number(object, &["revision"]), age(object, now)]
}

fn pod_template(object: &Value, _now: Timestamp) -> Vec<Value> {
    let pods = list(object, &["template", "spec", "containers"]);
    let shown = labels(map(object, &["template", "metadata", "labels"]));
    vec![name(object), join(pods, "name").into(), join(pods, "image").into(), shown]
}

fn autoscaler(object: &Value, now: Timestamp) -> Vec<Value> {
    let reference = format!(
        "{}/{}",
        text(object, &["spec", "scaleTargetRef", "kind"]),
        text(object, &["spec", "scaleTargetRef", "name"])
    );
    let minimum =
        int(object, &["spec", "minReplicas"]).map_or_else(|| "<unset>".to_owned(), |n| n.to_string());
    vec![
        name(object),
        reference.into(),
        targets(object).into(),
        minimum.into(),
        number(object, &["spec", "maxReplicas"]),
        number(object, &["status", "currentReplicas"]),
        age(object, now),
    ]
}

fn targets(object: &Value) -> String {
    if let Some(percent) = int(object, &["spec", "targetCPUUtilizationPercentage"]) {
        let current = at(object, &["status", "currentCPUUtilizationPercentage"]).map(plain);
        return format!(
            "cpu: {}/{percent}%",
            current.map_or_else(|| "<unknown>".to_owned(), |c| format!("{c}%"))
        );
    }
    let metrics = list(object, &["spec", "metrics"]);
    let current = list(object, &["status", "currentMetrics"]);
    let shown: Vec<String> = metrics
        .iter()
        .enumerate()
        .take(2)
        .map(|(index, metric)| target(metric, current.get(index).unwrap_or(&Value::Null)))
        .collect();
    match metrics.len() {
        0 => "<none>".to_owned(),
        1 | 2 => shown.join(", "),
        more => format!("{} + {} more...", shown.join(", "), more - 2),
    }
}

fn target(metric: &Value, status: &Value) -> String {
    let kind = text(metric, &["type"]);
    let mut key = kind.to_owned();
    key.get_mut(..1).into_iter().for_each(str::make_ascii_lowercase);
    let (source, status) =
        (metric.get(&key).unwrap_or(&Value::Null), status.get(&key).unwrap_or(&Value::Null));
    let current = |field: &str, unit: &str| match at(status, &["current", field]) {
        Some(value) => format!("{}{unit}", plain(value)),
        None => "<unknown>".to_owned(),
    };
    let wanted = source.get("target").cloned().unwrap_or_else(|| json!({}));
    let shown = match () {
        () if wanted.get("averageUtilization").is_some() => {
            format!("{}/{}%", current("averageUtilization", "%"), plain(&wanted["averageUtilization"]))
        }
        () if wanted.get("averageValue").is_some() => {
            let average = if kind == "External" { " (avg)" } else { "" };
            format!("{}/{}{average}", current("averageValue", ""), plain(&wanted["averageValue"]))
        }
        () => format!("{}/{}", current("value", ""), wanted.get("value").map(plain).unwrap_or_default()),
    };
    if kind.ends_with("Resource") { format!("{}: {shown}", text(source, &["name"])) } else { shown }
}

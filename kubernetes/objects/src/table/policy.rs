//! Access, quotas, priorities, leases and the kinds that extend the API.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Printer;
use super::cells::{age, name, number, or, plain};
use crate::value::{at, flag, int, list, map, text};

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    Some(match (group, kind) {
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => Printer {
            columns: &["Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"],
            cells: binding,
        },
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => Printer {
            columns: &["Name", "Created At"],
            cells: |o, _| vec![name(o), text(o, &["metadata", "creationTimestamp"]).into()],
        },
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Printer {
            columns: &["Name", "Created At"],
            cells: |o, _| vec![name(o), text(o, &["metadata", "creationTimestamp"]).into()],
        },
        ("coordination.k8s.io", "Lease") => Printer {
            columns: &["Name", "Holder", "Age"],
            cells: |o, now| vec![name(o), text(o, &["spec", "holderIdentity"]).into(), age(o, now)],
        },
        ("", "ResourceQuota") => Printer { columns: &["Name", "Request", "Limit", "Age"], cells: quota },
        ("", "LimitRange") => Printer {
            columns: &["Name", "Created At"],
            cells: |o, _| vec![name(o), text(o, &["metadata", "creationTimestamp"]).into()],
        },
        ("policy", "PodDisruptionBudget") => Printer {
            columns: &["Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age"],
            cells: budget,
        },
        ("scheduling.k8s.io", "PriorityClass") => Printer {
            columns: &["Name", "Value", "Global-Default", "Age", "PreemptionPolicy"],
            cells: priority,
        },
        ("admissionregistration.k8s.io", _) => Printer {
            columns: &["Name", "Webhooks", "Age"],
            cells: |o, now| vec![name(o), list(o, &["webhooks"]).len().into(), age(o, now)],
        },
        ("apiregistration.k8s.io", "APIService") => {
            Printer { columns: &["Name", "Service", "Available", "Age"], cells: api_service }
        }
        _ => return None,
    })
}

fn binding(object: &Value, now: Timestamp) -> Vec<Value> {
    let role = format!("{}/{}", text(object, &["roleRef", "kind"]), text(object, &["roleRef", "name"]));
    let subjects = |kind: &str| -> Value {
        let of = list(object, &["subjects"]).iter().filter(|subject| text(subject, &["kind"]) == kind);
        let shown = of.map(|subject| match kind {
            "ServiceAccount" => format!("{}/{}", text(subject, &["namespace"]), text(subject, &["name"])),
            _ => text(subject, &["name"]).to_owned(),
        });
        shown.collect::<Vec<_>>().join(", ").into()
    };
    vec![
        name(object),
        role.into(),
        age(object, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

fn quota(object: &Value, now: Timestamp) -> Vec<Value> {
    let used = map(object, &["status", "used"]);
    let show = |limits: bool| -> Value {
        let hard = map(object, &["status", "hard"]).into_iter().flat_map(Map::iter);
        let of = hard.filter(|(resource, _)| resource.starts_with("limits.") == limits);
        let shown = of.map(|(resource, hard)| {
            let used = used.and_then(|used| used.get(resource)).map_or_else(|| "0".to_owned(), plain);
            format!("{resource}: {used}/{}", plain(hard))
        });
        shown.collect::<Vec<_>>().join(", ").into()
    };
    vec![name(object), show(false), show(true), age(object, now)]
}

fn budget(object: &Value, now: Timestamp) -> Vec<Value> {
    let bound = |key: &str| at(object, &["spec", key]).map_or_else(|| "N/A".to_owned(), plain);
    vec![
        name(object),
        bound("minAvailable").into(),
        bound("maxUnavailable").into(),
        number(object, &["status", "disruptionsAllowed"]),
        age(object, now),
    ]
}

fn priority(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        int(object, &["value"]).unwrap_or(0).into(),
        flag(object, &["globalDefault"]).into(),
        age(object, now),
        or(object, &["preemptionPolicy"], "PreemptLowerPriority"),
    ]
}

fn api_service(object: &Value, now: Timestamp) -> Vec<Value> {
    let service = match at(object, &["spec", "service"]) {
        Some(service) => format!("{}/{}", text(service, &["namespace"]), text(service, &["name"])),
        None => "Local".to_owned(),
    };
    let available =
        list(object, &["status", "conditions"]).iter().find(|c| text(c, &["type"]) == "Available");
    let available = match available {
        Some(c) if text(c, &["status"]) == "True" => "True".to_owned(),
        Some(c) => format!("{} ({})", text(c, &["status"]), text(c, &["reason"])),
        None => "Unknown".to_owned(),
    };
    vec![name(object), service.into(), available.into(), age(object, now)]
}

//! Table columns and cells, as `kubectl get` shows them.

mod cells;
mod network;
mod pod;
mod policy;
mod storage;
mod workload;

use jiff::Timestamp;
use serde_json::Value;

use crate::resource::Resource;

/// One column of a `meta.k8s.io/v1` Table. Columns with a priority above zero show with `-o wide`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The OpenAPI type: string, integer, date, boolean, number.
    pub kind: String,
    pub format: String,
    pub description: String,
    pub priority: i32,
}

/// How one kind is shown. A column's name begins with `+` when only `-o wide` shows it.
struct Printer {
    columns: &'static [&'static str],
    cells: fn(&Value, Timestamp) -> Vec<Value>,
}

const NAME_AND_AGE: Printer = Printer {
    columns: &["Name", "Age"],
    cells: |object, now| vec![cells::name(object), cells::age(object, now)],
};

/// Columns whose cells are numbers.
const INTEGERS: [&str; 12] = [
    "Up-to-date",
    "Available",
    "Desired",
    "Current",
    "Data",
    "Secrets",
    "Active",
    "Value",
    "Allowed Disruptions",
    "Webhooks",
    "Revision",
    "Drivers",
];

fn printer(resource: &Resource) -> Printer {
    let (group, kind) = (resource.group.as_ref(), resource.kind.as_ref());
    pod::printer(group, kind)
        .or_else(|| workload::printer(group, kind))
        .or_else(|| network::printer(group, kind))
        .or_else(|| storage::printer(group, kind))
        .or_else(|| policy::printer(group, kind))
        .unwrap_or(NAME_AND_AGE)
}

pub(crate) fn columns(resource: &Resource) -> Vec<Column> {
    match resource.custom() {
        Some(custom) => custom.columns(),
        None => printer(resource).columns.iter().map(|name| column(name, resource)).collect(),
    }
}

fn column(name: &str, resource: &Resource) -> Column {
    let (name, priority) = match name.strip_prefix('+') {
        Some(wide) => (wide, 1),
        None => (name, 0),
    };
    // A DaemonSet counts what a Deployment counts; a Pod's READY is a fraction.
    let integer = INTEGERS.contains(&name)
        || (name == "Ready"
            && matches!(resource.kind.as_ref(), "DaemonSet" | "ReplicaSet" | "ReplicationController"));
    Column {
        name: name.to_owned(),
        kind: if integer { "integer" } else { "string" }.to_owned(),
        format: if name == "Name" { "name" } else { "" }.to_owned(),
        description: String::new(),
        priority,
    }
}

pub(crate) fn cells(resource: &Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    match resource.custom() {
        Some(custom) => custom.cells(object, now),
        None => (printer(resource).cells)(object, now),
    }
}

/// The cell of a custom column: its type decides how the value is shown.
pub(crate) fn custom_cell(kind: &str, value: Option<&Value>, now: Timestamp) -> Value {
    match (kind, value) {
        (_, None | Some(Value::Null)) => Value::Null,
        ("date", Some(value)) => match value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
            Some(then) => cells::human(now.as_second() - then.as_second()).into(),
            None => "<invalid>".into(),
        },
        ("integer" | "number" | "boolean", Some(value)) if !value.is_string() => value.clone(),
        (_, Some(value)) => cells::plain(value).into(),
    }
}

#[cfg(test)]
mod tests;

//! The entries of `metadata.managedFields`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Manager;
use super::set::{Set, field};
use crate::resource::Resource;
use crate::value::{list, text};

/// More updaters than this are folded into one.
const MAX_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Apply,
    Update,
}

/// What one manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) manager: String,
    pub(crate) operation: Operation,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
    pub(crate) time: String,
    pub(crate) fields: Set,
}

impl Entry {
    pub(crate) fn new(manager: Manager<'_>, operation: Operation, api_version: &str, fields: Set) -> Self {
        Self {
            manager: manager.name.to_owned(),
            operation,
            api_version: api_version.to_owned(),
            subresource: manager.subresource.to_owned(),
            time: seconds(manager.now),
            fields,
        }
    }

    /// Appliers are one across versions; updaters are not.
    pub(crate) fn is(&self, manager: Manager<'_>, operation: Operation, api_version: &str) -> bool {
        self.manager == manager.name
            && self.operation == operation
            && self.subresource == manager.subresource
            && (operation == Operation::Apply || self.api_version == api_version)
    }

    fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            manager: text(value, &["manager"]).to_owned(),
            operation: match text(value, &["operation"]) {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return None,
            },
            api_version: text(value, &["apiVersion"]).to_owned(),
            subresource: text(value, &["subresource"]).to_owned(),
            time: text(value, &["time"]).to_owned(),
            fields: Set::from_json(value.get("fieldsV1")?),
        })
    }

    fn to_json(&self) -> Value {
        let mut value = json!({
            "manager": self.manager,
            "operation": match self.operation { Operation::Apply => "Apply", Operation::Update => "Update" },
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_json(),
        });
        if !self.time.is_empty() {
            value["time"] = self.time.as_str().into();
        }
        if !self.subresource.is_empty() {
            value["subresource"] = self.subresource.as_str().into();
        }
        value
    }

    /// How a conflict names the owner.
    pub(crate) fn describe(&self) -> String {
        let mut shown = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            shown.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            shown.push_str(&format!(" using {}", self.api_version));
        }
        shown
    }
}

/// Whole seconds, as Kubernetes writes times.
fn seconds(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn read(object: &Value) -> Vec<Entry> {
    list(object, &["metadata", "managedFields"]).iter().filter_map(Entry::from_json).collect()
}

/// Writes the entries: appliers first, then by time; empty ones are left out.
pub(crate) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.children.is_empty());
    entries.sort_by(|a, b| {
        let rank = |entry: &Entry| entry.operation == Operation::Update;
        (rank(a), &a.time, &a.manager).cmp(&(rank(b), &b.time, &b.manager))
    });
    fold(&mut entries);
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if entries.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".to_owned(), entries.iter().map(Entry::to_json).collect());
    }
}

/// Folds the oldest updaters into one, so that the list stays short.
fn fold(entries: &mut Vec<Entry>) {
    let updaters =
        entries.iter().filter(|e| e.operation == Operation::Update && e.subresource.is_empty()).count();
    let mut surplus = (updaters + 1).saturating_sub(MAX_UPDATERS + 1);
    if surplus == 0 {
        return;
    }
    surplus += 1;
    let mut ancient: Option<Entry> = None;
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries.drain(..) {
        let old = surplus > 0 && entry.operation == Operation::Update && entry.subresource.is_empty();
        match (&mut ancient, old) {
            (_, false) => kept.push(entry),
            (None, true) => {
                ancient = Some(Entry { manager: ANCIENT.to_owned(), ..entry });
                surplus -= 1;
            }
            (Some(ancient), true) => {
                ancient.fields.union(&entry.fields);
                ancient.time = entry.time;
                surplus -= 1;
            }
        }
    }
    let first_updater = kept.iter().position(|e| e.operation == Operation::Update).unwrap_or(kept.len());
    kept.splice(first_updater..first_updater, ancient);
    *entries = kept;
}

/// Fields nobody owns: identity and the server's own bookkeeping.
const UNOWNED_META: [&str; 10] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
    "generateName",
];

/// Takes out what is not tracked, and what this path (`subresource`) cannot write.
pub(crate) fn strip(resource: &Resource, subresource: &str, set: &mut Set) {
    set.children.remove("f:apiVersion");
    set.children.remove("f:kind");
    if let Some(meta) = set.children.get_mut("f:metadata") {
        meta.member = false;
        for name in UNOWNED_META.iter().filter(|name| **name != "generateName") {
            meta.children.remove(&field(name));
        }
        if meta.children.is_empty() {
            set.children.remove("f:metadata");
        }
    }
    match subresource {
        "" if resource.has_status() => {
            set.children.remove("f:status");
        }
        "status" => {
            set.children.retain(|key, _| key == "f:status" || (key == "f:metadata" && !resource.is_custom()))
        }
        _ => {}
    }
}

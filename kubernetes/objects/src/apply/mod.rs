//! Server-side apply: who set which field, kept in `metadata.managedFields`.

mod managed;
mod merge;
mod set;
#[cfg(test)]
mod tests;
mod walk;

use jiff::Timestamp;
use serde_json::Value;

use crate::resource::Resource;
use crate::schema::SchemaRef;
use managed::{Entry, Operation};
use set::Set;
pub(crate) use walk::element;

/// Who writes, and how.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    /// The `fieldManager` parameter, or one derived from the user agent.
    pub name: &'a str,
    /// The subresource written, or empty.
    pub subresource: &'a str,
    pub now: Timestamp,
}

/// A field another manager owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Such as `conflict with "kubectl" using apps/v1`.
    pub message: String,
    /// Such as `.spec.replicas`.
    pub field: String,
}

/// Why a configuration cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// 409 Conflict, with one cause (`FieldManagerConflict`) per field.
    #[error("{message}")]
    Conflict { message: String, conflicts: Vec<Conflict> },
    /// 400 BadRequest.
    #[error("{0}")]
    Malformed(String),
}

/// Applies a decoded `config` over the live object (`Value::Null` when there is none). The result carries the
/// new managedFields, and equals `live` when nothing changed. A new object is left for the caller to default.
pub fn apply(
    resource: &Resource,
    live: &Value,
    config: &Value,
    manager: Manager<'_>,
    force: bool,
) -> Result<Value, ApplyError> {
    if !crate::value::list(config, &["metadata", "managedFields"]).is_empty() {
        return Err(ApplyError::Malformed("metadata.managedFields must be nil".to_owned()));
    }
    let schema = root(resource);
    merge::check_lists(schema, config, "").map_err(ApplyError::Malformed)?;
    let api_version = resource.api_version();
    let mut entries = managed::read(live);
    let ours = entries.iter().position(|entry| entry.is(manager, Operation::Apply, &api_version));
    let last = ours.map(|index| entries.remove(index));
    let mut applied = walk::fields_of(schema, config, false);
    managed::strip(resource, manager.subresource, &mut applied);

    let mut object = if live.is_null() { config.clone() } else { merge::merge(schema, live, config) };
    if let Some(last) = &last {
        take_out(schema, &mut object, last, &applied, &entries);
    }
    if !live.is_null() {
        // What was left out is no change: a list owned whole would else differ by its defaults.
        resource.default(&mut object);
    }
    let difference = difference(resource, manager.subresource, live, &object);
    if !force {
        refuse_conflicts(&entries, &difference.changed)?;
    }
    for entry in &mut entries {
        entry.fields.subtract(&difference.changed);
        entry.fields.subtract(&difference.removed);
    }
    let mut entry = Entry::new(manager, Operation::Apply, &api_version, applied);
    if let Some(last) = last.filter(|last| last.fields == entry.fields && difference.is_empty()) {
        entry.time = last.time;
        entry.api_version = last.api_version;
    }
    entries.push(entry);
    managed::write(&mut object, entries);
    Ok(object)
}

/// Removes what this manager applied before, applies no longer, and nobody else owns.
fn take_out(
    schema: Option<SchemaRef<'_>>,
    object: &mut Value,
    last: &Entry,
    applied: &Set,
    others: &[Entry],
) {
    let mut kept = applied.clone();
    for entry in others {
        kept.union(&entry.fields);
    }
    let mut gone = last.fields.clone();
    gone.subtract(&kept);
    merge::prune(schema, object, &gone, &kept);
}

fn refuse_conflicts(entries: &[Entry], changed: &Set) -> Result<(), ApplyError> {
    let mut conflicts = Vec::new();
    let mut lines = Vec::new();
    for entry in entries {
        let paths = entry.fields.intersection(changed).paths();
        if paths.is_empty() {
            continue;
        }
        let owner = entry.describe();
        lines.push(format!("conflicts with {owner}:"));
        for field in paths {
            lines.push(format!("- {field}"));
            conflicts.push(Conflict { message: format!("conflict with {owner}"), field });
        }
    }
    let message = match conflicts.as_slice() {
        [] => return Ok(()),
        [only] => format!("Apply failed with 1 conflict: {}: {}", only.message, only.field),
        many => format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n")),
    };
    Err(ApplyError::Conflict { message, conflicts })
}

/// Records in `new` what a create, update or patch (`old` is `Value::Null` for a create) changed.
///
/// Call last, when `new` is what will be stored; nothing happens to managedFields when nothing changed.
pub fn track(resource: &Resource, old: &Value, new: &mut Value, manager: Manager<'_>) {
    let mut entries = given_entries(old, new);
    let difference = difference(resource, manager.subresource, old, new);
    if difference.is_empty() {
        managed::write(new, entries);
        return;
    }
    let api_version = resource.api_version();
    for entry in entries.iter_mut().filter(|entry| !entry.is(manager, Operation::Update, &api_version)) {
        entry.fields.subtract(&difference.changed);
        entry.fields.subtract(&difference.removed);
    }
    match entries.iter_mut().find(|entry| entry.is(manager, Operation::Update, &api_version)) {
        Some(entry) => {
            entry.fields.union(&difference.changed);
            entry.fields.subtract(&difference.removed);
            entry.time = Entry::new(manager, Operation::Update, &api_version, Set::default()).time;
        }
        None => entries.push(Entry::new(manager, Operation::Update, &api_version, difference.changed)),
    }
    managed::write(new, entries);
}

/// The entries the client sent back, or the old ones when it sent none; one empty entry resets them.
fn given_entries(old: &Value, new: &Value) -> Vec<Entry> {
    match crate::value::list(new, &["metadata", "managedFields"]) {
        [] => managed::read(old),
        [Value::Object(only)] if only.is_empty() => Vec::new(),
        _ => managed::read(new),
    }
}

fn difference(resource: &Resource, subresource: &str, old: &Value, new: &Value) -> walk::Difference {
    let old = Some(old).filter(|old| !old.is_null());
    let mut difference = walk::compare(root(resource), old, Some(new));
    managed::strip(resource, subresource, &mut difference.changed);
    managed::strip(resource, subresource, &mut difference.removed);
    difference.changed.member = false;
    difference.removed.member = false;
    difference
}

fn root(resource: &Resource) -> Option<SchemaRef<'_>> {
    Some(resource.schema())
}

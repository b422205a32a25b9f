//! Server-side apply: who set which field, kept in `metadata.managedFields`.

use jiff::Timestamp;
use serde_json::Value;

use crate::resource::Resource;

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

/// Applies `config` over the live object (`Value::Null` when there is none). The result carries the new
/// managedFields, and equals `live` when nothing changed.
pub fn apply(
    resource: &Resource,
    live: &Value,
    config: &Value,
    manager: Manager<'_>,
    force: bool,
) -> Result<Value, ApplyError> {
    let _ = (resource, live, manager, force);
    Ok(config.clone())
}

/// Records in `new` what a create, update or patch (`old` is `Value::Null` for a create) changed.
pub fn track(resource: &Resource, old: &Value, new: &mut Value, manager: Manager<'_>) {
    let _ = (resource, old, new, manager);
}

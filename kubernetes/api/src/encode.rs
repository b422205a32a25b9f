//! Objects to bytes, once.

use std::sync::OnceLock;

use memchr::memmem;
use sealos_store::Encoded;
use serde_json::{Map, Value};

use crate::status::Status;

/// Stands where the revision will be; nobody else knows it, so nobody's text contains it.
fn placeholder() -> &'static str {
    static PLACEHOLDER: OnceLock<String> = OnceLock::new();
    PLACEHOLDER.get_or_init(|| format!("revision-{}", uuid::Uuid::new_v4()))
}

/// The bytes to store, with the place for the revision. The object loses its own.
pub(crate) fn encode(object: &mut Value) -> Result<Encoded, Status> {
    if let Some(meta) = metadata_mut(object) {
        meta.insert("resourceVersion".into(), placeholder().into());
    }
    let mut bytes =
        serde_json::to_vec(object).map_err(|error| Status::internal(format!("encode an object: {error}")))?;
    let at = memmem::find(&bytes, placeholder().as_bytes());
    let at = at.ok_or_else(|| Status::internal("an object to store has no metadata"))?;
    bytes.drain(at..at + placeholder().len());
    Ok(Encoded::new(bytes, at))
}

/// The metadata of an object, made if it has none.
pub(crate) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let object = object.as_object_mut()?;
    let meta = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if meta.is_null() {
        *meta = Value::Object(Map::new());
    }
    meta.as_object_mut()
}

/// A text in the metadata, or nothing.
pub(crate) fn meta<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get("metadata").and_then(|meta| meta.get(key)).and_then(Value::as_str).unwrap_or("")
}

/// The texts of a list in the metadata, e.g. the finalizers.
pub(crate) fn finalizers(object: &Value) -> Vec<String> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

pub(crate) fn set_finalizers(object: &mut Value, finalizers: Vec<String>) {
    let Some(meta) = metadata_mut(object) else { return };
    if finalizers.is_empty() {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".into(), finalizers.into());
    }
}

/// Whether the object is on its way out.
pub(crate) fn deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// Shows the revision an object was stored at.
pub(crate) fn set_revision(object: &mut Value, revision: u64) {
    if let Some(meta) = metadata_mut(object) {
        meta.insert("resourceVersion".into(), revision.to_string().into());
    }
}

/// `PartialObjectMetadata` of an object.
pub(crate) fn partial(object: &Value) -> Value {
    let meta = object.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    serde_json::json!({ "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": meta })
}

//! Objects live in namespaces that exist and stay.

use serde_json::{Value, json};

use super::is;
use crate::call::Call;
use crate::status::{Status, What};

/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Nothing is made in a namespace that is not there or is on its way out.
pub(crate) fn check(call: &Call) -> Result<(), Status> {
    let namespace = &call.asked.namespace;
    if !call.resource.namespaced {
        return Ok(());
    }
    let Some(entry) = call.parts.store.get(&format!("namespaces/{namespace}")) else {
        let what =
            What { group: String::new(), resource: "namespaces".to_owned(), kind: "Namespace".to_owned() };
        return Err(Status::not_found(&what, namespace));
    };
    let found = crate::call::read(&entry)?;
    if found.pointer("/status/phase").and_then(Value::as_str) != Some("Terminating") {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let cause = format!("namespace {namespace} is being terminated");
    let name = if call.asked.name.is_empty() { "" } else { &call.asked.name };
    Err(Status::forbidden(&call.what(), name, &why).cause(
        "NamespaceTerminating",
        &cause,
        "metadata.namespace",
    ))
}

/// A namespace goes only when its content is gone; its own finalizer says so.
pub(crate) fn begin(object: &mut Value) {
    let name = crate::encode::meta(object, "name").to_owned();
    if let Some(spec) = object.as_object_mut() {
        spec.insert("spec".into(), json!({ "finalizers": ["kubernetes"] }));
    }
    if let Some(meta) = crate::encode::metadata_mut(object)
        && let Some(labels) = meta.entry("labels").or_insert_with(|| json!({})).as_object_mut()
    {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
}

pub(crate) fn check_delete(call: &Call) -> Result<(), Status> {
    if is(&call.resource, "", "Namespace") && IMMORTAL.contains(&call.asked.name.as_str()) {
        return Err(Status::forbidden(&call.what(), &call.asked.name, "this namespace may not be deleted"));
    }
    Ok(())
}

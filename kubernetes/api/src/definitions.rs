//! The life of CustomResourceDefinitions: accepted when their names are free, served at once, and gone
//! only after their objects.

use std::sync::Arc;
use std::time::Duration;

use sealos_objects::{Resource, crd};
use serde_json::{Value, json};

use crate::call::{self, Call};
use crate::encode;
use crate::options::DeleteOptions;
use crate::registry::DEFINITIONS;
use crate::server::Parts;
use crate::time;
use crate::write;

const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// How long to wait for objects that have finalizers, between looks.
const LOOK: Duration = Duration::from_secs(1);

/// Writes into a definition's status whether its names are accepted, and which versions are stored.
pub(crate) fn settle(parts: &Parts, definition: &mut Value) {
    let conflict = conflict(parts, definition);
    let names = definition.pointer("/spec/names").cloned().unwrap_or_else(|| json!({}));
    let mut stored: Vec<Value> =
        definition.pointer("/status/storedVersions").and_then(Value::as_array).cloned().unwrap_or_default();
    for version in definition.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten() {
        let name = version.get("name").cloned().unwrap_or_default();
        if version.get("storage").and_then(Value::as_bool) == Some(true) && !stored.contains(&name) {
            stored.push(name);
        }
    }
    let old = definition.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let accepted = conflict.is_none();
    let conditions = match conflict {
        None => vec![
            condition(&old, "NamesAccepted", true, "NoConflicts", "no conflicts found"),
            condition(
                &old,
                "Established",
                true,
                "InitialNamesAccepted",
                "the initial names have been accepted",
            ),
        ],
        Some(why) => vec![
            condition(&old, "NamesAccepted", false, "NamesConflict", &why),
            condition(&old, "Established", false, "NotAccepted", "not all names are accepted"),
        ],
    };
    let accepted_names = if accepted { names } else { json!({ "plural": "", "kind": "" }) };
    definition["status"] =
        json!({ "conditions": conditions, "acceptedNames": accepted_names, "storedVersions": stored });
}

/// A new definition stays until its objects are gone.
pub(crate) fn begin(definition: &mut Value) {
    let mut finalizers = encode::finalizers(definition);
    if !finalizers.iter().any(|own| own == CLEANUP) {
        finalizers.push(CLEANUP.to_owned());
    }
    encode::set_finalizers(definition, finalizers);
}

fn condition(old: &[Value], kind: &str, holds: bool, reason: &str, message: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let before = old.iter().find(|condition| {
        let is = |key: &str, wanted: &str| condition.get(key).and_then(Value::as_str) == Some(wanted);
        is("type", kind) && is("status", status)
    });
    let since = before.and_then(|condition| condition.get("lastTransitionTime")).cloned();
    let since = since.unwrap_or_else(|| time::now().into());
    json!({ "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since })
}

/// Why the names of a definition cannot be had: another one of its group has them.
fn conflict(parts: &Parts, definition: &Value) -> Option<String> {
    let text = |object: &Value, pointer: &str| {
        object.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    let (own, group) = (text(definition, "/metadata/name"), text(definition, "/spec/group"));
    let names = names_of(definition);
    for entry in parts.store.list(DEFINITIONS, None, 0).entries {
        let Ok(other) = call::read(&entry) else { continue };
        if text(&other, "/metadata/name") == own || text(&other, "/spec/group") != group {
            continue;
        }
        let taken = names_of(&other);
        if let Some(name) = names.iter().find(|name| taken.contains(name)) {
            return Some(format!("{name:?} is already in use"));
        }
    }
    None
}

fn names_of(definition: &Value) -> Vec<String> {
    let Some(names) = definition.pointer("/spec/names") else { return Vec::new() };
    let single = ["plural", "singular", "kind", "listKind"];
    let single = single.iter().filter_map(|key| names.get(key).and_then(Value::as_str));
    let short =
        names.get("shortNames").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    single.chain(short).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Deletes the objects of a definition that is being deleted, then lets it go.
pub(crate) fn clean_up(parts: &Arc<Parts>, definition: &Value) {
    if !encode::deleting(definition) || !encode::finalizers(definition).iter().any(|own| own == CLEANUP) {
        return;
    }
    let (parts, name) = (Arc::clone(parts), encode::meta(definition, "name").to_owned());
    let Some(resource) = crd::resources(definition).ok().and_then(|all| all.into_iter().next()) else {
        tokio::spawn(async move { release(&parts, &name).await });
        return;
    };
    tokio::spawn(async move {
        while !delete_objects(&parts, &resource).await {
            tokio::time::sleep(LOOK).await;
        }
        release(&parts, &name).await;
    });
}

/// Tells whether none is left.
async fn delete_objects(parts: &Arc<Parts>, resource: &Arc<Resource>) -> bool {
    let prefix = crate::keys::prefix(resource, "");
    let entries = parts.store.list(&prefix, None, 0).entries;
    for entry in &entries {
        let Ok(object) = call::read(entry) else { continue };
        let (namespace, name) = (encode::meta(&object, "namespace"), encode::meta(&object, "name"));
        let one = Call::internal(parts, resource, namespace, name);
        if let Err(status) = write::delete::remove(&one, &DeleteOptions::default()).await {
            tracing::debug!(key = %entry.key, message = status.message, "not deleted yet");
        }
    }
    parts.store.list(&prefix, None, 1).entries.is_empty()
}

async fn release(parts: &Arc<Parts>, name: &str) {
    let Some(resource) = parts.registry.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    else {
        return;
    };
    let call = Call::internal(parts, &resource, "", name);
    for _ in 0..write::ATTEMPTS {
        let Ok(entry) = call.entry() else { return };
        let Ok(mut definition) = call::read(&entry) else { return };
        let mut finalizers = encode::finalizers(&definition);
        finalizers.retain(|own| own != CLEANUP);
        encode::set_finalizers(&mut definition, finalizers);
        if write::update::put(&call, &entry, definition).await.is_ok() {
            return;
        }
    }
}

/// After a restart: goes on with the definitions that were being deleted.
pub(crate) fn resume(parts: &Arc<Parts>) {
    for entry in parts.store.list(DEFINITIONS, None, 0).entries {
        if let Ok(definition) = call::read(&entry) {
            clean_up(parts, &definition);
        }
    }
}

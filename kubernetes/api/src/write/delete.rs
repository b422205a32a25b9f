//! Delete: at once, or in steps when finalizers or a running pod have a say.

use axum::body::Body;
use http::{Response, StatusCode};
use sealos_objects::Resource;
use sealos_store::{Entry, Error, Expect};
use serde_json::{Value, json};

use super::{ATTEMPTS, refused, update};
use crate::admission;
use crate::call::{self, Call};
use crate::encode;
use crate::options::{DeleteOptions, Propagation, Selection};
use crate::read;
use crate::status::{Status, json_response};
use crate::time;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const DEFAULT_GRACE: i64 = 30;

pub(crate) async fn delete(call: &Call, options: &DeleteOptions) -> Result<Response<Body>, Status> {
    let outcome = remove(call, options).await?;
    let what = call.what();
    match outcome {
        Outcome::Gone(object) if keeps_shape(&call.resource) => {
            read::respond_object(call, StatusCode::OK, object)
        }
        Outcome::Gone(object) => {
            let mut status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": { "name": call.asked.name, "kind": what.resource, "uid": encode::meta(&object, "uid") },
            });
            if !what.group.is_empty() {
                status["details"]["group"] = what.group.into();
            }
            Ok(json_response(StatusCode::OK, &status))
        }
        Outcome::Going(object) => read::respond_object(call, StatusCode::OK, object),
    }
}

/// Kinds whose deletion answers with the object even when it is gone at once.
fn keeps_shape(resource: &Resource) -> bool {
    resource.group.is_empty()
        && matches!(&*resource.kind, "Pod" | "Service" | "ServiceAccount" | "PersistentVolumeClaim")
}

pub(crate) async fn delete_collection(
    call: &Call,
    options: &DeleteOptions,
) -> Result<Response<Body>, Status> {
    let selection = Selection::parse(&call.query, &call.resource)?;
    let found = read::find(call, &selection)?;
    let mut items = Vec::new();
    for entry in found.entries {
        let object = call.resource.from_storage(call::read(&entry)?);
        let one = call.named(encode::meta(&object, "namespace"), encode::meta(&object, "name"));
        match remove(&one, options).await {
            Ok(Outcome::Gone(object) | Outcome::Going(object)) => items.push(object),
            Err(status) if status.code == StatusCode::NOT_FOUND => {}
            Err(status) => return Err(status),
        }
    }
    let list = json!({
        "kind": call.resource.list_kind, "apiVersion": call.resource.api_version(),
        "metadata": found.meta, "items": items,
    });
    Ok(json_response(StatusCode::OK, &list))
}

pub(crate) enum Outcome {
    /// The object is no longer there.
    Gone(Value),
    /// The object is marked, and goes when the last one who has a say agrees.
    Going(Value),
}

pub(crate) async fn remove(call: &Call, options: &DeleteOptions) -> Result<Outcome, Status> {
    for _ in 0..ATTEMPTS {
        let entry = call.entry()?;
        let object = call.resource.from_storage(call::read(&entry)?);
        check_preconditions(call, options, &object)?;
        admission::delete(call, &object)?;
        match attempt(call, options, &entry, object).await {
            Ok(outcome) => return Ok(outcome),
            Err(Error::Conflict { .. }) => {}
            Err(error) => return Err(refused(call, &call.asked.name, &error)),
        }
    }
    Err(Status::modified(&call.what(), &call.asked.name))
}

async fn attempt(
    call: &Call,
    options: &DeleteOptions,
    entry: &Entry,
    object: Value,
) -> Result<Outcome, Error> {
    let mut marked = object.clone();
    let first = !encode::deleting(&object);
    if first {
        set_propagation(&mut marked, options.propagation());
    } else if let Some(policy) = options.propagation() {
        set_propagation(&mut marked, Some(policy));
    }
    let grace = grace(&call.resource, options, &object);
    mark(call, &mut marked, grace);
    if finished(&call.resource, &marked) {
        // An object that goes at once never shows a deletion timestamp of its own making.
        let last = if first { object } else { marked };
        return gone(call, options, entry, last).await;
    }
    if options.dry || marked == object {
        return Ok(Outcome::Going(marked));
    }
    let written = update::put(call, entry, marked).await?;
    Ok(Outcome::Going(written.object))
}

async fn gone(
    call: &Call,
    options: &DeleteOptions,
    entry: &Entry,
    mut last: Value,
) -> Result<Outcome, Error> {
    if options.dry {
        return Ok(Outcome::Gone(last));
    }
    let mut stored = call.resource.to_storage(last.clone());
    let encoded = encode::encode(&mut stored)
        .map_err(|status| Error::Database { path: "memory".into(), reason: status.message })?;
    let entry = call.parts.store.delete(&entry.key, Expect::Revision(entry.revision), Some(encoded)).await?;
    encode::set_revision(&mut last, entry.revision);
    crate::effects::changed(call, &last, true);
    Ok(Outcome::Gone(last))
}

/// Whether nothing holds an object that is being deleted.
pub(crate) fn finished(resource: &Resource, object: &Value) -> bool {
    let held = !encode::finalizers(object).is_empty()
        || (is(resource, "Namespace") && object.pointer("/spec/finalizers").is_some_and(not_empty));
    let grace = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
    encode::deleting(object) && !held && grace == 0
}

fn not_empty(list: &Value) -> bool {
    list.as_array().is_some_and(|list| !list.is_empty())
}

fn is(resource: &Resource, kind: &str) -> bool {
    resource.group.is_empty() && resource.kind == kind
}

/// How long the object may take. Only pods that run (or may run) somewhere take any time.
fn grace(resource: &Resource, options: &DeleteOptions, object: &Value) -> i64 {
    if !is(resource, "Pod") {
        return 0;
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or("");
    if text("/spec/nodeName").is_empty() || matches!(text("/status/phase"), "Succeeded" | "Failed") {
        return 0;
    }
    let own = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    options.grace_period_seconds.or(own).unwrap_or(DEFAULT_GRACE).max(0)
}

/// Writes the deletion down; a second deletion can only shorten the time.
fn mark(call: &Call, object: &mut Value, grace: i64) {
    let namespace = is(&call.resource, "Namespace");
    let bumps = call.resource.generation;
    let deleting = encode::deleting(object);
    let Some(meta) = encode::metadata_mut(object) else { return };
    let current = meta.get("deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
    if deleting && grace >= current {
        return;
    }
    meta.insert("deletionTimestamp".into(), time::later(grace).into());
    meta.insert("deletionGracePeriodSeconds".into(), grace.into());
    if bumps && !deleting {
        let generation = meta.get("generation").and_then(Value::as_i64).unwrap_or(0);
        meta.insert("generation".into(), (generation + 1).into());
    }
    if namespace && let Some(object) = object.as_object_mut() {
        let status = object.entry("status").or_insert_with(|| json!({}));
        status["phase"] = "Terminating".into();
    }
}

/// The finalizers that make the garbage collector treat dependents as asked.
fn set_propagation(object: &mut Value, policy: Option<Propagation>) {
    let mut finalizers = encode::finalizers(object);
    let Some(policy) = policy else { return };
    finalizers.retain(|finalizer| finalizer != ORPHAN && finalizer != FOREGROUND);
    match policy {
        Propagation::Orphan => finalizers.push(ORPHAN.to_owned()),
        Propagation::Foreground => finalizers.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    encode::set_finalizers(object, finalizers);
}

fn check_preconditions(call: &Call, options: &DeleteOptions, object: &Value) -> Result<(), Status> {
    let Some(wanted) = &options.preconditions else { return Ok(()) };
    let checks = [
        ("UID", wanted.uid.as_deref(), encode::meta(object, "uid")),
        ("ResourceVersion", wanted.resource_version.as_deref(), encode::meta(object, "resourceVersion")),
    ];
    for (field, wanted, found) in checks {
        if let Some(wanted) = wanted
            && wanted != found
        {
            let why = format!(
                "Precondition failed: {field} in precondition: {wanted}, {field} in object meta: {found}"
            );
            return Err(Status::conflict(&call.what(), &call.asked.name, &why));
        }
    }
    Ok(())
}

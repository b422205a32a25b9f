//! Update: a whole new object in place of the old one.

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use sealos_objects::{Part, apply};
use sealos_store::{Entry, Error, Expect};
use serde_json::Value;

use super::create::Tracking;
use super::{ATTEMPTS, check_identity, manager, refused, warn};
use crate::admission;
use crate::call::{self, Call};
use crate::encode;
use crate::options::WriteOptions;
use crate::read;
use crate::status::Status;

pub(crate) async fn update(call: &Call, mut object: Value, part: Part) -> Result<Response<Body>, Status> {
    let options = WriteOptions::parse(&call.query, &call.headers)?;
    let mut warnings = call
        .resource
        .decode(&mut object, options.check)
        .map_err(|problem| Status::bad_request(problem.to_string()))?;
    for _ in 0..ATTEMPTS {
        let entry = call.entry()?;
        let old = call.resource.from_storage(call::read(&entry)?);
        match replace(call, &entry, &old, object.clone(), part, &options, Tracking::Update).await? {
            Some(written) => {
                warnings.extend(call.resource.warnings(&written.object));
                return Ok(warn(written.respond(call)?, &warnings));
            }
            None => continue,
        }
    }
    Err(Status::modified(&call.what(), &call.asked.name))
}

/// An object as it is after a write.
pub(crate) struct Written {
    pub(crate) object: Value,
    /// Its bytes; none when the run was dry.
    pub(crate) stored: Option<Bytes>,
}

impl Written {
    pub(crate) fn respond(self, call: &Call) -> Result<Response<Body>, Status> {
        match self.stored {
            Some(stored) => read::respond(call, StatusCode::OK, &stored),
            None => read::respond_object(call, StatusCode::OK, self.object),
        }
    }
}

/// Puts `new` in the place of `old`. `None`: someone else was faster, and the caller did not insist on
/// a revision; try again with what is there now.
pub(crate) async fn replace(
    call: &Call,
    entry: &Entry,
    old: &Value,
    mut new: Value,
    part: Part,
    options: &WriteOptions,
    tracking: Tracking,
) -> Result<Option<Written>, Status> {
    let (resource, name) = (&call.resource, &call.asked.name);
    check_identity(call, &mut new)?;
    let insists = check_preconditions(call, entry, old, &mut new)?;
    resource.prepare_update(&mut new, old, part);
    resource.default(&mut new);
    if tracking == Tracking::Update {
        apply::track(resource, old, &mut new, manager(call, options));
    }
    let mut admitted = admission::update(call, old, &mut new, part).await?;
    // Admission may have changed the spec, and the generation counts that too.
    resource.prepare_update(&mut new, old, part);
    admission::finish_update(call, part, &mut new);
    let errors = resource.validate_update(&new, old, part);
    if !errors.is_empty() {
        return Err(Status::invalid(&call.what(), name, &errors));
    }
    if same(old, &new) {
        return Ok(Some(Written { object: old.clone(), stored: Some(entry.value.clone()) }));
    }
    admitted.check_quota(call, Some(old), &new).await?;
    if options.dry_run {
        return Ok(Some(Written { object: new, stored: None }));
    }
    let result = put(call, entry, new).await;
    match result {
        Ok(written) => Ok(Some(written)),
        Err(Error::Conflict { .. }) if !insists => Ok(None),
        Err(error) => Err(refused(call, name, &error)),
    }
}

/// Stores the new state; the last finalizer's removal makes it the final one.
pub(crate) async fn put(call: &Call, entry: &Entry, mut new: Value) -> Result<Written, Error> {
    let expect = Expect::Revision(entry.revision);
    let mut stored = call.resource.to_storage(new.clone());
    let gone = super::delete::finished(&call.resource, &new);
    let encoded = encode::encode(&mut stored)
        .map_err(|status| Error::Database { path: "memory".into(), reason: status.message })?;
    let written = if gone {
        call.parts.store.delete(&entry.key, expect, Some(encoded)).await?
    } else {
        call.parts.store.put(&entry.key, expect, encoded).await?
    };
    encode::set_revision(&mut new, written.revision);
    crate::effects::changed(call, &new, gone);
    Ok(Written { object: new, stored: Some(written.value) })
}

/// Name, uid and revision must be those of the object. Tells whether the client insists on a revision.
fn check_preconditions(call: &Call, entry: &Entry, old: &Value, new: &mut Value) -> Result<bool, Status> {
    let name = &call.asked.name;
    let stored_uid = encode::meta(old, "uid").to_owned();
    let Some(meta) = encode::metadata_mut(new) else { return Ok(false) };
    let text = |key: &str| meta.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let (own, uid, revision) = (text("name"), text("uid"), text("resourceVersion"));
    if own.is_empty() {
        meta.insert("name".into(), name.as_str().into());
    } else if own != *name {
        return Err(Status::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({name})"
        )));
    }
    if !uid.is_empty() && uid != stored_uid {
        let why =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {stored_uid}");
        return Err(Status::conflict(&call.what(), name, &why));
    }
    if revision.is_empty() || revision == "0" {
        return Ok(false);
    }
    match revision.parse::<u64>() {
        Ok(revision) if revision == entry.revision => Ok(true),
        Ok(_) => Err(Status::modified(&call.what(), name)),
        Err(_) => Err(Status::bad_request(format!("metadata.resourceVersion: Invalid value: {revision:?}"))),
    }
}

/// Whether a write would change nothing but the time it was made.
fn same(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return false };
    let differs = |key: &&String| key.as_str() != "metadata" && old.get(*key) != new.get(*key);
    if old.keys().chain(new.keys()).any(|key| differs(&key)) {
        return false;
    }
    let meta = |object: &serde_json::Map<String, Value>| {
        let mut meta = object.get("metadata").cloned().unwrap_or_default();
        if let Some(meta) = meta.as_object_mut() {
            meta.remove("resourceVersion");
            for entry in meta.get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(entry) = entry.as_object_mut() {
                    entry.remove("time");
                }
            }
            meta.retain(|_, value| !is_empty(value));
        }
        meta
    };
    meta(old) == meta(new)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

//! Patch: JSON patch, merge patch, strategic merge patch, and server-side apply.

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use sealos_objects::apply::{self, ApplyError};
use sealos_objects::patch::{self, PatchError};
use sealos_objects::{FieldErrors, Part};
use serde_json::Value;

use super::create::{self, Tracking};
use super::update::{self, Written};
use super::{ATTEMPTS, manager, warn};
use crate::body;
use crate::call::{self, Call};
use crate::encode;
use crate::options::WriteOptions;
use crate::read;
use crate::status::Status;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Merge,
    Strategic,
    Apply,
}

pub(crate) async fn patch(
    call: &Call,
    body: &Bytes,
    content_type: &str,
    part: Part,
) -> Result<Response<Body>, Status> {
    let options = WriteOptions::parse(&call.query, &call.headers)?;
    let kind = match content_type {
        "application/json-patch+json" => Kind::Json,
        "application/merge-patch+json" => Kind::Merge,
        "application/strategic-merge-patch+json" => Kind::Strategic,
        "application/apply-patch+yaml" => Kind::Apply,
        other => {
            return Err(Status::unsupported(format!(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, \
                 application/strategic-merge-patch+json, application/apply-patch+yaml (got {other})"
            )));
        }
    };
    if kind == Kind::Apply {
        return applied(call, body::object(body, content_type)?, part, &options).await;
    }
    let document = body::json(body)?;
    for _ in 0..ATTEMPTS {
        let entry = call.entry()?;
        let old = call.resource.from_storage(call::read(&entry)?);
        let new = match kind {
            Kind::Json => patch::json(&old, &document),
            Kind::Merge | Kind::Apply => patch::merge(&old, &document),
            Kind::Strategic => call.resource.strategic_merge(&old, &document),
        };
        let mut new = new.map_err(|error| malformed(&error))?;
        // The patched copy carries the old revision; only the patch itself may insist on one.
        if !names_revision(&document) {
            let meta = encode::metadata_mut(&mut new);
            meta.and_then(|meta| meta.remove("resourceVersion"));
        }
        let mut warnings = decode(call, &mut new, &options)?;
        let written = update::replace(call, &entry, &old, new, part, &options, Tracking::Update).await?;
        if let Some(written) = written {
            warnings.extend(call.resource.warnings(&written.object));
            return Ok(warn(written.respond(call)?, &warnings));
        }
    }
    Err(Status::modified(&call.what(), &call.asked.name))
}

/// Server-side apply; makes the object when there is none.
async fn applied(
    call: &Call,
    mut config: Value,
    part: Part,
    options: &WriteOptions,
) -> Result<Response<Body>, Status> {
    if call.query.text("fieldManager").is_none() {
        let errors = FieldErrors(vec![sealos_objects::FieldError::required(
            "fieldManager",
            "is required for apply patch",
        )]);
        let what = crate::status::What {
            group: "meta.k8s.io".to_owned(),
            resource: "PatchOptions".to_owned(),
            kind: "PatchOptions".to_owned(),
        };
        return Err(Status::invalid(&what, "", &errors));
    }
    let warnings = decode(call, &mut config, options)?;
    super::check_identity(call, &mut config)?;
    if encode::meta(&config, "name").is_empty()
        && let Some(meta) = encode::metadata_mut(&mut config)
    {
        meta.insert("name".into(), call.asked.name.as_str().into());
    }
    for _ in 0..ATTEMPTS {
        let live = call.parts.store.get(&call.key());
        let Some(entry) = live else {
            match apply_new(call, &config, part, options).await {
                Err(status) if status.reason == "AlreadyExists" => continue,
                other => return Ok(warn(other?, &warnings)),
            }
        };
        let old = call.resource.from_storage(call::read(&entry)?);
        let new = apply::apply(&call.resource, &old, &config, manager(call, options), options.force)
            .map_err(|error| unapplied(call, error))?;
        if let Some(written) =
            update::replace(call, &entry, &old, relax(new, &config), part, options, Tracking::Done).await?
        {
            return Ok(warn(Written::respond(written, call)?, &warnings));
        }
    }
    Err(Status::modified(&call.what(), &call.asked.name))
}

async fn apply_new(
    call: &Call,
    config: &Value,
    part: Part,
    options: &WriteOptions,
) -> Result<Response<Body>, Status> {
    if part != Part::Main {
        return Err(Status::not_found(&call.what(), &call.asked.name));
    }
    if !encode::meta(config, "uid").is_empty() {
        return Err(Status::conflict(
            &call.what(),
            &call.asked.name,
            "uid mismatch: the object does not exist",
        ));
    }
    let object = apply::apply(&call.resource, &Value::Null, config, manager(call, options), options.force)
        .map_err(|error| unapplied(call, error))?;
    let created = create::insert(call, object, options, Tracking::Done).await?;
    match created.stored {
        Some(stored) => read::respond(call, StatusCode::CREATED, &stored),
        None => read::respond_object(call, StatusCode::CREATED, created.object),
    }
}

/// Only a revision in the configuration itself is a condition.
fn relax(mut new: Value, config: &Value) -> Value {
    if !names_revision(config)
        && let Some(meta) = encode::metadata_mut(&mut new)
    {
        meta.remove("resourceVersion");
    }
    new
}

fn names_revision(document: &Value) -> bool {
    match document {
        Value::Array(operations) => operations.iter().any(|operation| {
            let is = |key: &str, wanted: &str| operation.get(key).and_then(Value::as_str) == Some(wanted);
            is("path", "/metadata/resourceVersion") && !is("op", "test") && !is("op", "remove")
        }),
        object => !encode::meta(object, "resourceVersion").is_empty(),
    }
}

fn decode(call: &Call, object: &mut Value, options: &WriteOptions) -> Result<Vec<String>, Status> {
    call.resource.decode(object, options.check).map_err(|problem| Status::bad_request(problem.to_string()))
}

fn malformed(error: &PatchError) -> Status {
    match error {
        PatchError::Malformed(_) => Status::bad_request(error.to_string()),
        PatchError::Unprocessable(_) => {
            Status::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", error.to_string())
        }
        PatchError::Unsupported => Status::unsupported(error.to_string()),
    }
}

fn unapplied(call: &Call, error: ApplyError) -> Status {
    match error {
        ApplyError::Malformed(message) => Status::bad_request(message),
        ApplyError::Conflict { message, conflicts } => {
            let mut status = Status::new(StatusCode::CONFLICT, "Conflict", message);
            status = status.about(&call.what(), &call.asked.name);
            for conflict in conflicts {
                status = status.cause("FieldManagerConflict", &conflict.message, &conflict.field);
            }
            status
        }
    }
}

//! Writes: create, update, patch, delete. Each reads what is there, decides what shall be, and puts it
//! under the condition that nothing changed in between.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod patch;
pub(crate) mod update;

use axum::body::Body;
use http::{HeaderValue, Response};
use jiff::Timestamp;
use sealos_objects::Part;
use sealos_objects::apply::Manager;
use sealos_store::Error;
use serde_json::Value;

use crate::call::Call;
use crate::options::WriteOptions;
use crate::read;
use crate::status::Status;

/// How often a write without a condition of its own is tried anew.
pub(crate) const ATTEMPTS: usize = 32;

/// Which part of the object a path writes.
pub(crate) fn part(subresource: &str) -> Option<Part> {
    match subresource {
        "" => Some(Part::Main),
        "status" => Some(Part::Status),
        "ephemeralcontainers" => Some(Part::EphemeralContainers),
        "resize" => Some(Part::Resize),
        "finalize" => Some(Part::Finalize),
        _ => None,
    }
}

pub(crate) fn manager<'a>(call: &'a Call, options: &'a WriteOptions) -> Manager<'a> {
    Manager { name: &options.manager, subresource: &call.asked.subresource, now: Timestamp::now() }
}

/// The object must say what the path says about its version, kind, name and namespace.
pub(crate) fn check_identity(call: &Call, object: &mut Value) -> Result<(), Status> {
    let resource = &call.resource;
    let text = |object: &Value, key: &str| object.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let (version, kind) = (text(object, "apiVersion"), text(object, "kind"));
    let wanted = resource.api_version();
    if !version.is_empty() && version != wanted {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({wanted})"
        )));
    }
    if !kind.is_empty() && kind != resource.kind {
        return Err(Status::bad_request(format!(
            "the kind in the data ({kind}) does not match the expected kind ({})",
            resource.kind
        )));
    }
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".into(), wanted.into());
        map.insert("kind".into(), resource.kind.as_ref().into());
    }
    let Some(meta) = crate::encode::metadata_mut(object) else {
        return Err(Status::bad_request("metadata: expected an object"));
    };
    if !resource.namespaced {
        meta.remove("namespace");
        return Ok(());
    }
    match meta.get("namespace").and_then(Value::as_str).unwrap_or("") {
        "" => {
            meta.insert("namespace".into(), call.asked.namespace.as_str().into());
        }
        own if own == call.asked.namespace => {}
        _ => {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(())
}

/// What the client hears when a put or delete was refused.
pub(crate) fn refused(call: &Call, name: &str, error: &Error) -> Status {
    match error {
        Error::Exists { .. } => Status::exists(&call.what(), name),
        Error::Missing { .. } => Status::not_found(&call.what(), name),
        Error::Conflict { .. } => Status::modified(&call.what(), name),
        other => read::store_failed(other),
    }
}

/// Adds the warnings that kubectl prints.
pub(crate) fn warn(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let text: String = warning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            response.headers_mut().append(http::header::WARNING, value);
        }
    }
    response
}

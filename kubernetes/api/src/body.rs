//! Reading request bodies: bounded, in JSON or YAML.

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, header};
use serde_json::Value;

use crate::protobuf;
use crate::status::Status;

/// Kubernetes takes 3 MiB at most.
pub(crate) const LIMIT: usize = 3 << 20;
/// A body must arrive within this time.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// The whole body, unless it is too large or too slow.
pub(crate) async fn read(body: Body, headers: &HeaderMap) -> Result<Bytes, Status> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > LIMIT) {
        return Err(Status::too_large(LIMIT));
    }
    match tokio::time::timeout(PATIENCE, collect(body)).await {
        Ok(result) => result,
        Err(_) => Err(Status::bad_request("the request body did not arrive in time")),
    }
}

/// A body that comes in one piece is not copied.
async fn collect(body: Body) -> Result<Bytes, Status> {
    let mut stream = body.into_data_stream();
    let mut whole: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| Status::bad_request(format!("read the request body: {error}")))?;
        length += chunk.len();
        if length > LIMIT {
            return Err(Status::too_large(LIMIT));
        }
        whole.push(chunk);
    }
    match whole.len() {
        1 => Ok(whole.swap_remove(0)),
        _ => Ok(whole.concat().into()),
    }
}

/// The body's type without parameters; JSON when none is given.
pub(crate) fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if kind.is_empty() { "application/json".to_owned() } else { kind }
}

/// An object from a body of the given type.
pub(crate) fn object(bytes: &[u8], content_type: &str) -> Result<Value, Status> {
    let value = match content_type {
        "application/json" => json(bytes)?,
        "application/yaml" | "application/apply-patch+yaml" => yaml(bytes)?,
        protobuf::CONTENT_TYPE => {
            protobuf::decode(bytes).map_err(|error| Status::bad_request(error.to_string()))?
        }
        other => {
            return Err(Status::unsupported(format!(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json, application/yaml, application/vnd.kubernetes.protobuf (got {other})"
            )));
        }
    };
    if value.is_object() { Ok(value) } else { Err(Status::bad_request("the request body is not an object")) }
}

pub(crate) fn json(bytes: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(bytes)
        .map_err(|error| Status::bad_request(format!("the request body is not valid JSON: {error}")))
}

/// YAML is a superset of JSON, but JSON is much faster to read as itself.
fn yaml(bytes: &[u8]) -> Result<Value, Status> {
    if bytes.first() == Some(&b'{')
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return Ok(value);
    }
    serde_yaml_ng::from_slice(bytes)
        .map_err(|error| Status::bad_request(format!("the request body is not valid YAML: {error}")))
}

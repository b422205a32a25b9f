//! `metav1.Status`: how every failure, and some successes, are told.

use axum::body::Body;
use http::{Response, StatusCode, header};
use sealos_objects::FieldErrors;
use serde_json::{Map, Value, json};

/// A failed request, as the client will see it.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    pub(crate) code: StatusCode,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Map<String, Value>,
}

/// The resource a message talks about: `deployments.apps` or `pods`.
#[derive(Clone, Debug)]
pub(crate) struct What {
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) kind: String,
}

impl What {
    /// `deployments.apps`, or `pods` in the core group.
    pub(crate) fn qualified(&self) -> String {
        qualified(&self.resource, &self.group)
    }
}

pub(crate) fn qualified(resource: &str, group: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

impl Status {
    pub(crate) fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Map::new() }
    }

    pub(crate) fn about(mut self, what: &What, name: &str) -> Self {
        if !name.is_empty() {
            self.details.insert("name".into(), name.into());
        }
        if !what.group.is_empty() {
            self.details.insert("group".into(), what.group.as_str().into());
        }
        self.details.insert("kind".into(), what.resource.as_str().into());
        self
    }

    pub(crate) fn cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        let cause = json!({ "reason": reason, "message": message, "field": field });
        match self.details.get_mut("causes") {
            Some(Value::Array(causes)) => causes.push(cause),
            _ => {
                self.details.insert("causes".into(), Value::Array(vec![cause]));
            }
        }
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.details.insert("retryAfterSeconds".into(), seconds.into());
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    pub(crate) fn not_found(what: &What, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", what.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(what, name)
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    pub(crate) fn exists(what: &What, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", what.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(what, name)
    }

    pub(crate) fn conflict(what: &What, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", what.qualified());
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(what, name)
    }

    /// The object changed between the client's read and its write.
    pub(crate) fn modified(what: &What, name: &str) -> Self {
        Self::conflict(
            what,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn forbidden(what: &What, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", what.qualified())
        } else {
            format!("{} \"{name}\" is forbidden: {why}", what.qualified())
        };
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(what, name)
    }

    pub(crate) fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        let message = format!("Internal error occurred: {}", message.into());
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    pub(crate) fn too_many(message: impl Into<String>, seconds: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message).retry_after(seconds)
    }

    /// An object that breaks its kind's rules.
    pub(crate) fn invalid(what: &What, name: &str, errors: &FieldErrors) -> Self {
        let kind =
            if what.group.is_empty() { what.kind.clone() } else { format!("{}.{}", what.kind, what.group) };
        let message = format!("{kind} \"{name}\" is invalid: {errors}");
        let mut status = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(what, name);
        status.details.insert("kind".into(), what.kind.as_str().into());
        for error in &errors.0 {
            status = status.cause(error.cause.reason(), &error.message, &error.field);
        }
        status
    }

    /// The failure as a JSON object.
    pub(crate) fn to_value(&self) -> Value {
        let mut value = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        });
        if !self.details.is_empty()
            && let Some(object) = value.as_object_mut()
        {
            object.insert("details".into(), Value::Object(self.details.clone()));
        }
        value
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = json_response(self.code, &self.to_value());
        if let Some(seconds) = self.details.get("retryAfterSeconds").and_then(Value::as_u64) {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

pub(crate) fn json_response(code: StatusCode, value: &Value) -> Response<Body> {
    bytes_response(code, value.to_string())
}

pub(crate) fn bytes_response(code: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

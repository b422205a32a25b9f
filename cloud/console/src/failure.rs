//! What a person is told when something could not be done: `{"error": {code, message, detail, fields}}`.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sealos_apps::Problem;
use serde::Serialize;

/// A refusal, with the HTTP status it is sent as.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    pub(crate) status: StatusCode,
    /// A word that programs can compare.
    pub(crate) code: String,
    /// What went wrong, for people.
    pub(crate) message: String,
    /// What may help further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// The fields of the request that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fields: Vec<Problem>,
}

#[derive(Serialize)]
struct Body {
    error: Failure,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), detail: None, fields: Vec::new() }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn field(mut self, field: &str, message: String) -> Self {
        self.fields.push(Problem { field: field.into(), message });
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(crate) fn logged_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "you are not logged in")
            .detail("run `sealos console` on the machine of the cloud for a login link")
    }

    /// The name of a new app is taken.
    pub(crate) fn taken(name: &str, workspace: &str) -> Self {
        let message = format!("`{name}` is taken in workspace `{workspace}`; choose another name");
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message.clone()).field("name", message)
    }

    /// The name of something new is taken; the message says by what.
    pub(crate) fn name_taken(message: String) -> Self {
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message.clone()).field("name", message)
    }

    /// What the API answered to an attempt that the message names.
    pub(crate) fn refused(message: String, source: &kube::Error) -> Self {
        Self { message, ..Self::api(source) }.unless_logged_out()
    }

    /// What the API answered.
    pub(crate) fn api(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 401 => Self::logged_out(),
            kube::Error::Api(status) => {
                let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::BAD_GATEWAY);
                let reason = if status.reason.is_empty() { "Refused" } else { &status.reason };
                Self::new(code, reason, status.message.clone())
            }
            other => Self::new(StatusCode::BAD_GATEWAY, "Unreachable", "the Kubernetes API did not answer")
                .detail(other.to_string()),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(Body { error: self })).into_response()
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::api(&error)
    }
}

impl From<sealos_apps::Error> for Failure {
    fn from(error: sealos_apps::Error) -> Self {
        use sealos_apps::Error;
        let message = error.to_string();
        match error {
            Error::Invalid(invalid) => {
                let message = match invalid.0.as_slice() {
                    [one] => one.message.clone(),
                    many => format!("{} fields need to be corrected", many.len()),
                };
                let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
                failure.fields = invalid.0;
                failure
            }
            Error::NotFound { .. } => Self::not_found(message),
            Error::NameTaken { .. } => Self::name_taken(message),
            Error::Conflict(_) | Error::NotReady { .. } => {
                Self::new(StatusCode::CONFLICT, "Conflict", message)
            }
            Error::Apply(sealos_kit::apply::Error::Refused { source, .. }) | Error::Api { source, .. } => {
                Self::refused(message, &source)
            }
            Error::Apply(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Unknown", message),
        }
    }
}

impl Failure {
    /// A session that ended says so, whatever was attempted.
    fn unless_logged_out(self) -> Self {
        if self.status == StatusCode::UNAUTHORIZED { Self::logged_out() } else { self }
    }
}

//! The options of list, watch, write and delete requests.

use bytes::Bytes;
use http::{HeaderMap, header};
use sealos_objects::Resource;
use sealos_objects::decode::FieldValidation;
use sealos_objects::selector::{FieldSelector, LabelSelector};
use serde::Deserialize;
use serde_json::Value;

use crate::request::Query;
use crate::status::Status;

/// Which objects a list or watch is about.
#[derive(Clone, Default)]
pub(crate) struct Selection {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

impl Selection {
    pub(crate) fn parse(query: &Query, resource: &Resource) -> Result<Self, Status> {
        let bad = |error: sealos_objects::selector::ParseError| Status::bad_request(error.to_string());
        let labels = match query.text("labelSelector") {
            Some(text) => LabelSelector::parse(text).map_err(bad)?,
            None => LabelSelector::default(),
        };
        let fields = match query.text("fieldSelector") {
            Some(text) => FieldSelector::parse(text).map_err(bad)?,
            None => FieldSelector::default(),
        };
        resource.check_fields(&fields).map_err(Status::bad_request)?;
        Ok(Self { labels, fields })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, resource: &Resource, object: &Value) -> bool {
        self.labels.matches(object)
            && (self.fields.is_empty() || resource.matches_fields(&self.fields, object))
    }
}

/// In which form the client wants objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Table,
    /// Only the metadata.
    Partial,
}

impl Form {
    /// The first form in the `Accept` header that we can give.
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, Status> {
        let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
            return Ok(Self::Json);
        };
        let mut any = false;
        for choice in accept.split(',').map(str::trim).filter(|choice| !choice.is_empty()) {
            any = true;
            let mut parts = choice.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            if !matches!(kind, "application/json" | "application/*" | "*/*") {
                continue;
            }
            let parameter = |key: &str| {
                let mut parts = choice.split(';').map(str::trim);
                parts.find_map(|part| part.strip_prefix(key)).unwrap_or("")
            };
            match (parameter("as="), parameter("v=")) {
                ("", _) => return Ok(Self::Json),
                ("Table", "v1") => return Ok(Self::Table),
                ("PartialObjectMetadata" | "PartialObjectMetadataList", "v1") => return Ok(Self::Partial),
                _ => {}
            }
        }
        if any {
            return Err(Status::new(
                http::StatusCode::NOT_ACCEPTABLE,
                "NotAcceptable",
                "only the following media types are accepted: application/json",
            ));
        }
        Ok(Self::Json)
    }
}

/// How a write is to be done.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) manager: String,
    pub(crate) check: FieldValidation,
    /// Take fields away from other appliers.
    pub(crate) force: bool,
}

impl WriteOptions {
    pub(crate) fn parse(query: &Query, headers: &HeaderMap) -> Result<Self, Status> {
        let check = FieldValidation::parse(query.text("fieldValidation").unwrap_or(""))
            .map_err(Status::bad_request)?;
        let manager = match query.text("fieldManager") {
            Some(name) if name.len() > 128 => {
                return Err(Status::bad_request("fieldManager: may not be longer than 128 characters"));
            }
            Some(name) => name.to_owned(),
            None => agent(headers),
        };
        Ok(Self { dry_run: dry_run(query.all("dryRun"))?, manager, check, force: query.flag("force") })
    }
}

/// Without a field manager, the name of the client's program stands in.
fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown");
    agent.split('/').next().unwrap_or("unknown").chars().take(128).collect()
}

fn dry_run<'a>(mut values: impl Iterator<Item = &'a str>) -> Result<bool, Status> {
    match values.next() {
        None | Some("") => Ok(false),
        Some("All") => Ok(true),
        Some(other) => Err(Status::bad_request(format!(
            "dryRun: Unsupported value: {other:?}: supported values: \"All\""
        ))),
    }
}

/// What happens to the objects that an object owns.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// The options of a delete request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) propagation_policy: Option<Propagation>,
    pub(crate) orphan_dependents: Option<bool>,
    pub(crate) preconditions: Option<Preconditions>,
    dry_run: Option<Vec<String>>,
    #[serde(skip)]
    pub(crate) dry: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// From the body, and from the query for what the body leaves out.
    pub(crate) fn parse(query: &Query, body: &Bytes, content_type: &str) -> Result<Self, Status> {
        let mut options = if body.is_empty() {
            Self::default()
        } else {
            let value = crate::body::object(body, content_type)?;
            Self::from_value(value)?
        };
        if options.grace_period_seconds.is_none()
            && let Some(text) = query.text("gracePeriodSeconds")
        {
            let invalid = |_| Status::bad_request(format!("gracePeriodSeconds: invalid value {text:?}"));
            options.grace_period_seconds = Some(text.parse().map_err(invalid)?);
        }
        if options.propagation_policy.is_none()
            && let Some(text) = query.text("propagationPolicy")
        {
            let value = serde_json::from_value(Value::from(text));
            let invalid = |_| Status::bad_request(format!("propagationPolicy: Unsupported value: {text:?}"));
            options.propagation_policy = Some(value.map_err(invalid)?);
        }
        options.dry |= dry_run(query.all("dryRun"))?;
        Ok(options)
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, Status> {
        let mut options: Self = serde_json::from_value(value)
            .map_err(|error| Status::bad_request(format!("DeleteOptions cannot be read: {error}")))?;
        options.dry = dry_run(options.dry_run.iter().flatten().map(String::as_str))?;
        if options.grace_period_seconds.is_some_and(|seconds| seconds < 0) {
            options.grace_period_seconds = Some(1);
        }
        Ok(options)
    }

    pub(crate) fn propagation(&self) -> Option<Propagation> {
        self.propagation_policy.or(match self.orphan_dependents {
            Some(true) => Some(Propagation::Orphan),
            Some(false) => Some(Propagation::Background),
            None => None,
        })
    }
}

//! Validation per kind, with the field errors Kubernetes users know.

pub(crate) mod names;

use serde_json::Value;

use crate::field::FieldErrors;
use crate::resource::{Part, Resource};

pub(crate) fn create(_resource: &Resource, _object: &Value) -> FieldErrors {
    FieldErrors::default()
}

pub(crate) fn update(_resource: &Resource, _object: &Value, _old: &Value, _part: Part) -> FieldErrors {
    FieldErrors::default()
}

pub(crate) fn warnings(_resource: &Resource, _object: &Value) -> Vec<String> {
    Vec::new()
}

pub(crate) fn pod_qos(_spec: &Value) -> &'static str {
    "BestEffort"
}

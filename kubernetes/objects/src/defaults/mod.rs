//! Defaults per kind.
use serde_json::Value;
use crate::resource::Resource;
pub(crate) fn apply(_resource: &Resource, _object: &mut Value) {}
pub(crate) fn autoscaler_to_v2(_object: &mut Value) {}
pub(crate) fn autoscaler_to_v1(_object: &mut Value) {}

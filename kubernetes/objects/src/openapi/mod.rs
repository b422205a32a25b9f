//! OpenAPI documents, v3 per group and version, v2 as one.
use crate::resource::Resource;
use serde_json::Value;
use std::sync::Arc;

/// The `/openapi/v3` index: a path and a hash for each group and version served.
pub fn v3_index(resources: &[Arc<Resource>]) -> Value {
    let _ = resources;
    Value::Null
}

/// The document of one group and version.
pub fn v3(resources: &[Arc<Resource>], group: &str, version: &str) -> Option<Value> {
    let _ = (resources, group, version);
    None
}

/// The v2 (swagger) document of everything.
pub fn v2(resources: &[Arc<Resource>]) -> Value {
    let _ = resources;
    Value::Null
}

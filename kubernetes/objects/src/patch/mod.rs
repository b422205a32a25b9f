//! The patches: JSON patch, JSON merge patch, strategic merge patch. (Apply has a room of its own.)

mod strategic;

use serde_json::Value;

pub(crate) use strategic::strategic;

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is malformed: a BadRequest.
    #[error("{0}")]
    Malformed(String),
    /// The patch does not fit the object: Invalid (422).
    #[error("the server rejected our request due to an error in our request: {0}")]
    Unprocessable(String),
    /// The kind has no strategic merge patch: UnsupportedMediaType (415).
    #[error(
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )]
    Unsupported,
}

/// The most operations one JSON patch may have.
const MAX_OPERATIONS: usize = 10_000;

/// Applies an RFC 6902 patch.
pub fn json(current: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|e| PatchError::Malformed(format!("decode JSON patch: {e}")))?;
    if operations.0.len() > MAX_OPERATIONS {
        let text = format!(
            "the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            operations.0.len()
        );
        return Err(PatchError::Malformed(text));
    }
    let mut object = current.clone();
    json_patch::patch(&mut object, &operations).map_err(|e| PatchError::Unprocessable(e.to_string()))?;
    Ok(object)
}

/// Applies an RFC 7396 patch.
pub fn merge(current: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("a merge patch must be a JSON object".to_owned()));
    }
    let mut object = current.clone();
    json_patch::merge(&mut object, patch);
    Ok(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_patch_errors_are_told_apart() {
        let object = json!({"a": 1});
        assert_eq!(json(&object, &json!([{"op": "replace", "path": "/a", "value": 2}])), Ok(json!({"a": 2})));
        assert!(matches!(
            json(&object, &json!([{"op": "test", "path": "/a", "value": 3}])),
            Err(PatchError::Unprocessable(_))
        ));
        assert!(matches!(json(&object, &json!({"op": "x"})), Err(PatchError::Malformed(_))));
    }

    #[test]
    fn merge_removes_nulls() {
        assert_eq!(
            merge(&json!({"a": {"b": 1, "c": 2}}), &json!({"a": {"b": null}})),
            Ok(json!({"a": {"c": 2}}))
        );
        assert!(merge(&json!({}), &json!([])).is_err());
    }
}

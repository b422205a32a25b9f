//! The smallest merge patch that turns one object into another: writes carry only what changes, so
//! they neither conflict with other writers nor happen at all when nothing changes.

use serde::Serialize;
use serde_json::{Map, Value};

/// What must be merged into `old` to get `new`; nothing when they are equal.
pub(crate) fn difference(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (key, value) in new {
        match old.get(key) {
            Some(before) => {
                if let Some(inner) = difference(before, value) {
                    patch.insert(key.clone(), inner);
                }
            }
            None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in old.keys().filter(|k| !new.contains_key(*k)) {
        patch.insert(key.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The same for values that serialise, `None` standing for an absent one.
pub(crate) fn between<T: Serialize>(old: Option<&T>, new: &T) -> Result<Option<Value>, serde_json::Error> {
    let old = match old {
        Some(old) => serde_json::to_value(old)?,
        None => Value::Object(Map::new()),
    };
    Ok(difference(&old, &serde_json::to_value(new)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_changes_are_written() {
        let check = |old, new, patch| assert_eq!(difference(&old, &new), patch);
        check(json!({"a": 1, "b": {"c": 2}}), json!({"a": 1, "b": {"c": 2}}), None);
        check(
            json!({"a": 1, "b": {"c": 2}}),
            json!({"b": {"c": 3}}),
            Some(json!({"a": null, "b": {"c": 3}})),
        );
        check(json!({"a": [1, 2]}), json!({"a": [1]}), Some(json!({"a": [1]})));
    }
}

//! Small readers and writers over [`Value`], so that the rules read like rules.

use serde_json::{Map, Value};

/// The value at `path` (object keys only), if every step exists.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let mut here = value;
    for key in path {
        here = here.as_object()?.get(*key)?;
    }
    (!here.is_null()).then_some(here)
}

/// The text at `path`, or the empty string.
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// The integer at `path`.
pub(crate) fn int(value: &Value, path: &[&str]) -> Option<i64> {
    at(value, path).and_then(Value::as_i64)
}

/// The list at `path`, or the empty one.
pub(crate) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The object at `path`.
pub(crate) fn map<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Map<String, Value>> {
    at(value, path).and_then(Value::as_object)
}

/// Whether the boolean at `path` is there and true.
pub(crate) fn flag(value: &Value, path: &[&str]) -> bool {
    at(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The object under `key`, made if it is missing or null.
pub(crate) fn child<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}

/// The object under `key`, if there is one.
pub(crate) fn child_if<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key)?.as_object_mut()
}

/// The objects in the list under `key`.
pub(crate) fn items_mut<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> + use<'a> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// Sets `key` unless it has a value already.
pub(crate) fn fill(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    match map.get_mut(key) {
        Some(slot) if !slot.is_null() => {}
        Some(slot) => *slot = value.into(),
        None => {
            map.insert(key.to_owned(), value.into());
        }
    }
}

/// Like [`fill`], and an empty string counts as no value.
pub(crate) fn fill_text(map: &mut Map<String, Value>, key: &str, value: &str) {
    let missing = map.get(key).is_none_or(|old| old.is_null() || old.as_str() == Some(""));
    if missing {
        map.insert(key.to_owned(), Value::from(value));
    }
}

/// Like [`fill`], and zero counts as no value.
pub(crate) fn fill_int(map: &mut Map<String, Value>, key: &str, value: i64) {
    let missing = map.get(key).is_none_or(|old| old.is_null() || old.as_i64() == Some(0));
    if missing {
        map.insert(key.to_owned(), Value::from(value));
    }
}

/// Whether a value is what Go calls empty: null, "", 0, false, [] or {}.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

//! Strategic merge patch: lists merge by key, `$patch`, `$retainKeys`, `$setElementOrder` and
//! `$deleteFromPrimitiveList` direct it.

use serde_json::{Map, Value};

use super::PatchError;
use crate::schema::{SchemaRef, Shape};

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const ORDER: &str = "$setElementOrder/";
const DELETE: &str = "$deleteFromPrimitiveList/";

/// Applies `patch` to `current` as the schema says.
pub(crate) fn strategic(schema: SchemaRef<'_>, current: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Some(patch) = patch.as_object() else {
        return Err(PatchError::Malformed("a strategic merge patch must be a JSON object".to_owned()));
    };
    let mut object = current.as_object().cloned().unwrap_or_default();
    merge_object(Some(schema), &mut object, patch)?;
    Ok(Value::Object(object))
}

fn merge_object(
    schema: Option<SchemaRef<'_>>,
    current: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), PatchError> {
    match directive(patch)? {
        Some(Directive::Replace) => {
            *current = patch
                .iter()
                .filter(|(key, _)| *key != DIRECTIVE)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            return Ok(());
        }
        Some(Directive::Delete) => {
            current.clear();
            return Ok(());
        }
        Some(Directive::Merge) | None => {}
    }
    retain(current, patch)?;
    delete_scalars(current, patch)?;
    for (key, value) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        merge_field(schema.and_then(|schema| schema.field(key)), current, patch, key, value)?;
    }
    order_untouched(schema, current, patch)
}

fn merge_field(
    schema: Option<SchemaRef<'_>>,
    current: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    key: &str,
    value: &Value,
) -> Result<(), PatchError> {
    match value {
        Value::Null => {
            current.remove(key);
        }
        Value::Object(fields) => {
            // An object that is not there yet still runs its directives.
            let mut merged = match current.remove(key) {
                Some(Value::Object(map)) => map,
                _ => Map::new(),
            };
            let deleted = matches!(directive(fields)?, Some(Directive::Delete));
            merge_object(schema, &mut merged, fields)?;
            if !deleted {
                current.insert(key.to_owned(), Value::Object(merged));
            }
        }
        Value::Array(items) => {
            let order = patch.get(&format!("{ORDER}{key}"));
            let old = match current.remove(key) {
                Some(Value::Array(list)) => list,
                _ => Vec::new(),
            };
            current.insert(key.to_owned(), Value::Array(merge_list(schema, old, items, order)?));
        }
        scalar => {
            current.insert(key.to_owned(), scalar.clone());
        }
    }
    Ok(())
}

fn merge_list(
    schema: Option<SchemaRef<'_>>,
    current: Vec<Value>,
    patch: &[Value],
    order: Option<&Value>,
) -> Result<Vec<Value>, PatchError> {
    let Some((items, key)) = schema.and_then(mergeable) else { return plain_list(patch) };
    let Some(key) = key else {
        let merged = union(current.clone(), patch);
        return Ok(sort(merged, &current, patch, order, &|value| Some(value.clone())));
    };
    if patch.iter().any(|item| item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace")) {
        return plain_list(patch);
    }
    let identity = |value: &Value| value.get(key).cloned();
    let merged = merge_items(items, key, current.clone(), patch)?;
    Ok(sort(merged, &current, patch, order, &identity))
}

/// Items and merge key of a list that merges; `None` as key means a list of scalars.
fn mergeable(schema: SchemaRef<'_>) -> Option<(SchemaRef<'_>, Option<&str>)> {
    match schema.shape() {
        Shape::List { items, merge: true, merge_key, .. } => Some((schema.to(*items), merge_key.as_deref())),
        _ => None,
    }
}

/// A list that is replaced, minus its `$patch: replace` marker.
fn plain_list(patch: &[Value]) -> Result<Vec<Value>, PatchError> {
    let mut list = Vec::with_capacity(patch.len());
    for item in patch {
        match item.as_object() {
            Some(map) if map.contains_key(DIRECTIVE) => {
                directive(map)?;
                let rest: Map<String, Value> = map
                    .iter()
                    .filter(|(key, _)| *key != DIRECTIVE)
                    .map(|(k, v)| (k.clone(), v.clone()))
                    .collect();
                if !rest.is_empty() {
                    list.push(Value::Object(rest));
                }
            }
            _ => list.push(item.clone()),
        }
    }
    Ok(list)
}

fn union(mut list: Vec<Value>, patch: &[Value]) -> Vec<Value> {
    for item in patch {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
    list
}

fn merge_items(
    items: SchemaRef<'_>,
    key: &str,
    mut list: Vec<Value>,
    patch: &[Value],
) -> Result<Vec<Value>, PatchError> {
    for item in patch {
        let Some(fields) = item.as_object() else {
            return Err(PatchError::Malformed(format!(
                "expected objects in a list merged by {key}, found {item}"
            )));
        };
        let Some(id) = fields.get(key) else {
            let text = format!("map: {item} does not contain declared merge key: {key}");
            return Err(PatchError::Malformed(text));
        };
        let found = list.iter().position(|old| old.get(key) == Some(id));
        if matches!(directive(fields)?, Some(Directive::Delete)) {
            list.retain(|old| old.get(key) != Some(id));
            continue;
        }
        match found.and_then(|index| list.get_mut(index)).and_then(Value::as_object_mut) {
            Some(old) => merge_object(Some(items), old, fields)?,
            None => {
                let mut new = Map::new();
                merge_object(Some(items), &mut new, fields)?;
                list.push(Value::Object(new));
            }
        }
    }
    Ok(list)
}

/// Puts the items the patch names into its order, the others where they were among them.
fn sort(
    merged: Vec<Value>,
    current: &[Value],
    patch: &[Value],
    order: Option<&Value>,
    identity: &dyn Fn(&Value) -> Option<Value>,
) -> Vec<Value> {
    let wanted: Vec<Value> = match order.and_then(Value::as_array) {
        Some(order) => {
            order.iter().filter_map(|o| if o.is_object() { identity(o) } else { Some(o.clone()) }).collect()
        }
        None => patch.iter().filter_map(identity).collect(),
    };
    if order.is_none() {
        return merged;
    }
    let rank = |value: &Value| identity(value).and_then(|id| wanted.iter().position(|w| *w == id));
    let mut named: Vec<Value> = merged.iter().filter(|v| rank(v).is_some()).cloned().collect();
    named.sort_by_key(|value| rank(value));
    let others = merged.into_iter().filter(|v| rank(v).is_none());
    weave(named, others.collect(), current, identity)
}

/// Merges two ordered runs; an item of `others` stands before the named items it preceded in `current`.
fn weave(
    named: Vec<Value>,
    others: Vec<Value>,
    current: &[Value],
    identity: &dyn Fn(&Value) -> Option<Value>,
) -> Vec<Value> {
    let place = |value: &Value| current.iter().position(|old| identity(old) == identity(value));
    let mut result = Vec::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(left), Some(right)) = (named.peek(), others.peek()) {
        let right_first = match (place(left), place(right)) {
            (Some(left), Some(right)) => right < left,
            (None, Some(_)) => false,
            _ => false,
        };
        result.extend(if right_first { others.next() } else { named.next() });
    }
    result.extend(named);
    result.extend(others);
    result
}

/// A list may be reordered without any of its items being patched.
fn order_untouched(
    schema: Option<SchemaRef<'_>>,
    current: &mut Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<(), PatchError> {
    for (directive, order) in patch.iter().filter(|(key, _)| key.starts_with(ORDER)) {
        let field = directive.trim_start_matches(ORDER);
        if patch.contains_key(field) {
            continue;
        }
        let Some(list) = schema.and_then(|schema| schema.field(field)) else { continue };
        if let Some(Value::Array(old)) = current.get_mut(field) {
            *old = merge_list(Some(list), std::mem::take(old), &[], Some(order))?;
        }
    }
    Ok(())
}

fn retain(current: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), PatchError> {
    let Some(keys) = patch.get(RETAIN) else { return Ok(()) };
    let Some(keys) = keys.as_array() else {
        return Err(PatchError::Malformed(format!("{RETAIN} must be a list of keys")));
    };
    let listed = |key: &str| keys.iter().any(|k| k.as_str() == Some(key));
    let unlisted =
        |(key, value): &(&String, &Value)| !key.starts_with('$') && !value.is_null() && !listed(key);
    if let Some((key, _)) = patch.iter().find(unlisted) {
        return Err(PatchError::Malformed(format!(
            "{RETAIN} list must contain all fields present in the patch; {key} is missing"
        )));
    }
    current.retain(|key, _| listed(key));
    Ok(())
}

fn delete_scalars(current: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), PatchError> {
    for (directive, values) in patch.iter().filter(|(key, _)| key.starts_with(DELETE)) {
        let Some(values) = values.as_array() else {
            return Err(PatchError::Malformed(format!("{directive} must be a list")));
        };
        if let Some(Value::Array(list)) = current.get_mut(directive.trim_start_matches(DELETE)) {
            list.retain(|value| !values.contains(value));
        }
    }
    Ok(())
}

enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> Result<Option<Directive>, PatchError> {
    match patch.get(DIRECTIVE).map(Value::as_str) {
        None => Ok(None),
        Some(Some("merge")) => Ok(Some(Directive::Merge)),
        Some(Some("replace")) => Ok(Some(Directive::Replace)),
        Some(Some("delete")) => Ok(Some(Directive::Delete)),
        Some(other) => Err(PatchError::Malformed(format!(
            "unknown patch type found: {}",
            other.unwrap_or("not a string")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::catalogue::by_plural;

    fn patched(current: Value, patch: Value) -> Value {
        let pods = by_plural("", "v1", "pods").expect("pods are built in");
        pods.strategic_merge(&current, &patch).unwrap_or_else(|e| json!(e.to_string()))
    }

    fn containers(list: Value) -> Value {
        json!({"spec": {"containers": list}})
    }

    #[test]
    fn containers_merge_by_name() {
        let current =
            containers(json!([{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}]));
        let patch = containers(json!([{"name": "b", "image": "2"}, {"name": "c", "image": "3"}]));
        let expected = json!([{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}]);
        assert_eq!(patched(current, patch), containers(expected));
    }

    #[test]
    fn lists_without_a_key_are_replaced() {
        let current = containers(json!([{"name": "a", "args": ["x", "y"]}]));
        let patch = containers(json!([{"name": "a", "args": ["z"]}]));
        assert_eq!(patched(current, patch), containers(json!([{"name": "a", "args": ["z"]}])));
    }

    #[test]
    fn items_are_deleted_by_directive() {
        let current = containers(json!([{"name": "a"}, {"name": "b"}]));
        let patch = containers(json!([{"$patch": "delete", "name": "a"}]));
        assert_eq!(patched(current, patch), containers(json!([{"name": "b"}])));
    }

    #[test]
    fn a_list_is_replaced_by_directive() {
        let current = containers(json!([{"name": "a"}, {"name": "b"}]));
        let patch = containers(json!([{"name": "c"}, {"$patch": "replace"}]));
        assert_eq!(patched(current, patch), containers(json!([{"name": "c"}])));
    }

    #[test]
    fn element_order_is_kept() {
        let current = containers(json!([{"name": "a"}, {"name": "x"}, {"name": "b"}]));
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "n"}, {"name": "a"}],
            "containers": [{"name": "n", "image": "1"}]
        }});
        let names: Vec<String> = patched(current, patch)["spec"]["containers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| c["name"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(names, ["x", "b", "n", "a"]);
    }

    #[test]
    fn volumes_retain_keys() {
        let current = json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}});
        let patch = json!({"spec": {"volumes": [{"$retainKeys": ["name", "configMap"], "name": "v", "configMap": {"name": "c"}}]}});
        assert_eq!(
            patched(current, patch),
            json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}})
        );
    }

    #[test]
    fn a_strategy_is_changed_as_kubectl_does_it() {
        let deployments = by_plural("apps", "v1", "deployments").expect("deployments are built in");
        let current =
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate", "rollingUpdate": null}}});
        let expected = json!({"spec": {"strategy": {"type": "Recreate"}}});
        assert_eq!(deployments.strategic_merge(&current, &patch), Ok(expected));
    }

    #[test]
    fn finalizers_merge_and_leave() {
        let current = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}});
        assert_eq!(patched(current, patch), json!({"metadata": {"finalizers": ["b", "c"]}}));
    }

    #[test]
    fn malformed_patches_are_named() {
        assert_eq!(
            patched(containers(json!([])), containers(json!([{"image": "x"}]))),
            json!(r#"map: {"image":"x"} does not contain declared merge key: name"#)
        );
        assert_eq!(
            patched(json!({}), json!({"$patch": "explode"})),
            json!("unknown patch type found: explode")
        );
    }

    proptest! {
        #[test]
        fn an_empty_patch_changes_nothing(names in proptest::collection::vec("[a-z]{1,4}", 0..5)) {
            let list: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            let object = containers(json!(list));
            prop_assert_eq!(patched(object.clone(), json!({})), object);
        }

        #[test]
        fn patching_twice_is_patching_once(
            old in proptest::collection::btree_set("[a-e]", 0..5),
            new in proptest::collection::btree_set("[a-e]", 0..5),
        ) {
            let list = |names: &std::collections::BTreeSet<String>, image: &str| {
                containers(json!(names.iter().map(|name| json!({"name": name, "image": image})).collect::<Vec<_>>()))
            };
            let once = patched(list(&old, "1"), list(&new, "2"));
            prop_assert_eq!(patched(once.clone(), list(&new, "2")), once);
        }
    }
}

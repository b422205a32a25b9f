//! Merging an applied configuration into an object, and taking out what is no longer applied.

use serde_json::Value;

use super::set::{Set, field};
use super::walk::{Pieces, element, pieces};
use crate::schema::{ListKind, SchemaRef};

/// `config` over `live`: what the configuration does not mention stays.
pub(crate) fn merge(schema: Option<SchemaRef<'_>>, live: &Value, config: &Value) -> Value {
    match (pieces(schema, config), live, config) {
        (Pieces::Fields { .. }, Value::Object(live), Value::Object(config)) => {
            let mut merged = live.clone();
            for (name, value) in config {
                let known = schema.and_then(|s| s.field(name));
                let value = match live.get(name) {
                    Some(old) => merge(known, old, value),
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Pieces::Items { items, kind }, Value::Array(live), Value::Array(config)) => {
            Value::Array(merge_items(items, kind, live, config))
        }
        (_, _, config) => config.clone(),
    }
}

/// The configuration's items in its order; items only the object has stay as early as they were.
fn merge_items(items: SchemaRef<'_>, kind: &ListKind, live: &[Value], config: &[Value]) -> Vec<Value> {
    let edge = |item: &Value| element(items, kind, item);
    let config_edges: Vec<Option<String>> = config.iter().map(edge).collect();
    let live: Vec<(Option<String>, &Value)> = live.iter().map(|item| (edge(item), item)).collect();
    let mut merged = Vec::with_capacity(live.len() + config.len());
    let mut rest = live.iter().peekable();
    for (item, edge) in config.iter().zip(&config_edges) {
        let old = live.iter().find(|(old, _)| old == edge);
        while let Some((next, value)) = rest.peek() {
            if config_edges.contains(next) {
                break;
            }
            merged.push((*value).clone());
            rest.next();
        }
        if rest.peek().is_some_and(|(next, _)| next == edge) {
            rest.next();
        }
        merged.push(old.map_or_else(|| item.clone(), |(_, old)| merge(Some(items), old, item)));
    }
    merged.extend(rest.filter(|(edge, _)| !config_edges.contains(edge)).map(|(_, value)| (*value).clone()));
    merged
}

/// Takes `gone` out of `value`, except what `kept` (or something below it) still owns.
pub(crate) fn prune(schema: Option<SchemaRef<'_>>, value: &mut Value, gone: &Set, kept: &Set) {
    match pieces(schema, value) {
        Pieces::Whole => {}
        Pieces::Fields { .. } => {
            let Some(map) = value.as_object_mut() else { return };
            for (edge, gone) in &gone.children {
                let Some(name) = edge.strip_prefix("f:") else { continue };
                let kept = kept.children.get(&field(name));
                if gone.member && kept.is_none() {
                    map.remove(name);
                    continue;
                }
                let Some(child) = map.get_mut(name) else { continue };
                let was_empty = crate::value::is_empty(child);
                prune(schema.and_then(|s| s.field(name)), child, gone, kept.unwrap_or(&Set::default()));
                let emptied = matches!(child, Value::Object(m) if m.is_empty())
                    || matches!(child, Value::Array(l) if l.is_empty());
                if emptied && !was_empty && !kept.is_some_and(|kept| kept.member) {
                    map.remove(name);
                }
            }
        }
        Pieces::Items { items, kind } => {
            let Some(list) = value.as_array_mut() else { return };
            list.retain_mut(|item| {
                let Some(edge) = element(items, kind, item) else { return true };
                let Some(gone) = gone.children.get(&edge) else { return true };
                let kept = kept.children.get(&edge);
                if gone.member && kept.is_none() {
                    return false;
                }
                prune(Some(items), item, gone, kept.unwrap_or(&Set::default()));
                true
            });
        }
    }
}

/// The first item that lacks a key of its list, or appears twice.
pub(crate) fn check_lists(schema: Option<SchemaRef<'_>>, value: &Value, path: &str) -> Result<(), String> {
    match (pieces(schema, value), value) {
        (Pieces::Fields { .. }, Value::Object(map)) => map.iter().try_for_each(|(name, value)| {
            check_lists(schema.and_then(|s| s.field(name)), value, &format!("{path}.{name}"))
        }),
        (Pieces::Items { items, kind }, Value::Array(list)) => {
            let mut seen = std::collections::HashSet::new();
            for (index, item) in list.iter().enumerate() {
                let Some(edge) = element(items, kind, item) else {
                    return Err(missing_key(kind, item, index, path));
                };
                check_lists(Some(items), item, &format!("{path}[{index}]"))?;
                if !seen.insert(edge.clone()) {
                    let edge = edge.get(2..).unwrap_or_default();
                    return Err(format!("{path}: duplicate entries for key {edge}"));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn missing_key(kind: &ListKind, item: &Value, index: usize, path: &str) -> String {
    let missing = match kind {
        ListKind::Map(keys) => keys.iter().find(|key| item.get(&***key).is_none()).map_or("", |key| key),
        ListKind::Atomic | ListKind::Set => "",
    };
    format!(
        "{path}: element {index}: associative list with keys has an element that omits key field {missing:?} (and doesn't have default value)"
    )
}

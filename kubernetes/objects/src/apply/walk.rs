//! Field sets of values, and of the difference between two values.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::{Set, field};
use crate::schema::{ListKind, Rest, SchemaRef, Shape};

/// How a value divides into owned pieces.
pub(crate) enum Pieces<'a> {
    /// Owned whole.
    Whole,
    /// Field by field; `map` when the fields are entries rather than a struct's.
    Fields { map: bool },
    /// Item by item.
    Items { items: SchemaRef<'a>, kind: &'a ListKind },
}

/// The pieces of a value of this schema. Unknown fields (`None`) split like plain JSON objects.
pub(crate) fn pieces<'a>(schema: Option<SchemaRef<'a>>, value: &Value) -> Pieces<'a> {
    let Some(schema) = schema else {
        return if value.is_object() { Pieces::Fields { map: true } } else { Pieces::Whole };
    };
    match schema.shape() {
        Shape::Object { atomic: false, rest, .. } if value.is_object() => {
            Pieces::Fields { map: !matches!(rest, Rest::Drop) }
        }
        Shape::Any if value.is_object() => Pieces::Fields { map: true },
        Shape::List { kind: ListKind::Atomic, .. } => Pieces::Whole,
        Shape::List { items, kind, .. } if value.is_array() => {
            Pieces::Items { items: schema.to(*items), kind }
        }
        _ => Pieces::Whole,
    }
}

/// The edge an item hangs on. `None` when it lacks a key.
pub(crate) fn element(items: SchemaRef<'_>, kind: &ListKind, item: &Value) -> Option<String> {
    match kind {
        ListKind::Atomic => None,
        ListKind::Set => Some(format!("v:{item}")),
        ListKind::Map(keys) => {
            let mut sorted = BTreeMap::new();
            for key in keys {
                sorted.insert(key.as_ref(), key_value(items, item, key)?);
            }
            let map: Map<String, Value> =
                sorted.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            Some(format!("k:{}", Value::Object(map)))
        }
    }
}

/// The key's value, or its default: a port without protocol is TCP.
fn key_value(items: SchemaRef<'_>, item: &Value, key: &str) -> Option<Value> {
    if let Some(value) = item.get(key).filter(|value| !value.is_null()) {
        return Some(value.clone());
    }
    let default = items.field(key).and_then(|schema| schema.rules()).and_then(|rules| rules.default.clone());
    default.or_else(|| (key == "protocol").then(|| Value::from("TCP")))
}

/// An item list's elements, by the edge they hang on.
pub(crate) fn indexed<'v>(
    items: SchemaRef<'_>,
    kind: &ListKind,
    list: &'v [Value],
) -> BTreeMap<String, &'v Value> {
    list.iter().filter_map(|item| element(items, kind, item).map(|edge| (edge, item))).collect()
}

/// Every field of a value. With `containers`, maps are members beside their entries, as updates record them.
pub(crate) fn fields_of(schema: Option<SchemaRef<'_>>, value: &Value, containers: bool) -> Set {
    let mut set = Set::default();
    match pieces(schema, value) {
        Pieces::Whole => set.member = true,
        Pieces::Fields { map } => {
            let Some(fields) = value.as_object() else { return Set::leaf() };
            set.member = fields.is_empty() || (map && containers);
            for (name, value) in fields {
                let mut child = fields_of(schema.and_then(|s| s.field(name)), value, containers);
                child.member |= map;
                set.insert(field(name), child);
            }
        }
        Pieces::Items { items, kind } => {
            let Some(list) = value.as_array() else { return Set::leaf() };
            set.member = list.is_empty() || containers;
            for (edge, item) in indexed(items, kind, list) {
                let mut child = fields_of(Some(items), item, containers);
                child.member = true;
                set.insert(edge, child);
            }
        }
    }
    set
}

/// What differs between two values.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    /// Added or given another value.
    pub(crate) changed: Set,
    pub(crate) removed: Set,
}

impl Difference {
    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }

    fn child(&mut self, edge: String, child: Self) {
        self.changed.insert(edge.clone(), child.changed);
        self.removed.insert(edge, child.removed);
    }
}

pub(crate) fn compare(schema: Option<SchemaRef<'_>>, old: Option<&Value>, new: Option<&Value>) -> Difference {
    match (old, new) {
        (None, None) => Difference::default(),
        (None, Some(new)) => Difference { changed: fields_of(schema, new, true), removed: Set::default() },
        (Some(old), None) => Difference { changed: Set::default(), removed: fields_of(schema, old, true) },
        (Some(old), Some(new)) => both(schema, old, new),
    }
}

fn both(schema: Option<SchemaRef<'_>>, old: &Value, new: &Value) -> Difference {
    let mut difference = Difference::default();
    match (pieces(schema, new), old, new) {
        (Pieces::Fields { map }, Value::Object(before), Value::Object(after)) => {
            for (name, value) in after {
                let known = schema.and_then(|s| s.field(name));
                let mut child = compare(known, before.get(name), Some(value));
                child.changed.member |= map && !before.contains_key(name);
                difference.child(field(name), child);
            }
            for (name, value) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
                let mut child = compare(schema.and_then(|s| s.field(name)), Some(value), None);
                child.removed.member |= map;
                difference.child(field(name), child);
            }
        }
        (Pieces::Items { items, kind }, Value::Array(before), Value::Array(after)) => {
            let (before, after) = (indexed(items, kind, before), indexed(items, kind, after));
            for (edge, value) in &after {
                let mut child = compare(Some(items), before.get(edge).copied(), Some(value));
                child.changed.member |= !before.contains_key(edge);
                difference.child(edge.clone(), child);
            }
            for (edge, value) in before.iter().filter(|(edge, _)| !after.contains_key(*edge)) {
                let mut child = compare(Some(items), Some(value), None);
                child.removed.member = true;
                difference.child(edge.clone(), child);
            }
        }
        (_, old, new) if old == new => {}
        (Pieces::Whole, _, _) => difference.changed.member = true,
        // The kind of value changed: what was below is gone.
        _ => {
            difference.removed = fields_of(schema, old, true);
            difference.changed = fields_of(schema, new, true);
        }
    }
    difference
}

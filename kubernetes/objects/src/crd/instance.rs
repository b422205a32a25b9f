//! Defaults and validation of custom objects.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::Custom;
use super::checks::{join, wrong_type};
use crate::apply::element;
use crate::field::{Cause, FieldError, FieldErrors};
use crate::schema::{Bits, ListKind, Rest, SchemaRef, Shape};
use crate::value::text;

/// Fills the schema's defaults.
pub(crate) fn default(custom: &Custom, object: &mut Value) {
    fill(custom.schema(), object);
}

fn fill(schema: SchemaRef<'_>, value: &mut Value) {
    match (schema.shape(), value) {
        (Shape::Object { fields, rest, .. }, Value::Object(map)) => {
            for (name, id) in fields {
                fill_field(schema.to(*id), map, name);
            }
            if let Rest::Of(id) = rest {
                map.values_mut().for_each(|value| fill(schema.to(*id), value));
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            list.iter_mut().for_each(|item| fill(schema.to(*items), item));
        }
        _ => {}
    }
}

fn fill_field(schema: SchemaRef<'_>, map: &mut Map<String, Value>, name: &str) {
    let rules = schema.rules();
    let default = rules.and_then(|rules| rules.default.as_ref());
    let nullable = rules.is_some_and(|rules| rules.nullable);
    if let Some(default) = default {
        let missing = map.get(name).is_none_or(|value| value.is_null() && !nullable);
        if missing {
            map.insert(name.to_owned(), default.clone());
        }
    }
    if let Some(value) = map.get_mut(name) {
        fill(schema, value);
    }
}

/// Types and value rules first; CEL only on an object that passes them.
pub(crate) fn validate(custom: &Custom, object: &Value, old: Option<&Value>, errors: &mut FieldErrors) {
    let before = errors.0.len();
    check(custom.schema(), object, old, "", errors);
    let Some(rules) = custom.rules().filter(|_| errors.0.len() == before) else { return };
    if let Err(problems) = kube_cel::validate_compiled(rules, object, old) {
        for problem in problems.into_vec() {
            let value = at_path(object, &problem.field_path);
            let cause = match problem.reason.as_deref() {
                Some("FieldValueForbidden") => Cause::Forbidden,
                Some("FieldValueRequired") => Cause::Required,
                Some("FieldValueDuplicate") => Cause::Duplicate,
                _ => Cause::Invalid,
            };
            let error = match cause {
                Cause::Forbidden | Cause::Required => {
                    FieldError::plain(cause, problem.field_path, problem.message)
                }
                // Kubernetes names the type of an object rather than its content.
                _ => FieldError::with_value(cause, problem.field_path, &shown(value), problem.message),
            };
            errors.push(error);
        }
    }
}

fn shown(value: &Value) -> Value {
    match value {
        Value::Object(_) => "object".into(),
        Value::Array(_) => "array".into(),
        other => other.clone(),
    }
}

/// The value at `a.b[0].c`.
fn at_path<'v>(object: &'v Value, path: &str) -> &'v Value {
    let mut here = object;
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        here = match (here, step.parse::<usize>()) {
            (Value::Array(list), Ok(index)) => list.get(index),
            (other, _) => other.get(step),
        }
        .unwrap_or(&Value::Null);
    }
    here
}

/// Checks a value; what has not changed since `old` was accepted before and is left alone.
fn check(schema: SchemaRef<'_>, value: &Value, old: Option<&Value>, path: &str, errors: &mut FieldErrors) {
    if old == Some(value) {
        return;
    }
    let rules = schema.rules();
    if value.is_null() {
        if !rules.is_some_and(|rules| rules.nullable) && !matches!(schema.shape(), Shape::Any) {
            errors.push(wrong_type(path, type_name(schema), value));
        }
        return;
    }
    if !fits(schema.shape(), value) {
        errors.push(wrong_type(path, type_name(schema), value));
        return;
    }
    if let Some(rules) = rules {
        if let Some(checks) = &rules.checks {
            checks.run(value, path, errors);
        }
        if rules.embedded && !path.is_empty() {
            embedded(value, path, errors);
        }
    }
    match (schema.shape(), value) {
        (Shape::Object { .. }, Value::Object(map)) => {
            for (name, value) in map {
                if let Some(field) = schema.own_field(name) {
                    let old = old.and_then(|old| old.get(name));
                    check(field, value, old, &join(path, name), errors);
                }
            }
        }
        (Shape::List { items, kind, .. }, Value::Array(list)) => {
            list_items(schema.to(*items), kind, list, path, errors);
        }
        _ => {}
    }
}

fn list_items(items: SchemaRef<'_>, kind: &ListKind, list: &[Value], path: &str, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for (index, item) in list.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check(items, item, None, &path, errors);
        if let (ListKind::Map(keys), Some(edge)) = (kind, element(items, kind, item))
            && !seen.insert(edge)
        {
            let named: Map<String, Value> = keys
                .iter()
                .filter_map(|key| item.get(&**key).map(|v| (key.to_string(), v.clone())))
                .collect();
            errors.push(FieldError::duplicate(path, &Value::Object(named)));
        }
    }
}

fn embedded(value: &Value, path: &str, errors: &mut FieldErrors) {
    for key in ["apiVersion", "kind"] {
        if text(value, &[key]).is_empty() {
            errors.push(FieldError::required(join(path, key), "must not be empty"));
        }
    }
}

fn fits(shape: &Shape, value: &Value) -> bool {
    match shape {
        Shape::Any | Shape::OneOf(_) | Shape::Quantity => true,
        Shape::Object { .. } => value.is_object(),
        Shape::List { .. } => value.is_array(),
        Shape::Text(_) => value.is_string(),
        Shape::Integer(Bits::B32 | Bits::B64) => super::checks::has_type("integer", value),
        Shape::Number => value.is_number(),
        Shape::Boolean => value.is_boolean(),
        Shape::IntOrText => value.is_string() || value.is_i64(),
    }
}

fn type_name(schema: SchemaRef<'_>) -> &'static str {
    match schema.shape() {
        Shape::Object { .. } => "object",
        Shape::List { .. } => "array",
        Shape::Text(_) => "string",
        Shape::Integer(_) => "integer",
        Shape::Number => "number",
        Shape::Boolean => "boolean",
        Shape::IntOrText => "integer,string",
        Shape::Any | Shape::OneOf(_) | Shape::Quantity => "any",
    }
}

//! The value validations of OpenAPI schemas: bounds, patterns, enums, formats, logic.

use regex::Regex;
use serde_json::Value;

use super::formats;
use crate::field::{Cause, FieldError, FieldErrors};

/// What a value must satisfy beyond its type. Logical branches nest whole sets of checks.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    pub(super) required: Vec<Box<str>>,
    pub(super) options: Vec<Value>,
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) multiple_of: Option<f64>,
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
    pub(super) pattern: Option<Regex>,
    pub(super) format: Option<Box<str>>,
    pub(super) min_items: Option<usize>,
    pub(super) max_items: Option<usize>,
    pub(super) unique: bool,
    pub(super) min_properties: Option<usize>,
    pub(super) max_properties: Option<usize>,
    pub(super) all_of: Vec<Branch>,
    pub(super) any_of: Vec<Branch>,
    pub(super) one_of: Vec<Branch>,
    pub(super) not: Option<Box<Branch>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(super) value: f64,
    pub(super) exclusive: bool,
}

/// A schema inside `allOf`, `anyOf`, `oneOf` or `not`: it constrains, it does not define.
#[derive(Debug, Default)]
pub(crate) struct Branch {
    pub(super) kind: Option<Box<str>>,
    pub(super) checks: Checks,
    pub(super) fields: Vec<(Box<str>, Self)>,
    pub(super) items: Option<Box<Self>>,
    pub(super) entries: Option<Box<Self>>,
}

impl Branch {
    fn run(&self, value: &Value, path: &str, errors: &mut FieldErrors) {
        if let Some(kind) = &self.kind
            && !has_type(kind, value)
        {
            errors.push(wrong_type(path, kind, value));
            return;
        }
        self.checks.run(value, path, errors);
        for (name, branch) in &self.fields {
            if let Some(value) = value.get(&**name) {
                branch.run(value, &join(path, name), errors);
            }
        }
        if let (Some(branch), Some(list)) = (&self.items, value.as_array()) {
            for (index, item) in list.iter().enumerate() {
                branch.run(item, &format!("{path}[{index}]"), errors);
            }
        }
        if let (Some(branch), Some(map)) = (&self.entries, value.as_object()) {
            for (name, value) in map {
                branch.run(value, &join(path, name), errors);
            }
        }
    }

    fn holds(&self, value: &Value) -> bool {
        let mut errors = FieldErrors::default();
        self.run(value, "", &mut errors);
        errors.is_empty()
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether a JSON value is of an OpenAPI type; whole floats count as integers.
pub(super) fn has_type(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        _ => true,
    }
}

pub(super) fn wrong_type(path: &str, kind: &str, value: &Value) -> FieldError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let subject = if path.is_empty() { "<nil>" } else { path };
    let detail = format!("{subject} in body must be of type {kind}: {found:?}");
    FieldError::with_value(Cause::TypeInvalid, subject, &found.into(), detail)
}

impl Checks {
    pub(super) fn run(&self, value: &Value, path: &str, errors: &mut FieldErrors) {
        self.options(value, path, errors);
        match value {
            Value::Number(number) => self.number(number.as_f64().unwrap_or(0.0), value, path, errors),
            Value::String(text) => self.text(text, value, path, errors),
            Value::Array(list) => self.list(list, value, path, errors),
            Value::Object(map) => {
                for name in self.required.iter().filter(|name| !map.contains_key(&***name)) {
                    errors.push(FieldError::required(join(path, name), ""));
                }
                self.size(map.len(), value, path, errors);
            }
            Value::Null | Value::Bool(_) => {}
        }
        self.logic(value, path, errors);
    }

    fn options(&self, value: &Value, path: &str, errors: &mut FieldErrors) {
        if self.options.is_empty() || self.options.contains(value) {
            return;
        }
        let shown: Vec<String> = self.options.iter().map(Value::to_string).collect();
        let detail = format!("supported values: {}", shown.join(", "));
        errors.push(FieldError::with_value(Cause::NotSupported, path, value, detail));
    }

    fn number(&self, number: f64, value: &Value, path: &str, errors: &mut FieldErrors) {
        if let Some(bound) = self.minimum {
            let (fits, words) = match bound.exclusive {
                true => (number > bound.value, "greater than"),
                false => (number >= bound.value, "greater than or equal to"),
            };
            complain(fits, path, value, format_args!("should be {words} {}", bound.value), errors);
        }
        if let Some(bound) = self.maximum {
            let (fits, words) = match bound.exclusive {
                true => (number < bound.value, "less than"),
                false => (number <= bound.value, "less than or equal to"),
            };
            complain(fits, path, value, format_args!("should be {words} {}", bound.value), errors);
        }
        if let Some(step) = self.multiple_of {
            let fits = step == 0.0 || (number / step).fract() == 0.0;
            complain(fits, path, value, format_args!("should be a multiple of {step}"), errors);
        }
        if let Some(format) = &self.format {
            complain(
                formats::number(format, value),
                path,
                value,
                format_args!("must be of type {format}"),
                errors,
            );
        }
    }

    fn text(&self, text: &str, value: &Value, path: &str, errors: &mut FieldErrors) {
        if self.min_length.is_some() || self.max_length.is_some() {
            let length = text.chars().count();
            if let Some(min) = self.min_length {
                complain(
                    length >= min,
                    path,
                    value,
                    format_args!("should be at least {min} chars long"),
                    errors,
                );
            }
            if let Some(max) = self.max_length.filter(|max| length > *max) {
                errors.push(FieldError::too_long(path, max));
            }
        }
        if let Some(pattern) = &self.pattern {
            complain(pattern.is_match(text), path, value, format_args!("should match '{pattern}'"), errors);
        }
        if let Some(format) = &self.format {
            let fits = formats::text(format, text);
            complain(fits, path, value, format_args!("must be of type {format}: {text:?}"), errors);
        }
    }

    fn list(&self, list: &[Value], value: &Value, path: &str, errors: &mut FieldErrors) {
        if let Some(min) = self.min_items {
            complain(
                list.len() >= min,
                path,
                value,
                format_args!("should have at least {min} items"),
                errors,
            );
        }
        if let Some(max) = self.max_items.filter(|max| list.len() > *max) {
            let detail = format!("must have at most {max} items");
            errors.push(FieldError::with_value(Cause::TooMany, path, &list.len().into(), detail));
        }
        if self.unique {
            let repeated =
                list.iter().enumerate().any(|(index, item)| list.iter().take(index).any(|old| old == item));
            complain(!repeated, path, value, format_args!("shouldn't contain duplicates"), errors);
        }
    }

    fn size(&self, count: usize, value: &Value, path: &str, errors: &mut FieldErrors) {
        if let Some(min) = self.min_properties {
            complain(
                count >= min,
                path,
                value,
                format_args!("should have at least {min} properties"),
                errors,
            );
        }
        if let Some(max) = self.max_properties.filter(|max| count > *max) {
            let detail = format!("must have at most {max} items");
            errors.push(FieldError::with_value(Cause::TooMany, path, &count.into(), detail));
        }
    }

    fn logic(&self, value: &Value, path: &str, errors: &mut FieldErrors) {
        for branch in &self.all_of {
            branch.run(value, path, errors);
        }
        if !self.any_of.is_empty() && !self.any_of.iter().any(|branch| branch.holds(value)) {
            complain(false, path, value, format_args!("must validate at least one schema (anyOf)"), errors);
        }
        if !self.one_of.is_empty() {
            let found = match self.one_of.iter().filter(|branch| branch.holds(value)).count() {
                0 => Some("none valid".to_owned()),
                1 => None,
                n => Some(format!("{n} valid alternatives")),
            };
            if let Some(found) = found {
                let detail = format_args!("must validate one and only one schema (oneOf). Found {found}");
                complain(false, path, value, detail, errors);
            }
        }
        if self.not.as_ref().is_some_and(|branch| branch.holds(value)) {
            complain(false, path, value, format_args!("must not validate the schema (not)"), errors);
        }
    }
}

/// Adds `PATH in body WHAT` unless the value fits.
fn complain(fits: bool, path: &str, value: &Value, what: std::fmt::Arguments<'_>, errors: &mut FieldErrors) {
    if !fits {
        errors.push(FieldError::invalid(path, value, format!("{path} in body {what}")));
    }
}

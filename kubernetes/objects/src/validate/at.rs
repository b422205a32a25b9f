//! A value together with its path, so that rules can read and complain in one breath.

use std::sync::LazyLock;

use serde_json::Value;

use crate::field::{Cause, FieldError, FieldErrors};

static NULL: LazyLock<Value> = LazyLock::new(|| Value::Null);

/// A place in an object. A missing field is a null at its path.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    pub(crate) value: &'a Value,
    path: String,
}

impl<'a> At<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    pub(crate) fn new(value: &'a Value, path: &str) -> Self {
        Self { value, path: path.to_owned() }
    }

    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    pub(crate) fn get(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { value: self.value.get(name).unwrap_or(&NULL), path }
    }

    pub(crate) fn to(&self, names: &[&str]) -> Self {
        names.iter().fold(self.clone(), |at, name| at.get(name))
    }

    /// The items of a list field.
    pub(crate) fn list(&self, name: &str) -> Vec<Self> {
        let at = self.get(name);
        let items = at.value.as_array().map_or(&[] as &[Value], Vec::as_slice);
        items.iter().enumerate().map(|(i, value)| Self { value, path: format!("{}[{i}]", at.path) }).collect()
    }

    /// The entries of a map field, at paths like `limits[cpu]`.
    pub(crate) fn entries(&self, name: &str) -> Vec<(&'a str, Self)> {
        let at = self.get(name);
        let map = at.value.as_object().into_iter().flatten();
        map.map(|(key, value)| (key.as_str(), Self { value, path: format!("{}[{key}]", at.path) })).collect()
    }

    pub(crate) fn exists(&self) -> bool {
        !self.value.is_null()
    }

    pub(crate) fn is_empty(&self) -> bool {
        crate::value::is_empty(self.value)
    }

    pub(crate) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    pub(crate) fn int(&self) -> Option<i64> {
        self.value.as_i64()
    }

    pub(crate) fn flag(&self) -> bool {
        self.value.as_bool().unwrap_or(false)
    }

    pub(crate) fn count(&self) -> usize {
        match self.value {
            Value::Array(list) => list.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        }
    }

    pub(crate) fn required(&self, detail: &str, errors: &mut FieldErrors) {
        errors.push(FieldError::required(self.path(), detail));
    }

    pub(crate) fn invalid(&self, detail: impl std::fmt::Display, errors: &mut FieldErrors) {
        errors.push(FieldError::invalid(self.path(), self.value, detail));
    }

    pub(crate) fn forbidden(&self, detail: impl std::fmt::Display, errors: &mut FieldErrors) {
        errors.push(FieldError::forbidden(self.path(), detail));
    }

    pub(crate) fn duplicate(&self, errors: &mut FieldErrors) {
        errors.push(FieldError::duplicate(self.path(), self.value));
    }

    pub(crate) fn not_found(&self, errors: &mut FieldErrors) {
        errors.push(FieldError::with_value(Cause::NotFound, self.path(), self.value, ""));
    }

    /// Complains unless the text is one of `options`.
    pub(crate) fn one_of(&self, options: &[&str], errors: &mut FieldErrors) {
        if !options.contains(&self.text()) {
            errors.push(FieldError::not_supported(self.path(), self.value, options));
        }
    }

    /// Complains when the field is empty; true when it is there.
    pub(crate) fn need(&self, errors: &mut FieldErrors) -> bool {
        if self.is_empty() {
            self.required("", errors);
        }
        !self.is_empty()
    }

    /// Complains when a number is negative.
    pub(crate) fn not_negative(&self, errors: &mut FieldErrors) {
        if self.int().is_some_and(|n| n < 0) {
            self.invalid("must be greater than or equal to 0", errors);
        }
    }

    /// Complains when a number is not above zero.
    pub(crate) fn positive(&self, errors: &mut FieldErrors) {
        if self.int().is_some_and(|n| n <= 0) {
            self.invalid("must be greater than 0", errors);
        }
    }

    /// Complains when a name rule finds a problem.
    pub(crate) fn named(&self, rule: fn(&str) -> Option<String>, errors: &mut FieldErrors) {
        if let Some(problem) = rule(self.text()) {
            self.invalid(problem, errors);
        }
    }

    /// Complains when the value differs from the old one.
    pub(crate) fn immutable(&self, old: &At<'_>, errors: &mut FieldErrors) {
        if self.value != old.value {
            self.invalid("field is immutable", errors);
        }
    }
}

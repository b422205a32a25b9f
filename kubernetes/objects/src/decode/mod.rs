//! Turning a client's JSON into an object of a kind: wrong types are errors with a path, unknown fields are
//! warnings or errors and never stored.

mod duplicates;
mod path;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use crate::quantity::Quantity;
use crate::resource::Resource;
use crate::schema::{Bits, Format, Rest, SchemaRef, Shape, object_meta};
pub use duplicates::duplicate_fields;
use path::Path;

/// What to do about unknown and duplicate fields (the `fieldValidation` query parameter).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

impl FieldValidation {
    /// Reads the query parameter; the empty text is the default.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "Warn" => Ok(Self::Warn),
            "Ignore" => Ok(Self::Ignore),
            "Strict" => Ok(Self::Strict),
            other => Err(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"Ignore\", \"Strict\", \"Warn\""
            )),
        }
    }
}

/// Why an object cannot be decoded. Both are a BadRequest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error(
        "{kind} in version {version:?} cannot be handled as a {kind}: {path}: expected {expected}, found {found}"
    )]
    Type { kind: String, version: String, path: String, expected: &'static str, found: String },
    #[error("{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}", .fields.join(", "))]
    Strict { kind: String, version: String, fields: Vec<String> },
}

pub(crate) fn decode(
    resource: &Resource,
    object: &mut Value,
    check: FieldValidation,
) -> Result<Vec<String>, Problem> {
    let mut walk =
        Walk { path: Path::default(), unknown: Vec::new(), collect: check != FieldValidation::Ignore };
    let outcome = if resource.is_custom() {
        walk.custom(resource, object)
    } else {
        walk.value(resource.schema(), object)
    };
    let (kind, version) = (resource.kind.to_string(), resource.version.to_string());
    if let Err(wrong) = outcome {
        return Err(Problem::Type {
            kind,
            version,
            path: wrong.path,
            expected: wrong.expected,
            found: wrong.found,
        });
    }
    let fields: Vec<String> =
        walk.unknown.into_iter().map(|path| format!("unknown field {path:?}")).collect();
    match check {
        FieldValidation::Strict if !fields.is_empty() => Err(Problem::Strict { kind, version, fields }),
        _ => Ok(fields),
    }
}

struct Wrong {
    path: String,
    expected: &'static str,
    found: String,
}

struct Walk {
    path: Path,
    unknown: Vec<String>,
    collect: bool,
}

impl Walk {
    fn wrong(&self, expected: &'static str, value: &Value) -> Wrong {
        Wrong { path: self.path.to_string(), expected, found: describe(value) }
    }

    fn unknown(&mut self, key: &str) {
        if self.collect {
            self.unknown.push(self.path.with(key));
        }
    }

    fn value(&mut self, schema: SchemaRef<'_>, value: &mut Value) -> Result<(), Wrong> {
        let schema = schema.choose(value);
        match schema.shape() {
            Shape::Any => Ok(()),
            Shape::Object { .. } => self.object(schema, value),
            Shape::List { items, .. } => self.list(schema.to(*items), value),
            Shape::OneOf(_) => Err(self.wrong("a value of another type", value)),
            shape => self.scalar(shape, value),
        }
    }

    fn object(&mut self, schema: SchemaRef<'_>, value: &mut Value) -> Result<(), Wrong> {
        let Some(map) = value.as_object_mut() else { return Err(self.wrong("an object", value)) };
        let Shape::Object { rest, .. } = schema.shape() else { return Ok(()) };
        if let Rest::Of(id) = rest {
            return self.entries(schema.to(*id), map);
        }
        let mut drop = Vec::new();
        for (key, value) in map.iter_mut() {
            let Some(field) = schema.field(key) else {
                if *rest == Rest::Drop {
                    self.unknown(key);
                    drop.push(key.clone());
                }
                continue;
            };
            if value.is_null() {
                drop.push(key.clone());
                continue;
            }
            self.path.key(key);
            self.value(field, value)?;
            self.path.pop();
        }
        for key in drop {
            map.remove(&key);
        }
        Ok(())
    }

    fn entries(&mut self, schema: SchemaRef<'_>, map: &mut Map<String, Value>) -> Result<(), Wrong> {
        for (key, value) in map.iter_mut() {
            if value.is_null() && matches!(schema.shape(), Shape::Text(_)) {
                *value = Value::from("");
                continue;
            }
            // Most maps are of strings; the path is only worth building when the value needs a look.
            if value.is_string() && matches!(schema.shape(), Shape::Text(Format::Plain)) {
                continue;
            }
            self.path.key(key);
            self.value(schema, value)?;
            self.path.pop();
        }
        Ok(())
    }

    fn list(&mut self, items: SchemaRef<'_>, value: &mut Value) -> Result<(), Wrong> {
        let Some(list) = value.as_array_mut() else { return Err(self.wrong("a list", value)) };
        for (index, item) in list.iter_mut().enumerate() {
            self.path.index(index);
            self.value(items, item)?;
            self.path.pop();
        }
        Ok(())
    }

    fn scalar(&mut self, shape: &Shape, value: &mut Value) -> Result<(), Wrong> {
        let expected = match shape {
            Shape::Text(Format::Plain) if value.is_string() => return Ok(()),
            Shape::Text(Format::Plain) => "a string",
            Shape::Text(Format::Bytes) if is_base64(value) => return Ok(()),
            Shape::Text(Format::Bytes) => "a base64 string",
            Shape::Text(Format::Time) if is_time(value) => return Ok(()),
            Shape::Text(Format::Time) => "an RFC 3339 time",
            Shape::Integer(bits) if is_integer(value, *bits) => return Ok(()),
            Shape::Integer(Bits::B32) => "a 32-bit integer",
            Shape::Integer(Bits::B64) => "an integer",
            Shape::Number if value.is_number() => return Ok(()),
            Shape::Number => "a number",
            Shape::Boolean if value.is_boolean() => return Ok(()),
            Shape::Boolean => "true or false",
            Shape::IntOrText if value.is_string() || is_integer(value, Bits::B32) => return Ok(()),
            Shape::IntOrText => "an integer or a string",
            Shape::Quantity => return self.quantity(value),
            Shape::Any | Shape::Object { .. } | Shape::List { .. } | Shape::OneOf(_) => return Ok(()),
        };
        Err(self.wrong(expected, value))
    }

    /// Quantities may be numbers; they are stored in canonical form.
    fn quantity(&mut self, value: &mut Value) -> Result<(), Wrong> {
        let Ok(parsed) = Quantity::from_value(value) else {
            return Err(self.wrong("a quantity such as 500m or 1.5Gi", value));
        };
        let canonical = parsed.to_string();
        if value.as_str() != Some(&canonical) {
            *value = Value::from(canonical);
        }
        Ok(())
    }

    /// A custom object: metadata is typed, the rest is pruned; its types are checked by validation.
    fn custom(&mut self, resource: &Resource, object: &mut Value) -> Result<(), Wrong> {
        let Some(map) = object.as_object_mut() else { return Err(self.wrong("an object", object)) };
        if let Some(meta) = map.get_mut("metadata") {
            self.path.key("metadata");
            self.value(object_meta(), meta)?;
            self.path.pop();
        }
        self.prune(resource.schema(), object, true);
        Ok(())
    }

    /// Drops what the schema does not know.
    fn prune(&mut self, schema: SchemaRef<'_>, value: &mut Value, root: bool) {
        match (schema.shape(), value) {
            (Shape::Object { rest, .. }, Value::Object(map)) => {
                let root = root || schema.rules().is_some_and(|rules| rules.embedded);
                self.prune_fields(schema, *rest, map, root);
            }
            (Shape::List { items, .. }, Value::Array(list)) => {
                for (index, item) in list.iter_mut().enumerate() {
                    self.path.index(index);
                    self.prune(schema.to(*items), item, false);
                    self.path.pop();
                }
            }
            _ => {}
        }
    }

    fn prune_fields(&mut self, schema: SchemaRef<'_>, rest: Rest, map: &mut Map<String, Value>, root: bool) {
        let mut drop = Vec::new();
        for (key, value) in map.iter_mut() {
            if root && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
                continue;
            }
            match schema.field(key) {
                Some(field) => {
                    self.path.key(key);
                    self.prune(field, value, false);
                    self.path.pop();
                }
                None if rest == Rest::Drop => {
                    self.unknown(key);
                    drop.push(key.clone());
                }
                None => {}
            }
        }
        for key in drop {
            map.remove(&key);
        }
    }
}

fn is_integer(value: &Value, bits: Bits) -> bool {
    match bits {
        Bits::B32 => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        Bits::B64 => value.is_i64(),
    }
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok())
}

fn is_base64(value: &Value) -> bool {
    use base64::Engine as _;
    value.as_str().is_some_and(|text| base64::engine::general_purpose::STANDARD.decode(text).is_ok())
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(flag) => format!("the boolean {flag}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > 60 => "a long string".to_owned(),
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

//! From the schema in a CRD to compiled nodes.

use regex::Regex;
use serde_json::Value;

use super::checks::{Bound, Branch, Checks};
use crate::field::{Cause, FieldError, FieldErrors};
use crate::schema::{Arena, Bits, Format, Id, ListKind, Node, Rest, Rules, Shape};
use crate::value::{flag, list, map, text};

/// The most levels a schema may nest.
const MAX_DEPTH: usize = 64;

/// Compiles the root schema; its apiVersion, kind and metadata are the server's.
pub(super) fn root(arena: &mut Arena, schema: &Value) -> Result<Id, FieldErrors> {
    if schema.is_null() {
        return Ok(unknown(arena));
    }
    let mut root = compiled(arena, schema, "", 0)?;
    root.rules.get_or_insert_default().embedded = true;
    Ok(arena.add_node(root))
}

/// The root of objects nothing is known about.
pub(super) fn unknown(arena: &mut Arena) -> Id {
    let shape = Shape::Object { fields: Vec::new(), rest: Rest::Keep, atomic: false };
    let rules = Rules { embedded: true, ..Rules::default() };
    arena.add_node(Node { shape, rules: Some(Box::new(rules)) })
}

/// The CEL rules, compiled once; nothing when the schema has none.
pub(super) fn rules(schema: &Value) -> Option<kube_cel::CompiledSchema> {
    has_rules(schema).then(|| kube_cel::compile_schema(&ruled(schema, false)))
}

/// The schema without its descriptions, and without the branches that lead to no rule.
fn ruled(schema: &Value, below_rule: bool) -> Value {
    let Some(map) = schema.as_object() else { return schema.clone() };
    let below_rule = below_rule || map.contains_key("x-kubernetes-validations");
    let keep = |inner: &Value| below_rule || has_rules(inner);
    let mut kept = serde_json::Map::new();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            ("description" | "example" | "externalDocs", _) => continue,
            ("properties", Value::Object(fields)) => {
                let fields = fields.iter().filter(|(_, inner)| keep(inner));
                fields.map(|(name, inner)| (name.clone(), ruled(inner, below_rule))).collect()
            }
            ("items" | "additionalProperties", inner) if keep(inner) => ruled(inner, below_rule),
            ("items" | "additionalProperties", _) => continue,
            (_, value) => value.clone(),
        };
        kept.insert(key.clone(), value);
    }
    Value::Object(kept)
}

/// What is wrong with the CEL rules of every level.
pub(super) fn rule_problems(schema: &Value, path: &str, errors: &mut FieldErrors) {
    const RULES: &str = "x-kubernetes-validations";
    if let Some(rules) = schema.get(RULES) {
        let level = serde_json::json!({"type": schema.get("type"), RULES: rules});
        for problem in kube_cel::compile_schema(&level).compilation_errors() {
            let detail = format!("compilation failed: {problem}");
            errors.push(FieldError::plain(Cause::Invalid, format!("{path}.{RULES}"), detail));
        }
    }
    for (name, property) in map(schema, &["properties"]).into_iter().flatten() {
        rule_problems(property, &format!("{path}.properties[{name}]"), errors);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key) {
            rule_problems(inner, &format!("{path}.{key}"), errors);
        }
    }
}

/// Whether any level of the schema has a CEL rule.
pub(super) fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("x-kubernetes-validations") || map.values().any(has_rules),
        Value::Array(list) => list.iter().any(has_rules),
        _ => false,
    }
}

fn node(arena: &mut Arena, schema: &Value, path: &str, depth: usize) -> Result<Id, FieldErrors> {
    if depth > MAX_DEPTH {
        let error = FieldError::plain(Cause::Invalid, path, format!("nests more than {MAX_DEPTH} levels"));
        return Err(FieldErrors(vec![error]));
    }
    let id = arena.add(Shape::Any);
    let node = compiled(arena, schema, path, depth)?;
    arena.set(id, node);
    Ok(id)
}

fn compiled(arena: &mut Arena, schema: &Value, path: &str, depth: usize) -> Result<Node, FieldErrors> {
    let shape = shape(arena, schema, path, depth)?;
    let default = schema.get("default").filter(|default| !default.is_null()).cloned();
    let nullable = flag(schema, &["nullable"]);
    let embedded = flag(schema, &["x-kubernetes-embedded-resource"]);
    let checks = CHECKED.iter().any(|key| schema.get(key).is_some())
        || text(schema, &["x-kubernetes-list-type"]) == "set";
    let checks = if checks { Some(Box::new(self::checks(schema, path)?)) } else { None };
    // Most fields of most schemas have nothing of this.
    let any = default.is_some() || nullable || embedded || checks.is_some();
    let rules = any.then(|| Box::new(Rules { default, nullable, embedded, checks }));
    Ok(Node { shape, rules })
}

/// What makes a field worth checking beyond its type.
const CHECKED: [&str; 18] = [
    "required",
    "enum",
    "minimum",
    "maximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
];

fn shape(arena: &mut Arena, schema: &Value, path: &str, depth: usize) -> Result<Shape, FieldErrors> {
    if flag(schema, &["x-kubernetes-int-or-string"]) {
        return Ok(Shape::IntOrText);
    }
    Ok(match text(schema, &["type"]) {
        "object" => object(arena, schema, path, depth)?,
        "array" => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            let items = node(arena, items, &format!("{path}.items"), depth + 1)?;
            Shape::List { items, kind: list_kind(schema), merge_key: None, merge: false }
        }
        "string" => Shape::Text(Format::Plain),
        "integer" if text(schema, &["format"]) == "int32" => Shape::Integer(Bits::B32),
        "integer" => Shape::Integer(Bits::B64),
        "number" => Shape::Number,
        "boolean" => Shape::Boolean,
        _ => Shape::Any,
    })
}

fn list_kind(schema: &Value) -> ListKind {
    match text(schema, &["x-kubernetes-list-type"]) {
        "set" => ListKind::Set,
        "map" => {
            let keys = list(schema, &["x-kubernetes-list-map-keys"]).iter().filter_map(Value::as_str);
            ListKind::Map(keys.map(Into::into).collect())
        }
        _ => ListKind::Atomic,
    }
}

fn object(arena: &mut Arena, schema: &Value, path: &str, depth: usize) -> Result<Shape, FieldErrors> {
    let mut fields = Vec::new();
    for (name, property) in map(schema, &["properties"]).into_iter().flatten() {
        let id = node(arena, property, &format!("{path}.properties[{name}]"), depth + 1)?;
        fields.push((name.as_str().into(), id));
    }
    fields.sort_by(|(a, _): &(Box<str>, Id), (b, _)| a.cmp(b));
    let rest = match schema.get("additionalProperties") {
        Some(Value::Bool(true)) => Rest::Keep,
        Some(entries @ Value::Object(_)) => {
            Rest::Of(node(arena, entries, &format!("{path}.additionalProperties"), depth + 1)?)
        }
        _ if flag(schema, &["x-kubernetes-preserve-unknown-fields"]) => Rest::Keep,
        _ => Rest::Drop,
    };
    Ok(Shape::Object { fields, rest, atomic: text(schema, &["x-kubernetes-map-type"]) == "atomic" })
}

fn checks(schema: &Value, path: &str) -> Result<Checks, FieldErrors> {
    let bound = |key: &str, exclusive: &str| {
        let value = schema.get(key).and_then(Value::as_f64)?;
        Some(Bound { value, exclusive: flag(schema, &[exclusive]) })
    };
    let size = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
    let branches = |key: &str| -> Result<Vec<Branch>, FieldErrors> {
        list(schema, &[key]).iter().map(|schema| branch(schema, path)).collect()
    };
    Ok(Checks {
        required: list(schema, &["required"]).iter().filter_map(Value::as_str).map(Into::into).collect(),
        options: list(schema, &["enum"]).to_vec(),
        minimum: bound("minimum", "exclusiveMinimum"),
        maximum: bound("maximum", "exclusiveMaximum"),
        multiple_of: schema.get("multipleOf").and_then(Value::as_f64),
        min_length: size("minLength"),
        max_length: size("maxLength"),
        pattern: pattern(schema, path)?,
        format: schema.get("format").and_then(Value::as_str).map(Into::into),
        min_items: size("minItems"),
        max_items: size("maxItems"),
        unique: flag(schema, &["uniqueItems"]) || text(schema, &["x-kubernetes-list-type"]) == "set",
        min_properties: size("minProperties"),
        max_properties: size("maxProperties"),
        all_of: branches("allOf")?,
        any_of: branches("anyOf")?,
        one_of: branches("oneOf")?,
        not: match schema.get("not") {
            Some(schema) => Some(Box::new(branch(schema, path)?)),
            None => None,
        },
    })
}

fn pattern(schema: &Value, path: &str) -> Result<Option<Regex>, FieldErrors> {
    let Some(text) = schema.get("pattern").and_then(Value::as_str) else { return Ok(None) };
    let invalid = |problem: regex::Error| {
        let detail = format!("must be a valid regular expression, but isn't: {problem}");
        FieldErrors(vec![FieldError::invalid(format!("{path}.pattern"), &text.into(), detail)])
    };
    Regex::new(text).map(Some).map_err(invalid)
}

fn branch(schema: &Value, path: &str) -> Result<Branch, FieldErrors> {
    let mut fields = Vec::new();
    for (name, property) in map(schema, &["properties"]).into_iter().flatten() {
        fields.push((name.as_str().into(), branch(property, path)?));
    }
    let inner = |key: &str| -> Result<Option<Box<Branch>>, FieldErrors> {
        match schema.get(key).filter(|schema| schema.is_object()) {
            Some(schema) => Ok(Some(Box::new(branch(schema, path)?))),
            None => Ok(None),
        }
    };
    Ok(Branch {
        kind: schema.get("type").and_then(Value::as_str).map(Into::into),
        checks: checks(schema, path)?,
        fields,
        items: inner("items")?,
        entries: inner("additionalProperties")?,
    })
}

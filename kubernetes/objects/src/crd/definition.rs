//! Rules for CustomResourceDefinitions themselves.

use std::collections::HashSet;

use serde_json::Value;

use super::compile;
use super::jsonpath::JsonPath;
use crate::field::{Cause, FieldError, FieldErrors};
use crate::schema::Arena;
use crate::validate::{At, names};

pub(crate) fn check(object: &Value, errors: &mut FieldErrors) {
    let root = At::root(object);
    let spec = root.get("spec");
    let (group, plural) = (spec.get("group"), spec.to(&["names", "plural"]));
    let expected = format!("{}.{}", plural.text(), group.text());
    let name = root.to(&["metadata", "name"]);
    if name.text() != expected {
        name.invalid("must be spec.names.plural+\".\"+spec.group", errors);
    }
    if group.need(errors) {
        group.named(names::dns_subdomain, errors);
        if !group.text().contains('.') {
            group.invalid("should be a domain with at least one dot", errors);
        }
    }
    spec.get("scope").one_of(&["Cluster", "Namespaced"], errors);
    check_names(&spec.get("names"), errors);
    versions(&spec, errors);
    conversion(&spec.get("conversion"), errors);
    if spec.get("preserveUnknownFields").flag() {
        let detail = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        spec.get("preserveUnknownFields").invalid(detail, errors);
    }
}

fn check_names(at: &At<'_>, errors: &mut FieldErrors) {
    for key in ["plural", "singular", "kind", "listKind"] {
        let name = at.get(key);
        if key != "singular" && !name.need(errors) {
            continue;
        }
        if let Some(problem) =
            Some(name.text()).filter(|t| !t.is_empty()).and_then(|t| names::dns_label_1035(&t.to_lowercase()))
        {
            name.invalid(problem, errors);
        }
    }
    if at.get("plural").text() != at.get("plural").text().to_lowercase() {
        at.get("plural").named(names::dns_label_1035, errors);
    }
    for list in ["shortNames", "categories"] {
        for name in at.list(list) {
            name.named(names::dns_label_1035, errors);
        }
    }
    if at.get("kind").value == at.get("listKind").value {
        at.get("listKind").invalid("kind and listKind may not be the same", errors);
    }
}

fn conversion(at: &At<'_>, errors: &mut FieldErrors) {
    let strategy = at.get("strategy");
    strategy.one_of(&["None", "Webhook"], errors);
    if strategy.text() == "Webhook" && !at.get("webhook").exists() {
        at.get("webhook").required("required when strategy is set to \"Webhook\"", errors);
    }
}

fn versions(spec: &At<'_>, errors: &mut FieldErrors) {
    let versions = spec.list("versions");
    if versions.is_empty() {
        spec.get("versions").invalid("must have at least one version", errors);
        return;
    }
    let mut seen = HashSet::new();
    for version in &versions {
        let name = version.get("name");
        name.named(names::dns_label_1035, errors);
        if !seen.insert(name.text()) {
            name.duplicate(errors);
        }
        check_version(version, errors);
    }
    if versions.iter().filter(|version| version.get("storage").flag()).count() != 1 {
        spec.get("versions").invalid("must have exactly one version marked as storage version", errors);
    }
}

fn check_version(version: &At<'_>, errors: &mut FieldErrors) {
    let schema = version.to(&["schema", "openAPIV3Schema"]);
    if !schema.exists() {
        schema.required("schemas are required", errors);
        return;
    }
    if schema.get("type").text() != "object" {
        schema.get("type").invalid("must be object at the root", errors);
        return;
    }
    let before = errors.0.len();
    structural(&schema, true, errors);
    if errors.0.len() == before {
        compilable(&schema, errors);
    }
    for column in version.list("additionalPrinterColumns") {
        column.get("name").need(errors);
        column.get("type").one_of(&["boolean", "date", "integer", "number", "string"], errors);
        let path = column.get("jsonPath");
        if path.need(errors)
            && let Err(problem) = JsonPath::parse(path.text())
        {
            path.invalid(problem, errors);
        }
    }
    scale(&version.to(&["subresources", "scale"]), errors);
}

fn scale(at: &At<'_>, errors: &mut FieldErrors) {
    if !at.exists() {
        return;
    }
    for (key, under) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
        let path = at.get(key);
        if path.need(errors) && !path.text().starts_with(under) {
            path.invalid(format!("should be a json path under {}", under.trim_end_matches('.')), errors);
        }
    }
}

/// Patterns and CEL rules must compile.
fn compilable(schema: &At<'_>, errors: &mut FieldErrors) {
    if let Err(problems) = compile::root(&mut Arena::default(), schema.value) {
        for problem in problems.0 {
            errors.push(FieldError { field: format!("{}{}", schema.path(), problem.field), ..problem });
        }
    }
    compile::rule_problems(schema.value, &schema.path(), errors);
}

/// A structural schema says the type of every value it can hold.
fn structural(schema: &At<'_>, root: bool, errors: &mut FieldErrors) {
    let free = schema.get("x-kubernetes-preserve-unknown-fields").flag();
    let mixed = schema.get("x-kubernetes-int-or-string").flag();
    let kind = schema.get("type");
    if kind.is_empty() && !free && !mixed {
        kind.required("must not be empty for specified object fields", errors);
    } else if !kind.is_empty() && mixed {
        kind.forbidden("must be empty if x-kubernetes-int-or-string is true", errors);
    } else if !kind.is_empty() {
        kind.one_of(&["array", "boolean", "integer", "number", "object", "string"], errors);
    }
    if schema.get("properties").exists() && schema.get("additionalProperties").exists() {
        schema
            .get("additionalProperties")
            .forbidden("additionalProperties and properties are mutual exclusive", errors);
    }
    if kind.text() == "array" {
        if schema.get("items").exists() {
            structural(&schema.get("items"), false, errors);
        } else {
            schema.get("items").required("must be specified", errors);
        }
        list_type(schema, errors);
    }
    for (name, property) in schema.entries("properties") {
        // The root's metadata may only be narrowed.
        if root && matches!(name, "apiVersion" | "kind" | "metadata") {
            continue;
        }
        structural(&At::new(property.value, &property.path()), false, errors);
    }
    if schema.get("additionalProperties").value.is_object() {
        structural(&schema.get("additionalProperties"), false, errors);
    }
    for logic in ["allOf", "anyOf", "oneOf"] {
        for branch in schema.list(logic) {
            not_structural(&branch, mixed, errors);
        }
    }
}

/// Logical branches constrain what the schema around them defines.
fn not_structural(branch: &At<'_>, mixed: bool, errors: &mut FieldErrors) {
    for key in ["default", "nullable", "x-kubernetes-preserve-unknown-fields", "additionalProperties"] {
        if branch.get(key).exists() {
            branch.get(key).forbidden("must not be set inside allOf, anyOf, oneOf or not", errors);
        }
    }
    if branch.get("type").exists() && !mixed {
        branch.get("type").forbidden("must be empty to be structural", errors);
    }
}

fn list_type(schema: &At<'_>, errors: &mut FieldErrors) {
    let (kind, keys) = (schema.get("x-kubernetes-list-type"), schema.list("x-kubernetes-list-map-keys"));
    if kind.exists() {
        kind.one_of(&["atomic", "map", "set"], errors);
    }
    if kind.text() != "map" {
        return;
    }
    if keys.is_empty() {
        schema
            .get("x-kubernetes-list-map-keys")
            .required("must not be empty if x-kubernetes-list-type is map", errors);
    }
    for key in keys {
        let items = schema.get("items");
        let property = items.to(&["properties", key.text()]);
        if !property.exists() {
            key.invalid("must be a property of the items", errors);
            continue;
        }
        let required = items.list("required").iter().any(|name| name.text() == key.text());
        if !required && !property.get("default").exists() {
            let detail = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::plain(Cause::Required, property.get("default").path(), detail));
        }
    }
}

/// Group, scope and names are for life.
pub(crate) fn check_change(object: &Value, old: &Value, errors: &mut FieldErrors) {
    let (new, old) = (At::root(object), At::root(old));
    for path in
        [&["spec", "group"][..], &["spec", "scope"], &["spec", "names", "plural"], &["spec", "names", "kind"]]
    {
        new.to(path).immutable(&old.to(path), errors);
    }
    let stored: Vec<&str> = new.get("status").list("storedVersions").iter().map(At::text).collect();
    let versions = new.get("spec").list("versions");
    for version in stored.iter().filter(|name| !versions.iter().any(|v| v.get("name").text() == **name)) {
        let detail = format!("must appear in spec.versions: {version}");
        errors.push(FieldError::invalid("status.storedVersions[0]", &(*version).into(), detail));
    }
}

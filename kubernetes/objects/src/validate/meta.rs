//! Rules every object's metadata obeys.

use serde_json::Value;

use super::{At, names};
use crate::field::{Cause, FieldError, FieldErrors};
use crate::resource::Resource;

/// The most bytes all annotations of an object may have together.
const MAX_ANNOTATIONS: usize = 256 * 1024;

pub(super) fn check(resource: &Resource, object: &Value, errors: &mut FieldErrors) {
    let meta = At::new(object.get("metadata").unwrap_or(&Value::Null), "metadata");
    check_name(resource, &meta, errors);
    check_namespace(resource, &meta, errors);
    for (key, value) in meta.entries("labels") {
        label(key, &value, &meta.get("labels"), errors);
    }
    annotations(&meta, errors);
    for finalizer in meta.list("finalizers") {
        finalizer.named(names::qualified_name, errors);
    }
    owners(&meta, errors);
}

fn check_name(resource: &Resource, meta: &At<'_>, errors: &mut FieldErrors) {
    let name = meta.get("name");
    if name.text().is_empty() {
        name.required("name or generateName is required", errors);
        return;
    }
    let rule: fn(&str) -> Option<String> = match (resource.group.as_ref(), resource.kind.as_ref()) {
        ("", "Service") => names::dns_label_1035,
        ("", "Namespace") => names::dns_label,
        ("rbac.authorization.k8s.io", _) => names::path_segment,
        _ => names::dns_subdomain,
    };
    name.named(rule, errors);
}

fn check_namespace(resource: &Resource, meta: &At<'_>, errors: &mut FieldErrors) {
    let namespace = meta.get("namespace");
    match (resource.namespaced, namespace.text().is_empty()) {
        (true, true) => namespace.required("", errors),
        (true, false) => namespace.named(names::dns_label, errors),
        (false, false) => namespace.forbidden("not allowed on this type", errors),
        (false, true) => {}
    }
}

/// One label; used for templates and selectors too.
pub(super) fn label(key: &str, value: &At<'_>, at: &At<'_>, errors: &mut FieldErrors) {
    if let Some(problem) = names::qualified_name(key) {
        errors.push(FieldError::invalid(at.path(), &key.into(), problem));
    }
    if let Some(problem) = names::label_value(value.text()) {
        errors.push(FieldError::invalid(at.path(), value.value, problem));
    }
}

fn annotations(meta: &At<'_>, errors: &mut FieldErrors) {
    let at = meta.get("annotations");
    let mut total = 0;
    for (key, value) in at.value.as_object().into_iter().flatten() {
        total += key.len() + value.as_str().map_or(0, str::len);
        if let Some(problem) = names::qualified_name(&key.to_lowercase()) {
            errors.push(FieldError::invalid(at.path(), &key.as_str().into(), problem));
        }
    }
    if total > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long(at.path(), MAX_ANNOTATIONS));
    }
}

fn owners(meta: &At<'_>, errors: &mut FieldErrors) {
    let mut controllers = 0;
    for owner in meta.list("ownerReferences") {
        for key in ["apiVersion", "kind", "name", "uid"] {
            if owner.get(key).text().is_empty() {
                owner.get(key).invalid("must not be empty", errors);
            }
        }
        controllers += usize::from(owner.get("controller").flag());
    }
    if controllers > 1 {
        let at = meta.get("ownerReferences");
        let detail = "Only one reference can have Controller set to true";
        errors.push(FieldError::with_value(Cause::Invalid, at.path(), at.value, detail));
    }
}

/// Name and namespace never change; finalizers cannot be added once an object is being deleted.
pub(super) fn check_update(object: &Value, old: &Value, errors: &mut FieldErrors) {
    let meta = At::new(object.get("metadata").unwrap_or(&Value::Null), "metadata");
    let old = At::new(old.get("metadata").unwrap_or(&Value::Null), "metadata");
    for key in ["name", "namespace"] {
        meta.get(key).immutable(&old.get(key), errors);
    }
    if !old.get("deletionTimestamp").exists() {
        return;
    }
    let before: Vec<&str> = old.list("finalizers").iter().map(At::text).collect();
    let added: Vec<&str> = meta
        .list("finalizers")
        .iter()
        .map(At::text)
        .filter(|finalizer| !before.contains(finalizer))
        .collect();
    if !added.is_empty() {
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
        );
        meta.get("finalizers").forbidden(detail, errors);
    }
}

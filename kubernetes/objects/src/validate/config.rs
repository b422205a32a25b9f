//! Rules for ConfigMaps, Secrets, quotas, limits, nodes and events.

use base64::Engine as _;

use super::{At, meta, names, quantities};
use crate::field::{FieldError, FieldErrors};
use crate::quantity::Quantity;

/// The most bytes a ConfigMap or Secret may hold.
const MAX_BYTES: usize = 1024 * 1024;

fn keys(at: &At<'_>, field: &str, errors: &mut FieldErrors) {
    for (key, value) in at.entries(field) {
        if let Some(problem) = names::config_key(key) {
            errors.push(FieldError::invalid(value.path(), &key.into(), problem));
        }
    }
}

pub(super) fn config_map(root: &At<'_>, errors: &mut FieldErrors) {
    keys(root, "data", errors);
    keys(root, "binaryData", errors);
    let binary = root.get("binaryData");
    for (key, value) in root.entries("data") {
        if binary.value.get(key).is_some() {
            let detail = format!("duplicate of key present in data: {key}");
            errors.push(FieldError::invalid(
                value.path().replacen("data", "binaryData", 1),
                &key.into(),
                detail,
            ));
        }
    }
    let size = |field: &str| -> usize {
        root.get(field)
            .value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, v)| v.as_str().map_or(0, str::len))
            .sum()
    };
    if size("data") + size("binaryData") > MAX_BYTES {
        errors.push(FieldError::too_long("", MAX_BYTES));
    }
}

pub(super) fn secret(root: &At<'_>, errors: &mut FieldErrors) {
    keys(root, "data", errors);
    let size: usize = root
        .get("data")
        .value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, v)| v.as_str().map_or(0, decoded_len))
        .sum();
    if size > MAX_BYTES {
        errors.push(FieldError::too_long("data", MAX_BYTES));
    }
    let need = |keys: &[&str], errors: &mut FieldErrors| {
        for key in keys.iter().filter(|key| root.get("data").value.get(**key).is_none()) {
            errors.push(FieldError::required(format!("data[{key}]"), ""));
        }
    };
    match root.get("type").text() {
        "kubernetes.io/tls" => need(&["tls.crt", "tls.key"], errors),
        "kubernetes.io/dockerconfigjson" => {
            need(&[".dockerconfigjson"], errors);
            docker_config(root, ".dockerconfigjson", errors);
        }
        "kubernetes.io/dockercfg" => {
            need(&[".dockercfg"], errors);
            docker_config(root, ".dockercfg", errors);
        }
        "kubernetes.io/ssh-auth" => need(&["ssh-privatekey"], errors),
        "kubernetes.io/basic-auth" => {
            let data = root.get("data");
            if data.value.get("username").is_none() && data.value.get("password").is_none() {
                need(&["username", "password"], errors);
            }
        }
        "kubernetes.io/service-account-token" => {
            let account = root.to(&["metadata", "annotations", "kubernetes.io/service-account.name"]);
            if account.is_empty() {
                errors.push(FieldError::required(
                    "metadata.annotations[kubernetes.io/service-account.name]",
                    "",
                ));
            }
        }
        _ => {}
    }
}

fn decoded_len(text: &str) -> usize {
    text.len() / 4 * 3
}

fn docker_config(root: &At<'_>, key: &str, errors: &mut FieldErrors) {
    let Some(text) = root.get("data").value.get(key).and_then(|value| value.as_str()) else { return };
    let decoded = base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    if let Err(problem) = serde_json::from_slice::<serde_json::Value>(&decoded) {
        // The secret itself stays out of the message.
        errors.push(FieldError::invalid(
            format!("data[{key}]"),
            &"<secret contents redacted>".into(),
            problem,
        ));
    }
}

/// What is immutable stays so, and so does a Secret's type.
pub(super) fn check_change(new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    if new.get("type").value != old.get("type").value {
        new.get("type").invalid("field is immutable", errors);
    }
    if !old.get("immutable").flag() {
        return;
    }
    if !new.get("immutable").flag() {
        new.get("immutable").forbidden("field is immutable when `immutable` is set", errors);
    }
    for key in ["data", "binaryData"] {
        if new.get(key).value != old.get(key).value {
            new.get(key).forbidden("field is immutable when `immutable` is set", errors);
        }
    }
}

pub(super) fn quota(root: &At<'_>, errors: &mut FieldErrors) {
    for (name, amount) in root.get("spec").entries("hard") {
        if let Some(problem) = names::qualified_name(name) {
            errors.push(FieldError::invalid(amount.path(), &name.into(), problem));
        }
        quantities::amount(&amount, errors);
    }
}

pub(super) fn limit_range(root: &At<'_>, errors: &mut FieldErrors) {
    for limit in root.get("spec").list("limits") {
        limit.get("type").need(errors);
        for side in ["min", "max", "default", "defaultRequest"] {
            for (_, amount) in limit.entries(side) {
                quantities::amount(&amount, errors);
            }
        }
        for (name, low) in limit.entries("min") {
            let parse = |at: &At<'_>| Quantity::from_value(at.value).ok();
            let high = limit.to(&["max", name]);
            if let (Some(min), Some(max)) = (parse(&low), parse(&high))
                && min > max
            {
                low.invalid(format!("min value {min} is greater than max value {max}"), errors);
            }
        }
    }
}

pub(super) fn node(root: &At<'_>, errors: &mut FieldErrors) {
    for taint in root.get("spec").list("taints") {
        taint.get("key").named(names::qualified_name, errors);
        meta::label("taint", &taint.get("value"), &taint.get("value"), errors);
        taint.get("effect").one_of(&["NoExecute", "NoSchedule", "PreferNoSchedule"], errors);
    }
}

pub(super) fn event(root: &At<'_>, errors: &mut FieldErrors) {
    let namespace = root.to(&["involvedObject", "namespace"]);
    let own = root.to(&["metadata", "namespace"]);
    // Events about cluster objects live in `default`.
    let expected = if namespace.text().is_empty() { "default" } else { namespace.text() };
    let node_event = namespace.text().is_empty() && own.text() == "kube-system";
    if own.text() != expected && !node_event {
        namespace.invalid("does not match event.namespace", errors);
    }
}

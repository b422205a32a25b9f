//! Defaults of the kinds that extend the API.

use serde_json::{Value, json};

use super::Object;
use crate::value::{child, child_if, fill, fill_text, items_mut};

pub(super) fn definition(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    if let Some(conversion) = child(spec, "conversion") {
        fill_text(conversion, "strategy", "None");
    }
    if let Some(names) = child(spec, "names") {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !kind.is_empty() {
            fill_text(names, "singular", &kind.to_lowercase());
            fill_text(names, "listKind", &format!("{kind}List"));
        }
    }
}

pub(super) fn webhooks(object: &mut Object) {
    let mutating = object.get("kind").and_then(Value::as_str) == Some("MutatingWebhookConfiguration");
    for hook in items_mut(object, "webhooks") {
        fill_text(hook, "failurePolicy", "Fail");
        fill_text(hook, "matchPolicy", "Equivalent");
        fill(hook, "namespaceSelector", json!({}));
        fill(hook, "objectSelector", json!({}));
        fill(hook, "timeoutSeconds", 10);
        if mutating {
            fill_text(hook, "reinvocationPolicy", "Never");
        }
        for rule in items_mut(hook, "rules") {
            fill_text(rule, "scope", "*");
        }
        if let Some(service) = child_if(hook, "clientConfig").and_then(|config| child_if(config, "service")) {
            fill(service, "port", 443);
        }
    }
}

pub(super) fn api_service(object: &mut Object) {
    if let Some(service) = child_if(object, "spec").and_then(|spec| child_if(spec, "service")) {
        fill(service, "port", 443);
    }
}

//! Rules for label selectors and the templates they select.

use super::{At, meta, names};
use crate::field::FieldErrors;
use crate::selector::LabelSelector;

/// A `{matchLabels, matchExpressions}` selector.
pub(super) fn check(selector: &At<'_>, errors: &mut FieldErrors) {
    for (key, value) in selector.entries("matchLabels") {
        meta::label(key, &value, &selector.get("matchLabels"), errors);
    }
    for expression in selector.list("matchExpressions") {
        expression.get("key").named(names::qualified_name, errors);
        let values = expression.get("values");
        match expression.get("operator").text() {
            "In" | "NotIn" if values.count() == 0 => {
                values.required("must be specified when `operator` is 'In' or 'NotIn'", errors);
            }
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if values.count() > 0 => {
                values
                    .forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'", errors);
            }
            "Exists" | "DoesNotExist" => {}
            _ => expression.get("operator").invalid("not a valid selector operator", errors),
        }
    }
}

/// A workload's selector: there, not empty, and matching the template's labels.
pub(super) fn check_against_template(spec: &At<'_>, kind: &str, errors: &mut FieldErrors) {
    let selector = spec.get("selector");
    if !selector.exists() {
        selector.required("", errors);
        return;
    }
    check(&selector, errors);
    if selector.get("matchLabels").is_empty() && selector.get("matchExpressions").is_empty() {
        selector.invalid(format!("empty selector is invalid for {kind}"), errors);
        return;
    }
    let labels = spec.to(&["template", "metadata", "labels"]);
    let parsed = LabelSelector::from_json(selector.value).unwrap_or_default();
    if !parsed.matches_labels(labels.value.as_object()) {
        labels.invalid("`selector` does not match template `labels`", errors);
    }
}

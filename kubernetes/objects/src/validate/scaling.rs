//! Rules for autoscalers, disruption budgets, priorities and leases.

use super::{At, selectors, workload};
use crate::field::FieldErrors;

pub(super) fn autoscaler(root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    let (low, high) = (spec.get("minReplicas"), spec.get("maxReplicas"));
    if low.int().is_some_and(|n| n < 1) {
        low.invalid("must be greater than or equal to 1", errors);
    }
    if high.int().unwrap_or(0) < 1 {
        high.invalid("must be greater than 0", errors);
    }
    if high.int() < low.int() {
        high.invalid("must be greater than or equal to `minReplicas`", errors);
    }
    for key in ["kind", "name"] {
        spec.to(&["scaleTargetRef", key]).need(errors);
    }
    for metric in spec.list("metrics") {
        self::metric(&metric, errors);
    }
}

fn metric(metric: &At<'_>, errors: &mut FieldErrors) {
    let kind = metric.get("type");
    let known = ["ContainerResource", "External", "Object", "Pods", "Resource"];
    kind.one_of(&known, errors);
    if !known.contains(&kind.text()) {
        return;
    }
    let mut key = kind.text().to_owned();
    key.get_mut(..1).into_iter().for_each(str::make_ascii_lowercase);
    let source = metric.get(&key);
    if !source.exists() {
        source.required("must populate the given metric source", errors);
        return;
    }
    let target = source.get("target");
    let values = ["averageUtilization", "averageValue", "value"];
    if values.iter().all(|value| !target.get(value).exists()) {
        target.required("must set either a target raw value or a target utilization", errors);
    }
    target.get("averageUtilization").positive(errors);
}

pub(super) fn budget(root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    let (low, high) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
    if low.exists() && high.exists() {
        spec.invalid("minAvailable and maxUnavailable cannot be both set", errors);
    }
    workload::share(&low, true, errors);
    workload::share(&high, true, errors);
    selectors::check(&spec.get("selector"), errors);
}

/// User classes stay below the system's.
const MAX_PRIORITY: i64 = 1_000_000_000;

pub(super) fn priority_class(root: &At<'_>, errors: &mut FieldErrors) {
    let name = root.to(&["metadata", "name"]);
    if name.text().starts_with("system-") {
        let known = [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
        if !known.contains(&(name.text(), root.get("value").int().unwrap_or(0))) {
            name.forbidden(
                "priority class names with 'system-' prefix are reserved for system use only",
                errors,
            );
        }
    } else if root.get("value").int().unwrap_or(0) > MAX_PRIORITY {
        let detail = format!("maximum allowed value of a user defined priority is {MAX_PRIORITY}");
        root.get("value").forbidden(detail, errors);
    }
    root.get("preemptionPolicy").one_of(&["Never", "PreemptLowerPriority"], errors);
}

pub(super) fn lease(root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    spec.get("leaseDurationSeconds").positive(errors);
    spec.get("leaseTransitions").not_negative(errors);
}

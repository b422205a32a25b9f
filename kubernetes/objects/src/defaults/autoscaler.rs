//! Defaults of the horizontal autoscaler, and the way between its two versions.

use serde_json::{Value, json};

use super::Object;
use crate::value::{child, child_if, fill, items_mut};

/// Without metrics the target is 80 % of the requested CPU.
const CPU_PERCENT: i64 = 80;

pub(super) fn apply(version: &str, object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill(spec, "minReplicas", 1);
    if version == "v1" {
        return;
    }
    if spec.get("metrics").is_none_or(crate::value::is_empty) {
        spec.insert("metrics".to_owned(), json!([cpu_metric(CPU_PERCENT)]));
    }
    if let Some(behavior) = child_if(spec, "behavior") {
        rules(behavior);
    }
}

fn cpu_metric(percent: i64) -> Value {
    json!({
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}
    })
}

fn rules(behavior: &mut Object) {
    if let Some(up) = child(behavior, "scaleUp") {
        fill(up, "stabilizationWindowSeconds", 0);
        fill(up, "selectPolicy", "Max");
        let policies = json!([
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15}
        ]);
        fill(up, "policies", policies);
    }
    if let Some(down) = child(behavior, "scaleDown") {
        fill(down, "selectPolicy", "Max");
        fill(down, "policies", json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]));
    }
}

/// v1 knows one number; v2 a list of metrics.
pub(crate) fn to_v2(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    if let Some(spec) = child_if(map, "spec") {
        let percent = spec.remove("targetCPUUtilizationPercentage").and_then(|p| p.as_i64());
        spec.insert("metrics".to_owned(), json!([cpu_metric(percent.unwrap_or(CPU_PERCENT))]));
    }
    if let Some(status) = child_if(map, "status")
        && let Some(percent) = status.remove("currentCPUUtilizationPercentage").and_then(|p| p.as_i64())
    {
        let metric = json!({
            "type": "Resource",
            "resource": {"name": "cpu", "current": {"averageUtilization": percent}}
        });
        status.insert("currentMetrics".to_owned(), json!([metric]));
    }
}

/// Only the CPU metric survives; the rest of v2 has no place in v1.
pub(crate) fn to_v1(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    if let Some(spec) = child_if(map, "spec") {
        let percent = items_mut(spec, "metrics").find_map(|m| cpu(m, "target"));
        spec.remove("metrics");
        spec.remove("behavior");
        if let Some(percent) = percent {
            spec.insert("targetCPUUtilizationPercentage".to_owned(), percent.into());
        }
    }
    if let Some(status) = child_if(map, "status") {
        let percent = items_mut(status, "currentMetrics").find_map(|m| cpu(m, "current"));
        status.remove("currentMetrics");
        status.remove("conditions");
        if let Some(percent) = percent {
            status.insert("currentCPUUtilizationPercentage".to_owned(), percent.into());
        }
    }
}

fn cpu(metric: &Object, side: &str) -> Option<i64> {
    let resource = metric.get("resource")?;
    if resource.get("name")?.as_str()? != "cpu" {
        return None;
    }
    resource.get(side)?.get("averageUtilization")?.as_i64()
}

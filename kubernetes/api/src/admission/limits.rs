//! LimitRanges: default requests and limits of containers, and bounds for containers, pods and claims.

use sealos_objects::quantity::Quantity;
use serde_json::{Map, Value, json};

use crate::call::{self, Call};
use crate::status::Status;

/// Fills in a pod's requests and limits, and checks them.
pub(crate) fn pod(call: &Call, pod: &mut Value) -> Result<(), Status> {
    let ranges = items(call)?;
    if ranges.is_empty() {
        return Ok(());
    }
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
    let mut wrong = Vec::new();
    for range in ranges.iter().filter(|range| kind(range) == "Container") {
        for list in ["initContainers", "containers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                fill(container, range);
                check(container, range, "Container", &mut wrong);
            }
        }
    }
    refuse_if(call, pod, wrong)
}

/// Checks the size a claim asks for.
pub(crate) fn claim(call: &Call, claim: &Value) -> Result<(), Status> {
    let mut wrong = Vec::new();
    for range in items(call)?.iter().filter(|range| kind(range) == "PersistentVolumeClaim") {
        let spec = claim.get("spec").cloned().unwrap_or_default();
        check(&json!({ "resources": spec.get("resources") }), range, "PersistentVolumeClaim", &mut wrong);
    }
    refuse_if(call, claim, wrong)
}

fn refuse_if(call: &Call, object: &Value, wrong: Vec<String>) -> Result<(), Status> {
    if wrong.is_empty() {
        return Ok(());
    }
    let text = if wrong.len() == 1 { wrong.concat() } else { format!("[{}]", wrong.join(", ")) };
    Err(Status::forbidden(&call.what(), crate::encode::meta(object, "name"), &text))
}

fn items(call: &Call) -> Result<Vec<Value>, Status> {
    let mut found = Vec::new();
    for entry in call.parts.store.list(&format!("limitranges/{}/", call.asked.namespace), None, 0).entries {
        let range = call::read(&entry)?;
        found.extend(range.pointer("/spec/limits").and_then(Value::as_array).into_iter().flatten().cloned());
    }
    Ok(found)
}

fn kind(range: &Value) -> &str {
    range.get("type").and_then(Value::as_str).unwrap_or("")
}

fn section<'a>(range: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    range.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn fill(container: &mut Value, range: &Value) {
    let Some(container) = container.as_object_mut() else { return };
    let resources = container.entry("resources").or_insert_with(|| json!({}));
    if resources.is_null() {
        *resources = json!({});
    }
    // A limit that the container gives itself is also its request.
    let own: Map<String, Value> =
        resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in section(range, "default") {
        put(resources, "limits", name, value);
    }
    for (name, value) in &own {
        put(resources, "requests", name, value);
    }
    for (name, value) in section(range, "defaultRequest") {
        put(resources, "requests", name, value);
    }
    let limits = resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in &limits {
        put(resources, "requests", name, value);
    }
}

/// Unless it is there.
fn put(resources: &mut Value, section: &str, name: &str, value: &Value) {
    let Some(resources) = resources.as_object_mut() else { return };
    let section = resources.entry(section).or_insert_with(|| json!({}));
    if let Some(section) = section.as_object_mut() {
        section.entry(name).or_insert_with(|| value.clone());
    }
}

fn check(holder: &Value, range: &Value, what: &str, wrong: &mut Vec<String>) {
    let amount = |section: &str, name: &str| {
        let value = holder.get("resources").and_then(|all| all.get(section)).and_then(|all| all.get(name));
        value.and_then(|value| Quantity::from_value(value).ok())
    };
    for (name, bound) in section(range, "max") {
        let Ok(max) = Quantity::from_value(bound) else { continue };
        let limit = amount("limits", name).or_else(|| amount("requests", name));
        if let Some(limit) = limit
            && limit > max
        {
            wrong.push(format!("maximum {name} usage per {what} is {max}, but limit is {limit}"));
        }
    }
    for (name, bound) in section(range, "min") {
        let Ok(min) = Quantity::from_value(bound) else { continue };
        let request = amount("requests", name);
        if let Some(request) = request
            && request < min
        {
            wrong.push(format!("minimum {name} usage per {what} is {min}, but request is {request}"));
        }
    }
}

//! Defaults of volumes, claims, classes and limits.

use serde_json::{Value, json};

use super::Object;
use crate::value::{child, child_if, fill, fill_text, items_mut};

pub(super) fn volume(object: &mut Object) {
    let Some(spec) = child(object, "spec") else { return };
    fill_text(spec, "persistentVolumeReclaimPolicy", "Retain");
    fill_text(spec, "volumeMode", "Filesystem");
    if let Some(path) = child_if(spec, "hostPath") {
        fill(path, "type", "");
    }
}

pub(super) fn claim(object: &mut Object) {
    claim_spec(object);
}

/// Defaults of the claim spec under `spec`, in templates too.
pub(super) fn claim_spec(claim: &mut Object) {
    let Some(spec) = child(claim, "spec") else { return };
    fill_text(spec, "volumeMode", "Filesystem");
    fill(spec, "resources", json!({}));
    // The old and the new way to name a source follow each other.
    match (spec.get("dataSource").cloned(), spec.get("dataSourceRef").cloned()) {
        (Some(source), None) => {
            spec.insert("dataSourceRef".to_owned(), source);
        }
        (None, Some(source)) if source.get("namespace").is_none() => {
            spec.insert("dataSource".to_owned(), source);
        }
        _ => {}
    }
}

pub(super) fn class(kind: &str, object: &mut Object) {
    match kind {
        "StorageClass" => {
            fill_text(object, "reclaimPolicy", "Delete");
            fill_text(object, "volumeBindingMode", "Immediate");
        }
        "CSIDriver" => {
            let Some(spec) = child(object, "spec") else { return };
            for (key, value) in [
                ("attachRequired", json!(true)),
                ("podInfoOnMount", json!(false)),
                ("storageCapacity", json!(false)),
                ("fsGroupPolicy", json!("ReadWriteOnceWithFSType")),
                ("volumeLifecycleModes", json!(["Persistent"])),
                ("requiresRepublish", json!(false)),
                ("seLinuxMount", json!(false)),
            ] {
                fill(spec, key, value);
            }
        }
        _ => {}
    }
}

/// What a limit leaves open follows from what it says: default from max, default request from default or min.
pub(super) fn limit_range(object: &mut Object) {
    let Some(spec) = child_if(object, "spec") else { return };
    for item in items_mut(spec, "limits") {
        if item.get("type").and_then(Value::as_str) != Some("Container") {
            continue;
        }
        inherit(item, "default", "max");
        inherit(item, "defaultRequest", "default");
        inherit(item, "defaultRequest", "min");
    }
}

fn inherit(item: &mut Object, to: &str, from: &str) {
    let Some(Value::Object(source)) = item.get(from).cloned() else { return };
    if let Some(target) = child(item, to) {
        for (name, value) in source {
            fill(target, &name, value);
        }
    }
}

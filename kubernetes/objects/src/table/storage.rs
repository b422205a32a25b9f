//! Volumes, claims and classes; ConfigMaps and Secrets.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::Printer;
use super::cells::{age, name, or, plain};
use crate::value::{at, flag, list, map, text};

const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

pub(super) fn printer(group: &str, kind: &str) -> Option<Printer> {
    Some(match (group, kind) {
        ("", "PersistentVolumeClaim") => Printer { columns: CLAIM, cells: claim },
        ("", "PersistentVolume") => Printer { columns: VOLUME, cells: volume },
        ("", "ConfigMap") => Printer { columns: &["Name", "Data", "Age"], cells: config_map },
        ("", "Secret") => Printer { columns: &["Name", "Type", "Data", "Age"], cells: secret },
        ("", "ServiceAccount") => Printer {
            columns: &["Name", "Secrets", "Age"],
            cells: |o, now| vec![name(o), list(o, &["secrets"]).len().into(), age(o, now)],
        },
        ("storage.k8s.io", "StorageClass") => Printer { columns: CLASS, cells: class },
        ("storage.k8s.io", "VolumeAttachment") => {
            Printer { columns: &["Name", "Attacher", "PV", "Node", "Attached", "Age"], cells: attachment }
        }
        ("storage.k8s.io", "CSINode") => Printer {
            columns: &["Name", "Drivers", "Age"],
            cells: |o, now| vec![name(o), list(o, &["spec", "drivers"]).len().into(), age(o, now)],
        },
        _ => return None,
    })
}

const CLAIM: &[&str] = &[
    "Name",
    "Status",
    "Volume",
    "Capacity",
    "Access Modes",
    "StorageClass",
    "VolumeAttributesClass",
    "Age",
    "+VolumeMode",
];

fn claim(object: &Value, now: Timestamp) -> Vec<Value> {
    let volume = text(object, &["spec", "volumeName"]);
    let bound = !volume.is_empty();
    let (capacity, modes) = if bound {
        (
            text(object, &["status", "capacity", "storage"]).to_owned(),
            modes(list(object, &["status", "accessModes"])),
        )
    } else {
        (String::new(), String::new())
    };
    vec![
        name(object),
        phase(object).into(),
        volume.into(),
        capacity.into(),
        modes.into(),
        text(object, &["spec", "storageClassName"]).into(),
        or(object, &["spec", "volumeAttributesClassName"], "<unset>"),
        age(object, now),
        or(object, &["spec", "volumeMode"], "<unset>"),
    ]
}

fn phase(object: &Value) -> &str {
    if at(object, &["metadata", "deletionTimestamp"]).is_some() {
        return "Terminating";
    }
    text(object, &["status", "phase"])
}

/// `RWO,ROX`.
fn modes(modes: &[Value]) -> String {
    let short = |mode: &Value| match mode.as_str().unwrap_or_default() {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        _ => "",
    };
    modes.iter().map(short).filter(|mode| !mode.is_empty()).collect::<Vec<_>>().join(",")
}

const VOLUME: &[&str] = &[
    "Name",
    "Capacity",
    "Access Modes",
    "Reclaim Policy",
    "Status",
    "Claim",
    "StorageClass",
    "VolumeAttributesClass",
    "Reason",
    "Age",
    "+VolumeMode",
];

fn volume(object: &Value, now: Timestamp) -> Vec<Value> {
    let claim = match at(object, &["spec", "claimRef"]) {
        Some(claim) => format!("{}/{}", text(claim, &["namespace"]), text(claim, &["name"])),
        None => String::new(),
    };
    vec![
        name(object),
        text(object, &["spec", "capacity", "storage"]).into(),
        modes(list(object, &["spec", "accessModes"])).into(),
        text(object, &["spec", "persistentVolumeReclaimPolicy"]).into(),
        phase(object).into(),
        claim.into(),
        text(object, &["spec", "storageClassName"]).into(),
        or(object, &["spec", "volumeAttributesClassName"], "<unset>"),
        text(object, &["status", "reason"]).into(),
        age(object, now),
        or(object, &["spec", "volumeMode"], "<unset>"),
    ]
}

fn config_map(object: &Value, now: Timestamp) -> Vec<Value> {
    let count = |key: &str| map(object, &[key]).map_or(0, Map::len);
    vec![name(object), (count("data") + count("binaryData")).into(), age(object, now)]
}

fn secret(object: &Value, now: Timestamp) -> Vec<Value> {
    let count = map(object, &["data"]).map_or(0, Map::len);
    vec![name(object), text(object, &["type"]).into(), count.into(), age(object, now)]
}

const CLASS: &[&str] =
    &["Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"];

fn class(object: &Value, now: Timestamp) -> Vec<Value> {
    let default = text(object, &["metadata", "annotations", DEFAULT_CLASS]) == "true";
    let shown = format!("{}{}", text(object, &["metadata", "name"]), if default { " (default)" } else { "" });
    vec![
        shown.into(),
        text(object, &["provisioner"]).into(),
        or(object, &["reclaimPolicy"], "Delete"),
        or(object, &["volumeBindingMode"], "Immediate"),
        flag(object, &["allowVolumeExpansion"]).into(),
        age(object, now),
    ]
}

fn attachment(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        text(object, &["spec", "attacher"]).into(),
        text(object, &["spec", "source", "persistentVolumeName"]).into(),
        text(object, &["spec", "nodeName"]).into(),
        at(object, &["status", "attached"]).map(plain).unwrap_or_default().into(),
        age(object, now),
    ]
}

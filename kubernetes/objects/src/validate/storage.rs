//! Rules for volumes, claims and classes.

use serde_json::Value;

use super::{At, names, quantities, volume};
use crate::field::FieldErrors;
use crate::quantity::Quantity;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

fn access_modes(spec: &At<'_>, errors: &mut FieldErrors) {
    let modes = spec.list("accessModes");
    if modes.is_empty() {
        spec.get("accessModes").required("at least 1 access mode is required", errors);
    }
    for mode in &modes {
        mode.one_of(&MODES, errors);
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode.text() == "ReadWriteOncePod") {
        spec.get("accessModes").forbidden("may not use ReadWriteOncePod with other access modes", errors);
    }
}

pub(super) fn claim(root: &At<'_>, errors: &mut FieldErrors) {
    claim_spec(&root.get("spec"), errors);
}

pub(super) fn claim_spec(spec: &At<'_>, errors: &mut FieldErrors) {
    access_modes(spec, errors);
    let storage = spec.to(&["resources", "requests", "storage"]);
    if storage.exists() {
        let at = At::new(storage.value, &format!("{}[storage]", spec.to(&["resources", "requests"]).path()));
        if let Some(quantity) = quantities::amount(&at, errors)
            && quantity.is_zero()
        {
            at.invalid("must be greater than zero", errors);
        }
    } else {
        let at = format!("{}[storage]", spec.get("resources").path());
        At::new(&Value::Null, &at).required("", errors);
    }
    let class = spec.get("storageClassName");
    if !class.text().is_empty() {
        class.named(names::dns_subdomain, errors);
    }
    let mode = spec.get("volumeMode");
    if mode.exists() {
        mode.one_of(&["Block", "Filesystem"], errors);
    }
}

pub(super) fn volume(root: &At<'_>, errors: &mut FieldErrors) {
    let spec = root.get("spec");
    access_modes(&spec, errors);
    let storage = spec.to(&["capacity", "storage"]);
    if storage.exists() {
        quantities::amount(&storage, errors);
    } else {
        spec.get("capacity").required("", errors);
    }
    spec.get("persistentVolumeReclaimPolicy").one_of(&["Delete", "Recycle", "Retain"], errors);
    spec.get("volumeMode").one_of(&["Block", "Filesystem"], errors);
    let sources = ["hostPath", "local", "nfs", "csi", "iscsi", "fc", "cephfs", "rbd", "glusterfs"];
    let given: Vec<At<'_>> = sources.iter().map(|source| spec.get(source)).filter(At::exists).collect();
    if given.is_empty()
        && spec.value.as_object().is_some_and(|map| !map.keys().any(|key| is_cloud_source(key)))
    {
        spec.required("must specify a volume type", errors);
    }
    for extra in given.iter().skip(1) {
        extra.forbidden("may not specify more than 1 volume type", errors);
    }
    if spec.get("hostPath").exists() {
        volume::host_path(&spec.get("hostPath"), errors);
    }
    if spec.get("local").exists() {
        spec.to(&["local", "path"]).need(errors);
        if !spec.to(&["nodeAffinity", "required"]).exists() {
            root.to(&["metadata", "annotations"]).required("Local volume requires node affinity", errors);
        }
    }
}

/// Disks of clouds: known to exist, of no use here.
fn is_cloud_source(key: &str) -> bool {
    key.ends_with("Disk")
        || key.ends_with("BlockStore")
        || matches!(
            key,
            "cinder"
                | "azureFile"
                | "flexVolume"
                | "quobyte"
                | "portworxVolume"
                | "scaleIO"
                | "storageos"
                | "flocker"
                | "photonPersistentDisk"
                | "vsphereVolume"
        )
}

/// The source of a volume never changes.
pub(super) fn check_volume_change(new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    for source in ["hostPath", "local", "nfs", "csi"] {
        let (after, before) = (new.to(&["spec", source]), old.to(&["spec", source]));
        if before.exists() && after.value != before.value {
            new.get("spec").forbidden("spec.persistentvolumesource is immutable after creation", errors);
        }
    }
    new.to(&["spec", "volumeMode"]).immutable(&old.to(&["spec", "volumeMode"]), errors);
}

/// A claim may grow and be bound; nothing else.
pub(super) fn check_claim_change(new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let mut comparable = spec.value.clone();
    if before.get("volumeName").is_empty() {
        set(&mut comparable, "volumeName", before.get("volumeName").value);
    }
    set(&mut comparable, "volumeAttributesClassName", before.get("volumeAttributesClassName").value);
    let storage = |at: &At<'_>| Quantity::from_value(at.to(&["resources", "requests", "storage"]).value).ok();
    let (wanted, had) = (storage(&spec), storage(&before));
    if wanted != had && old.to(&["status", "phase"]).text() == "Bound" {
        set(&mut comparable, "resources", before.get("resources").value);
    }
    // A class may be filled in once the default is known.
    if !before.get("storageClassName").exists() {
        set(&mut comparable, "storageClassName", before.get("storageClassName").value);
    }
    if comparable != *before.value {
        spec.forbidden(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
            errors,
        );
    } else if wanted < had {
        spec.to(&["resources", "requests", "storage"])
            .forbidden("field can not be less than previous value", errors);
    }
}

fn set(object: &mut Value, key: &str, value: &Value) {
    let Some(map) = object.as_object_mut() else { return };
    if value.is_null() {
        map.remove(key);
    } else {
        map.insert(key.to_owned(), value.clone());
    }
}

pub(super) fn class(root: &At<'_>, errors: &mut FieldErrors) {
    root.get("provisioner").need(errors);
    root.get("reclaimPolicy").one_of(&["Delete", "Retain"], errors);
    root.get("volumeBindingMode").one_of(&["Immediate", "WaitForFirstConsumer"], errors);
}

pub(super) fn check_class_change(new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    for key in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
        if new.get(key).value != old.get(key).value {
            new.get(key).forbidden("updates to this field are forbidden.", errors);
        }
    }
}

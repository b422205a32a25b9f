//! What happens to metadata and status around a write, and conversion between served versions.

use serde_json::{Map, Value, json};

use crate::resource::{Part, Resource};
use crate::value::{at, text};

/// Metadata only the server writes; an update keeps the old values.
const SERVER_FIELDS: [&str; 5] =
    ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"];

pub(crate) fn prepare_create(resource: &Resource, object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    if resource.has_status() && !keeps_status(resource) {
        match first_status(resource, map) {
            Some(status) => map.insert("status".to_owned(), status),
            None => map.remove("status"),
        };
    }
    match (resource.group.as_ref(), resource.kind.as_ref()) {
        ("", "Namespace") => first_finalizer(map),
        ("batch", "Job") => job_selector(map),
        _ => {}
    }
    let generation = resource.generation;
    if let Some(meta) = crate::value::child(map, "metadata") {
        meta.remove("generation");
        if generation {
            meta.insert("generation".to_owned(), 1.into());
        }
    }
}

/// The finalizer that empties a namespace before it goes.
fn first_finalizer(namespace: &mut Map<String, Value>) {
    if let Some(spec) = crate::value::child(namespace, "spec") {
        spec.insert("finalizers".to_owned(), json!(["kubernetes"]));
    }
}

/// A Job finds its pods by its own uid, unless the user chose the selector.
fn job_selector(job: &mut Map<String, Value>) {
    let meta = |key: &str| job.get("metadata").and_then(|meta| meta.get(key)).cloned().unwrap_or_default();
    let (uid, name) = (meta("uid"), meta("name"));
    let Some(spec) = crate::value::child(job, "spec") else { return };
    if spec.get("manualSelector") == Some(&Value::Bool(true)) || !uid.is_string() {
        return;
    }
    let template = crate::value::child(spec, "template").and_then(|t| crate::value::child(t, "metadata"));
    if let Some(labels) = template.and_then(|meta| crate::value::child(meta, "labels")) {
        for prefix in ["", "batch.kubernetes.io/"] {
            labels.insert(format!("{prefix}controller-uid"), uid.clone());
            labels.insert(format!("{prefix}job-name"), name.clone());
        }
    }
    spec.insert("selector".to_owned(), json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
}

/// Nodes register themselves with their status; CRDs and APIServices get theirs from the server.
fn keeps_status(resource: &Resource) -> bool {
    resource.group.is_empty() && resource.kind == "Node"
}

/// The status of a new object: most begin empty.
fn first_status(resource: &Resource, object: &Map<String, Value>) -> Option<Value> {
    if resource.is_custom() {
        return None;
    }
    Some(match resource.kind.as_ref() {
        "Pod" => json!({"phase": "Pending", "qosClass": crate::validate::pod_qos(object.get("spec")?)}),
        "Namespace" => json!({"phase": "Active"}),
        "PersistentVolume" | "PersistentVolumeClaim" => json!({"phase": "Pending"}),
        "Service" | "Ingress" => json!({"loadBalancer": {}}),
        "DaemonSet" => {
            json!({"currentNumberScheduled": 0, "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0})
        }
        "ReplicaSet" | "ReplicationController" | "StatefulSet" => json!({"replicas": 0}),
        "PodDisruptionBudget" => {
            json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0})
        }
        "HorizontalPodAutoscaler" => json!({"currentMetrics": null, "desiredReplicas": 0}),
        "APIService" => return None,
        "CustomResourceDefinition" => {
            json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": [], "storedVersions": []})
        }
        _ => json!({}),
    })
}

pub(crate) fn prepare_update(resource: &Resource, object: &mut Value, old: &Value, part: Part) {
    match part {
        Part::Main => keep_status(resource, object, old),
        Part::Status => keep_all_but_status(resource, object, old),
        Part::EphemeralContainers => keep_all_but(object, old, &["spec", "ephemeralContainers"]),
        Part::Resize => keep_all_but_resources(object, old),
        Part::Finalize => keep_all_but(object, old, &["spec", "finalizers"]),
    }
    keep_metadata(object, old);
    if resource.generation && part != Part::Status {
        bump_generation(resource, object, old);
    }
}

fn keep_status(resource: &Resource, object: &mut Value, old: &Value) {
    if resource.has_status() {
        copy(object, old, "status");
    }
    if resource.kind == "Namespace" && resource.group.is_empty() {
        copy_at(object, old, &["spec", "finalizers"]);
    }
}

/// A status write changes the status; of the metadata it may change what the kind allows.
fn keep_all_but_status(resource: &Resource, object: &mut Value, old: &Value) {
    let Some(new) = object.as_object_mut() else { return };
    let status = new.remove("status");
    let mut meta = new.remove("metadata").unwrap_or_else(|| json!({}));
    let mut kept = old.clone();
    // Custom resources take managedFields only; built-in kinds take labels and annotations along.
    if let (true, Some(old_meta)) = (resource.is_custom(), old.get("metadata")) {
        let managed = meta.get("managedFields").cloned();
        let version = meta.get("resourceVersion").cloned();
        meta = old_meta.clone();
        set_or_remove(&mut meta, "managedFields", managed);
        set_or_remove(&mut meta, "resourceVersion", version);
    } else if let Some(old_meta) = old.get("metadata") {
        for key in ["deletionTimestamp", "ownerReferences"] {
            set_or_remove(&mut meta, key, old_meta.get(key).cloned());
        }
    }
    kept["metadata"] = meta;
    set_or_remove(&mut kept, "status", status);
    *object = kept;
}

/// Everything of `old` except metadata's bookkeeping and the one field at `path`.
fn keep_all_but(object: &mut Value, old: &Value, path: &[&str]) {
    let new = at(object, path).cloned();
    let meta = object.get("metadata").cloned();
    let mut kept = old.clone();
    if let (Some(last), Some(parent)) = (path.last(), parent_mut(&mut kept, path)) {
        match new {
            Some(value) => parent.insert((*last).to_owned(), value),
            None => parent.remove(*last),
        };
    }
    keep_bookkeeping(&mut kept, meta.as_ref());
    *object = kept;
}

fn keep_all_but_resources(object: &mut Value, old: &Value) {
    let mut kept = old.clone();
    for list in ["containers", "initContainers"] {
        let new = crate::value::list(object, &["spec", list]);
        let Some(containers) = kept.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut)
        else {
            continue;
        };
        for container in containers {
            let name = text(container, &["name"]).to_owned();
            let Some(twin) = new.iter().find(|c| text(c, &["name"]) == name) else { continue };
            for key in ["resources", "resizePolicy"] {
                set_or_remove(container, key, twin.get(key).cloned());
            }
        }
    }
    keep_bookkeeping(&mut kept, object.get("metadata"));
    *object = kept;
}

fn keep_bookkeeping(kept: &mut Value, meta: Option<&Value>) {
    let Some(into) = kept.get_mut("metadata") else { return };
    for key in ["managedFields", "resourceVersion"] {
        set_or_remove(into, key, meta.and_then(|meta| meta.get(key)).cloned());
    }
}

fn keep_metadata(object: &mut Value, old: &Value) {
    let (Some(meta), Some(old)) = (object.get_mut("metadata"), old.get("metadata")) else { return };
    for key in SERVER_FIELDS {
        set_or_remove(meta, key, old.get(key).cloned());
    }
}

/// Kinds without a spec count changes of everything outside metadata and status.
fn bump_generation(resource: &Resource, object: &mut Value, old: &Value) {
    let mut keys: Vec<&String> =
        [&*object, old].iter().filter_map(|o| o.as_object()).flat_map(Map::keys).collect();
    keys.retain(|key| !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
    let changed = keys.iter().any(|key| object.get(key.as_str()) != old.get(key.as_str()));
    let deleted = |o: &Value| at(o, &["metadata", "deletionTimestamp"]).is_some();
    let has_status_only =
        resource.is_custom() && !resource.has_status() && object.get("status") != old.get("status");
    if changed || has_status_only || deleted(object) != deleted(old) {
        let next = at(old, &["metadata", "generation"]).and_then(Value::as_i64).unwrap_or(0) + 1;
        object["metadata"]["generation"] = next.into();
    }
}

fn parent_mut<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut here = value.as_object_mut()?;
    for key in path.get(..path.len().saturating_sub(1))? {
        here = crate::value::child(here, key)?;
    }
    Some(here)
}

fn copy(object: &mut Value, old: &Value, key: &str) {
    set_or_remove(object, key, old.get(key).cloned());
}

fn copy_at(object: &mut Value, old: &Value, path: &[&str]) {
    let value = at(old, path).cloned();
    if let (Some(last), Some(parent)) = (path.last(), parent_mut(object, path)) {
        match value {
            Some(value) => parent.insert((*last).to_owned(), value),
            None => parent.remove(*last),
        };
    }
}

fn set_or_remove(object: &mut Value, key: &str, value: Option<Value>) {
    let Some(map) = object.as_object_mut() else { return };
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
}

/// Changes an object into another served version of its kind.
pub(crate) fn convert(mut object: Value, to: (&str, &str)) -> Value {
    let want = if to.0.is_empty() { to.1.to_owned() } else { format!("{}/{}", to.0, to.1) };
    let have = text(&object, &["apiVersion"]).to_owned();
    if have == want {
        return object;
    }
    match (text(&object, &["kind"]), want.as_str()) {
        ("HorizontalPodAutoscaler", "autoscaling/v2") => crate::defaults::autoscaler_to_v2(&mut object),
        ("HorizontalPodAutoscaler", "autoscaling/v1") => crate::defaults::autoscaler_to_v1(&mut object),
        ("Event", "v1") => rename(&mut object, EVENT_NAMES, false),
        ("Event", "events.k8s.io/v1") => rename(&mut object, EVENT_NAMES, true),
        _ => {}
    }
    if let Some(map) = object.as_object_mut() {
        map.insert("apiVersion".to_owned(), want.into());
    }
    object
}

/// The core name of each field of an Event, and its name in `events.k8s.io`.
const EVENT_NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

fn rename(object: &mut Value, names: &[(&str, &str)], forward: bool) {
    let Some(map) = object.as_object_mut() else { return };
    for (core, new) in names {
        let (from, to) = if forward { (core, new) } else { (new, core) };
        if let Some(value) = map.remove(*from) {
            map.insert((*to).to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::by_plural;

    fn deployments() -> &'static Resource {
        by_plural("apps", "v1", "deployments").expect("deployments are built in")
    }

    #[test]
    fn a_spec_change_bumps_the_generation_and_keeps_the_status() {
        let old = json!({"metadata": {"name": "a", "uid": "u", "generation": 3}, "spec": {"replicas": 1}, "status": {"replicas": 1}});
        let mut new = json!({"metadata": {"name": "a", "generation": 9}, "spec": {"replicas": 2}, "status": {"replicas": 7}});
        deployments().prepare_update(&mut new, &old, Part::Main);
        assert_eq!(
            new,
            json!({"metadata": {"name": "a", "uid": "u", "generation": 4}, "spec": {"replicas": 2}, "status": {"replicas": 1}})
        );
    }

    #[test]
    fn a_status_write_keeps_the_spec() {
        let old = json!({"metadata": {"name": "a", "generation": 3}, "spec": {"replicas": 1}});
        let mut new = json!({"metadata": {"name": "a"}, "spec": {"replicas": 2}, "status": {"replicas": 7}});
        deployments().prepare_update(&mut new, &old, Part::Status);
        assert_eq!(
            new,
            json!({"metadata": {"name": "a", "generation": 3}, "spec": {"replicas": 1}, "status": {"replicas": 7}})
        );
    }

    #[test]
    fn events_convert_both_ways() {
        let core =
            json!({"apiVersion": "v1", "kind": "Event", "message": "m", "involvedObject": {"name": "p"}});
        let new = convert(core.clone(), ("events.k8s.io", "v1"));
        assert_eq!(
            new,
            json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "m", "regarding": {"name": "p"}})
        );
        assert_eq!(convert(new, ("", "v1")), core);
    }
}

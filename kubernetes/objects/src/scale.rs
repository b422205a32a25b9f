//! The `scale` subresource: one number out of many kinds.

use serde_json::{Value, json};

use crate::crd::ScalePaths;
use crate::resource::Resource;
use crate::selector::LabelSelector;
use crate::value::at;

pub(crate) fn read(resource: &Resource, object: &Value) -> Option<Value> {
    resource.subresource("scale")?;
    let (replicas, current, selector) = match resource.custom() {
        Some(custom) => from_paths(custom.scale()?, object),
        None => (
            at(object, &["spec", "replicas"]).cloned(),
            at(object, &["status", "replicas"]).cloned(),
            built_in_selector(object),
        ),
    };
    let mut status = json!({"replicas": current.unwrap_or_else(|| 0.into())});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    Some(json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": identity(object),
        "spec": {"replicas": replicas.unwrap_or_else(|| 0.into())},
        "status": status,
    }))
}

pub(crate) fn write(resource: &Resource, object: &mut Value, replicas: i64) {
    let custom = resource.custom().and_then(|custom| custom.scale()).map(|paths| paths.replicas.as_slice());
    let built_in = ["spec".to_owned(), "replicas".to_owned()];
    let mut here = object;
    for key in custom.unwrap_or(&built_in) {
        if !here.is_object() {
            *here = json!({});
        }
        let Some(map) = here.as_object_mut() else { return };
        here = map.entry(key.as_str()).or_insert(Value::Null);
    }
    *here = replicas.into();
}

fn from_paths(paths: &ScalePaths, object: &Value) -> (Option<Value>, Option<Value>, String) {
    let find = |path: &[String]| {
        path.iter().try_fold(object, |here, key| here.get(key)).filter(|value| !value.is_null()).cloned()
    };
    let selector = paths.selector.as_deref().and_then(find);
    let selector = selector.and_then(|value| value.as_str().map(ToOwned::to_owned)).unwrap_or_default();
    (find(&paths.replicas), find(&paths.status), selector)
}

fn built_in_selector(object: &Value) -> String {
    let Some(selector) = at(object, &["spec", "selector"]) else { return String::new() };
    let parsed = match selector.as_object() {
        Some(map) if map.contains_key("matchLabels") || map.contains_key("matchExpressions") => {
            LabelSelector::from_json(selector).unwrap_or_default()
        }
        Some(map) => LabelSelector::from_map(map),
        None => LabelSelector::default(),
    };
    parsed.to_string()
}

fn identity(object: &Value) -> Value {
    let mut meta = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = at(object, &["metadata", key]) {
            meta[key] = value.clone();
        }
    }
    meta
}

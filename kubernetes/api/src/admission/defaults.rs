//! Classes that are chosen for those who do not choose.

use serde_json::Value;

use crate::call::{self, Call};
use crate::status::Status;

/// A claim without a storage class gets the default one.
pub(crate) fn storage_class(call: &Call, claim: &mut Value) -> Result<(), Status> {
    let chosen = claim.pointer("/spec/storageClassName").is_some_and(|class| !class.is_null());
    let annotated = claim.pointer("/metadata/annotations/volume.beta.kubernetes.io~1storage-class").is_some();
    if chosen || annotated {
        return Ok(());
    }
    let class =
        default_of(call, "storageclasses.storage.k8s.io/", "storageclass.kubernetes.io/is-default-class")?;
    if let (Some(class), Some(spec)) = (class, claim.get_mut("spec").and_then(Value::as_object_mut)) {
        spec.insert("storageClassName".into(), class.into());
    }
    Ok(())
}

/// An Ingress without a class gets the default one.
pub(crate) fn ingress_class(call: &Call, ingress: &mut Value) -> Result<(), Status> {
    let chosen = ingress.pointer("/spec/ingressClassName").is_some_and(|class| !class.is_null());
    let annotated = ingress.pointer("/metadata/annotations/kubernetes.io~1ingress.class").is_some();
    if chosen || annotated {
        return Ok(());
    }
    let bucket = "ingressclasses.networking.k8s.io/";
    let class = default_of(call, bucket, "ingressclass.kubernetes.io/is-default-class")?;
    if let (Some(class), Some(spec)) = (class, ingress.get_mut("spec").and_then(Value::as_object_mut)) {
        spec.insert("ingressClassName".into(), class.into());
    }
    Ok(())
}

/// The name of the object marked as the default; of several, the newest.
fn default_of(call: &Call, prefix: &str, annotation: &str) -> Result<Option<String>, Status> {
    let mut best: Option<(String, String)> = None;
    for entry in call.parts.store.list(prefix, None, 0).entries {
        let object = call::read(&entry)?;
        let marked = object.pointer("/metadata/annotations").and_then(|all| all.get(annotation));
        if marked.and_then(Value::as_str) != Some("true") {
            continue;
        }
        let text = |key: &str| crate::encode::meta(&object, key).to_owned();
        let candidate = (text("creationTimestamp"), text("name"));
        if best.as_ref().is_none_or(|best| candidate.0 > best.0) {
            best = Some(candidate);
        }
    }
    Ok(best.map(|(_, name)| name))
}

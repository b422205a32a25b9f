//! Validation per kind, with the field errors Kubernetes users know.

mod access;
mod at;
mod config;
mod container;
mod meta;
pub(crate) mod names;
mod pod;
mod quantities;
mod scaling;
mod selectors;
mod service;
mod storage;
#[cfg(test)]
mod tests;
mod traffic;
mod volume;
mod workload;

use serde_json::Value;

use crate::crd;
use crate::field::FieldErrors;
use crate::resource::{Part, Resource};
pub(crate) use at::At;
pub(crate) use pod::qos as pod_qos;

/// All that is wrong with a new, defaulted object.
pub(crate) fn create(resource: &Resource, object: &Value) -> FieldErrors {
    let mut errors = FieldErrors::default();
    meta::check(resource, object, &mut errors);
    check_kind(resource, object, &mut errors);
    errors
}

/// All that is wrong with a change, and with what it leads to.
pub(crate) fn update(resource: &Resource, object: &Value, old: &Value, part: Part) -> FieldErrors {
    let mut errors = FieldErrors::default();
    meta::check(resource, object, &mut errors);
    meta::check_update(object, old, &mut errors);
    if part == Part::Status {
        if let Some(custom) = resource.custom() {
            crd::validate(custom, object, Some(old), &mut errors);
        }
        return errors;
    }
    match resource.custom() {
        Some(custom) => crd::validate(custom, object, Some(old), &mut errors),
        None => {
            check_kind(resource, object, &mut errors);
            check_change(resource, object, old, part, &mut errors);
        }
    }
    errors
}

fn check_kind(resource: &Resource, object: &Value, errors: &mut FieldErrors) {
    if let Some(custom) = resource.custom() {
        crd::validate(custom, object, None, errors);
        return;
    }
    let root = At::root(object);
    match (resource.group.as_ref(), resource.kind.as_ref()) {
        ("", "Pod") => pod::check(&root, errors),
        ("", "PodTemplate") => pod::check_template(&root.get("template"), errors),
        ("", "Service") => service::check(&root, errors),
        ("", "ConfigMap") => config::config_map(&root, errors),
        ("", "Secret") => config::secret(&root, errors),
        ("", "ResourceQuota") => config::quota(&root, errors),
        ("", "LimitRange") => config::limit_range(&root, errors),
        ("", "Node") => config::node(&root, errors),
        ("", "Event") => config::event(&root, errors),
        ("", "PersistentVolume") => storage::volume(&root, errors),
        ("", "PersistentVolumeClaim") => storage::claim(&root, errors),
        ("storage.k8s.io", "StorageClass") => storage::class(&root, errors),
        ("apps", kind) => workload::check(kind, &root, errors),
        ("", "ReplicationController") => workload::check("ReplicationController", &root, errors),
        ("batch", "Job") => workload::job(&root, errors),
        ("batch", "CronJob") => workload::cron_job(&root, errors),
        ("networking.k8s.io", "Ingress") => traffic::ingress(&root, errors),
        ("networking.k8s.io", "NetworkPolicy") => traffic::network_policy(&root, errors),
        ("networking.k8s.io", "IngressClass") => traffic::ingress_class(&root, errors),
        ("discovery.k8s.io", "EndpointSlice") => traffic::endpoint_slice(&root, errors),
        ("autoscaling", _) => scaling::autoscaler(&root, errors),
        ("policy", "PodDisruptionBudget") => scaling::budget(&root, errors),
        ("scheduling.k8s.io", "PriorityClass") => scaling::priority_class(&root, errors),
        ("coordination.k8s.io", "Lease") => scaling::lease(&root, errors),
        ("rbac.authorization.k8s.io", kind) => access::check(kind, &root, errors),
        ("admissionregistration.k8s.io", _) => access::webhooks(&root, errors),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd::check_definition(object, errors),
        _ => {}
    }
}

/// What may not change once an object exists.
fn check_change(resource: &Resource, object: &Value, old: &Value, part: Part, errors: &mut FieldErrors) {
    let (new, old) = (At::root(object), At::root(old));
    match (resource.group.as_ref(), resource.kind.as_ref()) {
        ("", "Pod") if part == Part::Main => pod::check_change(&new, &old, errors),
        ("", "Service") => service::check_change(&new, &old, errors),
        ("", "ConfigMap" | "Secret") => config::check_change(&new, &old, errors),
        ("", "PersistentVolume") => storage::check_volume_change(&new, &old, errors),
        ("", "PersistentVolumeClaim") => storage::check_claim_change(&new, &old, errors),
        ("storage.k8s.io", "StorageClass") => storage::check_class_change(&new, &old, errors),
        ("apps", kind) => workload::check_change(kind, &new, &old, errors),
        ("batch", "Job") => workload::check_job_change(&new, &old, errors),
        ("rbac.authorization.k8s.io", kind) => access::check_change(kind, &new, &old, errors),
        ("scheduling.k8s.io", "PriorityClass") => new.get("value").immutable(&old.get("value"), errors),
        ("discovery.k8s.io", "EndpointSlice") => {
            new.get("addressType").immutable(&old.get("addressType"), errors)
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            crd::check_definition_change(object, old.value, errors);
        }
        _ => {}
    }
}

/// Valid, but worth a word to the client.
pub(crate) fn warnings(resource: &Resource, object: &Value) -> Vec<String> {
    match (resource.group.as_ref(), resource.kind.as_ref()) {
        ("", "Pod") => pod::warnings(&At::root(object).get("spec")),
        ("apps", _) | ("batch", "Job") => pod::warnings(&At::root(object).to(&["spec", "template", "spec"])),
        _ => Vec::new(),
    }
}

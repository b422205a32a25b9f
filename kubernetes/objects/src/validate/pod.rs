//! Rules for pods and pod templates.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::container::{self, Pod};
use super::{At, meta, names, volume};
use crate::field::FieldErrors;
use crate::quantity::Quantity;

pub(super) fn check(pod: &At<'_>, errors: &mut FieldErrors) {
    spec(&pod.get("spec"), &[], errors);
}

/// A template: labels, annotations and a pod spec.
pub(super) fn check_template(template: &At<'_>, errors: &mut FieldErrors) {
    check_template_with(template, &[], errors);
}

/// The same when a controller adds the volumes `added` to each pod.
pub(super) fn check_template_with(template: &At<'_>, added: &[String], errors: &mut FieldErrors) {
    let labels = template.to(&["metadata", "labels"]);
    for (key, value) in template.get("metadata").entries("labels") {
        meta::label(key, &value, &labels, errors);
    }
    spec(&template.get("spec"), added, errors);
    let ephemeral = template.to(&["spec", "ephemeralContainers"]);
    if ephemeral.count() > 0 {
        ephemeral.forbidden("ephemeral containers not allowed in pod template", errors);
    }
}

pub(super) fn spec(spec: &At<'_>, added: &[String], errors: &mut FieldErrors) {
    let (mut volumes, claims) = volume::all(spec, errors);
    volumes.extend(added.iter().map(String::as_str));
    let pod = Pod { volumes, claims, host_network: spec.get("hostNetwork").flag() };
    let containers = spec.list("containers");
    if containers.is_empty() {
        spec.get("containers").required("", errors);
    }
    let mut seen = HashSet::new();
    container::all(&containers, false, &pod, &mut seen, errors);
    container::all(&spec.list("initContainers"), true, &pod, &mut seen, errors);
    spec.get("restartPolicy").one_of(&["Always", "OnFailure", "Never"], errors);
    spec.get("dnsPolicy").one_of(&["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"], errors);
    spec.get("terminationGracePeriodSeconds").not_negative(errors);
    spec.get("activeDeadlineSeconds").positive(errors);
    identity(spec, errors);
    dns(spec, errors);
    placement(spec, errors);
}

fn identity(spec: &At<'_>, errors: &mut FieldErrors) {
    for key in ["serviceAccountName", "nodeName", "priorityClassName", "schedulerName"] {
        let name = spec.get(key);
        if !name.text().is_empty() {
            name.named(names::dns_subdomain, errors);
        }
    }
    for key in ["hostname", "subdomain"] {
        let name = spec.get(key);
        if !name.text().is_empty() {
            name.named(names::dns_label, errors);
        }
    }
    for alias in spec.list("hostAliases") {
        let ip = alias.get("ip");
        if ip.text().parse::<std::net::IpAddr>().is_err() {
            ip.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", errors);
        }
        for name in alias.list("hostnames") {
            name.named(names::dns_subdomain, errors);
        }
    }
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        spec.to(&["securityContext", key]).not_negative(errors);
    }
}

fn dns(spec: &At<'_>, errors: &mut FieldErrors) {
    let config = spec.get("dnsConfig");
    let servers = config.list("nameservers");
    if spec.get("dnsPolicy").text() == "None" && servers.is_empty() {
        config
            .get("nameservers")
            .required("must provide at least one DNS nameserver when `dnsPolicy` is None", errors);
    }
    for server in servers {
        if server.text().parse::<std::net::IpAddr>().is_err() {
            server.invalid("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", errors);
        }
    }
}

fn placement(spec: &At<'_>, errors: &mut FieldErrors) {
    for (key, value) in spec.entries("nodeSelector") {
        meta::label(key, &value, &spec.get("nodeSelector"), errors);
    }
    for toleration in spec.list("tolerations") {
        let (key, operator) = (toleration.get("key"), toleration.get("operator"));
        if key.is_empty() && operator.text() != "Exists" {
            operator.invalid(
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
                errors,
            );
        }
        if operator.text() == "Exists" && !toleration.get("value").is_empty() {
            operator.invalid("value must be empty when `operator` is 'Exists'", errors);
        }
        let effect = toleration.get("effect");
        if !effect.is_empty() {
            effect.one_of(&["NoSchedule", "PreferNoSchedule", "NoExecute"], errors);
        }
    }
    for constraint in spec.list("topologySpreadConstraints") {
        constraint.get("topologyKey").need(errors);
        constraint.get("whenUnsatisfiable").one_of(&["DoNotSchedule", "ScheduleAnyway"], errors);
        if constraint.get("maxSkew").int().unwrap_or(0) <= 0 {
            constraint.get("maxSkew").invalid("must be greater than zero", errors);
        }
    }
}

const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Of a running pod only images, the deadline and new tolerations may change (and scheduling gates may go).
pub(super) fn check_change(new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    let (new_spec, old_spec) = (new.get("spec"), old.get("spec"));
    if new_spec.value == old_spec.value {
        return;
    }
    let mut comparable = new_spec.value.clone();
    for key in ["activeDeadlineSeconds", "schedulingGates", "terminationGracePeriodSeconds"] {
        put(&mut comparable, key, old_spec.get(key).value);
    }
    tolerations(&mut comparable, &old_spec);
    for list in ["containers", "initContainers"] {
        let before = old_spec.list(list);
        let after = comparable.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (container, old) in after.zip(before) {
            put(container, "image", old.get("image").value);
        }
    }
    // A gated pod may still be steered.
    if old_spec.get("schedulingGates").count() > 0 {
        for key in ["nodeSelector", "affinity"] {
            put(&mut comparable, key, old_spec.get(key).value);
        }
    }
    if comparable != *old_spec.value {
        new_spec.forbidden(FIXED, errors);
    }
}

/// Added tolerations are fine; changed and removed ones stay visible as a difference.
fn tolerations(comparable: &mut Value, old: &At<'_>) {
    let before = old.get("tolerations");
    let after = comparable.get("tolerations").and_then(Value::as_array).cloned().unwrap_or_default();
    if before.value.as_array().into_iter().flatten().all(|toleration| after.contains(toleration)) {
        put(comparable, "tolerations", before.value);
    }
}

fn put(object: &mut Value, key: &str, value: &Value) {
    let Some(map) = object.as_object_mut() else { return };
    if value.is_null() {
        map.remove(key);
    } else {
        map.insert(key.to_owned(), value.clone());
    }
}

/// How a pod is treated when the node runs short: by what its containers request and limit.
pub(crate) fn qos(spec: &Value) -> &'static str {
    let spec = At::root(spec);
    let mut containers = spec.list("containers");
    containers.extend(spec.list("initContainers"));
    let amount = |c: &At<'_>, side: &str, name: &str| {
        let found = Quantity::from_value(c.to(&["resources", side, name]).value).ok();
        found.filter(|quantity| !quantity.is_zero())
    };
    let mut any = false;
    let mut guaranteed = true;
    for container in &containers {
        for name in ["cpu", "memory"] {
            let (request, limit) = (amount(container, "requests", name), amount(container, "limits", name));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Names given twice in an environment: the last one wins, which is rarely meant.
pub(super) fn warnings(spec: &At<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    for container in spec.list("containers").into_iter().chain(spec.list("initContainers")) {
        let mut seen = HashSet::new();
        for env in container.list("env") {
            let name = env.get("name");
            if !seen.insert(name.text()) {
                let json = json!(name.text());
                warnings.push(format!(
                    "{}: hides previous definition of {json}, which may be dropped when using apply",
                    env.path()
                ));
            }
        }
    }
    warnings
}

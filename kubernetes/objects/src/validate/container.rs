//! Rules for containers, their ports, environment, mounts and probes.

use std::collections::HashSet;

use super::{At, names, quantities};
use crate::field::FieldErrors;

/// What the containers of one pod share.
pub(super) struct Pod<'a> {
    pub(super) volumes: HashSet<&'a str>,
    pub(super) claims: HashSet<&'a str>,
    pub(super) host_network: bool,
}

/// Checks the containers of a list; `seen` holds the names used so far in the pod.
pub(super) fn all<'a>(
    containers: &[At<'a>],
    init: bool,
    pod: &Pod<'_>,
    seen: &mut HashSet<&'a str>,
    errors: &mut FieldErrors,
) {
    for container in containers {
        let name = container.get("name");
        if name.need(errors) {
            name.named(names::dns_label, errors);
            if !seen.insert(name.text()) {
                name.duplicate(errors);
            }
        }
        check(container, pod, errors);
        if init {
            init_rules(container, errors);
        } else {
            lifecycle(container, errors);
        }
    }
    host_ports(containers, errors);
}

fn check(container: &At<'_>, pod: &Pod<'_>, errors: &mut FieldErrors) {
    let image = container.get("image");
    if image.text().is_empty() {
        image.required("", errors);
    } else if image.text().trim() != image.text() {
        image.invalid("must not have leading or trailing whitespace", errors);
    }
    container.get("imagePullPolicy").one_of(&["Always", "IfNotPresent", "Never"], errors);
    container.get("terminationMessagePolicy").one_of(&["File", "FallbackToLogsOnError"], errors);
    ports(container, pod.host_network, errors);
    environment(container, errors);
    mounts(container, pod, errors);
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.get(name);
        if probe.exists() {
            self::probe(&probe, name, errors);
        }
    }
    quantities::resources(&container.get("resources"), errors);
    security(&container.get("securityContext"), errors);
}

fn init_rules(container: &At<'_>, errors: &mut FieldErrors) {
    let policy = container.get("restartPolicy");
    let sidecar = policy.text() == "Always";
    if policy.exists() && !["Always", "Never", "OnFailure"].contains(&policy.text()) {
        policy.one_of(&["Always", "Never", "OnFailure"], errors);
    }
    if sidecar {
        lifecycle(container, errors);
        return;
    }
    for name in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        let field = container.get(name);
        if field.exists() {
            field.forbidden("may not be set for init containers without restartPolicy=Always", errors);
        }
    }
}

fn ports(container: &At<'_>, host_network: bool, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for port in container.list("ports") {
        let name = port.get("name");
        if !name.text().is_empty() {
            name.named(names::port_name, errors);
            if !seen.insert(name.text()) {
                name.duplicate(errors);
            }
        }
        let number = port.get("containerPort");
        match number.int().unwrap_or(0) {
            0 => number.required("", errors),
            n => {
                if let Some(problem) = names::port_number(n) {
                    number.invalid(problem, errors);
                }
            }
        }
        let host = port.get("hostPort");
        match (host.int().unwrap_or(0), names::port_number(host.int().unwrap_or(0))) {
            (0, _) => {}
            (_, Some(problem)) => host.invalid(problem, errors),
            (n, None) if host_network && Some(n) != number.int() => {
                number.invalid("must match `hostPort` when `hostNetwork` is true", errors);
            }
            _ => {}
        }
        port.get("protocol").one_of(&["TCP", "UDP", "SCTP"], errors);
    }
}

/// No two containers of a pod may take the same port of the host.
fn host_ports(containers: &[At<'_>], errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for port in containers.iter().flat_map(|container| container.list("ports")) {
        let host = port.get("hostPort").int().unwrap_or(0);
        if host != 0
            && !seen.insert(format!("{}/{}/{host}", port.get("protocol").text(), port.get("hostIP").text()))
        {
            port.get("hostPort").duplicate(errors);
        }
    }
}

fn environment(container: &At<'_>, errors: &mut FieldErrors) {
    for env in container.list("env") {
        let name = env.get("name");
        if name.need(errors) {
            name.named(names::env_name, errors);
        }
        let from = env.get("valueFrom");
        if from.exists() {
            value_from(&env, &from, errors);
        }
    }
    for from in container.list("envFrom") {
        let sources = ["configMapRef", "secretRef"].iter().map(|key| from.get(key)).filter(At::exists);
        let sources: Vec<At<'_>> = sources.collect();
        match sources.as_slice() {
            [source] => {
                source.get("name").need(errors);
            }
            [] => from.invalid("must specify one of: `configMapRef` or `secretRef`", errors),
            _ => from.invalid("may not have more than one field specified at a time", errors),
        }
        let prefix = from.get("prefix");
        if !prefix.text().is_empty() {
            prefix.named(names::env_name, errors);
        }
    }
}

const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

fn value_from(env: &At<'_>, from: &At<'_>, errors: &mut FieldErrors) {
    let kinds = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
    let sources = kinds.iter().filter(|kind| from.get(kind).exists()).count();
    match sources {
        0 => from.invalid(
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
            errors,
        ),
        1 => {}
        _ => from.invalid("may not have more than one field specified at a time", errors),
    }
    if sources > 0 && !env.get("value").text().is_empty() {
        from.invalid("may not be specified when `value` is not empty", errors);
    }
    if from.get("fieldRef").exists() {
        field_ref(&from.get("fieldRef"), &FIELDS, errors);
    }
    if from.get("resourceFieldRef").exists() {
        resource_ref(&from.get("resourceFieldRef"), errors);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        let reference = from.get(kind);
        if reference.exists() {
            reference.get("name").need(errors);
            let key = reference.get("key");
            if key.need(errors) {
                key.named(names::config_key, errors);
            }
        }
    }
}

/// A field of the pod, by itself or as `metadata.labels['x']`.
pub(super) fn field_ref(reference: &At<'_>, fields: &[&str], errors: &mut FieldErrors) {
    let path = reference.get("fieldPath");
    if !path.need(errors) {
        return;
    }
    let subscripted = ["metadata.labels['", "metadata.annotations['"]
        .iter()
        .filter_map(|prefix| path.text().strip_prefix(prefix))
        .find_map(|rest| rest.strip_suffix("']"));
    match subscripted {
        Some(key) => {
            if let Some(problem) = names::qualified_name(&key.to_lowercase()) {
                path.invalid(problem, errors);
            }
        }
        None if fields.contains(&path.text()) => {}
        None => path.one_of(fields, errors),
    }
}

pub(super) fn resource_ref(reference: &At<'_>, errors: &mut FieldErrors) {
    let resource = reference.get("resource");
    if resource.need(errors) && !resource.text().contains("hugepages-") {
        resource.one_of(&RESOURCES, errors);
    }
}

fn mounts(container: &At<'_>, pod: &Pod<'_>, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for mount in container.list("volumeMounts") {
        let (name, path) = (mount.get("name"), mount.get("mountPath"));
        if name.need(errors) && !pod.volumes.contains(name.text()) {
            name.not_found(errors);
        }
        if path.need(errors) && !seen.insert(path.text()) {
            path.invalid("must be unique", errors);
        }
        for key in ["subPath", "subPathExpr"] {
            let sub = mount.get(key);
            if sub.text().starts_with('/') {
                sub.invalid("must be a relative path", errors);
            } else if sub.text().split('/').any(|step| step == "..") {
                sub.invalid("must not contain '..'", errors);
            }
        }
    }
    for device in container.list("volumeDevices") {
        let name = device.get("name");
        if name.need(errors) && !pod.claims.contains(name.text()) {
            name.invalid(
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                errors,
            );
        }
        device.get("devicePath").need(errors);
    }
}

fn probe(probe: &At<'_>, name: &str, errors: &mut FieldErrors) {
    handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], errors);
    for key in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        probe.get(key).not_negative(errors);
    }
    let success = probe.get("successThreshold");
    if name != "readinessProbe" && success.int().is_some_and(|n| n != 1) {
        success.invalid("must be 1", errors);
    }
    probe.get("terminationGracePeriodSeconds").positive(errors);
}

fn lifecycle(container: &At<'_>, errors: &mut FieldErrors) {
    for hook in ["postStart", "preStop"] {
        let handler = container.to(&["lifecycle", hook]);
        if handler.exists() {
            self::handler(&handler, &["exec", "httpGet", "tcpSocket", "sleep"], errors);
        }
    }
}

/// Exactly one way to act, and enough about it.
fn handler(at: &At<'_>, kinds: &[&str], errors: &mut FieldErrors) {
    let given: Vec<At<'_>> = kinds.iter().map(|kind| at.get(kind)).filter(At::exists).collect();
    if given.is_empty() {
        at.required("must specify a handler type", errors);
    }
    for extra in given.iter().skip(1) {
        extra.forbidden("may not specify more than 1 handler type", errors);
    }
    if at.get("exec").exists() && at.get("exec").get("command").count() == 0 {
        at.get("exec").get("command").required("", errors);
    }
    for kind in ["httpGet", "tcpSocket"] {
        if at.get(kind).exists() {
            port(&at.get(kind).get("port"), errors);
        }
    }
    let http = at.get("httpGet");
    if http.exists() {
        http.get("scheme").one_of(&["HTTP", "HTTPS"], errors);
        http.get("path").need(errors);
    }
    let grpc = at.to(&["grpc", "port"]);
    if at.get("grpc").exists() && names::port_number(grpc.int().unwrap_or(0)).is_some() {
        grpc.invalid("must be between 1 and 65535, inclusive", errors);
    }
}

/// A port by number or by name.
pub(super) fn port(at: &At<'_>, errors: &mut FieldErrors) {
    match at.int() {
        Some(number) => {
            if let Some(problem) = names::port_number(number) {
                at.invalid(problem, errors);
            }
        }
        None => at.named(names::port_name, errors),
    }
}

fn security(context: &At<'_>, errors: &mut FieldErrors) {
    for key in ["runAsUser", "runAsGroup"] {
        context.get(key).not_negative(errors);
    }
    let escalation = context.get("allowPrivilegeEscalation");
    if escalation.value.as_bool() == Some(false) {
        if context.get("privileged").flag() {
            context
                .invalid("cannot set `allowPrivilegeEscalation` to false and `privileged` to true", errors);
        }
        let adds = context.to(&["capabilities"]).list("add");
        if adds.iter().any(|capability| ["SYS_ADMIN", "CAP_SYS_ADMIN"].contains(&capability.text())) {
            let detail =
                "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            context.invalid(detail, errors);
        }
    }
}

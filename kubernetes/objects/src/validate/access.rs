//! Rules for roles, bindings and webhooks.

use super::{At, names, selectors};
use crate::field::FieldErrors;

const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) fn check(kind: &str, root: &At<'_>, errors: &mut FieldErrors) {
    match kind {
        "Role" | "ClusterRole" => {
            for rule in root.list("rules") {
                self::rule(&rule, kind == "ClusterRole", errors);
            }
        }
        _ => binding(kind, root, errors),
    }
}

fn rule(rule: &At<'_>, cluster: bool, errors: &mut FieldErrors) {
    if rule.get("verbs").count() == 0 {
        rule.get("verbs").required("verbs must contain at least one value", errors);
    }
    if rule.get("nonResourceURLs").count() > 0 {
        if !cluster {
            rule.get("nonResourceURLs").invalid("namespaced rules cannot apply to non-resource URLs", errors);
        }
        if rule.get("apiGroups").count() + rule.get("resources").count() + rule.get("resourceNames").count()
            > 0
        {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            rule.get("nonResourceURLs").invalid(detail, errors);
        }
        return;
    }
    if rule.get("apiGroups").count() == 0 {
        rule.get("apiGroups").required("resource rules must supply at least one api group", errors);
    }
    if rule.get("resources").count() == 0 {
        rule.get("resources").required("resource rules must supply at least one resource", errors);
    }
}

fn binding(kind: &str, root: &At<'_>, errors: &mut FieldErrors) {
    let role = root.get("roleRef");
    role.get("apiGroup").one_of(&[GROUP], errors);
    let kinds: &[&str] =
        if kind == "ClusterRoleBinding" { &["ClusterRole"] } else { &["ClusterRole", "Role"] };
    role.get("kind").one_of(kinds, errors);
    let name = role.get("name");
    if name.need(errors) {
        name.named(names::path_segment, errors);
    }
    for subject in root.list("subjects") {
        let name = subject.get("name");
        name.need(errors);
        match subject.get("kind").text() {
            "ServiceAccount" => {
                if !name.text().is_empty() {
                    name.named(names::dns_subdomain, errors);
                }
                subject.get("namespace").need(errors);
            }
            "User" | "Group" => subject.get("apiGroup").one_of(&[GROUP], errors),
            _ => subject.get("kind").one_of(&["Group", "ServiceAccount", "User"], errors),
        }
    }
}

/// What a binding grants is fixed; whom it grants it to is not.
pub(super) fn check_change(kind: &str, new: &At<'_>, old: &At<'_>, errors: &mut FieldErrors) {
    if kind.ends_with("Binding") && new.get("roleRef").value != old.get("roleRef").value {
        new.get("roleRef").invalid("cannot change roleRef", errors);
    }
}

pub(super) fn webhooks(root: &At<'_>, errors: &mut FieldErrors) {
    let mut seen = std::collections::HashSet::new();
    for hook in root.list("webhooks") {
        let name = hook.get("name");
        if name.need(errors) {
            name.named(names::dns_subdomain, errors);
            if name.text().split('.').count() < 3 {
                name.invalid("should be a domain with at least three segments separated by dots", errors);
            }
            if !seen.insert(name.text()) {
                name.duplicate(errors);
            }
        }
        hook.get("sideEffects").one_of(&["None", "NoneOnDryRun"], errors);
        hook.get("failurePolicy").one_of(&["Fail", "Ignore"], errors);
        hook.get("matchPolicy").one_of(&["Equivalent", "Exact"], errors);
        if hook.get("admissionReviewVersions").count() == 0 {
            hook.get("admissionReviewVersions").required("must specify one of v1, v1beta1", errors);
        }
        let timeout = hook.get("timeoutSeconds");
        if timeout.int().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
            timeout.invalid("the timeout value must be between 1 and 30 seconds", errors);
        }
        let config = hook.get("clientConfig");
        if config.get("url").exists() == config.get("service").exists() {
            config.required("exactly one of url or service is required", errors);
        }
        selectors::check(&hook.get("namespaceSelector"), errors);
        selectors::check(&hook.get("objectSelector"), errors);
    }
}

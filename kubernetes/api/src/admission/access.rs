//! Nobody gives what they do not have: roles and bindings may grant only rights of their author, unless
//! the author may `escalate` or `bind`.

use serde_json::Value;

use crate::access::authenticate::may_everything;
use crate::access::rbac::Rule;
use crate::call::{self, Call};
use crate::request::Attributes;
use crate::status::Status;

pub(crate) fn check(call: &Call, object: &Value) -> Result<(), Status> {
    if may_everything(&call.identity) {
        return Ok(());
    }
    match &*call.resource.kind {
        "Role" | "ClusterRole" => {
            let rules = rules(object);
            if aggregates(object) && !allowed(call, "escalate") {
                return refuse(call, object, "must have the escalate verb to set an aggregationRule");
            }
            check_rules(call, object, &rules, "escalate")
        }
        "RoleBinding" | "ClusterRoleBinding" => check_rules(call, object, &granted(call, object)?, "bind"),
        _ => Ok(()),
    }
}

fn rules(role: &Value) -> Vec<Rule> {
    role.get("rules").cloned().and_then(|rules| serde_json::from_value(rules).ok()).unwrap_or_default()
}

fn aggregates(role: &Value) -> bool {
    role.get("aggregationRule").is_some_and(|rule| !rule.is_null())
}

/// The rules of the role a binding names; a role that is not there grants nothing yet, but may later.
fn granted(call: &Call, binding: &Value) -> Result<Vec<Rule>, Status> {
    let text = |key: &str| {
        binding.pointer("/roleRef").and_then(|r| r.get(key)).and_then(Value::as_str).unwrap_or("")
    };
    let name = text("name");
    let key = if text("kind") == "ClusterRole" {
        format!("clusterroles.rbac.authorization.k8s.io/{name}")
    } else {
        format!("roles.rbac.authorization.k8s.io/{}/{name}", call.asked.namespace)
    };
    match call.parts.store.get(&key) {
        Some(entry) => Ok(rules(&call::read(&entry)?)),
        None if may_bind(call, binding) => Ok(Vec::new()),
        None => {
            let what = crate::status::What {
                group: "rbac.authorization.k8s.io".to_owned(),
                resource: format!("{}s", text("kind").to_lowercase()),
                kind: text("kind").to_owned(),
            };
            Err(Status::not_found(&what, name))
        }
    }
}

fn may_bind(call: &Call, binding: &Value) -> bool {
    let text = |key: &str| {
        binding.pointer("/roleRef").and_then(|r| r.get(key)).and_then(Value::as_str).unwrap_or("")
    };
    let asked = Attributes {
        verb: "bind".to_owned(),
        resource: format!("{}s", text("kind").to_lowercase()),
        name: text("name").to_owned(),
        subresource: String::new(),
        ..call.asked.clone()
    };
    call.parts.rbac.allows(&call.identity, &asked)
}

fn allowed(call: &Call, verb: &str) -> bool {
    let asked = Attributes { verb: verb.to_owned(), ..call.asked.clone() };
    call.parts.rbac.allows(&call.identity, &asked)
}

fn check_rules(call: &Call, object: &Value, wanted: &[Rule], verb: &str) -> Result<(), Status> {
    if verb == "bind" && may_bind(call, object) || verb == "escalate" && allowed(call, verb) {
        return Ok(());
    }
    let own = call.parts.rbac.rules(&call.identity, &call.asked.namespace);
    let missing: Vec<String> = wanted
        .iter()
        .flat_map(single)
        .filter(|rule| !own.iter().any(|own| own.covers(rule)))
        .map(|rule| describe(&rule))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!(
        "user \"{}\" (groups={:?}) is attempting to grant RBAC permissions not currently held:\n{}",
        call.identity.user,
        call.identity.groups,
        missing.join("\n")
    );
    refuse(call, object, &why)
}

fn refuse(call: &Call, object: &Value, why: &str) -> Result<(), Status> {
    Err(Status::forbidden(&call.what(), crate::encode::meta(object, "name"), why))
}

/// A rule taken apart into one verb on one resource of one group each.
fn single(rule: &Rule) -> Vec<Rule> {
    let mut found = Vec::new();
    for verb in &rule.verbs {
        for path in &rule.paths {
            found.push(Rule { verbs: vec![verb.clone()], paths: vec![path.clone()], ..Rule::default() });
        }
        for group in &rule.api_groups {
            for resource in &rule.resources {
                found.push(Rule {
                    verbs: vec![verb.clone()],
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    resource_names: rule.resource_names.clone(),
                    paths: Vec::new(),
                });
            }
        }
    }
    found
}

fn describe(rule: &Rule) -> String {
    if rule.paths.is_empty() {
        format!("{{APIGroups:{:?}, Resources:{:?}, Verbs:{:?}}}", rule.api_groups, rule.resources, rule.verbs)
    } else {
        format!("{{NonResourceURLs:{:?}, Verbs:{:?}}}", rule.paths, rule.verbs)
    }
}

//! Questions about access: who am I, may I, may they, whose token is this.

use axum::body::Body;
use http::{Response, StatusCode};
use sealos_objects::Resource;
use serde_json::{Map, Value, json};

use super::authenticate;
use crate::call::Call;
use crate::encode;
use crate::identity::{AUTHENTICATED, Identity};
use crate::request::Attributes;
use crate::status::{Status, json_response};
use crate::time;

/// Whether creating this kind asks a question and stores nothing.
pub(crate) fn is_review(resource: &Resource) -> bool {
    matches!(&*resource.group, "authentication.k8s.io" | "authorization.k8s.io")
}

pub(crate) fn answer(call: &Call, mut review: Value) -> Result<Response<Body>, Status> {
    crate::write::check_identity(call, &mut review)?;
    let spec = review.get("spec").cloned().unwrap_or_default();
    let status = match &*call.resource.kind {
        "SelfSubjectReview" => json!({ "userInfo": user_info(&call.identity) }),
        "TokenReview" => token(call, &spec),
        "SelfSubjectRulesReview" => rules(call, &spec),
        "SelfSubjectAccessReview" => access(call, &call.identity, &spec)?,
        _ => access(call, &subject(&spec), &in_namespace(call, spec.clone()))?,
    };
    if let Some(meta) = encode::metadata_mut(&mut review) {
        meta.insert("creationTimestamp".into(), time::now().into());
    }
    review["status"] = status;
    Ok(json_response(StatusCode::CREATED, &review))
}

/// A local review asks about its own namespace.
fn in_namespace(call: &Call, mut spec: Value) -> Value {
    if call.resource.namespaced && spec.get("resourceAttributes").is_some_and(Value::is_object) {
        spec["resourceAttributes"]["namespace"] = call.asked.namespace.as_str().into();
    }
    spec
}

fn user_info(identity: &Identity) -> Value {
    let mut info = json!({ "username": identity.user, "groups": identity.groups });
    if let Some(uid) = &identity.uid {
        info["uid"] = uid.as_str().into();
    }
    if !identity.extra.is_empty() {
        let extra: Map<String, Value> =
            identity.extra.iter().map(|(key, values)| (key.clone(), values.clone().into())).collect();
        info["extra"] = extra.into();
    }
    info
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn token(call: &Call, spec: &Value) -> Value {
    let authenticator = &call.parts.authenticator;
    let token = spec.get("token").and_then(Value::as_str).unwrap_or("");
    let wanted = texts(spec.get("audiences"));
    match authenticator.claims(token) {
        Err(reason) => json!({ "authenticated": false, "error": format!("invalid bearer token: {reason}") }),
        Ok(claims) => {
            let fits = |audience: &&String| {
                if wanted.is_empty() {
                    authenticator.is_audience(audience)
                } else {
                    wanted.contains(audience)
                }
            };
            let audiences: Vec<&String> = claims.audiences.iter().filter(fits).collect();
            if audiences.is_empty() {
                return json!({ "authenticated": false, "error": "the token is for another audience" });
            }
            let user = user_info(&authenticate::identity(&claims));
            json!({ "authenticated": true, "user": user, "audiences": audiences })
        }
    }
}

fn subject(spec: &Value) -> Identity {
    let text = |key: &str| spec.get(key).and_then(Value::as_str).unwrap_or("");
    let groups = texts(spec.get("groups"));
    let mut identity =
        match text("user").strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
            Some((namespace, name)) => Identity::service_account(namespace, name),
            None => Identity::new(text("user"), None::<String>),
        };
    // The question names all groups that count.
    identity.groups.retain(|group| group != AUTHENTICATED || !text("user").is_empty());
    identity.groups.extend(groups);
    identity
}

fn access(call: &Call, identity: &Identity, spec: &Value) -> Result<Value, Status> {
    let rbac = &call.parts.rbac;
    let allowed = if let Some(asked) = spec.get("resourceAttributes").filter(|asked| asked.is_object()) {
        rbac.allows(identity, &attributes(asked))
    } else if let Some(asked) = spec.get("nonResourceAttributes").filter(|asked| asked.is_object()) {
        let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or("");
        rbac.allows_path(identity, text("verb"), text("path"))
    } else {
        return Err(Status::bad_request(
            "spec: Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified",
        ));
    };
    let mut status = json!({ "allowed": allowed });
    if !allowed {
        status["reason"] = "".into();
    }
    Ok(status)
}

fn attributes(asked: &Value) -> Attributes {
    let text = |key: &str| asked.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    Attributes {
        verb: text("verb"),
        group: text("group"),
        version: text("version"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
        rest: String::new(),
    }
}

fn rules(call: &Call, spec: &Value) -> Value {
    let namespace = spec.get("namespace").and_then(Value::as_str).unwrap_or("default");
    let (mut resources, mut paths) = (Vec::new(), Vec::new());
    for rule in call.parts.rbac.rules(&call.identity, namespace) {
        if !rule.paths.is_empty() {
            paths.push(json!({ "verbs": rule.verbs, "nonResourceURLs": rule.paths }));
            continue;
        }
        let mut shown =
            json!({ "verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources });
        if !rule.resource_names.is_empty() {
            shown["resourceNames"] = rule.resource_names.into();
        }
        resources.push(shown);
    }
    json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": false })
}

//! Subresources that are not just a part of the object: scale, binding, eviction, token.

use axum::body::Body;
use bytes::Bytes;
use http::{Response, StatusCode};
use sealos_objects::selector::LabelSelector;
use sealos_objects::{Part, patch};
use serde_json::{Value, json};

use crate::access::token::Claims;
use crate::body;
use crate::call::{self, Call};
use crate::encode;
use crate::options::{DeleteOptions, WriteOptions};
use crate::status::{Status, json_response};
use crate::time;
use crate::write::{self, ATTEMPTS, create::Tracking, update};

/// Tokens last at least this long, and at most a year.
const SHORTEST: i64 = 600;
const LONGEST: i64 = 365 * 86400;
const USUAL: i64 = 3600;

fn scale(call: &Call, object: &Value) -> Result<Value, Status> {
    call.resource.scale(object).ok_or_else(Status::no_such_path)
}

pub(crate) fn get_scale(call: &Call) -> Result<Response<Body>, Status> {
    let object = call.resource.from_storage(call::read(&call.entry()?)?);
    Ok(json_response(StatusCode::OK, &scale(call, &object)?))
}

pub(crate) async fn update_scale(call: &Call, wanted: Value) -> Result<Response<Body>, Status> {
    set_scale(call, |_| Ok(wanted.clone())).await
}

pub(crate) async fn patch_scale(
    call: &Call,
    bytes: &Bytes,
    content_type: &str,
) -> Result<Response<Body>, Status> {
    let document =
        if content_type.ends_with("yaml") { body::object(bytes, content_type)? } else { body::json(bytes)? };
    let bad = |error: patch::PatchError| Status::bad_request(error.to_string());
    set_scale(call, |scale| match content_type {
        "application/json-patch+json" => patch::json(scale, &document).map_err(bad),
        _ => patch::merge(scale, &document).map_err(bad),
    })
    .await
}

/// Changes the number of replicas to what `change` makes of the scale.
async fn set_scale(
    call: &Call,
    change: impl Fn(&Value) -> Result<Value, Status>,
) -> Result<Response<Body>, Status> {
    let options = WriteOptions::parse(&call.query, &call.headers)?;
    for _ in 0..ATTEMPTS {
        let entry = call.entry()?;
        let old = call.resource.from_storage(call::read(&entry)?);
        let current = scale(call, &old)?;
        let wanted = change(&current)?;
        let replicas = wanted.pointer("/spec/replicas").map_or(Some(0), Value::as_i64);
        let replicas =
            replicas.filter(|replicas| (0..=i64::from(i32::MAX)).contains(replicas)).ok_or_else(|| {
                let error = sealos_objects::FieldError::invalid(
                    "spec.replicas",
                    &wanted["spec"]["replicas"],
                    "must be a number greater than or equal to 0",
                );
                Status::invalid(&call.what(), &call.asked.name, &sealos_objects::FieldErrors(vec![error]))
            })?;
        let revision = encode::meta(&wanted, "resourceVersion");
        if !revision.is_empty() && revision != entry.revision.to_string() {
            return Err(Status::modified(&call.what(), &call.asked.name));
        }
        let mut new = old.clone();
        call.resource.set_scale(&mut new, replicas);
        encode::metadata_mut(&mut new).and_then(|meta| meta.remove("resourceVersion"));
        let written =
            update::replace(call, &entry, &old, new, Part::Main, &options, Tracking::Update).await?;
        if let Some(written) = written {
            return Ok(json_response(StatusCode::OK, &scale(call, &written.object)?));
        }
    }
    Err(Status::modified(&call.what(), &call.asked.name))
}

/// The scheduler's word: this pod runs on that node.
pub(crate) async fn bind(call: &Call, binding: Value) -> Result<Response<Body>, Status> {
    let options = WriteOptions::parse(&call.query, &call.headers)?;
    let node = binding.pointer("/target/name").and_then(Value::as_str).unwrap_or("").to_owned();
    if node.is_empty() {
        return Err(Status::bad_request("target.name: Required value"));
    }
    let name = if call.asked.name.is_empty() { encode::meta(&binding, "name") } else { &call.asked.name };
    let pods = call.parts.registry.find("", "v1", "pods").ok_or_else(Status::no_such_path)?;
    let pod = call.about(&pods, &call.asked.namespace, name);
    for _ in 0..ATTEMPTS {
        let entry = pod.entry()?;
        let mut object = call::read(&entry)?;
        check_binding(&pod, &binding, &object, &node)?;
        object["spec"]["nodeName"] = node.as_str().into();
        copy_marks(&binding, &mut object);
        set_scheduled(&mut object);
        if options.dry_run {
            break;
        }
        match update::put(&pod, &entry, object).await {
            Ok(_) => break,
            Err(sealos_store::Error::Conflict { .. }) => {}
            Err(error) => return Err(write::refused(&pod, name, &error)),
        }
    }
    let success =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    Ok(json_response(StatusCode::CREATED, &success))
}

fn check_binding(pod: &Call, binding: &Value, object: &Value, node: &str) -> Result<(), Status> {
    let (name, what) = (&pod.asked.name, pod.what());
    let uid = encode::meta(binding, "uid");
    if !uid.is_empty() && uid != encode::meta(object, "uid") {
        return Err(Status::conflict(&what, name, "Precondition failed: the pod is another one"));
    }
    if encode::deleting(object) {
        let why = format!("pod {name} is being deleted, cannot be assigned to a host");
        return Err(Status::conflict(&what, name, &why));
    }
    match object.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or("") {
        "" => Ok(()),
        assigned => {
            let why = format!("pod {name} is already assigned to node \"{assigned}\", not to \"{node}\"");
            Err(Status::conflict(&what, name, &why))
        }
    }
}

/// Annotations and labels of a binding become the pod's.
fn copy_marks(binding: &Value, pod: &mut Value) {
    for key in ["annotations", "labels"] {
        let Some(own) = binding.get("metadata").and_then(|meta| meta.get(key)).and_then(Value::as_object)
        else {
            continue;
        };
        let Some(meta) = encode::metadata_mut(pod) else { continue };
        if let Some(marks) = meta.entry(key).or_insert_with(|| json!({})).as_object_mut() {
            marks.extend(own.clone());
        }
    }
}

fn set_scheduled(pod: &mut Value) {
    let condition = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": time::now(),
    });
    let Some(pod) = pod.as_object_mut() else { return };
    let status = pod.entry("status").or_insert_with(|| json!({}));
    let Some(status) = status.as_object_mut() else { return };
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if let Some(conditions) = conditions.as_array_mut() {
        conditions.retain(|own| own.get("type").and_then(Value::as_str) != Some("PodScheduled"));
        conditions.push(condition);
    }
}

/// A delete that asks the disruption budgets first.
pub(crate) async fn evict(call: &Call, eviction: Value) -> Result<Response<Body>, Status> {
    let entry = call.entry()?;
    let pod = call::read(&entry)?;
    let mut options = match eviction.get("deleteOptions").filter(|options| !options.is_null()) {
        Some(options) => DeleteOptions::from_value(options.clone())?,
        None => DeleteOptions::default(),
    };
    options.dry |= WriteOptions::parse(&call.query, &call.headers)?.dry_run;
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or("");
    if !encode::deleting(&pod) && !matches!(phase, "Pending" | "Succeeded" | "Failed") {
        for _ in 0..ATTEMPTS {
            if spend(call, &pod, &options).await? {
                break;
            }
        }
    }
    write::delete::remove(call, &options).await?;
    let success =
        json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201 });
    Ok(json_response(StatusCode::CREATED, &success))
}

/// Takes one disruption from the pod's budget. False: the budget changed meanwhile.
async fn spend(call: &Call, pod: &Value, options: &DeleteOptions) -> Result<bool, Status> {
    let budgets = call.parts.registry.find("policy", "v1", "poddisruptionbudgets");
    let Some(budgets) = budgets else { return Ok(true) };
    let prefix = crate::keys::prefix(&budgets, &call.asked.namespace);
    for entry in call.parts.store.list(&prefix, None, 0).entries {
        let mut budget = call::read(&entry)?;
        let selector = budget.pointer("/spec/selector").and_then(LabelSelector::from_json);
        if !selector.is_some_and(|selector| selector.matches(pod)) {
            continue;
        }
        let name = encode::meta(&budget, "name").to_owned();
        let left = budget.pointer("/status/disruptionsAllowed").and_then(Value::as_i64).unwrap_or(0);
        if left <= 0 {
            let message = "Cannot evict pod as it would violate the pod's disruption budget.";
            let cause = format!("The disruption budget {name} does not allow more disruptions now");
            return Err(Status::too_many(message, 10).cause("DisruptionBudget", &cause, ""));
        }
        if options.dry {
            return Ok(true);
        }
        budget["status"]["disruptionsAllowed"] = (left - 1).into();
        budget["status"]["disruptedPods"][encode::meta(pod, "name")] = time::now().into();
        let budget_call = call.about(&budgets, &call.asked.namespace, &name);
        return match update::put(&budget_call, &entry, budget).await {
            Ok(_) => Ok(true),
            Err(sealos_store::Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(write::refused(&budget_call, &name, &error)),
        };
    }
    Ok(true)
}

/// A token for a service account, maybe bound to a pod.
pub(crate) fn token(call: &Call, mut request: Value) -> Result<Response<Body>, Status> {
    let account = call::read(&call.entry()?)?;
    let spec = request.get("spec").cloned().unwrap_or_default();
    let life = spec.get("expirationSeconds").and_then(Value::as_i64).unwrap_or(USUAL);
    if life < SHORTEST {
        return Err(Status::bad_request(
            "spec.expirationSeconds: may not specify a duration less than 10 minutes",
        ));
    }
    let audiences = spec.get("audiences").and_then(Value::as_array);
    let mut audiences: Vec<String> =
        audiences.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let tokens = &call.parts.authenticator.tokens;
    if audiences.is_empty() {
        audiences.push(tokens.issuer().to_owned());
    }
    let now = time::seconds();
    let claims = Claims {
        namespace: call.asked.namespace.clone(),
        account: call.asked.name.clone(),
        account_uid: encode::meta(&account, "uid").to_owned(),
        pod: bound_pod(call, &spec)?,
        audiences: audiences.clone(),
        issued: now,
        expires: now.saturating_add(life.min(LONGEST)),
    };
    let token = tokens.sign(&claims).ok_or_else(|| Status::internal("the system has no randomness"))?;
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["kind"] = "TokenRequest".into();
    request["metadata"] = json!({
        "name": call.asked.name, "namespace": call.asked.namespace, "creationTimestamp": time::now(),
    });
    request["spec"]["audiences"] = audiences.into();
    request["spec"]["expirationSeconds"] = life.into();
    request["status"] = json!({ "token": token, "expirationTimestamp": time::format(claims.expires) });
    Ok(json_response(StatusCode::CREATED, &request))
}

fn bound_pod(call: &Call, spec: &Value) -> Result<Option<(String, String)>, Status> {
    let Some(reference) = spec.get("boundObjectRef").filter(|reference| !reference.is_null()) else {
        return Ok(None);
    };
    let text = |key: &str| reference.get(key).and_then(Value::as_str).unwrap_or("");
    if text("kind") != "Pod" {
        return Err(Status::bad_request(format!(
            "spec.boundObjectRef: cannot bind a token to a {}",
            text("kind")
        )));
    }
    let pods = call.parts.registry.find("", "v1", "pods").ok_or_else(Status::no_such_path)?;
    let pod = call.about(&pods, &call.asked.namespace, text("name"));
    let object = call::read(&pod.entry()?)?;
    let uid = encode::meta(&object, "uid").to_owned();
    if !text("uid").is_empty() && text("uid") != uid {
        return Err(Status::conflict(
            &pod.what(),
            text("name"),
            "the UID in the bound object reference is another one",
        ));
    }
    let account = object.pointer("/spec/serviceAccountName").and_then(Value::as_str).unwrap_or("");
    if account != call.asked.name {
        return Err(Status::bad_request(format!(
            "cannot bind token for serviceaccount \"{}\" to pod running with different serviceaccount name.",
            call.asked.name
        )));
    }
    Ok(Some((text("name").to_owned(), uid)))
}

//! Pods get an account, a priority, limits, and time to survive a node's hiccup.

use serde_json::{Value, json};

use super::{limits, token_volume};
use crate::call::{self, Call};
use crate::status::{Status, What};

/// How long a pod stays on a node that is not well.
const HICCUP: i64 = 300;
/// Pods that come from a file on the node rather than from the API.
const MIRROR: &str = "kubernetes.io/config.mirror";

pub(crate) fn create(call: &Call, pod: &mut Value) -> Result<(), Status> {
    priority(call, pod)?;
    limits::pod(call, pod)?;
    if pod.pointer("/metadata/annotations").and_then(|all| all.get(MIRROR)).is_none() {
        account(call, pod)?;
    }
    tolerations(pod);
    Ok(())
}

/// The pod's account must exist; what it carries is added to the pod.
fn account(call: &Call, pod: &mut Value) -> Result<(), Status> {
    let namespace = call.asked.namespace.clone();
    let text = |pod: &Value, key: &str| {
        pod.pointer("/spec").and_then(|spec| spec.get(key)).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    let name = match (text(pod, "serviceAccountName"), text(pod, "serviceAccount")) {
        (name, _) if !name.is_empty() => name,
        (_, old) if !old.is_empty() => old,
        _ => "default".to_owned(),
    };
    let refuse = |why: String| Status::forbidden(&call.what(), crate::encode::meta(pod, "name"), &why);
    let Some(entry) = call.parts.store.get(&format!("serviceaccounts/{namespace}/{name}")) else {
        return Err(refuse(format!(
            "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
        )));
    };
    let account = call::read(&entry)?;
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
    spec.insert("serviceAccountName".into(), name.as_str().into());
    spec.insert("serviceAccount".into(), name.as_str().into());
    let secrets = spec.get("imagePullSecrets").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if !secrets && let Some(own) = account.get("imagePullSecrets").filter(|own| !own.is_null()) {
        spec.insert("imagePullSecrets".into(), own.clone());
    }
    let wanted = spec.get("automountServiceAccountToken").and_then(Value::as_bool);
    let wanted = wanted.or_else(|| account.get("automountServiceAccountToken").and_then(Value::as_bool));
    if wanted.unwrap_or(true) {
        token_volume::add(spec);
    }
    Ok(())
}

/// A class gives its value; without one, the default class or zero.
fn priority(call: &Call, pod: &mut Value) -> Result<(), Status> {
    let name = pod.pointer("/spec/priorityClassName").and_then(Value::as_str).unwrap_or("").to_owned();
    let store = &call.parts.store;
    let class = if name.is_empty() {
        let all = store.list("priorityclasses.scheduling.k8s.io/", None, 0).entries;
        let mut classes = Vec::new();
        for entry in all {
            classes.push(call::read(&entry)?);
        }
        classes.into_iter().find(|class| class.get("globalDefault").and_then(Value::as_bool) == Some(true))
    } else {
        let Some(entry) = store.get(&format!("priorityclasses.scheduling.k8s.io/{name}")) else {
            let why = format!("no PriorityClass with name {name} was found");
            return Err(Status::forbidden(&call.what(), crate::encode::meta(pod, "name"), &why));
        };
        Some(call::read(&entry)?)
    };
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
    let value = class.as_ref().and_then(|class| class.get("value")).and_then(Value::as_i64).unwrap_or(0);
    if let Some(given) = spec.get("priority").and_then(Value::as_i64)
        && given != value
    {
        let why =
            "the integer value of priority must not be provided in pod spec; priority admission controller \
                   computed {} from the given PriorityClass name"
                .replace("{}", &value.to_string());
        let what = What { group: String::new(), resource: "pods".to_owned(), kind: "Pod".to_owned() };
        return Err(Status::forbidden(&what, "", &why));
    }
    spec.insert("priority".into(), value.into());
    let policy =
        class.as_ref().and_then(|class| class.get("preemptionPolicy")).filter(|policy| !policy.is_null());
    let policy = policy.cloned().unwrap_or_else(|| "PreemptLowerPriority".into());
    spec.entry("preemptionPolicy").or_insert(policy);
    if let Some(class) = class
        && name.is_empty()
    {
        spec.insert("priorityClassName".into(), crate::encode::meta(&class, "name").into());
    }
    Ok(())
}

fn tolerations(pod: &mut Value) {
    let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let list = spec.entry("tolerations").or_insert_with(|| json!([]));
    if list.is_null() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = list.iter().any(|toleration| {
            let text = |key: &str| toleration.get(key).and_then(Value::as_str).unwrap_or("");
            (text("key") == key || text("key").is_empty()) && matches!(text("effect"), "" | "NoExecute")
        });
        if !tolerated {
            list.push(json!({
                "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": HICCUP,
            }));
        }
    }
}

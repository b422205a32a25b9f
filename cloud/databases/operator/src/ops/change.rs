//! What an operation changes of a Cluster: the request and the Cluster in, a merge patch out. Pure.

use std::collections::BTreeMap;

use sealos_db_engines::Version;
use sealos_db_engines::engine::Upgrade;
use sealos_db_engines::names;
use sealos_kit::quantity::{Bytes, Cpu};
use serde_json::{Map, Value, json};

use super::Type;
use crate::actions::MAX_REPLICAS;
use crate::model::{Cluster, PARAMETERS, RESTARTED_AT, SNAPSHOT_FOR_START, SWITCHOVER_ERROR, SWITCHOVER_TO};
use crate::wanted::Wanted;

/// An operation and the Cluster that it is about, whole: what we do not read must stay.
pub(crate) struct Request<'a> {
    pub(crate) type_: Type,
    pub(crate) spec: &'a Value,
    /// When it was asked for, RFC 3339.
    pub(crate) asked_at: &'a str,
    pub(crate) cluster: &'a Value,
}

/// The change of the Cluster, checked: the changed Cluster can be had.
pub(crate) fn change(request: &Request<'_>) -> Result<Value, String> {
    let before = wanted(request.cluster)?;
    let patch = match request.type_ {
        Type::Start => start(request)?,
        Type::Stop => stop(request)?,
        Type::Restart => annotate(RESTARTED_AT, request.asked_at),
        Type::VerticalScaling => components(request, "verticalScaling", resize)?,
        Type::HorizontalScaling => components(request, "horizontalScaling", scale)?,
        Type::VolumeExpansion => components(request, "volumeExpansion", grow)?,
        Type::Upgrade => upgrade(request, &before)?,
        Type::Reconfiguring => reconfigure(request, &before)?,
        Type::Switchover => switchover(request, &before)?,
        Type::Expose | Type::Restore => json!({}),
    };
    wanted(&merged(request.cluster, &patch))?;
    Ok(patch)
}

fn wanted(cluster: &Value) -> Result<Wanted, String> {
    let cluster: Cluster =
        serde_json::from_value(cluster.clone()).map_err(|e| format!("it is no Cluster: {e}"))?;
    Wanted::of(&cluster)
}

/// A merge patch carried out (RFC 7396).
fn merged(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut result = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            result.remove(key);
        } else {
            let merged = merged(result.get(key).unwrap_or(&Value::Null), value);
            result.insert(key.clone(), merged);
        }
    }
    Value::Object(result)
}

fn annotate(key: &str, value: &str) -> Value {
    json!({ "metadata": { "annotations": { key: value } } })
}

fn specs(cluster: &Value) -> Vec<Value> {
    cluster["spec"]["componentSpecs"].as_array().cloned().unwrap_or_default()
}

fn stop(request: &Request<'_>) -> Result<Value, String> {
    let mut all = specs(request.cluster);
    let running: Map<_, _> = all
        .iter()
        .filter(|c| c["replicas"] != 0)
        .map(|c| (text(&c["name"]), json!(c["replicas"].as_i64().unwrap_or(1))))
        .collect();
    if running.is_empty() {
        return Err("it is stopped already".into());
    }
    all.iter_mut().for_each(|component| component["replicas"] = json!(0));
    let mut patch = annotate(SNAPSHOT_FOR_START, &Value::Object(running).to_string());
    patch["spec"] = json!({ "componentSpecs": all });
    Ok(patch)
}

fn start(request: &Request<'_>) -> Result<Value, String> {
    let known = request.cluster["metadata"]["annotations"][SNAPSHOT_FOR_START].as_str();
    let known: Value = known.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut all = specs(request.cluster);
    if !all.iter().any(|c| c["replicas"] == 0) {
        return Err("it is not stopped".into());
    }
    for component in all.iter_mut().filter(|c| c["replicas"] == 0) {
        let before = known[text(&component["name"])].as_i64().filter(|n| *n > 0);
        component["replicas"] = json!(before.unwrap_or(1));
    }
    Ok(json!({
        "metadata": { "annotations": { SNAPSHOT_FOR_START: null } }, "spec": { "componentSpecs": all } }))
}

/// Changes the components that a list in the request names.
fn components(
    request: &Request<'_>,
    list: &str,
    each: fn(&mut Value, &Value) -> Result<(), String>,
) -> Result<Value, String> {
    let asked = request.spec[list].as_array().filter(|all| !all.is_empty());
    let asked = asked.ok_or_else(|| format!("spec.{list} names no component"))?;
    let mut all = specs(request.cluster);
    for change in asked {
        let name = text(&change["componentName"]);
        let found = all.iter_mut().find(|c| c["name"] == name.as_str());
        each(found.ok_or_else(|| format!("there is no component `{name}`"))?, change)?;
    }
    Ok(json!({ "spec": { "componentSpecs": all } }))
}

fn resize(component: &mut Value, change: &Value) -> Result<(), String> {
    if component["replicas"] == 0 {
        return Err("it is stopped; start it first".into());
    }
    let mut limits = component["resources"]["limits"].clone();
    // 0.8 has the amounts beside the name, and some clients nest them.
    let asked = if change["limits"].is_object() { &change["limits"] } else { &change["resources"]["limits"] };
    for (key, value) in asked.as_object().into_iter().flatten() {
        limits[key] = value.clone();
    }
    let cpu = Cpu::parse(&amount(&limits["cpu"])).map_err(|e| e.to_string())?;
    let memory = Bytes::parse(&amount(&limits["memory"])).map_err(|e| e.to_string())?;
    let problems = crate::actions::size_problems(Some(cpu), Some(memory), None);
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    let mut requests = crate::actions::requests(cpu, memory);
    for (key, value) in change["requests"].as_object().into_iter().flatten() {
        requests[key] = value.clone();
    }
    component["resources"] = json!({ "limits": limits, "requests": requests });
    Ok(())
}

fn scale(component: &mut Value, change: &Value) -> Result<(), String> {
    let now = component["replicas"].as_i64().unwrap_or(1);
    if now == 0 {
        return Err("it is stopped; start it first".into());
    }
    let by = |key: &str| change[key]["replicaChanges"].as_i64().unwrap_or_default();
    let to = change["replicas"].as_i64().unwrap_or_else(|| now + by("scaleOut") - by("scaleIn"));
    if !(1..=i64::from(MAX_REPLICAS)).contains(&to) {
        return Err(format!(
            "the number of replicas must be from 1 to {MAX_REPLICAS}, not {to}; Stop keeps the data without any"
        ));
    }
    component["replicas"] = json!(to);
    Ok(())
}

fn grow(component: &mut Value, change: &Value) -> Result<(), String> {
    for asked in change["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let name = text(&asked["name"]);
        let to = Bytes::parse(&amount(&asked["storage"])).map_err(|e| e.to_string())?;
        let problems = crate::actions::size_problems(None, None, Some(to));
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let templates = component["volumeClaimTemplates"].as_array_mut();
        let volume = templates.and_then(|all| all.iter_mut().find(|v| v["name"] == name.as_str()));
        let volume = volume.ok_or_else(|| format!("there is no volume `{name}`"))?;
        let size = &mut volume["spec"]["resources"]["requests"]["storage"];
        let now = Bytes::parse(&amount(size)).map_err(|e| e.to_string())?;
        if to < now {
            return Err(format!("storage can only grow: it is {now}, and {to} is less"));
        }
        *size = json!(to);
    }
    Ok(())
}

/// Whether data of one version can be taken over by another as it is.
pub(crate) fn check_upgrade(from: &Version, to: &Version) -> Result<(), String> {
    match from.upgrade(to).map_err(|e| e.to_string())? {
        Upgrade::Same => Err(format!("it is {from} already")),
        Upgrade::Minor => Ok(()),
        Upgrade::Major => Err(format!(
            "{from} cannot become {to} in place: a new major version reads the data anew; create a database with \
             the new version, and load a dump of this one into it (`sealos db dump`, `sealos db load`)"
        )),
    }
}

fn upgrade(request: &Request<'_>, before: &Wanted) -> Result<Value, String> {
    let asked = &request.spec["upgrade"];
    let of_component = asked["components"].as_array().and_then(|all| all.first()?["serviceVersion"].as_str());
    let to = asked["clusterVersionRef"].as_str().or(of_component);
    let to = to.ok_or("spec.upgrade names no version (clusterVersionRef, or components[].serviceVersion)")?;
    let version = before.engine.version(to).map_err(|e| e.to_string())?;
    check_upgrade(&before.version, &version)?;
    let mut all = specs(request.cluster);
    let newer_shape = all.iter().any(|c| c["serviceVersion"].is_string());
    if !newer_shape {
        return Ok(json!({ "spec": { "clusterVersionRef": to } }));
    }
    for component in all.iter_mut().filter(|c| c["name"] == before.component.as_str()) {
        component["serviceVersion"] = json!(version.number());
    }
    Ok(json!({ "spec": { "componentSpecs": all } }))
}

fn reconfigure(request: &Request<'_>, before: &Wanted) -> Result<Value, String> {
    let one = std::iter::once(&request.spec["reconfigure"]);
    let many = request.spec["reconfigures"].as_array().into_iter().flatten();
    let each = |value: &'_ Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let pairs = one.chain(many).flat_map(|r| each(r, "configurations"));
    let pairs = pairs.flat_map(|c| each(&c, "keys")).flat_map(|k| each(&k, "parameters"));
    let set = request.cluster["metadata"]["annotations"][PARAMETERS].as_str();
    let mut set: BTreeMap<String, String> =
        set.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut restart = false;
    let mut count = 0;
    for pair in pairs {
        let parameter = before.engine.parameter(&text(&pair["key"])).map_err(|e| e.to_string())?;
        restart |= parameter.restart;
        count += 1;
        match &pair["value"] {
            Value::Null => drop(set.remove(parameter.name)),
            value => drop(set.insert(parameter.name.into(), amount(value))),
        }
    }
    if count == 0 {
        return Err("spec.reconfigure names no parameter".into());
    }
    let refused = before.engine.check_parameters(&set).err().unwrap_or_default();
    if !refused.is_empty() {
        return Err(refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
    }
    let mut patch = annotate(PARAMETERS, &json!(set).to_string());
    if restart {
        patch["metadata"]["annotations"][RESTARTED_AT] = json!(request.asked_at);
    }
    Ok(patch)
}

fn switchover(request: &Request<'_>, before: &Wanted) -> Result<Value, String> {
    if before.replicas < 2 {
        return Err("there is no replica to switch to".into());
    }
    let asked = request.spec["switchover"].as_array().and_then(|all| all.first());
    let to = asked.and_then(|s| s["instanceName"].as_str()).filter(|to| *to != "*").unwrap_or_default();
    let known = (0..before.replicas).any(|n| before.pod(n) == to);
    if !to.is_empty() && !known {
        let all: Vec<_> = (0..before.replicas).map(|n| before.pod(n)).collect();
        return Err(format!("there is no pod `{to}`; there are {}", all.join(", ")));
    }
    Ok(json!({ "metadata": { "annotations": { SWITCHOVER_TO: to, SWITCHOVER_ERROR: null } } }))
}

/// The names of what is said about an operation's Cluster.
pub(crate) fn labels(cluster: &str, type_: &str) -> Value {
    json!({ names::INSTANCE: cluster, "ops.kubeblocks.io/ops-type": type_ })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A text or a number, as text.
fn amount(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

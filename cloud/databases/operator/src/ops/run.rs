//! The life of an operation: it waits for its turn, changes the Cluster, waits for it, and ends.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::reflector::Store;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tracing::warn;

use super::change::{Request, change, labels};
use super::{Type, expose, restore};
use crate::Error;
use crate::model::{
    API_VERSION, Cluster, Condition, LOADED, OPS_REQUEST, OpsRequest, OpsStatus, SWITCHOVER_ERROR,
    SWITCHOVER_TO,
};
use crate::observe::Observed;
use crate::reconcile::now;
use crate::status::unsettled;
use crate::wanted::Wanted;

/// How soon to look again at what is under way.
const SOON: Duration = Duration::from_millis(250);
/// A Cluster that failed for so long fails the operation, in seconds.
const PATIENCE: i64 = 60;

/// What operations need.
pub(crate) struct Context {
    pub(crate) client: Client,
    /// All operations, for whose turn it is.
    pub(crate) all: Store<OpsRequest>,
}

pub(crate) fn retry(op: Arc<OpsRequest>, error: &Error, _context: Arc<Context>) -> Action {
    warn!(operation = %op.name_any(), %error, "an operation could not be carried on");
    Action::requeue(Duration::from_secs(1))
}

/// Brings one operation a step nearer to its end.
pub(crate) async fn reconcile(op: Arc<OpsRequest>, context: Arc<Context>) -> Result<Action, Error> {
    if op.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    if op.is_over() {
        return expire(&op, &context).await;
    }
    let type_ = match Type::parse(op.type_()) {
        Ok(type_) => type_,
        Err(why) => return end(&op, Err(why), &context).await,
    };
    if op.cluster().is_empty() {
        return end(&op, Err("spec.clusterRef (or clusterName) names no Cluster".into()), &context).await;
    }
    if type_ == Type::Restore {
        let created = restore::restore(&context.client, &op).await?;
        return end(&op, created, &context).await;
    }
    let raw = clusters(&op, &context).get_opt(op.cluster()).await;
    let Some(raw) = raw.map_err(Error::api(format!("look for Cluster `{}`", op.cluster())))? else {
        return end(&op, Err(format!("there is no Cluster `{}`", op.cluster())), &context).await;
    };
    if raw.metadata.deletion_timestamp.is_some() {
        return end(&op, Err(format!("Cluster `{}` is being deleted", op.cluster())), &context).await;
    }
    if op.phase() == "Running" {
        return carry_on(&op, type_, &raw, &context).await;
    }
    if let Some(earlier) = earlier(&op, &context) {
        let why = format!("waits for the operation {earlier}");
        say(&op, "Pending", "WaitForProgressing", &why, None, &context).await?;
        return Ok(Action::requeue(SOON));
    }
    begin(&op, type_, &raw, &context).await
}

fn clusters(op: &OpsRequest, context: &Context) -> Api<DynamicObject> {
    let resource = ApiResource::erase::<Cluster>(&());
    Api::namespaced_with(context.client.clone(), &op.namespace().unwrap_or_default(), &resource)
}

fn requests(op: &OpsRequest, context: &Context) -> Api<OpsRequest> {
    Api::namespaced(context.client.clone(), &op.namespace().unwrap_or_default())
}

/// The operation that has its turn before this one.
fn earlier(op: &OpsRequest, context: &Context) -> Option<String> {
    let place = |op: &OpsRequest| {
        let at = op.metadata.creation_timestamp.as_ref().map(|t| t.0);
        (op.phase() != "Running", at, op.name_any())
    };
    let all = context.all.state();
    let others = all.iter().filter(|other| {
        other.namespace() == op.namespace()
            && other.cluster() == op.cluster()
            && other.name_any() != op.name_any()
            && other.metadata.deletion_timestamp.is_none()
            && !other.is_over()
    });
    others.map(|other| place(other)).filter(|other| *other < place(op)).min().map(|(_, _, name)| name)
}

async fn begin(
    op: &OpsRequest,
    type_: Type,
    raw: &DynamicObject,
    context: &Context,
) -> Result<Action, Error> {
    let whole = serde_json::to_value(raw).map_err(|e| Error::Watch(format!("read a Cluster: {e}")))?;
    let asked_at = op.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()).unwrap_or_default();
    let request = Request { type_, spec: &op.spec, asked_at: &asked_at, cluster: &whole };
    let mut patch = match change(&request) {
        Ok(patch) => patch,
        Err(why) => return end(op, Err(why), context).await,
    };
    let running = json!([{ "name": op.name_any(), "type": op.type_() }]).to_string();
    patch["metadata"]["annotations"][OPS_REQUEST] = json!(running);
    patch["metadata"]["resourceVersion"] = json!(raw.resource_version());
    let changed =
        clusters(op, context).patch(op.cluster(), &PatchParams::default(), &Patch::Merge(&patch)).await;
    let changed = match changed {
        // Somebody else changed it just now: look at it anew.
        Err(kube::Error::Api(status)) if status.code == 409 => return Ok(Action::requeue(SOON)),
        Err(kube::Error::Api(status)) if status.code == 422 => {
            return end(op, Err(status.message.clone()), context).await;
        }
        done => done.map_err(Error::api(format!("change Cluster `{}`", op.cluster())))?,
    };
    own(op, raw, context).await?;
    if type_ == Type::Expose
        && let Ok(wanted) = wanted(&changed)
    {
        expose::expose(&context.client, &wanted, &op.spec).await?;
    }
    let generation = changed.metadata.generation;
    say(op, "Running", "Started", "the Cluster is changed", generation, context).await?;
    Ok(Action::requeue(SOON))
}

/// The record of an operation goes with its Cluster, and is found by its labels.
async fn own(op: &OpsRequest, cluster: &DynamicObject, context: &Context) -> Result<(), Error> {
    let owner = json!([{ "apiVersion": API_VERSION, "kind": "Cluster",
        "name": cluster.name_any(), "uid": cluster.uid() }]);
    let patch =
        json!({ "metadata": { "ownerReferences": owner, "labels": labels(op.cluster(), op.type_()) } });
    let done =
        requests(op, context).patch(&op.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await;
    done.map(drop).map_err(Error::api(format!("mark the operation `{}`", op.name_any())))
}

fn wanted(raw: &DynamicObject) -> Result<Wanted, String> {
    let whole = serde_json::to_value(raw).map_err(|e| e.to_string())?;
    let cluster: Cluster = serde_json::from_value(whole).map_err(|e| e.to_string())?;
    Wanted::of(&cluster)
}

async fn carry_on(
    op: &OpsRequest,
    type_: Type,
    raw: &DynamicObject,
    context: &Context,
) -> Result<Action, Error> {
    let wanted = match wanted(raw) {
        Ok(wanted) => wanted,
        Err(why) => return end(op, Err(why), context).await,
    };
    let missing = match type_ {
        Type::Expose => None,
        Type::Switchover => match switched(raw) {
            Ok(missing) => missing,
            Err(why) => return end(op, Err(why), context).await,
        },
        _ => {
            let observed = Observed::of(&context.client, &wanted).await?;
            unsettled(&wanted, &observed).or_else(|| loading(type_, raw, &wanted))
        }
    };
    let Some(missing) = missing else { return end(op, Ok(done(type_, &wanted)), context).await };
    if let Some(why) = failed(op, raw) {
        return end(op, Err(why), context).await;
    }
    say(op, "Running", "Processing", &missing, None, context).await?;
    Ok(Action::requeue(SOON))
}

/// What a switchover waits for.
fn switched(raw: &DynamicObject) -> Result<Option<String>, String> {
    if let Some(why) = raw.annotations().get(SWITCHOVER_ERROR).filter(|why| !why.is_empty()) {
        return Err(why.clone());
    }
    let under_way = raw.annotations().contains_key(SWITCHOVER_TO);
    Ok(under_way.then(|| "another pod is becoming the primary".into()))
}

/// Whether the engine has yet to take over its new parameters.
fn loading(type_: Type, raw: &DynamicObject, wanted: &Wanted) -> Option<String> {
    let fingerprint = crate::plan::config_fingerprint(wanted);
    let missing = type_ == Type::Reconfiguring
        && wanted.replicas > 0
        && raw.annotations().get(LOADED) != Some(&fingerprint);
    missing.then(|| "the engine is taking its new parameters over".into())
}

/// Why the Cluster has failed, if it did and does not recover under this operation.
fn failed(op: &OpsRequest, raw: &DynamicObject) -> Option<String> {
    let status = &raw.data["status"];
    let seconds = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|t| t.as_second());
    let began = op.status.as_ref().and_then(|s| seconds(s.start_timestamp.as_deref()?))?;
    let conditions = status["conditions"].as_array();
    let ready = conditions.and_then(|all| all.iter().find(|c| c["type"] == "Ready"));
    let lost = ready.and_then(|c| seconds(c["lastTransitionTime"].as_str()?)).unwrap_or(began);
    let lasts = jiff::Timestamp::now().as_second() - began.max(lost) > PATIENCE;
    (status["phase"] == "Failed" && lasts)
        .then(|| status["message"].as_str().unwrap_or("it failed").to_owned())
}

fn done(type_: Type, wanted: &Wanted) -> String {
    match type_ {
        Type::Stop => "it is stopped".into(),
        Type::HorizontalScaling => format!("{} pods are ready", wanted.replicas),
        Type::VerticalScaling => format!("each pod has {} CPU and {} of memory", wanted.cpu, wanted.memory),
        Type::VolumeExpansion => format!("each volume holds {}", wanted.storage),
        Type::Upgrade => format!("it runs {}", wanted.version),
        Type::Reconfiguring => "the engine runs with the new parameters".into(),
        Type::Switchover => "another pod is the primary".into(),
        Type::Start | Type::Restart | Type::Expose | Type::Restore => "it is done".into(),
    }
}

async fn end(op: &OpsRequest, result: Result<String, String>, context: &Context) -> Result<Action, Error> {
    release(op, context).await?;
    match result {
        Ok(message) => say(op, "Succeed", "Completed", &message, None, context).await?,
        Err(message) => say(op, "Failed", "Failed", &message, None, context).await?,
    }
    Ok(Action::requeue(SOON))
}

/// The Cluster is no longer under this operation.
async fn release(op: &OpsRequest, context: &Context) -> Result<(), Error> {
    let api = clusters(op, context);
    let attempt = || Error::api(format!("let go of Cluster `{}`", op.cluster()));
    if op.cluster().is_empty() {
        return Ok(());
    }
    let Some(cluster) = api.get_metadata_opt(op.cluster()).await.map_err(attempt())? else { return Ok(()) };
    let mine = cluster.annotations().get(OPS_REQUEST).is_some_and(|running| running.contains(&op.name_any()));
    if mine {
        let patch = json!({ "metadata": { "annotations": { OPS_REQUEST: null } } });
        api.patch(op.cluster(), &PatchParams::default(), &Patch::Merge(&patch)).await.map_err(attempt())?;
    }
    Ok(())
}

async fn say(
    op: &OpsRequest,
    phase: &str,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    context: &Context,
) -> Result<(), Error> {
    let mut status = op.status.clone().unwrap_or_default();
    let over = matches!(phase, "Succeed" | "Failed");
    status.phase = Some(phase.into());
    status.progress = Some(if phase == "Succeed" { "1/1" } else { "0/1" }.into());
    status.cluster_generation = generation.or(status.cluster_generation);
    if phase != "Pending" {
        status.start_timestamp.get_or_insert_with(now);
    }
    if over {
        status.completion_timestamp = Some(now());
    }
    note(&mut status, phase, reason, message);
    if op.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let patch: Value = json!({ "status": status });
    match requests(op, context)
        .patch_status(&op.name_any(), &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(drop).map_err(Error::api(format!("write the status of `{}`", op.name_any()))),
    }
}

/// The newest condition is the last.
fn note(status: &mut OpsStatus, phase: &str, reason: &str, message: &str) {
    let same = |c: &Condition| c.type_ == phase;
    let known = status.conditions.iter().find(|c| same(c)).map(|c| c.last_transition_time.clone());
    let value = if phase == "Failed" { "False" } else { "True" };
    status.conditions.retain(|c| !same(c));
    status.conditions.push(Condition {
        type_: phase.into(),
        status: value.into(),
        reason: reason.into(),
        message: message.into(),
        last_transition_time: known.unwrap_or_else(now),
        observed_generation: None,
    });
}

/// The record of a successful operation goes after the time that it names.
async fn expire(op: &OpsRequest, context: &Context) -> Result<Action, Error> {
    let keep = op.spec["ttlSecondsAfterSucceed"].as_i64().filter(|n| *n > 0 && op.phase() == "Succeed");
    let ended =
        op.status.as_ref().and_then(|s| s.completion_timestamp.as_ref()?.parse::<jiff::Timestamp>().ok());
    let (Some(keep), Some(ended)) = (keep, ended) else { return Ok(Action::await_change()) };
    let left = ended.as_second() + keep - jiff::Timestamp::now().as_second();
    if let Ok(left) = u64::try_from(left)
        && left > 0
    {
        return Ok(Action::requeue(Duration::from_secs(left)));
    }
    match requests(op, context).delete(&op.name_any(), &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Action::await_change()),
        done => {
            done.map_err(Error::api(format!("remove the record of `{}`", op.name_any())))?;
            Ok(Action::await_change())
        }
    }
}

//! From a Cluster to its objects, again and again: look at what should be and what is, do the difference.

mod reload;
mod storage;
mod teardown;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Resource as _, ResourceExt as _};
use parking_lot::Mutex;
use sealos_kit::apply;
use sealos_kit::labels::FIELD_MANAGER;
use serde_json::{Value, json};
use tracing::{debug, warn};

use crate::Error;
use crate::images::{Found, Images};
use crate::model::{Cluster, ClusterStatus, FINALIZER, SWITCHOVER_TO};
use crate::observe::{Observed, ordinal};
use crate::plan::{self, Facts, IMAGE_NOTE, VERSION_OF_IMAGE};
use crate::roll::{self, Step};
use crate::status::{self, Builder, Verdict};
use crate::wanted::Wanted;

/// How soon to look again while something changes; most changes are seen by watches.
const SOON: Duration = Duration::from_millis(500);
/// How soon to look again when nothing does.
const LATER: Duration = Duration::from_secs(120);
/// Objects that were just written are not written again within this time.
const WRITTEN: Duration = Duration::from_secs(10);
/// A primary that does not hand over within this time is replaced anyway.
const HAND_OVER: Duration = Duration::from_secs(30);

/// What reconciling needs.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) images: Images,
    pub(crate) recorder: Recorder,
    /// When the objects of a Cluster were last written, and which.
    written: Mutex<HashMap<String, (Vec<Value>, Instant)>>,
    /// Since when a primary is asked to hand over.
    handing_over: Mutex<HashMap<String, Instant>>,
    reloads: reload::Reloads,
}

impl Context {
    pub(crate) fn new(client: Client, images: Images, recorder: Recorder) -> Self {
        Self {
            client,
            images,
            recorder,
            written: Mutex::default(),
            handing_over: Mutex::default(),
            reloads: reload::Reloads::default(),
        }
    }

    fn clusters(&self, namespace: &str) -> Api<Cluster> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Tells a person what happened.
    async fn tell(&self, cluster: &Cluster, type_: EventType, reason: &str, note: &str) {
        let event = Event {
            type_,
            reason: reason.into(),
            note: Some(note.chars().take(1000).collect()),
            action: "Reconcile".into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &cluster.object_ref(&())).await {
            debug!(%error, reason, "could not write an event");
        }
    }

    fn forget(&self, uid: &str) {
        self.written.lock().remove(uid);
        self.handing_over.lock().remove(uid);
    }
}

/// What to do after an error: try again, later each time would hide that it heals.
pub(crate) fn retry(cluster: Arc<Cluster>, error: &Error, _context: Arc<Context>) -> Action {
    warn!(cluster = %cluster.name_any(), %error, "a database could not be reconciled");
    Action::requeue(Duration::from_secs(2))
}

/// Brings one Cluster a step nearer to what it should be.
pub(crate) async fn reconcile(cluster: Arc<Cluster>, context: Arc<Context>) -> Result<Action, Error> {
    if cluster.metadata.deletion_timestamp.is_some() {
        return teardown::teardown(&cluster, &context).await;
    }
    ensure_finalizer(&cluster, &context).await?;
    match Wanted::of(&cluster) {
        Ok(wanted) => run(&cluster, wanted, &context).await,
        Err(reason) => refuse(&cluster, &reason, &context).await,
    }
}

async fn ensure_finalizer(cluster: &Cluster, context: &Context) -> Result<(), Error> {
    if cluster.finalizers().iter().any(|f| f == FINALIZER) {
        return Ok(());
    }
    let mut all = cluster.finalizers().to_vec();
    all.push(FINALIZER.into());
    let patch = json!({ "metadata": { "finalizers": all, "resourceVersion": cluster.resource_version() } });
    patch_cluster(cluster, context, &patch).await
}

async fn patch_cluster(cluster: &Cluster, context: &Context, patch: &Value) -> Result<(), Error> {
    let api = context.clusters(&cluster.namespace().unwrap_or_default());
    match api.patch(&cluster.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        // It changed meanwhile: the change brings us back here. Or it is gone.
        Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(()),
        done => done.map(drop).map_err(Error::api(format!("mark the Cluster `{}`", cluster.name_any()))),
    }
}

/// A Cluster that cannot be had says so at once. One that ran goes on as it is.
async fn refuse(cluster: &Cluster, reason: &str, context: &Context) -> Result<Action, Error> {
    let before = cluster.status.clone().unwrap_or_default();
    let ran = status::holds(&before.conditions, status::PROVISIONED);
    let mut builder = Builder::new(cluster, now());
    if !ran {
        builder = builder.verdict(&Verdict::new("Failed", reason));
    }
    let status = builder.condition(status::PROVISIONING, false, "NotPossible", reason).done();
    if write_status(cluster, status, context).await? {
        context.tell(cluster, EventType::Warning, "NotPossible", reason).await;
    }
    Ok(Action::await_change())
}

async fn run(cluster: &Cluster, mut wanted: Wanted, context: &Context) -> Result<Action, Error> {
    let observed = Observed::of(&context.client, &wanted).await?;
    let shrink = storage::keep(&mut wanted, &observed);
    crate::secrets::ensure(&context.client, &wanted).await?;
    ensure_topology(&wanted, &observed, context).await?;
    let facts = match facts(&wanted, &observed, context).await {
        Ok(facts) => facts,
        Err(verdict) => return without_image(cluster, &wanted, &observed, verdict, context).await,
    };
    let accepted = write(&wanted, &facts, &observed, context).await;
    let mut builder = Builder::new(cluster, now()).condition(
        status::PROVISIONING,
        true,
        "PreCheckSucceed",
        "what it asks for can be had",
    );
    builder = match &accepted {
        Ok(_) => builder.condition(status::APPLIED, true, "ApplyResourcesSucceed", "its objects are written"),
        Err(error) => builder.condition(status::APPLIED, false, "ApplyResourcesFailed", &error.to_string()),
    };
    builder = match &shrink {
        Some(refused) => builder.condition(status::SHRINK, true, "StorageOnlyGrows", refused),
        None => builder.without(status::SHRINK),
    };
    builder = match &facts.note {
        Some(note) => builder.condition(status::SUBSTITUTED, true, "NotToBeHad", note),
        None => builder.without(status::SUBSTITUTED),
    };
    let observed = Observed::of(&context.client, &wanted).await?;
    let rolling = roll(cluster, &wanted, &observed, context).await?;
    storage::tidy(&wanted, &observed, context).await?;
    let mut verdict = status::verdict(cluster, &wanted, &observed);
    if let Err(error) = &accepted {
        verdict =
            Verdict::new(if observed.leader().is_some() { "Abnormal" } else { "Failed" }, error.to_string());
    }
    let settled = matches!(verdict.phase, "Running" | "Stopped");
    if verdict.phase == "Running" {
        reload::reload(cluster, &wanted, &observed, context).await?;
    }
    let told = note_is_new(cluster, facts.note.as_deref());
    let components = status::components(&wanted, &observed, &verdict);
    write_status(cluster, builder.verdict(&verdict).components(components).done(), context).await?;
    if let (true, Some(note)) = (told, &facts.note) {
        context.tell(cluster, EventType::Warning, status::SUBSTITUTED, note).await;
    }
    let quiet = settled && !rolling && accepted.is_ok_and(|fresh| fresh);
    Ok(Action::requeue(if quiet { LATER } else { SOON }))
}

fn note_is_new(cluster: &Cluster, note: Option<&str>) -> bool {
    let conditions = cluster.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
    let known = conditions.iter().find(|c| c.type_ == status::SUBSTITUTED).map(|c| c.message.as_str());
    note.is_some() && known != note
}

/// Image and number of pods. The image of pods that exist is kept while their version is wanted: another
/// way to the same version may lead to another minor one, and data does not go back.
async fn facts(wanted: &Wanted, observed: &Observed, context: &Context) -> Result<Facts, Verdict> {
    let replicas = replicas_now(wanted, observed);
    let set = observed
        .set
        .as_ref()
        .filter(|_| observed.annotation(VERSION_OF_IMAGE) == Some(wanted.version.number()));
    let known = set.and_then(|set| set.spec.template.spec.as_ref()?.containers.first()?.image.clone());
    if let Some(image) = known {
        return Ok(Facts { image, note: observed.annotation(IMAGE_NOTE).map(str::to_owned), replicas });
    }
    match context.images.find(wanted.version.candidates()).await {
        Found::Ready(resolved) => Ok(Facts { image: resolved.image, note: resolved.note, replicas }),
        Found::Pending => {
            let what = &wanted.version;
            Err(Verdict::new("Creating", format!("the image of {what} is being fetched or built")))
        }
        Found::Failed(why) => {
            Err(Verdict::new("Failed", format!("{} cannot be had here: {why}", wanted.version)))
        }
    }
}

/// Not fewer pods than reach up to the one that leads: it hands over before it goes.
fn replicas_now(wanted: &Wanted, observed: &Observed) -> i32 {
    if wanted.replicas == 0 || observed.set.is_none() {
        return wanted.replicas;
    }
    let leads = observed.primary.as_deref().map(ordinal).filter(|n| (0..64).contains(n));
    wanted.replicas.max(leads.map_or(0, |n| n + 1))
}

async fn without_image(
    cluster: &Cluster,
    wanted: &Wanted,
    observed: &Observed,
    verdict: Verdict,
    context: &Context,
) -> Result<Action, Error> {
    let pending = verdict.phase == "Creating";
    // An upgrade that waits for its image leaves the old pods alone.
    let verdict =
        if observed.set.is_some() && pending { Verdict::new("Upgrade", verdict.message) } else { verdict };
    let reason = if pending { "ImagePending" } else { "ImageNotToBeHad" };
    let components = status::components(wanted, observed, &verdict);
    let status = Builder::new(cluster, now())
        .verdict(&verdict)
        .condition(status::PROVISIONING, pending, reason, &verdict.message)
        .components(components)
        .done();
    if write_status(cluster, status, context).await? {
        let type_ = if pending { EventType::Normal } else { EventType::Warning };
        context.tell(cluster, type_, reason, &verdict.message).await;
    }
    Ok(Action::requeue(if pending { SOON } else { Duration::from_secs(30) }))
}

async fn ensure_topology(wanted: &Wanted, observed: &Observed, context: &Context) -> Result<(), Error> {
    if observed.primary.is_some() {
        return Ok(());
    }
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &wanted.namespace);
    let map = serde_json::from_value(plan::topology(wanted));
    let map: ConfigMap =
        map.map_err(|e| Error::Watch(format!("write the topology of `{}`: {e}", wanted.name)))?;
    match api.create(&PostParams::default(), &map).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        done => done.map(drop).map_err(Error::api(format!("write who leads `{}`", wanted.name))),
    }
}

/// Writes the objects, unless the same were written just now; says whether they are known to be there.
async fn write(
    wanted: &Wanted,
    facts: &Facts,
    observed: &Observed,
    context: &Context,
) -> Result<bool, Error> {
    let objects = plan::plan(wanted, facts);
    let known = context
        .written
        .lock()
        .get(&wanted.uid)
        .is_some_and(|(before, at)| at.elapsed() < WRITTEN && *before == objects);
    if known && observed.set.is_some() {
        return Ok(false);
    }
    storage::make_way(wanted, observed, context).await?;
    for object in &objects {
        apply::apply(&context.client, Some(&wanted.namespace), object).await?;
    }
    context.written.lock().insert(wanted.uid.clone(), (objects, Instant::now()));
    Ok(true)
}

/// Replaces pods that run an old description; says whether there are some.
async fn roll(
    cluster: &Cluster,
    wanted: &Wanted,
    observed: &Observed,
    context: &Context,
) -> Result<bool, Error> {
    let step = roll::next(observed);
    match &step {
        Step::Nothing => {
            context.handing_over.lock().remove(&wanted.uid);
            return Ok(false);
        }
        Step::Wait => {}
        Step::Replace(pod) => replace(wanted, pod, context).await?,
        Step::HandOver(leader) => {
            let asked = cluster.annotations().contains_key(SWITCHOVER_TO);
            let since = *context.handing_over.lock().entry(wanted.uid.clone()).or_insert_with(Instant::now);
            if since.elapsed() > HAND_OVER {
                warn!(cluster = %wanted.name, pod = %leader, "the primary did not hand over, and is replaced");
                replace(wanted, leader, context).await?;
            } else if !asked && since.elapsed() < HAND_OVER / 2 {
                let patch = json!({ "metadata": { "annotations": { SWITCHOVER_TO: "" } } });
                patch_cluster(cluster, context, &patch).await?;
            }
        }
    }
    Ok(true)
}

async fn replace(wanted: &Wanted, pod: &str, context: &Context) -> Result<(), Error> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &wanted.namespace);
    match api.delete(pod, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(drop).map_err(Error::api(format!("replace the pod `{pod}`"))),
    }
}

/// Writes a status if it differs; says whether it did.
pub(crate) async fn write_status(
    cluster: &Cluster,
    status: ClusterStatus,
    context: &Context,
) -> Result<bool, Error> {
    if cluster.status.as_ref() == Some(&status) {
        return Ok(false);
    }
    let api = context.clusters(&cluster.namespace().unwrap_or_default());
    let name = cluster.name_any();
    let patch = json!({ "status": status });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    match api.patch_status(&name, &params, &Patch::Merge(&patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        done => done.map(|_| true).map_err(Error::api(format!("write the status of `{name}`"))),
    }
}

pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

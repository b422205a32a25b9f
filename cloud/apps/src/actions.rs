//! What people do to apps. All of it goes through a `kube::Client` and so acts as the user.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use sealos_kit::{apply, labels};
use serde_json::{Value, json};

use crate::Error;
use crate::app::{App, Invalid, MAX_REPLICAS, Problem};
use crate::draft::Draft;
use crate::plan::{Place, Plan, plan};
use crate::readback::{draft_of, registry_of};
use crate::status::{AppStatus, Workload, app_status};

/// The apps of one workspace.
#[derive(Clone)]
pub struct Apps {
    pub(crate) client: Client,
    pub(crate) workspace: String,
    domain: String,
    cert_secret: Option<String>,
}

/// Everything of one app, as the cluster has it.
pub(crate) struct Observed {
    pub(crate) workload: Workload,
    pub(crate) pods: Vec<Pod>,
    pub(crate) ingresses: Vec<Ingress>,
    pub(crate) claims: Vec<PersistentVolumeClaim>,
    pub(crate) services: Vec<Service>,
}

impl Observed {
    pub(crate) fn status(&self) -> AppStatus {
        app_status(self)
    }
}

impl Apps {
    /// The apps of `workspace`, acting as the client's user; hosts are made below `domain`.
    pub fn new(client: Client, workspace: impl Into<String>, domain: impl Into<String>) -> Self {
        Self { client, workspace: workspace.into(), domain: domain.into(), cert_secret: None }
    }

    /// Uses the certificate in a Secret for the generated hosts.
    pub fn with_certificate(mut self, secret: impl Into<String>) -> Self {
        self.cert_secret = Some(secret.into());
        self
    }

    /// The objects that a request would become, without writing them.
    pub fn preview(&self, draft: Draft) -> Result<Plan, Error> {
        Ok(plan(&App::check(draft)?, &self.place()))
    }

    /// Writes an app; what a former version had and this one has not is removed.
    pub async fn deploy(&self, draft: Draft) -> Result<Plan, Error> {
        let mut app = App::check(draft)?;
        let before = self.workload(app.name()).await?;
        if let Some(before) = &before {
            self.refuse_foreign(before, app.name())?;
            self.keep_replicas(&mut app, before);
        }
        let plan = plan(&app, &self.place());
        self.refuse_taken(&plan).await?;
        if let Some(before) = &before {
            self.make_way(before, &plan).await?;
        }
        self.provide_services(&app).await?;
        self.write(&plan).await?;
        self.prune(&plan).await?;
        Ok(plan)
    }

    /// All apps of the workspace, by name.
    pub async fn list(&self) -> Result<Vec<AppStatus>, Error> {
        let (selector, everything) = (ListParams::default().labels(labels::APP), ListParams::default());
        let (deployments, sets, pods, ingresses, claims, services) = futures::try_join!(
            self.all::<Deployment>(&selector),
            self.all::<StatefulSet>(&selector),
            self.all::<Pod>(&selector),
            self.all::<Ingress>(&selector),
            self.all::<PersistentVolumeClaim>(&everything),
            self.all::<Service>(&selector),
        )?;
        let mut pods = by_app(pods, labels::APP);
        let mut ingresses = by_app(ingresses, labels::APP);
        let mut claims = by_app(claims, labels::POD);
        let mut services = by_app(services, labels::APP);
        let workloads =
            deployments.into_iter().map(Workload::from).chain(sets.into_iter().map(Workload::from));
        let mut all: Vec<_> = workloads
            .map(|workload| {
                let name = workload.metadata.name.clone().unwrap_or_default();
                Observed {
                    workload,
                    pods: pods.remove(&name).unwrap_or_default(),
                    ingresses: ingresses.remove(&name).unwrap_or_default(),
                    claims: claims.remove(&name).unwrap_or_default(),
                    services: services.remove(&name).unwrap_or_default(),
                }
                .status()
            })
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// One app.
    pub async fn get(&self, name: &str) -> Result<AppStatus, Error> {
        Ok(self.observe(name).await?.status())
    }

    /// The request from which this app could be deployed again; for editing it.
    pub async fn draft(&self, name: &str) -> Result<Draft, Error> {
        let observed = self.observe(name).await?;
        let selector = app_selector(name);
        let (scalers, files, secrets) = futures::try_join!(
            self.all::<HorizontalPodAutoscaler>(&selector),
            self.all::<ConfigMap>(&selector),
            self.all::<Secret>(&selector),
        )?;
        let draft = draft_of(&observed, &scalers, &files, &self.domain);
        Ok(Draft { registry: registry_of(name, &secrets), ..draft })
    }

    /// What happened to the app and its parts, newest last.
    pub async fn events(&self, name: &str) -> Result<Vec<Event>, Error> {
        let observed = self.observe(name).await?;
        let pods: Vec<_> = observed.pods.iter().map(ResourceExt::name_any).collect();
        let mut events = self.all::<Event>(&ListParams::default()).await?;
        events.retain(|event| {
            let about = event.involved_object.name.as_deref().unwrap_or_default();
            let of_pod =
                about.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
            pods.iter().any(|pod| pod == about) || of_pod
        });
        events.sort_by_key(|e| {
            e.last_timestamp.as_ref().or(e.metadata.creation_timestamp.as_ref()).map(|t| t.0)
        });
        Ok(events)
    }

    /// Sets the number of pods.
    pub async fn scale(&self, name: &str, replicas: u32) -> Result<(), Error> {
        if replicas > MAX_REPLICAS {
            let message = format!("at most {MAX_REPLICAS} replicas can be asked for");
            return Err(Invalid(vec![Problem { field: "replicas".into(), message }]).into());
        }
        let workload = self.owned(name).await?;
        if workload.is_paused() {
            return Err(Error::Conflict(format!("app `{name}` is stopped; start it before you scale it")));
        }
        if !self.all::<HorizontalPodAutoscaler>(&app_selector(name)).await?.is_empty() {
            let what = format!(
                "app `{name}` is scaled by its load; deploy it with `replicas` to set a fixed number"
            );
            return Err(Error::Conflict(what));
        }
        let count = replicas.to_string();
        let patch = json!({
            "metadata": { "annotations": { labels::MIN_REPLICAS: count, labels::MAX_REPLICAS: count } },
            "spec": { "replicas": replicas },
        });
        self.patch_workload(&workload, name, &patch, "scale").await
    }

    /// Ends all pods and keeps everything else.
    pub async fn stop(&self, name: &str) -> Result<(), Error> {
        let workload = self.owned(name).await?;
        if workload.is_paused() {
            return Ok(());
        }
        let api: Api<HorizontalPodAutoscaler> = self.api();
        let scaler = api.get_opt(name).await.map_err(Error::api(format!("stop `{name}`")))?;
        let was = scaler.as_ref().map_or_else(
            || json!({ "target": "", "value": workload.desired.to_string() }),
            |s| json!({ "target": "hpa", "value": serde_json::to_string(&s.spec).unwrap_or_default() }),
        );
        let patch = json!({
            "metadata": { "annotations": { labels::PAUSE: was.to_string() } }, "spec": { "replicas": 0 } });
        self.patch_workload(&workload, name, &patch, "stop").await?;
        if scaler.is_some() {
            ignore_missing(api.delete(name, &DeleteParams::default()).await.map(drop), "stop", name)?;
        }
        self.set_class(name, labels::CLASS_PAUSED).await
    }

    /// Brings a stopped app back as it was.
    pub async fn start(&self, name: &str) -> Result<(), Error> {
        let workload = self.owned(name).await?;
        let annotations = workload.metadata.annotations.clone().unwrap_or_default();
        let Some(pause) = annotations.get(labels::PAUSE) else { return Ok(()) };
        let least = annotations
            .get(labels::MIN_REPLICAS)
            .and_then(|n| n.parse().ok())
            .filter(|n| *n > 0)
            .unwrap_or(1);
        let was: Value = serde_json::from_str(pause).unwrap_or_default();
        let value = was["value"].as_str().unwrap_or_default();
        let replicas = value.parse::<u32>().ok().filter(|n| *n > 0).unwrap_or(least);
        if was["target"] == "hpa"
            && let Ok(spec) = serde_json::from_str::<Value>(value)
        {
            let scaler = json!({
                "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": spec,
                "metadata": { "name": name, "labels": { labels::APP: name, labels::POD: name } } });
            apply::apply_all(&self.client, &self.workspace, &[scaler]).await?;
        }
        let patch = json!({
            "metadata": { "annotations": { labels::PAUSE: null } }, "spec": { "replicas": replicas } });
        self.patch_workload(&workload, name, &patch, "start").await?;
        self.set_class(name, labels::CLASS_SERVED).await
    }

    /// Replaces all pods, one after another.
    pub async fn restart(&self, name: &str) -> Result<(), Error> {
        let workload = self.owned(name).await?;
        if workload.is_paused() {
            return Err(Error::Conflict(format!("app `{name}` is stopped; start it instead")));
        }
        let patch = json!({ "spec": { "template": { "metadata": { "labels": {
            labels::RESTART_TIME: restart_time() } } } } });
        self.patch_workload(&workload, name, &patch, "restart").await
    }

    pub(crate) fn place(&self) -> Place {
        Place {
            workspace: self.workspace.clone(),
            domain: self.domain.clone(),
            cert_secret: self.cert_secret.clone(),
            restart_time: restart_time(),
        }
    }

    /// Without a number in the request, an app keeps the one it has.
    fn keep_replicas(&self, app: &mut App, before: &Workload) {
        if app.replicas.is_some() || app.autoscale.is_some() {
            return;
        }
        let annotated = before.metadata.annotations.as_ref().and_then(|a| a.get(labels::MIN_REPLICAS));
        let kept = annotated.and_then(|n| n.parse().ok()).or_else(|| u32::try_from(before.desired).ok());
        app.replicas = kept;
    }

    fn refuse_foreign(&self, workload: &Workload, name: &str) -> Result<(), Error> {
        let owned = workload.metadata.labels.as_ref().is_some_and(|l| l.contains_key(labels::APP));
        if owned {
            return Ok(());
        }
        Err(Error::NameTaken { name: name.into(), workspace: self.workspace.clone(), kind: workload.kind })
    }

    /// A former Deployment that becomes a StatefulSet (or back) goes; a stop is taken back.
    async fn make_way(&self, before: &Workload, plan: &Plan) -> Result<(), Error> {
        let kind_stays = plan.objects.iter().any(|o| o["kind"] == before.kind);
        if !kind_stays {
            return self.delete_workload(before.kind, &plan.name).await;
        }
        if before.is_paused() {
            let patch = json!({ "metadata": { "annotations": { labels::PAUSE: null } } });
            self.patch_workload(before, &plan.name, &patch, "start").await?;
        }
        Ok(())
    }

    /// Applies the objects. A StatefulSet whose claims changed cannot be patched: it is made anew around its pods.
    async fn write(&self, plan: &Plan) -> Result<(), Error> {
        match apply::apply_all(&self.client, &self.workspace, &plan.objects).await {
            Ok(_) => Ok(()),
            Err(apply::Error::Refused { kind, source, .. })
                if kind == "StatefulSet" && is_invalid(&source) =>
            {
                let api: Api<StatefulSet> = self.api();
                let orphan = DeleteParams::orphan();
                ignore_missing(api.delete(&plan.name, &orphan).await.map(drop), "deploy", &plan.name)?;
                self.grow_claims(plan).await?;
                apply::apply_all(&self.client, &self.workspace, &plan.objects).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Existing claims follow a larger size in the plan.
    async fn grow_claims(&self, plan: &Plan) -> Result<(), Error> {
        let api: Api<PersistentVolumeClaim> = self.api();
        let wanted = plan
            .objects
            .iter()
            .flat_map(|o| o["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten());
        let wanted: BTreeMap<_, _> =
            wanted.filter_map(|c| Some((c["metadata"]["name"].as_str()?, &c["spec"]["resources"]))).collect();
        let selector = ListParams::default().labels(&format!("{}={}", labels::POD, plan.name));
        for claim in self.all::<PersistentVolumeClaim>(&selector).await? {
            let name = claim.name_any();
            let found =
                wanted.iter().find(|(template, _)| name.starts_with(&format!("{template}-{}-", plan.name)));
            let Some((_, resources)) = found else { continue };
            let patch = Patch::Merge(json!({ "spec": { "resources": resources } }));
            let grow = api.patch(&name, &manager(), &patch).await;
            grow.map_err(Error::api(format!("grow the storage of `{}`", plan.name)))?;
        }
        Ok(())
    }

    async fn set_class(&self, name: &str, class: &str) -> Result<(), Error> {
        let api: Api<Ingress> = self.api();
        let patch = Patch::Merge(json!({ "spec": { "ingressClassName": class } }));
        for ingress in self.all::<Ingress>(&app_selector(name)).await? {
            let done = api.patch(&ingress.name_any(), &manager(), &patch).await;
            done.map_err(Error::api(format!("change the address of `{name}`")))?;
        }
        Ok(())
    }

    async fn patch_workload(
        &self,
        workload: &Workload,
        name: &str,
        patch: &Value,
        verb: &str,
    ) -> Result<(), Error> {
        let attempt = Error::api(format!("{verb} `{name}`"));
        let patch = Patch::Merge(patch);
        match workload.kind {
            "Deployment" => self.api::<Deployment>().patch(name, &manager(), &patch).await.map(drop),
            _ => self.api::<StatefulSet>().patch(name, &manager(), &patch).await.map(drop),
        }
        .map_err(attempt)
    }

    /// The workload of an app, which must be one of ours.
    pub(crate) async fn owned(&self, name: &str) -> Result<Workload, Error> {
        let missing = || Error::NotFound { name: name.to_owned(), workspace: self.workspace.clone() };
        let workload = self.workload(name).await?.ok_or_else(missing)?;
        self.refuse_foreign(&workload, name)?;
        Ok(workload)
    }

    async fn workload(&self, name: &str) -> Result<Option<Workload>, Error> {
        let attempt = || Error::api(format!("look up `{name}`"));
        let (deployments, sets) = (self.api::<Deployment>(), self.api::<StatefulSet>());
        if let Some(found) = deployments.get_opt(name).await.map_err(attempt())? {
            return Ok(Some(found.into()));
        }
        Ok(sets.get_opt(name).await.map_err(attempt())?.map(Workload::from))
    }

    /// Everything of one app.
    pub(crate) async fn observe(&self, name: &str) -> Result<Observed, Error> {
        let selector = app_selector(name);
        let claims = ListParams::default().labels(&format!("{}={name}", labels::POD));
        let (workload, pods, ingresses, claims, services) = futures::try_join!(
            self.owned(name),
            self.all::<Pod>(&selector),
            self.all::<Ingress>(&selector),
            self.all::<PersistentVolumeClaim>(&claims),
            self.all::<Service>(&selector),
        )?;
        Ok(Observed { workload, pods, ingresses, claims, services })
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.workspace)
    }

    pub(crate) async fn all<K>(&self, params: &ListParams) -> Result<Vec<K>, Error>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let attempt = format!("list {}", K::plural(&()));
        Ok(self.api::<K>().list(params).await.map_err(Error::api(attempt))?.items)
    }
}

/// Selects the objects of one app.
pub(crate) fn app_selector(name: &str) -> ListParams {
    ListParams::default().labels(&format!("{}={name}", labels::APP))
}

/// A deletion of what is already gone has succeeded.
pub(crate) fn ignore_missing(result: kube::Result<()>, verb: &str, name: &str) -> Result<(), Error> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map_err(Error::api(format!("{verb} `{name}`"))),
    }
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(labels::FIELD_MANAGER.into()), ..PatchParams::default() }
}

fn is_invalid(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 422)
}

fn restart_time() -> String {
    Timestamp::now().strftime("%Y%m%d%H%M%S").to_string()
}

fn by_app<K: ResourceExt>(objects: Vec<K>, label: &str) -> BTreeMap<String, Vec<K>> {
    let mut groups: BTreeMap<String, Vec<K>> = BTreeMap::new();
    for object in objects {
        if let Some(app) = object.labels().get(label).cloned() {
            groups.entry(app).or_default().push(object);
        }
    }
    groups
}

//! What people do to databases. All of it goes through a `kube::Client` and so acts as the user; every
//! entrance (command line, console, apps) comes through here.

mod delete;
mod draft;
mod inside;
mod life;
mod settings;
mod view;
mod wait;

use std::collections::BTreeMap;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Event, Pod, Secret, Service};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use sealos_db_engines::{engine, names};
use sealos_kit::labels::FIELD_MANAGER;
use sealos_kit::quantity::{Bytes, Cpu};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::model::{Cluster, DRILL, PARAMETERS};
use crate::wanted::Wanted;

pub use delete::Keep;
pub use draft::{Checked, Draft, MAX_REPLICAS, Schedule};
pub(crate) use draft::{memory_problem, replicas_problem, requests, size_problems};
pub(crate) use inside::script;
pub(crate) use life::letters;
pub use life::{Exposure, Operation};
pub use view::{Address, Answer, Connection, Database, Member, Metrics, Parameter, Replicas};
pub use wait::Progress;

/// The databases of one workspace.
#[derive(Clone)]
pub struct Databases {
    client: Client,
    workspace: String,
}

/// An engine that can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineView {
    /// Its name.
    pub name: String,
    /// The name that people read.
    pub title: String,
    /// Newest first.
    pub versions: Vec<String>,
    /// The version of new databases.
    pub default_version: String,
    /// The port it listens on.
    pub port: u16,
    /// Whether a backup can be brought back to any second of its window.
    pub point_in_time: bool,
    /// What a new database gets: CPU of each pod.
    pub cpu: String,
    /// Memory of each pod.
    pub memory: String,
    /// Storage of each pod.
    pub storage: String,
}

impl Databases {
    /// The databases of `workspace`, acting as the client's user.
    pub fn new(client: Client, workspace: impl Into<String>) -> Self {
        Self { client, workspace: workspace.into() }
    }

    /// What can be had.
    pub fn engines() -> Vec<EngineView> {
        let view = |engine: &&'static sealos_db_engines::Engine| EngineView {
            name: engine.name.into(),
            title: engine.title.into(),
            versions: engine.versions.iter().map(|&v| v.into()).collect(),
            default_version: engine.default_version.into(),
            port: engine.port,
            point_in_time: engine.log_archive,
            cpu: engine.sizes.cpu.into(),
            memory: engine.sizes.memory.into(),
            storage: engine.sizes.storage.into(),
        };
        engine::ALL.iter().map(view).collect()
    }

    /// Checks a request and creates the database; [`Self::wait_ready`] waits for it.
    pub async fn create(&self, draft: Draft) -> Result<(), Error> {
        let checked = draft.check()?;
        self.refuse_taken(&checked.name).await?;
        let cluster = serde_json::from_value::<DynamicObject>(checked.cluster);
        let cluster = cluster.map_err(|e| Error::invalid(format!("the database is no Cluster: {e}")))?;
        let resource = ApiResource::erase::<Cluster>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.workspace, &resource);
        let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
        match api.create(&params, &cluster).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Err(self.taken(&checked.name, "a database"))
            }
            Err(error) => Err(Error::api(format!("create database `{}`", checked.name))(error)),
        }
    }

    /// Creates the database unless it is there. One of another engine is an error; sizes that it has are
    /// kept.
    pub async fn ensure(&self, draft: Draft) -> Result<(), Error> {
        let Some(cluster) = self.find(&draft.name).await? else { return self.create(draft).await };
        let asked = engine::find(&draft.engine).map_err(|e| Error::invalid(e.to_string()))?;
        match Wanted::of(&cluster) {
            Ok(wanted) if wanted.engine.name != asked.name => Err(Error::Conflict(format!(
                "the database `{}` runs {}, not {}; choose another name",
                draft.name, wanted.engine.title, asked.title
            ))),
            _ => Ok(()),
        }
    }

    /// All databases of the workspace, by name.
    pub async fn list(&self) -> Result<Vec<Database>, Error> {
        let everything = ListParams::default();
        let ours = ListParams::default().labels(&format!("{}={}", names::MANAGED_BY, names::KUBEBLOCKS));
        let (clusters, pods, services) = futures::try_join!(
            self.all::<Cluster>(&everything),
            self.all::<Pod>(&ours),
            self.all::<Service>(&ours),
        )?;
        let shown = clusters.iter().filter(|c| !c.labels().contains_key(DRILL));
        let mut all: Vec<_> = shown.map(|cluster| parts(cluster, &pods, &services).view()).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// One database.
    pub async fn get(&self, name: &str) -> Result<Database, Error> {
        let selector = instance(name);
        let (cluster, pods, services) = futures::try_join!(
            self.cluster(name),
            self.all::<Pod>(&selector),
            self.all::<Service>(&selector),
        )?;
        Ok(parts(&cluster, &pods, &services).view())
    }

    /// How to log in.
    pub async fn connection(&self, name: &str) -> Result<Connection, Error> {
        let cluster = self.cluster(name).await?;
        let wanted = wanted(&cluster)?;
        let secret: Api<Secret> = self.api();
        let secret = secret.get_opt(&names::credential_secret(name)).await;
        let secret = secret.map_err(Error::api(format!("read the credentials of `{name}`")))?;
        let not_yet =
            || Error::Conflict(format!("database `{name}` has no credentials yet; it is being created"));
        let node_port = self.get(name).await?.node_port;
        Ok(Connection::of(wanted.engine, &self.workspace, &secret.ok_or_else(not_yet)?, node_port))
    }

    /// What happened to the database and its parts, newest last.
    pub async fn events(&self, name: &str) -> Result<Vec<Event>, Error> {
        let database = self.get(name).await?;
        let prefix = names::workload(name, &database.component);
        let mut events = self.all::<Event>(&ListParams::default()).await?;
        events.retain(|event| {
            let about = event.involved_object.name.as_deref().unwrap_or_default();
            let kind = event.involved_object.kind.as_deref().unwrap_or_default();
            let whole = about == name && matches!(kind, "Cluster" | "OpsRequest");
            whole
                || about == prefix
                || about.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with('-'))
                || about.strip_prefix("data-").is_some_and(|rest| rest.starts_with(&prefix))
        });
        events.sort_by_key(|e| {
            e.last_timestamp.as_ref().or(e.metadata.creation_timestamp.as_ref()).map(|t| t.0)
        });
        Ok(events)
    }

    async fn refuse_taken(&self, name: &str) -> Result<(), Error> {
        if self.find(name).await?.is_some() {
            return Err(self.taken(name, "a database"));
        }
        Ok(())
    }

    fn taken(&self, name: &str, by: &str) -> Error {
        Error::NameTaken { name: name.into(), workspace: self.workspace.clone(), by: by.into() }
    }

    async fn find(&self, name: &str) -> Result<Option<Cluster>, Error> {
        match self.api::<Cluster>().get_opt(name).await {
            // A cluster without the kind has no databases.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            found => found.map_err(Error::api(format!("look for database `{name}`"))),
        }
    }

    pub(crate) async fn cluster(&self, name: &str) -> Result<Cluster, Error> {
        let missing = || Error::NotFound { name: name.to_owned(), workspace: self.workspace.clone() };
        self.find(name).await?.ok_or_else(missing)
    }

    /// Changes parts of a Cluster.
    async fn patch(&self, name: &str, patch: &Value, attempt: &str) -> Result<(), Error> {
        let api: Api<Cluster> = self.api();
        let done = api.patch(name, &manager(), &Patch::Merge(patch)).await;
        done.map(drop).map_err(Error::api(format!("{attempt} `{name}`")))
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.workspace)
    }

    async fn all<K>(&self, params: &ListParams) -> Result<Vec<K>, Error>
    where
        K: kube::Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let attempt = format!("list {}", K::plural(&()));
        Ok(self.api::<K>().list(params).await.map_err(Error::api(attempt))?.items)
    }
}

fn parts<'a>(cluster: &'a Cluster, pods: &'a [Pod], services: &'a [Service]) -> view::Parts<'a> {
    let name = cluster.name_any();
    fn of<'a, K: kube::Resource>(all: &'a [K], name: &str) -> Vec<&'a K> {
        all.iter().filter(|o| o.labels().get(names::INSTANCE).is_some_and(|n| n == name)).collect()
    }
    view::Parts { cluster, pods: of(pods, &name), services: of(services, &name) }
}

/// What a Cluster wants; for those that cannot be had, the reason.
fn wanted(cluster: &Cluster) -> Result<Wanted, Error> {
    Wanted::of(cluster).map_err(|reason| {
        Error::Conflict(format!("database `{}` cannot be run here: {reason}", cluster.name_any()))
    })
}

/// Selects the objects of one database.
fn instance(name: &str) -> ListParams {
    ListParams::default().labels(&format!(
        "{}={name},{}={}",
        names::INSTANCE,
        names::MANAGED_BY,
        names::KUBEBLOCKS
    ))
}

fn manager() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() }
}

/// The parameters that users set.
fn set_parameters(cluster: &Cluster) -> BTreeMap<String, String> {
    let text = cluster.annotations().get(PARAMETERS);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Sizes as a person may give them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Size {
    /// CPU of each pod.
    pub cpu: Option<Cpu>,
    /// Memory of each pod.
    pub memory: Option<Bytes>,
}

//! What people do with backups. All of it goes through a `kube::Client` and so acts as the user.

pub(crate) mod read;
pub(crate) mod restore;
mod streams;

use jiff::Timestamp;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use sealos_kit::{apply, labels};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;
use crate::cluster::View;
use crate::kinds::{Backup, Cluster, Drill, Window};
use crate::names::{self, API_VERSION};
use crate::schedule::{Times, retention};

pub use restore::RestoreRequest;

/// The backups of one workspace.
#[derive(Clone)]
pub struct Backups {
    client: Client,
    workspace: String,
}

/// A backup, as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupStatus {
    /// Its name.
    pub name: String,
    /// The database it is of.
    pub cluster: String,
    /// Whether that database still exists.
    pub cluster_exists: bool,
    /// The engine, as in `postgresql`.
    pub engine: String,
    /// The engine's version.
    pub engine_version: String,
    /// The method.
    pub method: String,
    /// How it is.
    pub phase: Phase,
    /// Why it failed; empty otherwise.
    pub message: String,
    /// Bytes in the bucket.
    pub size: Option<u64>,
    /// When it was asked for, RFC 3339.
    pub created_at: Option<String>,
    /// When it was whole, RFC 3339.
    pub completed_at: Option<String>,
    /// When it will be removed, RFC 3339.
    pub expires_at: Option<String>,
    /// A user's remark.
    pub remark: String,
    /// Whether a schedule made it.
    pub scheduled: bool,
    /// What the last drill with it found.
    pub drill: Option<Drill>,
    /// The id of the key that it needs.
    pub key_id: Option<String>,
}

/// How a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has not begun.
    Waiting,
    /// It is being made.
    Running,
    /// It is whole.
    Completed,
    /// It could not be made.
    Failed,
    /// It is being removed.
    Deleting,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NewBackup {
    /// A name; made from the database's and the time if it is missing.
    pub name: Option<String>,
    /// A remark.
    pub remark: String,
    /// How long it is kept, as in `7d`; without it, until it is deleted.
    pub retention: Option<String>,
    /// The engine's first method if it is missing.
    pub method: Option<String>,
}

/// When backups of a database are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Schedule {
    /// Whether they are.
    pub enabled: bool,
    /// Five fields.
    pub cron: String,
    /// The zone of the times, as in `Europe/Berlin`.
    pub time_zone: String,
    /// How long they are kept, as in `7d`.
    pub retention: String,
    /// The BackupRepo; empty for the workspace's own bucket.
    pub repo: String,
    /// Whether the log is archived too, so that any moment can be restored (engines with a log).
    pub logs: bool,
    /// Whether the platform drills by itself.
    pub drills: bool,
    /// The next time, RFC 3339; only read.
    #[serde(skip_deserializing)]
    pub next: Option<String>,
}

/// Which moments of a database can be restored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Windows {
    /// The newest window; `None` while there is none.
    pub current: Option<Window>,
    /// Older ones, which still can be used.
    pub older: Vec<Window>,
    /// What is the matter with the archive; empty if nothing is.
    pub message: String,
}

/// How a restore goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreStatus {
    /// The database that is being made.
    pub cluster: String,
    /// The backup.
    pub backup: String,
    /// The moment that was asked for.
    pub time: Option<String>,
    /// How it is.
    pub phase: Phase,
    /// What is being done, or why it failed.
    pub message: String,
    /// Bytes that have been read.
    pub done_bytes: u64,
    /// Bytes that are to be read.
    pub total_bytes: u64,
}

impl Backups {
    /// The backups of `workspace`, acting as the client's user.
    pub fn new(client: Client, workspace: impl Into<String>) -> Self {
        Self { client, workspace: workspace.into() }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.workspace)
    }

    fn missing(&self, kind: &'static str, name: &str) -> Error {
        Error::NotFound { kind, name: name.to_owned(), workspace: self.workspace.clone() }
    }

    async fn cluster(&self, name: &str) -> Result<(Cluster, View), Error> {
        let found = self.api::<Cluster>().get_opt(name).await.map_err(Error::api("get database", name))?;
        let cluster = found.ok_or_else(|| self.missing("database", name))?;
        let view = View::of(&cluster);
        let view =
            view.ok_or_else(|| Error::Refused(format!("the engine of database `{name}` has no backups")))?;
        Ok((cluster, view))
    }

    async fn backup(&self, name: &str) -> Result<Backup, Error> {
        let found = self.api::<Backup>().get_opt(name).await.map_err(Error::api("get backup", name))?;
        found.ok_or_else(|| self.missing("backup", name))
    }

    /// Asks for a backup of a database and gives its name.
    pub async fn create(&self, cluster: &str, wanted: NewBackup) -> Result<String, Error> {
        let (_, view) = self.cluster(cluster).await?;
        if let Some(period) = &wanted.retention {
            retention(period).map_err(Error::Refused)?;
        }
        let asked = wanted.method.unwrap_or_default();
        let method = view.method(&asked).ok_or_else(|| {
            let known = view.engine.methods.join(", ");
            Error::Refused(format!("`{asked}` is no way to back up {}; it has {known}", view.engine.name))
        })?;
        let name = wanted.name.unwrap_or_else(|| named(cluster, Timestamp::now()));
        let exists = self.api::<Backup>().get_metadata_opt(&name).await;
        if exists.map_err(Error::api("look for backup", &name))?.is_some() {
            return Err(Error::Refused(format!("there is a backup `{name}` already; choose another name")));
        }
        let mut object = backup_object(&view, &name, method, wanted.retention.as_deref());
        if !wanted.remark.is_empty() {
            object["metadata"]["labels"][names::REMARK] = json!(remark_label(&wanted.remark)?);
        }
        apply::apply(&self.client, Some(&self.workspace), &object).await?;
        Ok(name)
    }

    /// Deletes a backup with its data.
    pub async fn delete(&self, backup: &str) -> Result<(), Error> {
        self.backup(backup).await?;
        let done = self.api::<Backup>().delete(backup, &DeleteParams::background()).await;
        done.map(drop).map_err(Error::api("delete backup", backup))
    }

    /// Asks for a drill with the newest backup of a database; [`Self::last_drill`] shows what it found.
    pub async fn drill(&self, cluster: &str) -> Result<(), Error> {
        self.cluster(cluster).await?;
        let whole = self.list(Some(cluster)).await?.into_iter().any(|b| b.phase == Phase::Completed);
        if !whole {
            return Err(Error::Refused(format!(
                "database `{cluster}` has no whole backup to drill with; make one with `sealos db backup {cluster}`"
            )));
        }
        self.annotate(cluster, json!({ names::DRILL_REQUESTED: Timestamp::now().to_string() })).await
    }

    /// Sets when backups of a database are made.
    pub async fn set_schedule(&self, cluster: &str, wanted: &Schedule) -> Result<(), Error> {
        let (_, view) = self.cluster(cluster).await?;
        if wanted.enabled {
            let zone = Some(wanted.time_zone.as_str()).filter(|z| !z.is_empty());
            Times::parse(&wanted.cron, zone).map_err(Error::Refused)?;
        }
        if !wanted.retention.is_empty() {
            retention(&wanted.retention).map_err(Error::Refused)?;
        }
        let patch = json!({
            "metadata": { "annotations": {
                names::DRILLS: if wanted.drills { Value::Null } else { json!("off") },
            } },
            "spec": { "backup": {
                "enabled": wanted.enabled, "cronExpression": wanted.cron, "method": view.method(""),
                "retentionPeriod": wanted.retention, "repoName": wanted.repo, "pitrEnabled": wanted.logs,
                "timeZone": wanted.time_zone,
            } },
        });
        self.patch(cluster, &patch).await
    }

    async fn annotate(&self, cluster: &str, annotations: Value) -> Result<(), Error> {
        self.patch(cluster, &json!({ "metadata": { "annotations": annotations } })).await
    }

    async fn patch(&self, cluster: &str, patch: &Value) -> Result<(), Error> {
        let params =
            PatchParams { field_manager: Some(labels::FIELD_MANAGER.into()), ..PatchParams::default() };
        let done = self.api::<Cluster>().patch(cluster, &params, &Patch::Merge(patch)).await;
        done.map(drop).map_err(Error::api("change database", cluster))
    }
}

/// The Backup that asks for one of a Cluster's component.
pub(crate) fn backup_object(view: &View, name: &str, method: &str, keep: Option<&str>) -> Value {
    let mut spec = json!({ "backupPolicyName": names::policy(&view.name, &view.component),
        "backupMethod": method, "deletionPolicy": "Delete" });
    if let Some(keep) = keep {
        spec["retentionPeriod"] = json!(keep);
    }
    json!({
        "apiVersion": API_VERSION,
        "kind": "Backup",
        "metadata": { "name": name, "labels": object_labels(view) },
        "spec": spec,
    })
}

/// The labels of every object that belongs to a Cluster's backups.
pub(crate) fn object_labels(view: &View) -> Value {
    use sealos_db_engines::names as db;
    json!({
        db::INSTANCE: view.name, db::MANAGED_BY: db::KUBEBLOCKS, db::ENGINE: view.engine.name,
        db::COMPONENT: view.component, names::CLUSTER_UID: view.uid,
    })
}

/// A name for a backup made now.
pub(crate) fn named(cluster: &str, now: Timestamp) -> String {
    let salt: u16 = rand::random();
    format!("{cluster}-{}-{salt:04x}", now.strftime("%Y%m%d-%H%M%S"))
}

fn remark_label(remark: &str) -> Result<String, Error> {
    // A label's value has at most 63 characters, and hex takes two for each byte.
    if remark.len() > 31 {
        return Err(Error::Refused("a remark has at most 31 bytes".into()));
    }
    Ok(hex::encode(remark))
}

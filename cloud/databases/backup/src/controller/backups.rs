//! Backups: made, and removed with their data.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::ListParams;
use sealos_kit::exec::Target;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::{Controller, Shared, written};
use crate::Error;
use crate::actions::object_labels;
use crate::actions::read::is_continuous;
use crate::cluster::View;
use crate::kinds::{Backup, BackupState, TimeRange};
use crate::names;
use crate::pods;
use crate::repo::{LogStart, Manifest, Moved, Place, Repo};
use crate::schedule::retention;
use crate::take::{data_path, take};

/// How long to wait for a primary, and for the archive to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a replica may take to catch up with what was committed before the backup was asked for.
const CATCH_UP: Duration = Duration::from_secs(15);
/// A question to a pod is answered within this time.
const LIMIT: Duration = Duration::from_secs(10);

impl Controller {
    /// Starts a job for each Backup that needs one.
    pub(super) fn backups(&mut self, views: &[View]) {
        for backup in self.shared.backups.state() {
            let key = format!("backup/{}", backup.uid().unwrap_or_default());
            if backup.metadata.deletion_timestamp.is_some() {
                self.stop(&key);
                let shared = self.shared.clone();
                self.job(format!("remove {key}"), async move { shared.remove(&backup).await });
            } else if !is_continuous(&backup)
                && matches!(backup.status.phase.as_str(), "" | "New" | "Running")
            {
                let of = |v: &&View| {
                    Some(&v.namespace) == backup.namespace().as_ref()
                        && names::policy(&v.name, &v.component) == backup.spec.backup_policy_name
                };
                let view = views.iter().find(of).cloned();
                let shared = self.shared.clone();
                self.job(key, async move { shared.back_up(&backup, view).await });
            }
        }
    }
}

impl Shared {
    /// Makes one backup and says how it went. One that was cut off begins again.
    async fn back_up(&self, backup: &Backup, view: Option<View>) {
        let (namespace, name) = (backup.namespace().unwrap_or_default(), backup.name_any());
        let made = match &view {
            Some(view) => self.make(backup, view).await,
            None => Err(Error::Refused(format!(
                "there is no database with the backup policy `{}` in this workspace",
                backup.spec.backup_policy_name
            ))),
        };
        let Err(error) = made else { return };
        let reason = error.sentence();
        warn!(%namespace, backup = %name, %reason, "a backup failed");
        if let Some(view) = &view {
            self.tell(&namespace, &view.name, "BackupFailed", false, &format!("backup `{name}`: {reason}"))
                .await;
        }
        let status = json!({ "phase": "Failed", "failureReason": reason,
            "completionTimestamp": written(Timestamp::now()) });
        if let Err(error) = self.report::<Backup>(&namespace, &name, &status).await {
            warn!(%error, backup = %name, "a backup's status could not be written");
        }
    }

    async fn make(&self, backup: &Backup, view: &View) -> Result<(), Error> {
        let (namespace, name) = (&view.namespace, backup.name_any());
        let asked = &backup.spec.backup_method;
        let method = view.method(asked).ok_or_else(|| {
            let known = view.engine.methods.join(", ");
            Error::Refused(format!("{} has no backup method `{asked}`; it has {known}", view.engine.name))
        })?;
        let keep = backup.spec.retention_period.as_deref().filter(|p| !p.is_empty());
        let keep = keep.map(retention).transpose().map_err(Error::Refused)?;
        let begun = Timestamp::now();
        let place = Place::new(namespace, &view.name, &view.uid);
        let prefix = place.backup(&name);
        self.claim(backup, view).await?;
        let started = json!({ "phase": "Running", "startTimestamp": written(begun), "path": prefix,
            "backupRepoName": view.wish.repo_name, "failureReason": null });
        self.report::<Backup>(namespace, &name, &started).await?;

        let repo = self.stores.open(namespace, &view.wish.repo_name).await?;
        let source = self.source(view).await?;
        let logs = if view.archives() { self.log_start(view, begun).await } else { None };
        info!(%namespace, backup = %name, pod = %source.pod, "a backup begins");
        let manifest = Manifest {
            version: 1,
            backup: name.clone(),
            namespace: namespace.clone(),
            cluster: view.name.clone(),
            cluster_uid: view.uid.clone(),
            component: view.component.clone(),
            engine: view.engine.name.to_owned(),
            engine_version: view.version.clone(),
            method: method.to_owned(),
            started_at: written(begun),
            stopped_at: String::new(),
            data: data_path(&prefix),
            size: 0,
            stored: 0,
            sha256: String::new(),
            key_id: repo.key_id(),
            logs,
            cluster_snapshot: view.snapshot.clone(),
        };
        let done = take(&*self.shell, &repo, &source, manifest, &prefix, &Moved::default()).await?;
        self.completed(view, &done, keep).await
    }

    /// What every Backup carries: its finalizer, whose it is, and how the database looked.
    async fn claim(&self, backup: &Backup, view: &View) -> Result<(), Error> {
        let mut finalizers = backup.finalizers().to_vec();
        if !finalizers.iter().any(|f| f == names::FINALIZER) {
            finalizers.push(names::FINALIZER.to_owned());
        }
        let mut labels = object_labels(view);
        labels[names::BACKUP_TYPE] = json!("Full");
        let metadata = json!({ "finalizers": finalizers, "labels": labels, "annotations": {
            names::CLUSTER_SNAPSHOT: view.snapshot.to_string(), names::ENGINE_VERSION: view.version } });
        self.mark::<Backup>(&view.namespace, &backup.name_any(), metadata).await
    }

    async fn completed(
        &self,
        view: &View,
        done: &Manifest,
        keep: Option<jiff::SignedDuration>,
    ) -> Result<(), Error> {
        let (namespace, name) = (&view.namespace, &done.backup);
        if let Some(logs) = done.logs {
            let marks = json!({ "annotations": { names::LOG_CHAIN: logs.chain.to_string(),
                names::LOG_AFTER: logs.after.to_string() } });
            self.mark::<Backup>(namespace, name, marks).await?;
        }
        let stopped: Timestamp = done.stopped_at.parse().unwrap_or_else(|_| Timestamp::now());
        let started: Timestamp = done.started_at.parse().unwrap_or(stopped);
        let status = BackupState {
            phase: "Completed".into(),
            start_timestamp: Some(done.started_at.clone()),
            completion_timestamp: Some(done.stopped_at.clone()),
            expiration: keep.and_then(|k| stopped.checked_add(k).ok()).map(written),
            duration: Some(format!("{:.1}s", stopped.duration_since(started).as_secs_f64())),
            total_size: Some(done.stored.to_string()),
            key_id: Some(done.key_id.clone()),
            time_range: Some(TimeRange { start: None, end: Some(done.stopped_at.clone()) }),
            ..BackupState::default()
        };
        self.report::<Backup>(namespace, name, &status).await?;
        info!(%namespace, backup = %name, stored = done.stored, "a backup is whole");
        self.tell(namespace, &view.name, "BackupCompleted", true, &format!("backup `{name}` is whole")).await;
        Ok(())
    }

    /// The pods of a database.
    pub(super) async fn pods(&self, view: &View) -> Result<Vec<Pod>, Error> {
        let params = ListParams::default().labels(&pods::selector(view));
        let found = self.api::<Pod>(&view.namespace).list(&params).await;
        found.map(|list| list.items).map_err(Error::api("list the pods of database", &view.name))
    }

    /// The pod to back up: a replica that has what was committed until now, else the primary.
    async fn source(&self, view: &View) -> Result<Target, Error> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let all = loop {
            let all = self.pods(view).await?;
            if pods::primary(&all).is_some() {
                break all;
            }
            if tokio::time::Instant::now() > deadline {
                let name = &view.name;
                return Err(Error::Refused(format!(
                    "database `{name}` has no primary that runs; start it with `sealos db start {name}`, or look at `sealos db status {name}`"
                )));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        };
        let primary = pods::primary(&all).map(pods::target);
        let Some(primary) = primary else { return Err(Error::Refused("the primary is gone".into())) };
        let replica = pods::secondaries(&all).first().map(|pod| pods::target(pod));
        let fits = view.engine.from_replica || !view.archives();
        match replica.filter(|_| fits) {
            Some(replica) if self.catches_up(&primary, &replica).await => Ok(replica),
            _ => Ok(primary),
        }
    }

    /// Whether a replica gets where the primary is now.
    async fn catches_up(&self, primary: &Target, replica: &Target) -> bool {
        let Some(goal) = self.position(primary).await else { return false };
        let deadline = tokio::time::Instant::now() + CATCH_UP;
        while tokio::time::Instant::now() < deadline {
            if self.position(replica).await.is_some_and(|at| at >= goal) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        false
    }

    async fn position(&self, pod: &Target) -> Option<u128> {
        let answer = self.shell.run(pod, &["role.sh"], LIMIT).await.ok()?;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        let position = &answer["position"];
        position.as_u64().map(u128::from).or_else(|| position.as_str()?.parse().ok())
    }

    /// Where the log goes on after a backup that begins now.
    async fn log_start(&self, view: &View, begun: Timestamp) -> Option<LogStart> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let position = self.archives.lock().ok().and_then(|all| all.get(&view.uid).cloned());
            if let Some(position) = position {
                return Some(position.start(begun, view.engine.from_replica));
            }
            if tokio::time::Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Removes a Backup's data, then lets the object go.
    async fn remove(&self, backup: &Arc<Backup>) {
        let (namespace, name) = (backup.namespace().unwrap_or_default(), backup.name_any());
        if !backup.finalizers().iter().any(|f| f == names::FINALIZER) {
            return;
        }
        if let Err(error) = self.remove_data(&namespace, backup).await {
            let reason = format!("its data could not be removed: {}", error.sentence());
            warn!(%namespace, backup = %name, %reason, "a backup is kept for now");
            let status = json!({ "phase": "Deleting", "failureReason": reason });
            self.report::<Backup>(&namespace, &name, &status).await.ok();
            tokio::time::sleep(Duration::from_secs(10)).await;
            return;
        }
        let left: Vec<_> = backup.finalizers().iter().filter(|f| *f != names::FINALIZER).collect();
        if let Err(error) = self.mark::<Backup>(&namespace, &name, json!({ "finalizers": left })).await {
            warn!(%error, backup = %name, "a backup could not be let go");
        }
    }

    async fn remove_data(&self, namespace: &str, backup: &Backup) -> Result<(), Error> {
        let retain = backup.spec.deletion_policy.as_deref() == Some("Retain");
        let Some(path) = backup.status.path.as_deref().filter(|p| !p.is_empty() && !retain) else {
            return Ok(());
        };
        let repo = backup.status.backup_repo_name.clone().unwrap_or_default();
        if self.stores.is_gone(namespace, &repo).await? {
            return Ok(());
        }
        let repo: Repo = self.stores.open(namespace, &repo).await?;
        repo.remove_all(path).await
    }
}

//! Restores: a job for each Cluster that waits for its data. The Restore object shows how it goes.

use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};
use sealos_db_engines::names as db;
use sealos_kit::apply;
use sealos_kit::exec::Target;
use serde_json::json;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Controller, Shared, written};
use crate::Error;
use crate::actions::read::is_continuous;
use crate::chain::Known;
use crate::cluster::{RestoreFrom, View};
use crate::kinds::{Backup, Cluster, Restore, RestoreState};
use crate::names::{self, API_VERSION};
use crate::pods;
use crate::repo::{Moved, Repo};
use crate::restore::{Plan, waits};

/// How often a pod is asked whether it waits, and progress is written.
const LOOK: Duration = Duration::from_millis(500);
/// A restore that met a passing trouble is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);

impl Controller {
    /// Keeps a job that restores a Cluster.
    pub(super) fn restore(&mut self, view: &View) {
        let Some(from) = view.restore_from.clone() else { return };
        let (shared, view) = (self.shared.clone(), view.clone());
        self.job(format!("restore/{}", view.uid), async move { shared.restore(&view, &from).await });
    }
}

impl Shared {
    /// Restores, and says how it went. What was refused is not tried again, until somebody asks anew.
    async fn restore(&self, view: &View, from: &RestoreFrom) {
        match self.refused(view, from).await {
            Ok(false) => {}
            Ok(true) => return tokio::time::sleep(AGAIN).await,
            Err(error) => {
                warn!(%error, cluster = %view.name, "a restore could not begin");
                return tokio::time::sleep(AGAIN).await;
            }
        }
        let name = names::restore(&view.name);
        let Err(error) = self.try_restore(view, from).await else { return };
        let reason = error.sentence();
        warn!(namespace = %view.namespace, cluster = %view.name, %reason, "a restore failed");
        let phase = if error.retry() { "Running" } else { "Failed" };
        let status =
            json!({ "phase": phase, "message": reason, "completionTimestamp": written(Timestamp::now()) });
        self.report::<Restore>(&view.namespace, &name, &status).await.ok();
        self.tell(&view.namespace, &view.name, "RestoreFailed", false, &reason).await;
        tokio::time::sleep(AGAIN).await;
    }

    /// Makes the Restore object. Whether this very restore has been refused before.
    async fn refused(&self, view: &View, from: &RestoreFrom) -> Result<bool, Error> {
        let name = names::restore(&view.name);
        let api: Api<Restore> = self.api(&view.namespace);
        let spec = json!({ "backup": { "name": from.name, "namespace": from.namespace },
            "restoreTime": from.restore_time, "cluster": view.uid });
        let spec = without_nulls(spec);
        let known = api.get_opt(&name).await.map_err(Error::api("get restore", &name))?;
        if let Some(known) = known {
            if known.spec == spec {
                return Ok(known.status.phase == "Failed");
            }
            let gone = api.delete(&name, &DeleteParams::default()).await;
            gone.map_err(Error::api("replace restore", &name))?;
        }
        let object = json!({
            "apiVersion": API_VERSION, "kind": "Restore",
            "metadata": { "name": name, "labels": { db::INSTANCE: view.name, db::MANAGED_BY: db::KUBEBLOCKS },
                "ownerReferences": [{ "apiVersion": "apps.kubeblocks.io/v1alpha1", "kind": "Cluster",
                    "name": view.name, "uid": view.uid }] },
            "spec": spec,
        });
        apply::apply(&self.client, Some(&view.namespace), &object).await?;
        Ok(false)
    }

    async fn try_restore(&self, view: &View, from: &RestoreFrom) -> Result<(), Error> {
        let name = names::restore(&view.name);
        let begun = Timestamp::now();
        let state = |message: String| RestoreState {
            phase: "Running".into(),
            start_timestamp: Some(written(begun)),
            message,
            ..RestoreState::default()
        };
        self.report::<Restore>(&view.namespace, &name, &state("looking for what is needed".into())).await?;
        let (repo, plan) = self.plan(view, from).await?;
        self.report::<Restore>(&view.namespace, &name, &state("waiting for the first pod".into())).await?;
        let pod = self.waiting_pod(view).await?;
        info!(namespace = %view.namespace, cluster = %view.name, backup = %from.name, "a restore begins");
        let note = format!("restoring from backup `{}`", from.name);
        self.tell(&view.namespace, &view.name, "RestoreStarted", true, &note).await;

        let (step, mut steps) = watch::channel(String::new());
        let moved = Moved::default();
        let feed = plan.feed(&*self.shell, &repo, &pod, &moved, |text| drop(step.send(text)));
        let show = async {
            loop {
                let message = steps.borrow_and_update().clone();
                let state =
                    RestoreState { done_bytes: moved.bytes(), total_bytes: plan.bytes(), ..state(message) };
                self.report::<Restore>(&view.namespace, &name, &state).await.ok();
                tokio::time::sleep(LOOK * 2).await;
            }
        };
        tokio::select! {
            done = feed => done?,
            () = show => {}
        }
        let now = Timestamp::now();
        let marks = json!({ "annotations": { db::RESTORED_AT: written(now) } });
        self.mark::<Cluster>(&view.namespace, &view.name, marks).await?;
        let done = RestoreState {
            phase: "Completed".into(),
            completion_timestamp: Some(written(now)),
            done_bytes: plan.bytes(),
            total_bytes: plan.bytes(),
            ..state(format!("restored in {:.1} s", now.duration_since(begun).as_secs_f64()))
        };
        self.report::<Restore>(&view.namespace, &name, &done).await?;
        self.tell(&view.namespace, &view.name, "Restored", true, &done.message).await;
        Ok(())
    }

    /// Finds and checks what is needed, before anything is touched.
    async fn plan(&self, view: &View, from: &RestoreFrom) -> Result<(Repo, Plan), Error> {
        let namespace = from.namespace.clone().unwrap_or_else(|| view.namespace.clone());
        if namespace != view.namespace {
            return Err(Error::Refused(format!(
                "backup `{}` is in workspace `{namespace}`; a database is restored only from backups of its own workspace",
                from.name
            )));
        }
        let backup = self.api::<Backup>(&namespace).get_opt(&from.name).await;
        let backup = backup.map_err(Error::api("get backup", &from.name))?.ok_or_else(|| {
            Error::NotFound { kind: "backup", name: from.name.clone(), workspace: namespace.clone() }
        })?;
        if backup.status.phase != "Completed" {
            return Err(Error::Refused(format!(
                "backup `{}` is not whole, so it cannot be restored",
                from.name
            )));
        }
        let repo = backup.status.backup_repo_name.clone().unwrap_or_default();
        let repo = self.stores.open(&namespace, &repo).await?;
        let prefix = backup.status.path.clone().unwrap_or_default();
        let plan = Plan::find(&repo, &prefix, view, from, &self.known(&backup)).await?;
        Ok((repo, plan))
    }

    /// What the archive's object says of the chain that goes on from a backup.
    fn known(&self, backup: &Backup) -> Known {
        let uid = backup.labels().get(names::CLUSTER_UID);
        let chain = backup.annotations().get(names::LOG_CHAIN).and_then(|c| c.parse::<u32>().ok());
        let all = self.backups.state();
        let logs = all.iter().find(|b| is_continuous(b) && b.labels().get(names::CLUSTER_UID) == uid);
        let window = logs.and_then(|b| b.status.windows.iter().find(|w| Some(w.chain) == chain));
        window.map(|w| Known { latest: w.to.parse().ok(), last: w.last }).unwrap_or_default()
    }

    /// The first pod, once it waits for its data.
    async fn waiting_pod(&self, view: &View) -> Result<Target, Error> {
        let first = format!("{}-0", db::workload(&view.name, &view.component));
        loop {
            let all = self.pods(view).await?;
            if let Some(pod) = all.iter().find(|p| p.name_any() == first).filter(|p| pods::runs(p)) {
                let target = pods::target(pod);
                if waits(&*self.shell, &target).await {
                    return Ok(target);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn without_nulls(mut value: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, v| !v.is_null());
        for field in fields.values_mut() {
            *field = without_nulls(field.take());
        }
    }
    value
}

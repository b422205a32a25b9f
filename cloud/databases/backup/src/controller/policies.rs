//! Policies, schedules and what is due by them.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use sealos_db_engines::names as db;
use sealos_kit::apply;
use serde_json::{Value, json};
use tracing::warn;

use super::{Controller, written};
use crate::actions::read::is_continuous;
use crate::actions::{backup_object, named, object_labels};
use crate::cluster::View;
use crate::kinds::{Backup, BackupSchedule};
use crate::names::{self, API_VERSION};
use crate::schedule::{Kept, Times, expired};

impl Controller {
    /// The BackupPolicy of a Cluster, and its BackupSchedule.
    pub(super) async fn policies(&mut self, view: &View) {
        for object in objects(view) {
            let text = object.to_string();
            let key = format!("{}/{}", view.namespace, object["metadata"]["name"]);
            if self.applied.get(&key) == Some(&text) {
                continue;
            }
            match apply::apply(&self.shared.client, Some(&view.namespace), &object).await {
                Ok(_) => drop(self.applied.insert(key, text)),
                Err(error) => warn!(%error, cluster = %view.name, "a backup policy could not be written"),
            }
        }
    }

    /// Makes the backups that are due.
    pub(super) async fn due(&mut self, views: &[View]) {
        let now = Timestamp::now();
        for schedule in self.schedules.state() {
            let (namespace, name) = (schedule.namespace().unwrap_or_default(), schedule.name_any());
            let of = |v: &&View| {
                v.namespace == namespace
                    && names::policy(&v.name, &v.component) == schedule.spec.backup_policy_name
            };
            let Some(view) = views.iter().find(of).filter(|v| !v.is_going && !v.waits()) else { continue };
            if let Err(message) = self.fire(&schedule, view, now).await {
                let status = json!({ "phase": "Failed", "failureReason": message });
                if schedule.status["failureReason"] != status["failureReason"]
                    && let Err(error) = self.shared.report::<BackupSchedule>(&namespace, &name, &status).await
                {
                    warn!(%error, schedule = %name, "a schedule's status could not be written");
                }
            }
        }
    }

    async fn fire(&self, schedule: &BackupSchedule, view: &View, now: Timestamp) -> Result<(), String> {
        let zone = schedule.annotations().get(names::TIME_ZONE).map(String::as_str);
        let created = schedule.metadata.creation_timestamp.as_ref();
        let created = created.and_then(|t| t.0.to_string().parse().ok()).unwrap_or(now);
        let mut next_time: Option<Timestamp> = None;
        for entry in schedule.spec.schedules.iter().filter(|e| e.enabled) {
            let times = Times::parse(&entry.cron_expression, zone)?;
            let next = times.next(now);
            next_time = match (next_time, next) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let last = schedule.status["schedules"][&entry.backup_method]["lastScheduleTime"].as_str();
            let since = last.and_then(|t| t.parse().ok()).unwrap_or(created);
            let Some(due) = times.due(since, now) else { continue };
            let method = view.method(&entry.backup_method).ok_or_else(|| {
                format!("{} has no backup method `{}`", view.engine.name, entry.backup_method)
            })?;
            let late = now.duration_since(due).as_secs() / 60;
            let fired =
                json!({ "schedules": { &entry.backup_method: { "lastScheduleTime": written(due) } } });
            // The time is noted first: a backup too few is made up for by the next, two at once are not.
            self.note(schedule, &fired).await?;
            if schedule.spec.starting_deadline_minutes.is_some_and(|most| late > most) {
                continue;
            }
            let mut object =
                backup_object(view, &named(&view.name, due), method, entry.retention_period.as_deref());
            object["metadata"]["labels"][names::BACKUP_SCHEDULE] = json!(schedule.name_any());
            let made = apply::apply(&self.shared.client, Some(&view.namespace), &object).await;
            made.map_err(|error| error.to_string())?;
        }
        let next = next_time.map(written);
        if schedule.status["nextTime"].as_str() != next.as_deref() || schedule.status["phase"] != "Available"
        {
            let status = json!({ "phase": "Available", "nextTime": next, "failureReason": null });
            self.note(schedule, &status).await?;
        }
        Ok(())
    }

    async fn note(&self, schedule: &BackupSchedule, status: &Value) -> Result<(), String> {
        let namespace = schedule.namespace().unwrap_or_default();
        let done = self.shared.report::<BackupSchedule>(&namespace, &schedule.name_any(), status).await;
        done.map_err(|error| error.sentence())
    }

    /// Removes backups whose time is over, and archived logs that no backup goes with any more.
    pub(super) async fn expire(&mut self, views: &[View]) {
        let (now, all) = (Timestamp::now(), self.shared.backups.state());
        let uid = |b: &Backup| b.labels().get(names::CLUSTER_UID).cloned().unwrap_or_default();
        let lives = |uid: &str| views.iter().any(|v| v.uid == uid);
        let stays = |b: &&std::sync::Arc<Backup>| b.metadata.deletion_timestamp.is_none();
        let parse = |t: &Option<String>| t.as_ref().and_then(|t| t.parse::<Timestamp>().ok());
        let mut uids: Vec<_> = all.iter().map(|b| uid(b)).collect();
        uids.sort();
        uids.dedup();
        for one in uids.iter().filter(|u| !u.is_empty()) {
            let of: Vec<_> = all.iter().filter(|b| &uid(b) == one).filter(stays).collect();
            let full: Vec<_> = of.iter().filter(|b| !is_continuous(b)).collect();
            let named: Vec<_> = full.iter().map(|b| (b.name_any(), **b)).collect();
            let kept: Vec<_> = named
                .iter()
                .filter(|(_, b)| b.status.phase == "Completed")
                .filter_map(|(name, b)| {
                    let completed = parse(&b.status.completion_timestamp)?;
                    Some(Kept { name, completed, expiration: parse(&b.status.expiration) })
                })
                .collect();
            let mut gone: Vec<_> = expired(&kept, lives(one), now).into_iter().map(str::to_owned).collect();
            if full.is_empty() && !lives(one) {
                gone.extend(of.iter().filter(|b| is_continuous(b)).map(|b| b.name_any()));
            }
            let namespace = of.first().and_then(|b| b.namespace()).unwrap_or_default();
            for name in gone {
                let done =
                    self.shared.api::<Backup>(&namespace).delete(&name, &DeleteParams::default()).await;
                if let Err(error) = done {
                    warn!(%error, backup = %name, "a backup whose time is over could not be deleted");
                }
            }
        }
    }
}

fn objects(view: &View) -> Vec<Value> {
    let owner = json!([{ "apiVersion": "apps.kubeblocks.io/v1alpha1", "kind": "Cluster", "name": view.name,
        "uid": view.uid, "controller": false, "blockOwnerDeletion": false }]);
    let (policy, wish) = (names::policy(&view.name, &view.component), &view.wish);
    let methods: Vec<_> =
        view.engine.methods.iter().map(|m| json!({ "name": m, "snapshotVolumes": false })).collect();
    let mut all = vec![json!({
        "apiVersion": API_VERSION, "kind": "BackupPolicy",
        "metadata": { "name": policy, "labels": object_labels(view), "ownerReferences": owner },
        "spec": { "backupRepoName": wish.repo_name, "backupMethods": methods, "target": { "podSelector": {
            "matchLabels": { db::INSTANCE: view.name, db::COMPONENT: view.component } } } },
    })];
    if wish.enabled || !wish.cron_expression.is_empty() {
        let mut entry = json!({ "enabled": wish.enabled && !wish.cron_expression.is_empty(),
            "cronExpression": wish.cron_expression,
            "backupMethod": view.method(&wish.method).or_else(|| view.method("")) });
        if !wish.retention_period.is_empty() {
            entry["retentionPeriod"] = json!(wish.retention_period);
        }
        let mut metadata = json!({ "name": names::schedule(&view.name, &view.component),
            "labels": object_labels(view), "ownerReferences": owner });
        if let Some(zone) = &view.time_zone {
            metadata["annotations"] = json!({ names::TIME_ZONE: zone });
        }
        all.push(json!({ "apiVersion": API_VERSION, "kind": "BackupSchedule", "metadata": metadata,
            "spec": { "backupPolicyName": policy, "schedules": [entry] } }));
    }
    all
}

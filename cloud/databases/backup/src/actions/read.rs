//! Looking at backups, schedules, windows, drills and restores.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::ListParams;
use sealos_db_engines::names as db;

use super::{BackupStatus, Backups, Phase, RestoreStatus, Schedule, Windows};
use crate::Error;
use crate::kinds::{Backup, Cluster, Drill, Restore};
use crate::names;
use crate::schedule::Times;

impl Phase {
    /// The phase of an object's status.
    pub(crate) fn of(phase: &str, is_going: bool) -> Self {
        match phase {
            _ if is_going => Self::Deleting,
            "Running" => Self::Running,
            "Completed" => Self::Completed,
            "Failed" => Self::Failed,
            "Deleting" => Self::Deleting,
            _ => Self::Waiting,
        }
    }
}

impl Backups {
    /// The backups of the workspace or of one database, also of deleted ones; the newest first.
    pub async fn list(&self, cluster: Option<&str>) -> Result<Vec<BackupStatus>, Error> {
        let params = match cluster {
            Some(cluster) => ListParams::default().labels(&format!("{}={cluster}", db::INSTANCE)),
            None => ListParams::default(),
        };
        let backups = self.api::<Backup>().list(&params).await.map_err(Error::api("list", "backups"))?;
        let clusters = self.api::<Cluster>().list_metadata(&ListParams::default()).await;
        let clusters = clusters.map_err(Error::api("list", "databases"))?;
        let living: BTreeSet<_> = clusters.items.iter().filter_map(|c| c.uid()).collect();
        let whole = backups.items.into_iter().filter(|b| !is_continuous(b));
        let mut all: Vec<_> = whole.map(|b| backup_status(&b, &living)).collect();
        all.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| b.name.cmp(&a.name)));
        Ok(all)
    }

    /// One backup.
    pub async fn get(&self, name: &str) -> Result<BackupStatus, Error> {
        let backup = self.backup(name).await?;
        let clusters = self.api::<Cluster>().list_metadata(&ListParams::default()).await;
        let clusters = clusters.map_err(Error::api("list", "databases"))?;
        Ok(backup_status(&backup, &clusters.items.iter().filter_map(|c| c.uid()).collect()))
    }

    /// When backups of a database are made.
    pub async fn schedule(&self, cluster: &str) -> Result<Schedule, Error> {
        let (_, view) = self.cluster(cluster).await?;
        let wish = view.wish;
        let times = Times::parse(&wish.cron_expression, view.time_zone.as_deref()).ok();
        let next = times.filter(|_| wish.enabled).and_then(|t| t.next(Timestamp::now()));
        Ok(Schedule {
            enabled: wish.enabled,
            cron: wish.cron_expression,
            time_zone: view.time_zone.unwrap_or_else(|| "UTC".into()),
            retention: wish.retention_period,
            repo: wish.repo_name,
            logs: view.engine.logs && wish.pitr_enabled.unwrap_or(true),
            drills: !view.drills_off,
            next: next.map(|t| t.to_string()),
        })
    }

    /// Which moments of a database can be restored; of a deleted one too.
    pub async fn windows(&self, cluster: &str) -> Result<Windows, Error> {
        let selector = format!("{}={cluster},{}=Continuous", db::INSTANCE, names::BACKUP_TYPE);
        let found = self.api::<Backup>().list(&ListParams::default().labels(&selector)).await;
        let found = found.map_err(Error::api("list", "archived logs"))?;
        let Some(logs) = found.items.into_iter().max_by_key(|b| b.metadata.creation_timestamp.clone()) else {
            return Ok(Windows::default());
        };
        let mut older = logs.status.windows;
        let current = older.pop();
        Ok(Windows { current, older, message: logs.status.failure_reason.unwrap_or_default() })
    }

    /// What the last drill of a database found.
    pub async fn last_drill(&self, cluster: &str) -> Result<Option<Drill>, Error> {
        let (cluster, _) = self.cluster(cluster).await?;
        let text = cluster.annotations().get(names::LAST_DRILL);
        Ok(text.and_then(|text| serde_json::from_str(text).ok()))
    }

    /// How the restoring of a database goes or went; `None` if it was not restored.
    pub async fn restore_status(&self, cluster: &str) -> Result<Option<RestoreStatus>, Error> {
        let name = names::restore(cluster);
        let found = self.api::<Restore>().get_opt(&name).await.map_err(Error::api("get restore", &name))?;
        Ok(found.map(|restore| {
            let text = |path: &str| restore.spec.pointer(path).and_then(|v| v.as_str()).map(str::to_owned);
            RestoreStatus {
                cluster: cluster.to_owned(),
                backup: text("/backup/name").unwrap_or_default(),
                time: text("/restoreTime"),
                phase: Phase::of(&restore.status.phase, false),
                message: restore.status.message,
                done_bytes: restore.status.done_bytes,
                total_bytes: restore.status.total_bytes,
            }
        }))
    }
}

/// Whether it stands for an archived log.
pub(crate) fn is_continuous(backup: &Backup) -> bool {
    backup.labels().get(names::BACKUP_TYPE).is_some_and(|t| t == "Continuous")
}

fn backup_status(backup: &Backup, living: &BTreeSet<String>) -> BackupStatus {
    let label = |key: &str| backup.labels().get(key).cloned().unwrap_or_default();
    let state = backup.status.clone();
    let remark = hex::decode(label(names::REMARK)).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    BackupStatus {
        name: backup.name_any(),
        cluster: label(db::INSTANCE),
        cluster_exists: living.contains(&label(names::CLUSTER_UID)),
        engine: label(db::ENGINE),
        engine_version: backup.annotations().get(names::ENGINE_VERSION).cloned().unwrap_or_default(),
        method: backup.spec.backup_method.clone(),
        phase: Phase::of(&state.phase, backup.metadata.deletion_timestamp.is_some()),
        message: state.failure_reason.unwrap_or_default(),
        size: state.total_size.and_then(|s| s.parse().ok()),
        created_at: backup.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()),
        completed_at: state.completion_timestamp,
        expires_at: state.expiration,
        remark: remark.unwrap_or_default(),
        scheduled: backup.labels().contains_key(names::BACKUP_SCHEDULE),
        drill: state.drill,
        key_id: state.key_id,
    }
}

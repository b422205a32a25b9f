//! Asking for restores: beside, of a deleted database, and with a last backup before deletion.

use jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use sealos_db_engines::names as db;
use sealos_kit::apply;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Backups, NewBackup, Phase};
use crate::Error;
use crate::cluster::RestoreFrom;
use crate::kinds::{Backup, Cluster, Window};
use crate::names;

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreRequest {
    /// The name of the database to make; it must not exist.
    pub target: String,
    /// From this backup …
    pub backup: Option<String>,
    /// … or from the newest suitable one of this database.
    pub cluster: Option<String>,
    /// To this moment, RFC 3339, or `latest`; without it, as it was when the backup was made.
    pub time: Option<String>,
}

impl Backups {
    /// Makes a new database from a backup. [`Self::restore_status`] shows how it goes.
    pub async fn restore(&self, request: &RestoreRequest) -> Result<(), Error> {
        let target = &request.target;
        let exists = self.api::<Cluster>().get_metadata_opt(target).await;
        if exists.map_err(Error::api("look for database", target))?.is_some() {
            return Err(Error::Refused(format!(
                "there is a database `{target}` already; restore beside it under another name"
            )));
        }
        let backup = match (&request.backup, &request.cluster) {
            (Some(name), _) => self.backup(name).await?,
            (None, Some(cluster)) => self.suitable(cluster, request.time.as_deref()).await?,
            (None, None) => return Err(Error::Refused("name a backup or a database to restore".into())),
        };
        refuse_unfit(&backup)?;
        let object = cluster_from(&backup, target, &self.workspace, request.time.as_deref())?;
        apply::apply(&self.client, Some(&self.workspace), &object).await.map(drop).map_err(Error::from)
    }

    /// The newest whole backup from which that moment can be reached.
    async fn suitable(&self, cluster: &str, time: Option<&str>) -> Result<Backup, Error> {
        let windows = self.windows(cluster).await?;
        let mut whole = Vec::new();
        for status in self.list(Some(cluster)).await? {
            if status.phase == Phase::Completed {
                whole.push(self.backup(&status.name).await?);
            }
        }
        if whole.is_empty() {
            return Err(Error::Refused(format!("database `{cluster}` has no whole backup")));
        }
        let all: Vec<_> = windows.older.into_iter().chain(windows.current).collect();
        choose(whole, &all, time)
    }

    /// Makes a last backup of a database, waits until it is whole, and deletes the database. Gives the
    /// backup's name, from which the database can be had again.
    pub async fn delete_keeping_backup(&self, cluster: &str) -> Result<String, Error> {
        let wanted = NewBackup { remark: "before deletion".into(), ..NewBackup::default() };
        let backup = self.create(cluster, wanted).await?;
        let done = self.wait(&backup).await?;
        if done.phase != Phase::Completed {
            return Err(Error::Refused(format!(
                "database `{cluster}` was not deleted, because its last backup failed: {}",
                done.message
            )));
        }
        // A Cluster that is to be wiped out takes its backups with it.
        self.patch(cluster, &json!({ "spec": { "terminationPolicy": "Delete" } })).await?;
        let deleted = self.api::<Cluster>().delete(cluster, &DeleteParams::foreground()).await;
        deleted.map_err(Error::api("delete database", cluster))?;
        Ok(backup)
    }

    /// Waits until a backup is whole or has failed.
    pub async fn wait(&self, backup: &str) -> Result<super::BackupStatus, Error> {
        let over = |object: Option<&Backup>| {
            object.is_none_or(|b| matches!(b.status.phase.as_str(), "Completed" | "Failed"))
        };
        let waiting = kube::runtime::wait::await_condition(self.api::<Backup>(), backup, over).await;
        waiting.map_err(|error| Error::Refused(format!("follow backup `{backup}`: {error}")))?;
        self.get(backup).await
    }
}

fn refuse_unfit(backup: &Backup) -> Result<(), Error> {
    let name = backup.name_any();
    match backup.status.phase.as_str() {
        "Completed" if backup.metadata.deletion_timestamp.is_none() => Ok(()),
        "Failed" => {
            let why = backup.status.failure_reason.clone().unwrap_or_default();
            Err(Error::Refused(format!("backup `{name}` failed and cannot be restored: {why}")))
        }
        _ => Err(Error::Refused(format!("backup `{name}` is not whole; wait until it is completed"))),
    }
}

/// Chooses among whole backups, newest first. Pure.
fn choose(whole: Vec<Backup>, windows: &[Window], time: Option<&str>) -> Result<Backup, Error> {
    let shown = |w: &Window| format!("{} to {}", w.from, w.to);
    let nothing = || match windows.iter().map(shown).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => {
            "no log is archived, so only the backups themselves can be restored".into()
        }
        some => format!("what can be restored is {some}"),
    };
    let chain = |b: &Backup| b.annotations().get(names::LOG_CHAIN).and_then(|c| c.parse::<u32>().ok());
    let completed = |b: &Backup| b.status.completion_timestamp.as_ref()?.parse::<Timestamp>().ok();
    let (at, window) = match time {
        None => return whole.into_iter().next().ok_or_else(|| Error::Refused(nothing())),
        Some("latest") => match windows.last() {
            Some(window) => (window.to.parse().unwrap_or(Timestamp::MAX), window),
            None => return Err(Error::Refused(nothing())),
        },
        Some(text) => {
            let at = moment(text)?;
            let inside = |w: &&Window| {
                let bound = |t: &str| t.parse::<Timestamp>();
                bound(&w.from).is_ok_and(|from| from <= at) && bound(&w.to).is_ok_and(|to| at <= to)
            };
            let Some(window) = windows.iter().rev().find(inside) else {
                return Err(Error::Refused(format!("{text} cannot be restored; {}", nothing())));
            };
            (at, window)
        }
    };
    let fits = |b: &Backup| chain(b) == Some(window.chain) && completed(b).is_some_and(|c| c <= at);
    whole.into_iter().find(fits).ok_or_else(|| Error::Refused(nothing()))
}

fn moment(text: &str) -> Result<Timestamp, Error> {
    text.parse().map_err(|_| {
        Error::Refused(format!(
            "`{text}` is no moment; write it as 2026-11-24T16:00:00Z or with an offset, as in 2026-11-24T17:00:00+01:00"
        ))
    })
}

/// The Cluster that is made from a backup: the old one's spec, without its replicas' names and schedule. Pure.
pub(crate) fn cluster_from(
    backup: &Backup,
    target: &str,
    workspace: &str,
    time: Option<&str>,
) -> Result<Value, Error> {
    let name = backup.name_any();
    let text = backup.annotations().get(names::CLUSTER_SNAPSHOT);
    let snapshot: Value = text.and_then(|t| serde_json::from_str(t).ok()).ok_or_else(|| {
        Error::Refused(format!(
            "backup `{name}` does not say which database it is of, so none can be made from it"
        ))
    })?;
    let component = backup.labels().get(db::COMPONENT).cloned().unwrap_or_default();
    let restore_time = match time {
        None => None,
        Some("latest") => Some("latest".to_owned()),
        Some(text) => Some(moment(text)?.to_string()),
    };
    let from = RestoreFrom { name, namespace: Some(workspace.to_owned()), restore_time };
    let mut metadata = snapshot["metadata"].clone();
    metadata["name"] = json!(target);
    metadata["annotations"][db::RESTORE_FROM] = json!(json!({ component: from }).to_string());
    if let Some(labels) = metadata["labels"].as_object_mut() {
        labels.remove(db::INSTANCE);
        labels.remove(names::DRILL);
    }
    Ok(json!({
        "apiVersion": "apps.kubeblocks.io/v1alpha1", "kind": "Cluster",
        "metadata": metadata, "spec": snapshot["spec"],
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Backup, Window, choose, cluster_from, refuse_unfit};

    fn backup(name: &str, chain: u32, completed: &str) -> Backup {
        let snapshot = json!({ "metadata": { "name": "shop", "labels": {}, "annotations": {} },
            "spec": { "terminationPolicy": "Delete" } });
        serde_json::from_value(json!({
            "metadata": { "name": name, "labels": { "apps.kubeblocks.io/component-name": "postgresql" },
                "annotations": { "databases.sealos.io/log-chain": chain.to_string(),
                    "kubeblocks.io/cluster-snapshot": snapshot.to_string() } },
            "status": { "phase": "Completed", "completionTimestamp": completed },
        }))
        .expect("a Backup")
    }

    fn windows() -> [Window; 2] {
        let window = |chain, from: &str, to: &str| Window {
            chain,
            from: from.into(),
            to: to.into(),
            last: 0,
            ended: None,
        };
        [
            window(1, "2026-11-24T10:00:00Z", "2026-11-24T11:00:00Z"),
            window(2, "2026-11-24T12:00:00Z", "2026-11-24T15:00:00Z"),
        ]
    }

    fn chosen(time: Option<&str>) -> Result<String, String> {
        let whole = vec![
            backup("c", 2, "2026-11-24T14:00:00Z"),
            backup("b", 2, "2026-11-24T12:00:00Z"),
            backup("a", 1, "2026-11-24T10:00:00Z"),
        ];
        choose(whole, &windows(), time)
            .map(|b| b.metadata.name.unwrap_or_default())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn the_newest_backup_before_the_moment_in_its_window_is_chosen() {
        assert_eq!(chosen(None).as_deref(), Ok("c"));
        assert_eq!(chosen(Some("latest")).as_deref(), Ok("c"));
        assert_eq!(chosen(Some("2026-11-24T13:59:59Z")).as_deref(), Ok("b"));
        assert_eq!(chosen(Some("2026-11-24T11:30:00+01:00")).as_deref(), Ok("a"));
        let gap = chosen(Some("2026-11-24T11:30:00Z")).expect_err("nobody archived that");
        assert!(gap.contains("2026-11-24T10:00:00Z to 2026-11-24T11:00:00Z"), "{gap}");
        assert!(chosen(Some("yesterday")).expect_err("that is no moment").contains("write it as"));
    }

    #[test]
    fn a_database_is_made_from_the_snapshot_in_the_backup() {
        let backup = backup("b", 2, "2026-11-24T12:00:00Z");
        refuse_unfit(&backup).expect("it is whole");
        let object =
            cluster_from(&backup, "shop2", "ns-a", Some("2026-11-24T13:00:00+01:00")).expect("an object");
        assert_eq!(object["metadata"]["name"], "shop2");
        assert_eq!(object["spec"]["terminationPolicy"], "Delete");
        assert_eq!(
            object["metadata"]["annotations"]["kubeblocks.io/restore-from-backup"],
            r#"{"postgresql":{"name":"b","namespace":"ns-a","restoreTime":"2026-11-24T12:00:00Z"}}"#
        );
    }
}

//! Drills: the newest backup of a database is restored into a throw-away one, which is checked and deleted.
//! One at a time; after the first backup, then once a day, and when somebody asks.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams};
use kube::runtime::wait::await_condition;
use sealos_db_engines::names as db;
use sealos_kit::apply;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::{Controller, Shared, written};
use crate::Error;
use crate::actions::read::is_continuous;
use crate::actions::restore::cluster_from;
use crate::cluster::View;
use crate::kinds::{Backup, Cluster, Drill, Restore};
use crate::names;
use crate::pods;

/// Between two drills that nobody asked for.
const EVERY: SignedDuration = SignedDuration::from_hours(23);
/// The longest drill.
const LIMIT: Duration = Duration::from_secs(4 * 3600);
/// How long a restored database may take to be ready.
const READY: Duration = Duration::from_secs(600);
const JOB: &str = "drill";

/// What `check.sh` answers.
#[derive(Debug, Deserialize)]
struct Checked {
    ok: bool,
    tables: Option<u64>,
    rows: Option<u64>,
    #[serde(default)]
    detail: String,
}

/// Whether a drill is due. Pure.
fn is_due(view: &View, newest_drilled: bool, now: Timestamp) -> bool {
    if view.is_drill || view.is_going || view.waits() {
        return false;
    }
    let asked = view.drill_requested.is_some_and(|asked| view.last_drill.is_none_or(|last| asked > last));
    let rested = view.last_drill.is_none_or(|last| now.duration_since(last) >= EVERY);
    asked || (view.wish.enabled && !view.drills_off && !newest_drilled && rested)
}

impl Controller {
    /// Starts the next drill, and removes what one left that was cut off.
    pub(super) async fn drills(&mut self, views: &[View]) {
        if self.jobs.contains_key(JOB) {
            return;
        }
        for view in views.iter().filter(|v| v.is_drill && !v.is_going) {
            self.shared.throw_away(&view.namespace, &view.name).await;
        }
        if views.iter().any(|v| v.is_drill) {
            return;
        }
        let now = Timestamp::now();
        for view in views {
            let Some(backup) = self.shared.newest(view) else { continue };
            if is_due(view, backup.status.drill.is_some(), now) {
                let (shared, view) = (self.shared.clone(), view.clone());
                return self.job(JOB.to_owned(), async move { shared.drill(&view, &backup).await });
            }
        }
    }
}

impl Shared {
    /// The newest whole backup of a Cluster.
    fn newest(&self, view: &View) -> Option<std::sync::Arc<Backup>> {
        let of = |b: &std::sync::Arc<Backup>| {
            b.labels().get(names::CLUSTER_UID) == Some(&view.uid)
                && !is_continuous(b)
                && b.status.phase == "Completed"
                && b.metadata.deletion_timestamp.is_none()
        };
        let all = self.backups.state().into_iter().filter(of);
        all.max_by(|a, b| a.status.completion_timestamp.cmp(&b.status.completion_timestamp))
    }

    async fn drill(&self, view: &View, backup: &Backup) {
        let begun = Timestamp::now();
        let running = Drill {
            backup: backup.name_any(),
            phase: "Running".into(),
            started_at: written(begun),
            message: "restoring into a throw-away database".into(),
            ..Drill::default()
        };
        self.record(view, &running).await;
        info!(namespace = %view.namespace, cluster = %view.name, backup = %running.backup, "a drill begins");
        let name = format!("{}-drill", view.name);
        let found = tokio::time::timeout(LIMIT, self.rehearse(view, backup, &name)).await;
        self.throw_away(&view.namespace, &name).await;
        let now = Timestamp::now();
        let seconds = u64::try_from(now.duration_since(begun).as_secs()).unwrap_or(0);
        let (passed, checked, message) = match found {
            Ok(Ok(checked)) => (checked.ok, Some((checked.tables, checked.rows)), checked.detail),
            Ok(Err(error)) => (false, None, error.sentence()),
            Err(_) => (false, None, format!("it did not end within {LIMIT:?}")),
        };
        let drill = Drill {
            phase: if passed { "Passed" } else { "Failed" }.into(),
            finished_at: Some(written(now)),
            seconds,
            tables: checked.and_then(|c| c.0),
            rows: checked.and_then(|c| c.1),
            message,
            ..running
        };
        self.record(view, &drill).await;
        let (reason, note) = match passed {
            true => {
                ("DrillPassed", format!("backup `{}` was restored and checked in {seconds} s", drill.backup))
            }
            false => ("DrillFailed", format!("backup `{}`: {}", drill.backup, drill.message)),
        };
        self.tell(&view.namespace, &view.name, reason, passed, &note).await;
    }

    async fn record(&self, view: &View, drill: &Drill) {
        let text = serde_json::to_string(drill).unwrap_or_default();
        let status = self.report::<Backup>(&view.namespace, &drill.backup, &json!({ "drill": drill })).await;
        let marks = json!({ "annotations": { names::LAST_DRILL: text } });
        // A drill that is under way is shown at its backup; the database shows the last that ended.
        let mark = match drill.phase.as_str() {
            "Running" => Ok(()),
            _ => self.mark::<Cluster>(&view.namespace, &view.name, marks).await,
        };
        if let Err(error) = status.and(mark) {
            warn!(%error, cluster = %view.name, "what a drill found could not be written");
        }
    }

    async fn rehearse(&self, view: &View, backup: &Backup, name: &str) -> Result<Checked, Error> {
        let object = drill_cluster(backup, name, &view.namespace)?;
        apply::apply(&self.client, Some(&view.namespace), &object).await?;
        let restored = |r: Option<&Restore>| {
            r.is_some_and(|r| matches!(r.status.phase.as_str(), "Completed" | "Failed"))
        };
        let api: Api<Restore> = self.api(&view.namespace);
        let restore = await_condition(api, &names::restore(name), restored).await;
        let restore = restore.map_err(|e| Error::Refused(format!("follow the restore of the drill: {e}")))?;
        let restore = restore.map(|r| r.status).unwrap_or_default();
        if restore.phase != "Completed" {
            return Err(Error::Refused(restore.message));
        }
        let pod = format!("{}-0", db::workload(name, &view.component));
        let api: Api<Pod> = self.api(&view.namespace);
        let ready = await_condition(api, &pod, |p: Option<&Pod>| {
            p.is_some_and(|p| pods::runs(p) && pods::is_ready(p))
        });
        let ready = tokio::time::timeout(READY, ready).await;
        let Ok(Ok(Some(pod))) = ready else {
            return Err(Error::Refused(format!(
                "the restored database did not become ready within {READY:?}"
            )));
        };
        let answer = self.shell.run(&pods::target(&pod), &["check.sh"], LIMIT).await?;
        serde_json::from_slice(&answer).map_err(|_| Error::Answer {
            script: "check.sh",
            answer: String::from_utf8_lossy(&answer).chars().take(200).collect(),
        })
    }

    async fn throw_away(&self, namespace: &str, name: &str) {
        let done = self.api::<Cluster>(namespace).delete(name, &DeleteParams::foreground()).await;
        match done {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => warn!(%error, cluster = %name, "a drill's database could not be deleted"),
        }
    }
}

/// The throw-away Cluster: one replica, without backups, gone with everything when it is deleted. Its
/// resources stay, since a server refuses the log of one with more connections.
fn drill_cluster(backup: &Backup, name: &str, namespace: &str) -> Result<Value, Error> {
    let mut object = cluster_from(backup, name, namespace, None)?;
    object["metadata"]["labels"][names::DRILL] = json!("true");
    object["spec"]["terminationPolicy"] = json!("WipeOut");
    if let Some(spec) = object["spec"].as_object_mut() {
        spec.remove("backup");
        for component in spec.get_mut("componentSpecs").and_then(Value::as_array_mut).into_iter().flatten() {
            component["replicas"] = json!(1);
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::{drill_cluster, is_due};
    use crate::cluster::View;
    use crate::kinds::{Backup, Cluster};

    fn view(enabled: bool, annotations: serde_json::Value) -> View {
        let cluster: Cluster = serde_json::from_value(json!({
            "metadata": { "name": "shop", "annotations": annotations },
            "spec": { "clusterDefinitionRef": "postgresql", "componentSpecs": [{ "name": "postgresql" }],
                "backup": { "enabled": enabled } } }))
        .expect("a Cluster");
        View::of(&cluster).expect("an engine")
    }

    #[test]
    fn drills_come_daily_or_when_asked_for() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let last = |time: &str| json!({ "backup": "b", "startedAt": time }).to_string();
        let drilled = json!({ "databases.sealos.io/last-drill": last("2026-11-24T06:00:00Z") });
        let asked = json!({ "databases.sealos.io/last-drill": last("2026-11-24T06:00:00Z"),
            "databases.sealos.io/drill-requested": "2026-11-24T07:00:00Z" });
        assert!(is_due(&view(true, json!({})), false, now));
        assert!(!is_due(&view(true, json!({})), true, now), "the newest backup has been tried");
        assert!(!is_due(&view(false, json!({})), false, now));
        assert!(!is_due(&view(true, json!({ "databases.sealos.io/drills": "off" })), false, now));
        assert!(!is_due(&view(true, drilled), false, now));
        assert!(is_due(&view(false, asked), true, now));
    }

    #[test]
    fn a_drill_is_small_hidden_and_goes_with_everything() {
        let snapshot = json!({ "metadata": { "name": "shop", "labels": {}, "annotations": {} }, "spec": {
            "terminationPolicy": "Delete", "backup": { "enabled": true }, "componentSpecs": [{ "name": "postgresql", "replicas": 3 }] } });
        let backup: Backup = serde_json::from_value(json!({ "metadata": { "name": "b",
            "labels": { "apps.kubeblocks.io/component-name": "postgresql" },
            "annotations": { "kubeblocks.io/cluster-snapshot": snapshot.to_string() } } }))
        .expect("a Backup");
        let object = drill_cluster(&backup, "shop-drill", "default").expect("an object");
        assert_eq!(object["metadata"]["labels"]["databases.sealos.io/drill"], "true");
        assert_eq!(object["spec"]["componentSpecs"][0]["replicas"], 1);
        assert_eq!(
            (&object["spec"]["terminationPolicy"], &object["spec"]["backup"]),
            (&json!("WipeOut"), &json!(null))
        );
    }
}

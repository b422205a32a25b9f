//! Archived logs: a job for each Cluster that has one. At most a minute of commits is not archived: what is
//! open is closed every 30 s, and what is closed is taken away every 3 s.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use sealos_db_engines::{names as db, parameters};
use sealos_kit::apply;
use serde_json::{Value, json};
use tracing::{debug, warn};

use super::{Controller, Shared, written};
use crate::Error;
use crate::actions::read::is_continuous;
use crate::actions::{backup_object, named, object_labels};
use crate::archive::{Archive, Succession};
use crate::cluster::View;
use crate::kinds::{Backup, Window};
use crate::names::{self, API_VERSION};
use crate::pods;
use crate::repo::{LogStart, Place, Repo};

/// How often closed segments are looked for.
const LOOK: Duration = Duration::from_secs(3);
/// How often the open segment is closed.
const SWITCH: Duration = Duration::from_secs(30);
/// How often what nobody needs is removed.
const PRUNE: Duration = Duration::from_secs(600);
/// A backup of a replica may begin in its past; segments of this time before it are kept for it.
const MARGIN: SignedDuration = SignedDuration::from_mins(15);
/// After a base backup failed, the next one is not tried before this.
const AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// Where an archive is.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    chain: u32,
    /// The segments of the last minutes: when each was closed, and its number.
    recent: Vec<(Timestamp, u64)>,
    last: u64,
}

impl Position {
    /// From where the log is needed by a backup that began at that moment.
    pub(super) fn start(&self, begun: Timestamp, from_replica: bool) -> LogStart {
        let mut after = self.last;
        if from_replica {
            let early = begun.checked_sub(MARGIN).unwrap_or(Timestamp::MIN);
            let older = self.recent.iter().take_while(|(closed, _)| *closed < early).last();
            after = older.map_or(self.recent.first().map_or(self.last, |(_, n)| n - 1), |(_, n)| *n);
        }
        LogStart { chain: self.chain, after }
    }
}

impl Controller {
    /// Keeps a job that archives a Cluster's log.
    pub(super) fn archive(&mut self, view: &View) {
        let (shared, view) = (self.shared.clone(), view.clone());
        self.job(format!("archive/{}", view.uid), async move {
            if let Err(error) = shared.archive(&view).await {
                let reason = error.sentence();
                debug!(cluster = %view.name, %reason, "archiving was interrupted, it is tried again");
                let name = names::logs(&view.name, &view.component);
                let status = json!({ "failureReason": format!("archiving is interrupted: {reason}") });
                shared.report::<Backup>(&view.namespace, &name, &status).await.ok();
            }
            if let Ok(mut all) = shared.archives.lock() {
                all.remove(&view.uid);
            }
            tokio::time::sleep(LOOK).await;
        });
    }
}

impl Shared {
    /// Archives until something fails or the Cluster does not want it any more.
    async fn archive(&self, view: &View) -> Result<(), Error> {
        let repo = self.stores.open(&view.namespace, &view.wish.repo_name).await?;
        let place = Place::new(&view.namespace, &view.name, &view.uid);
        let mut archive: Option<Archive> = None;
        let (mut switched, mut pruned) = (Instant::now() - SWITCH, Instant::now());
        let succession = if view.engine.from_replica { Succession::Shared } else { Succession::Own };
        loop {
            let current = self.clusters.state().into_iter().find(|c| c.uid().as_deref() == Some(&view.uid));
            if !current.and_then(|c| View::of(&c)).is_some_and(|v| v.archives()) {
                return Ok(());
            }
            let all = self.pods(view).await?;
            if let Some(primary) = pods::primary(&all).filter(|p| pods::is_ready(p)).map(pods::target)
                && self.is_on(view).await?
            {
                let open = match &mut archive {
                    Some(open) => open,
                    none => none
                        .insert(Archive::open(&repo, place.clone(), &primary.pod, view.restored_at).await?),
                };
                let switch = switched.elapsed() >= SWITCH;
                let broken = open.pass(&*self.shell, &repo, &primary, succession, switch).await?;
                if switch {
                    switched = Instant::now();
                }
                self.note(view, open);
                if let Some(why) = &broken {
                    warn!(cluster = %view.name, %why, "an archived log has a gap; a new backup begins another");
                    self.tell(&view.namespace, &view.name, "LogArchiveGap", false, why).await;
                }
                self.base(view, open.number()).await?;
                if switch || broken.is_some() {
                    self.show(view, open, &place, broken).await?;
                }
                if pruned.elapsed() >= PRUNE {
                    pruned = Instant::now();
                    self.prune(view, open, &repo).await?;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the engine has been told to keep its log for us.
    async fn is_on(&self, view: &View) -> Result<bool, Error> {
        let name = db::parameters_config(&view.name, &view.component);
        let found = self.api::<ConfigMap>(&view.namespace).get_opt(&name).await;
        let found = found.map_err(Error::api("get ConfigMap", &name))?;
        Ok(found.and_then(|c| c.data?.remove(parameters::ARCHIVE)).is_some_and(|on| on.trim() == "on"))
    }

    fn note(&self, view: &View, archive: &Archive) {
        let position = Position { chain: archive.number(), recent: archive.recent(), last: archive.last() };
        if let Ok(mut all) = self.archives.lock() {
            all.insert(view.uid.clone(), position);
        }
    }

    /// The whole backups of a Cluster, with the chains that go on from them.
    fn bases(&self, view: &View) -> Vec<(LogStart, std::sync::Arc<Backup>)> {
        let of = |b: &Backup| b.labels().get(names::CLUSTER_UID) == Some(&view.uid) && !is_continuous(b);
        let number = |b: &Backup, key: &str| b.annotations().get(key).and_then(|n| n.parse::<u64>().ok());
        let start = |b: &Backup| {
            let chain = u32::try_from(number(b, names::LOG_CHAIN)?).ok()?;
            Some(LogStart { chain, after: number(b, names::LOG_AFTER)? })
        };
        let all = self.backups.state().into_iter().filter(|b| of(b));
        all.filter_map(|b| Some((start(&b)?, b))).collect()
    }

    /// A chain without a backup helps nobody: one is made.
    async fn base(&self, view: &View, chain: u32) -> Result<(), Error> {
        if self.bases(view).iter().any(|(start, _)| start.chain == chain) {
            return Ok(());
        }
        let policy = names::policy(&view.name, &view.component);
        let now = Timestamp::now();
        let waits = self.backups.state().iter().any(|b| {
            let created = b.metadata.creation_timestamp.as_ref();
            let created: Option<Timestamp> = created.and_then(|t| t.0.to_string().parse().ok());
            let recent = created.is_some_and(|c| now.duration_since(c) < AGAIN);
            let runs = matches!(b.status.phase.as_str(), "" | "New" | "Running");
            let failed = b.status.phase == "Failed" && recent;
            b.namespace().as_ref() == Some(&view.namespace)
                && b.spec.backup_policy_name == policy
                && !is_continuous(b)
                && (runs || failed)
        });
        let Some(method) = view.method(&view.wish.method).or_else(|| view.method("")).filter(|_| !waits)
        else {
            return Ok(());
        };
        let keep = Some(view.wish.retention_period.as_str()).filter(|k| !k.is_empty());
        let mut object = backup_object(view, &named(&view.name, now), method, keep);
        object["metadata"]["labels"][names::BACKUP_SCHEDULE] =
            json!(names::schedule(&view.name, &view.component));
        apply::apply(&self.client, Some(&view.namespace), &object).await?;
        // The watch must have seen it before the next look.
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    /// Writes the Backup that stands for the archive.
    async fn show(
        &self,
        view: &View,
        archive: &Archive,
        place: &Place,
        broken: Option<String>,
    ) -> Result<(), Error> {
        let name = names::logs(&view.name, &view.component);
        let known = self.api::<Backup>(&view.namespace).get_opt(&name).await;
        let known = known.map_err(Error::api("get backup", &name))?;
        if known.is_none() {
            let mut object = backup_object(view, &name, "log-archive", None);
            object["metadata"]["labels"] = object_labels(view);
            object["metadata"]["labels"][names::BACKUP_TYPE] = json!("Continuous");
            object["metadata"]["finalizers"] = json!([names::FINALIZER]);
            debug_assert!(object["apiVersion"] == API_VERSION, "backup_object makes ours");
            apply::apply(&self.client, Some(&view.namespace), &object).await?;
        }
        let mut windows = known.map(|k| k.status.windows).unwrap_or_default();
        let bases = self.bases(view);
        windows.retain(|w| w.chain != archive.number() && bases.iter().any(|(s, _)| s.chain == w.chain));
        if let (Some(why), Some(last)) = (broken, windows.last_mut()) {
            last.ended = Some(why);
        }
        if let Some(window) = current_window(&bases, archive) {
            windows.push(window);
        }
        let range = windows.last().map(|w| json!({ "start": w.from, "end": w.to }));
        let status: Value = json!({ "phase": "Running", "path": place.logs(), "timeRange": range,
            "backupRepoName": view.wish.repo_name, "windows": windows, "failureReason": null });
        self.report::<Backup>(&view.namespace, &name, &status).await
    }

    async fn prune(&self, view: &View, archive: &mut Archive, repo: &Repo) -> Result<(), Error> {
        let bases: Vec<_> = self.bases(view).into_iter().map(|(start, _)| start).collect();
        let count = if bases.is_empty() { 0 } else { archive.prune(repo, &bases).await? };
        debug!(cluster = %view.name, count, "log segments that nobody needs were removed");
        Ok(())
    }
}

/// From the end of the oldest backup of the chain to the last look.
fn current_window(bases: &[(LogStart, std::sync::Arc<Backup>)], archive: &Archive) -> Option<Window> {
    let of =
        bases.iter().filter(|(start, b)| start.chain == archive.number() && b.status.phase == "Completed");
    let ends = of.filter_map(|(_, b)| b.status.completion_timestamp.as_ref()?.parse::<Timestamp>().ok());
    let from = ends.min()?;
    let to = archive.latest();
    (to >= from).then(|| Window {
        chain: archive.number(),
        from: written(from),
        to: written(to),
        last: archive.last(),
        ended: None,
    })
}

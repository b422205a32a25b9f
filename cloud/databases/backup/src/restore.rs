//! Restoring: what is needed is found and checked first, then fed to a pod that waits. Knows no Kubernetes.

use std::time::Duration;

use jiff::Timestamp;
use sealos_kit::exec::Target;

use crate::Error;
use crate::chain::{Known, To, chains, needed};
use crate::cluster::{Engine, RestoreFrom, View, major};
use crate::repo::{Manifest, Moved, Place, Repo, Segment};
use crate::shell::Shell;
use crate::take::manifest_path;

/// What is on its way between the repository and a script, in bytes.
const WINDOW: usize = 1 << 20;
/// A question to the pod is answered within this time.
const LIMIT: Duration = Duration::from_secs(30);

/// Everything that a restore needs, found and checked.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) manifest: Manifest,
    pub(crate) segments: Vec<Segment>,
    /// Where the engine is to stop in the log; the end if it is missing.
    pub(crate) stop: Option<Timestamp>,
}

impl Plan {
    /// The bytes in the bucket that will be read.
    pub(crate) fn bytes(&self) -> u64 {
        self.manifest.stored + self.segments.iter().map(|s| s.stored).sum::<u64>()
    }

    /// Reads a backup's manifest and the listing of its log, and refuses what cannot be restored.
    pub(crate) async fn find(
        repo: &Repo,
        prefix: &str,
        view: &View,
        from: &RestoreFrom,
        known: &Known,
    ) -> Result<Self, Error> {
        let manifest = Manifest::read(repo, &manifest_path(prefix)).await?;
        fits(&manifest, view)?;
        let to = match from.restore_time.as_deref() {
            None => return Ok(Self { manifest, segments: Vec::new(), stop: None }),
            Some("latest") => To::End,
            Some(text) => To::Moment(text.parse().map_err(|_| {
                Error::Refused(format!("`{text}` is no moment; write it as 2026-11-24T16:00:00Z"))
            })?),
        };
        let (Some(start), Some(place)) = (manifest.logs, Place::of_data(&manifest.data)) else {
            return Err(Error::Refused(format!(
                "no log was archived when backup `{}` was made, so it can only be restored as a whole",
                manifest.backup
            )));
        };
        let whole_at = manifest.stopped_at.parse().unwrap_or(Timestamp::MIN);
        let mut found = chains(&place, &repo.list(&place.chain(start.chain)).await?);
        let chain = found.remove(&start.chain).unwrap_or_default();
        let segments = needed(start, whole_at, &chain, known, to)?;
        let stop = match to {
            To::End => None,
            To::Moment(moment) => Some(moment),
        };
        Ok(Self { manifest, segments, stop })
    }

    /// Feeds a pod that waits. `step` is told what is being done.
    pub(crate) async fn feed(
        &self,
        shell: &dyn Shell,
        repo: &Repo,
        pod: &Target,
        moved: &Moved,
        step: impl Fn(String),
    ) -> Result<(), Error> {
        step(format!("restoring the base backup `{}`", self.manifest.backup));
        carry(shell, repo, pod, &self.manifest.data, &["restore-base.sh"], moved).await?;
        for (index, segment) in self.segments.iter().enumerate() {
            step(format!("restoring log segment {} of {}", index + 1, self.segments.len()));
            carry(shell, repo, pod, &segment.path, &["restore-log.sh", &segment.name], moved).await?;
        }
        let stop = self.stop.map(|t| t.to_string());
        step(match &stop {
            Some(stop) => format!("recovering to {stop}"),
            None => "recovering".to_owned(),
        });
        let script: Vec<_> = std::iter::once("restore-end.sh").chain(stop.as_deref()).collect();
        shell.pour(pod, &script, Box::new(tokio::io::empty()), Box::new(tokio::io::sink())).await
    }
}

/// Whether a pod waits for its data.
pub(crate) async fn waits(shell: &dyn Shell, pod: &Target) -> bool {
    shell.run(pod, &["/bin/sh", "-c", "test -e /sealos/data/.restore/waiting"], LIMIT).await.is_ok()
}

/// Refuses a backup of another engine, or of a version whose files this one cannot read.
fn fits(manifest: &Manifest, view: &View) -> Result<(), Error> {
    let (theirs, ours) = (Engine::find(&manifest.engine), view.engine);
    if theirs.map(|e| e.name) != Some(ours.name) {
        return Err(Error::Refused(format!(
            "backup `{}` is of {}, and database `{}` is {}",
            manifest.backup, manifest.engine, view.name, ours.name
        )));
    }
    let (Some(was), Some(is)) = (major(&manifest.engine_version), major(&view.version)) else {
        return Ok(());
    };
    if is < was || (ours.same_major && is != was) {
        return Err(Error::Refused(format!(
            "backup `{}` is of {} {was}, whose files {} {is} cannot read; restore it into version {was} and upgrade there",
            manifest.backup, ours.name, ours.name
        )));
    }
    Ok(())
}

/// Streams an object into a script. Damage is found before it reaches the script, and counts more than what
/// the script says of a stream that ended early.
async fn carry(
    shell: &dyn Shell,
    repo: &Repo,
    pod: &Target,
    path: &str,
    script: &[&str],
    moved: &Moved,
) -> Result<(), Error> {
    let (read, write) = tokio::io::duplex(WINDOW);
    let fed = repo.read(path, write, moved);
    let ran = shell.pour(pod, script, Box::new(read), Box::new(tokio::io::sink()));
    let (fed, ran) = tokio::join!(fed, ran);
    match (fed, ran) {
        // A script that ends early closes the pipe: its own words say why.
        (Err(Error::Stream { .. }) | Ok(()), Err(error)) => Err(error),
        (fed, _) => fed,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use jiff::Timestamp;
    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use serde_json::json;

    use super::Plan;
    use crate::archive::{Archive, Succession};
    use crate::chain::Known;
    use crate::cluster::{RestoreFrom, View};
    use crate::format::Key;
    use crate::kinds::Cluster;
    use crate::repo::{LogStart, Manifest, Moved, Place, Repo};
    use crate::shell::fake::{Fake, pod};
    use crate::take::{data_path, take};

    struct Site {
        store: Arc<InMemory>,
        repo: Repo,
        shell: Fake,
        prefix: String,
    }

    fn view(version: &str) -> View {
        let cluster: Cluster = serde_json::from_value(json!({ "metadata": { "name": "shop2" },
            "spec": { "clusterDefinitionRef": "postgresql", "clusterVersionRef": format!("postgresql-{version}"),
                "componentSpecs": [{ "name": "postgresql" }] } }))
        .expect("a Cluster");
        View::of(&cluster).expect("an engine")
    }

    fn from(time: Option<&str>) -> RestoreFrom {
        RestoreFrom { name: "b".into(), namespace: None, restore_time: time.map(str::to_owned) }
    }

    /// A backup, then two segments of log.
    async fn site() -> Site {
        let store = Arc::new(InMemory::new());
        let repo = Repo::new(store.clone(), Key::random());
        let (shell, place) = (Fake::default(), Place::new("default", "shop", "u"));
        shell.says("backup.sh", &[b"base"]);
        shell.says("log-read.sh", &[b"log"]);
        let mut archive = Archive::open(&repo, place.clone(), &pod().pod, None).await.expect("it opens");
        let prefix = place.backup("b");
        let manifest: Manifest = serde_json::from_value(json!({
            "version": 1, "backup": "b", "namespace": "default", "cluster": "shop", "clusterUid": "u",
            "component": "postgresql", "engine": "postgresql", "engineVersion": "16.4.0", "method": "pg-basebackup",
            "startedAt": "", "stoppedAt": "", "data": data_path(&prefix), "size": 0, "stored": 0, "sha256": "",
            "keyId": "", "clusterSnapshot": {},
        }))
        .expect("a manifest");
        let logs = Some(LogStart { chain: archive.number(), after: archive.last() });
        let manifest = Manifest { logs, ..manifest };
        take(&shell, &repo, &pod(), manifest, &prefix, &Moved::default()).await.expect("it is taken");
        for number in 1..=2 {
            shell.says("log-list.sh", &[format!("0000000100000000000000{number:02}").as_bytes()]);
            archive.pass(&shell, &repo, &pod(), Succession::Shared, true).await.expect("it is archived");
        }
        shell.record();
        Site { store, repo, shell, prefix }
    }

    async fn restore(site: &Site, version: &str, time: Option<&str>) -> Result<Vec<String>, String> {
        let plan = Plan::find(&site.repo, &site.prefix, &view(version), &from(time), &Known::default()).await;
        let plan = plan.map_err(|e| e.to_string())?;
        let fed = plan.feed(&site.shell, &site.repo, &pod(), &Moved::default(), |_| {}).await;
        fed.map_err(|e| e.to_string())?;
        Ok(site.shell.record().into_iter().map(|(s, read)| format!("{s}<{}", read.len())).collect())
    }

    #[tokio::test]
    async fn base_and_log_are_fed_in_order() {
        let site = site().await;
        assert_eq!(
            restore(&site, "16.4.0", None).await,
            Ok(vec!["restore-base.sh<4".into(), "restore-end.sh<0".into()])
        );
        let latest = restore(&site, "16.1.0", Some("latest")).await.expect("it is restored");
        let expected = [
            "restore-base.sh<4",
            "restore-log.sh 000000010000000000000001<3",
            "restore-log.sh 000000010000000000000002<3",
            "restore-end.sh<0",
        ];
        assert_eq!(latest, expected);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_before_anything_is_fed() {
        let site = site().await;
        for (version, time, why) in [
            ("17.0", None, "cannot read"),
            ("15.0", None, "cannot read"),
            ("16.4.0", Some("2020-01-01T00:00:00Z"), "choose an older backup"),
            ("16.4.0", Some("2099-01-01T00:00:00Z"), "only up to"),
            ("16.4.0", Some("noon"), "no moment"),
        ] {
            let error = restore(&site, version, time).await.expect_err("it does not fit");
            assert!(error.contains(why), "{error}");
        }
        assert!(site.shell.record().is_empty());
    }

    #[tokio::test]
    async fn a_damaged_or_missing_segment_is_named() {
        let site = site().await;
        let logs = Place::new("default", "shop", "u").logs();
        let listing = site.repo.list(&logs).await.expect("the store answers");
        let segment = listing.iter().find(|(p, _)| p.ends_with("01")).expect("it is there").0.clone();
        let path = Path::from(segment.as_str());
        let stored = site.store.get(&path).await.expect("it is there").bytes().await.expect("it is read");
        let mut flipped = stored.to_vec();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        site.store.put(&path, Bytes::from(flipped).into()).await.expect("it is written");
        let error = restore(&site, "16.4.0", Some("latest")).await.expect_err("it is damaged");
        assert!(error.contains(&segment) && error.contains("chunk 1"), "{error}");
        let fed = site.shell.record();
        assert!(!fed.iter().any(|(script, _)| script.starts_with("restore-end.sh")), "{fed:?}");

        site.store.delete(&path).await.expect("it is removed");
        let error = restore(&site, "16.4.0", Some("latest")).await.expect_err("it is missing");
        assert!(error.contains("log segment 1"), "{error}");
        let now = Timestamp::now().to_string();
        assert!(restore(&site, "16.4.0", Some(&now)).await.is_err());
    }
}

//! Archiving a log: one pass takes away what waits. Knows no Kubernetes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sealos_kit::exec::Target;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::chain::{Chain, Follows, chains, follows};
use crate::repo::{LogStart, Mark, Moved, Place, Repo};
use crate::shell::Shell;
use crate::take::pour;

/// Scripts that only ask or tell are quick.
const LIMIT: Duration = Duration::from_secs(30);

/// Now, as exactly as paths say it.
fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or(Timestamp::MIN)
}

/// Why a chain does not grow any more; the object `ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Everything before this moment is archived.
    pub(crate) latest: Option<Timestamp>,
    /// Why.
    pub(crate) why: String,
}

/// The archive of one component's log.
pub(crate) struct Archive {
    place: Place,
    chains: BTreeMap<u32, Chain>,
    number: u32,
    pod: String,
    last_name: Option<String>,
    latest: Timestamp,
}

/// What a server must tell, so that its log can go on from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Succession {
    /// Replicas share one log (PostgreSQL).
    Shared,
    /// Each server has a log of its own (MySQL): a new primary begins a new chain.
    Own,
}

impl Archive {
    /// Reads what is archived, and begins the first chain if there is none. `since` is when the data was
    /// restored in place, if it was: older chains tell of another history.
    pub(crate) async fn open(
        repo: &Repo,
        place: Place,
        pod: &str,
        since: Option<Timestamp>,
    ) -> Result<Self, Error> {
        let chains = chains(&place, &repo.list(&place.logs()).await?);
        let number = chains.keys().max().copied().unwrap_or(0);
        let chain = chains.get(&number).cloned().unwrap_or_default();
        let begun = repo.get(&place.begun(number)).await?;
        let begun = begun.and_then(|text| serde_json::from_slice::<Begun>(&text).ok());
        let mut archive = Self {
            place,
            number,
            pod: begun.as_ref().map_or_else(|| pod.to_owned(), |b| b.pod.clone()),
            last_name: chain.last_name().map(str::to_owned),
            latest: chain.latest().or(begun.as_ref().map(|b| b.at)).unwrap_or(Timestamp::MIN),
            chains,
        };
        let is_older = since.is_some_and(|since| archive.latest < since);
        if begun.is_none() || chain.is_ended || is_older {
            archive.begin(repo, pod, now()).await?;
        }
        Ok(archive)
    }

    /// The chain that grows.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// The last segment of the chain that grows.
    pub(crate) fn last(&self) -> u64 {
        self.chains.get(&self.number).map_or(0, Chain::last)
    }

    /// When each segment of the chain that grows was closed, and its number.
    pub(crate) fn recent(&self) -> Vec<(Timestamp, u64)> {
        let chain = self.chains.get(&self.number);
        chain.into_iter().flat_map(|c| &c.segments).map(|s| (s.closed, s.number)).collect()
    }

    /// Everything before this moment is archived.
    pub(crate) fn latest(&self) -> Timestamp {
        self.latest
    }

    /// Takes away what waits on the primary; with `switch`, what is still open too. Gives why a chain ended,
    /// if one did.
    pub(crate) async fn pass(
        &mut self,
        shell: &dyn Shell,
        repo: &Repo,
        primary: &Target,
        succession: Succession,
        switch: bool,
    ) -> Result<Option<String>, Error> {
        let mut broken = None;
        if succession == Succession::Own && primary.pod != self.pod {
            let why =
                format!("the primary is `{}` now, whose log is not that of `{}`", primary.pod, self.pod);
            broken = Some(self.break_off(repo, primary, why).await?);
        }
        let begun = now();
        if switch {
            shell.run(primary, &["log-switch.sh"], LIMIT).await?;
        }
        let listed = shell.run(primary, &["log-list.sh"], LIMIT).await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        let names: Vec<_> = listed.lines().map(str::trim).filter(|n| !n.is_empty()).collect();
        for (index, name) in names.iter().enumerate() {
            if let Follows::Gap(why) = follows(self.last_name.as_deref(), name) {
                broken = Some(self.break_off(repo, primary, why).await?);
            }
            let is_last = switch && index + 1 == names.len();
            let closed = if is_last { begun } else { self.latest };
            self.keep(shell, repo, primary, name, closed).await?;
        }
        if switch {
            self.latest = begun;
        }
        Ok(broken)
    }

    async fn keep(
        &mut self,
        shell: &dyn Shell,
        repo: &Repo,
        primary: &Target,
        name: &str,
        closed: Timestamp,
    ) -> Result<(), Error> {
        if name.contains(['/', '_']) || name.starts_with('.') {
            return Err(Error::Answer { script: "log-list.sh", answer: name.to_owned() });
        }
        let path = self.place.segment(self.number, self.last() + 1, closed, name);
        let pending = pour(shell, repo, primary, &["log-read.sh", name], &path, &Moved::default()).await?;
        let written = pending.finish().await?;
        if let Some((number, Mark::Segment(segment))) = self.place.parse(&path, written.stored) {
            self.chains.entry(number).or_default().segments.push(segment);
        }
        if follows(self.last_name.as_deref(), name) == Follows::Yes {
            self.last_name = Some(name.to_owned());
        }
        shell.run(primary, &["log-done.sh", name], LIMIT).await.map(drop)
    }

    async fn break_off(&mut self, repo: &Repo, primary: &Target, why: String) -> Result<String, Error> {
        let ended = Ended { latest: Some(self.latest), why: why.clone() };
        let text = serde_json::to_vec(&ended).map_err(|e| Error::Refused(e.to_string()))?;
        repo.put(&self.place.ended(self.number), &text).await?;
        self.begin(repo, &primary.pod, now()).await?;
        Ok(why)
    }

    async fn begin(&mut self, repo: &Repo, pod: &str, now: Timestamp) -> Result<(), Error> {
        let number = self.number + 1;
        let begun = Begun { pod: pod.to_owned(), at: now };
        let text = serde_json::to_vec(&begun).map_err(|e| Error::Refused(e.to_string()))?;
        repo.put(&self.place.begun(number), &text).await?;
        self.number = number;
        self.pod = begun.pod;
        self.last_name = None;
        self.latest = now;
        self.chains.entry(number).or_default();
        Ok(())
    }

    /// Removes what none of these backups needs.
    pub(crate) async fn prune(&mut self, repo: &Repo, bases: &[LogStart]) -> Result<usize, Error> {
        let paths = crate::chain::prunable(&self.chains, bases);
        for path in &paths {
            repo.remove(path).await?;
        }
        for chain in self.chains.values_mut() {
            chain.segments.retain(|s| !paths.contains(&s.path));
        }
        Ok(paths.len())
    }
}

/// Who began a chain; the object `begun`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Begun {
    pod: String,
    at: Timestamp,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;

    use super::{Archive, Succession};
    use crate::format::Key;
    use crate::repo::{Place, Repo};
    use crate::shell::fake::{Fake, pod};

    const ONE: &str = "000000010000000000000001";
    const TWO: &str = "000000010000000000000002";
    const FOUR: &str = "000000010000000000000004";

    fn place() -> Place {
        Place::new("default", "shop", "u")
    }

    async fn open(repo: &Repo) -> Archive {
        Archive::open(repo, place(), &pod().pod, None).await.expect("the store answers")
    }

    async fn pass(archive: &mut Archive, repo: &Repo, shell: &Fake, names: &[&str]) -> Option<String> {
        shell.says("log-list.sh", &[names.join("\n").as_bytes()]);
        archive.pass(shell, repo, &pod(), Succession::Shared, true).await.expect("the pass goes well")
    }

    #[tokio::test]
    async fn segments_are_stored_before_they_are_done() {
        let repo = Repo::new(Arc::new(InMemory::new()), Key::random());
        let shell = Fake::default();
        shell.says("log-read.sh", &[b"rows"]);
        let mut archive = open(&repo).await;
        assert_eq!(pass(&mut archive, &repo, &shell, &[ONE, TWO]).await, None);
        let scripts: Vec<_> = shell.record().into_iter().map(|(script, _)| script).collect();
        let expected = ["log-switch.sh", "log-list.sh"].map(str::to_owned).into_iter();
        let expected = expected
            .chain([ONE, TWO].iter().flat_map(|n| [format!("log-read.sh {n}"), format!("log-done.sh {n}")]));
        assert_eq!(scripts, expected.collect::<Vec<_>>());
        let again = open(&repo).await;
        assert_eq!((again.number(), again.last(), again.latest()), (1, 2, archive.latest()));

        shell.fails("log-read.sh", "gone");
        shell.says("log-list.sh", &[FOUR.as_bytes()]);
        let failed = archive.pass(&shell, &repo, &pod(), Succession::Shared, true).await;
        assert!(failed.is_err());
        let done = shell.record().iter().any(|(script, _)| script.starts_with("log-done.sh"));
        assert!(!done, "what could not be read is not done");
    }

    #[tokio::test]
    async fn a_gap_ends_the_chain_and_begins_another() {
        let repo = Repo::new(Arc::new(InMemory::new()), Key::random());
        let shell = Fake::default();
        shell.says("log-read.sh", &[b"rows"]);
        let mut archive = open(&repo).await;
        pass(&mut archive, &repo, &shell, &[ONE, TWO]).await;
        let why = pass(&mut archive, &repo, &shell, &[FOUR]).await.expect("there is a gap");
        assert!(why.contains(TWO) && why.contains(FOUR), "{why}");
        assert_eq!((archive.number(), archive.last()), (2, 1));
        let again = open(&repo).await;
        assert_eq!((again.number(), again.last()), (2, 1));
    }

    #[tokio::test]
    async fn a_new_primary_with_a_log_of_its_own_begins_a_chain() {
        let repo = Repo::new(Arc::new(InMemory::new()), Key::random());
        let shell = Fake::default();
        let mut archive = open(&repo).await;
        let mut other = pod();
        other.pod = "shop-mysql-1".into();
        shell.says("log-list.sh", &[b"binlog.000001"]);
        shell.says("log-read.sh", &[b"rows"]);
        let why = archive.pass(&shell, &repo, &other, Succession::Own, false).await.expect("it goes well");
        assert!(why.is_some_and(|w| w.contains("shop-mysql-1")));
        assert_eq!(archive.number(), 2);
        let again = archive.pass(&shell, &repo, &other, Succession::Own, false).await;
        assert!(again.is_ok_and(|why| why.is_some()), "the same name again is a gap in its numbers");
    }

    #[tokio::test]
    async fn data_restored_in_place_begins_a_chain() {
        let repo = Repo::new(Arc::new(InMemory::new()), Key::random());
        open(&repo).await;
        let later = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5);
        let archive =
            Archive::open(&repo, place(), &pod().pod, Some(later)).await.expect("the store answers");
        assert_eq!(archive.number(), 2);
    }
}

//! The queue of notifications: one file each, in the order they happened.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::record::Event;
use super::rules::wishes;
use super::webhook::{Target, post};
use crate::core::Core;
use crate::documents::Rules;

/// More than this are not kept: the newest are dropped, with a warning.
const MOST: usize = 10_000;

/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A notification as it waits.
#[derive(Serialize, Deserialize)]
struct Letter {
    url: String,
    body: serde_json::Value,
}

/// The queue.
pub(crate) struct Outbox {
    dir: PathBuf,
    tries: u32,
    last: AtomicU64,
    more: Notify,
}

impl Outbox {
    pub(crate) fn open(dir: &Path, tries: u32) -> Self {
        Self { dir: dir.join("outbox"), tries, last: AtomicU64::new(0), more: Notify::new() }
    }

    /// Queues the event for whoever the bucket's document says. The request it belongs to has succeeded
    /// already, so a failure here is logged and no more.
    pub(crate) async fn tell(&self, core: &Core, rules: &Rules, event: Event) {
        let Some(document) = &rules.notification else { return };
        for wish in wishes(document).filter(|wish| wish.wants(&event)) {
            let number = self.number(core);
            let at = core.config.clock.now();
            let body = event.json(&rules.bucket, &core.config.region, at, wish.id, number);
            let letter = Letter { url: wish.url.to_owned(), body };
            match self.write(number, &letter).await {
                Ok(()) => self.more.notify_one(),
                Err(error) => tracing::error!(bucket = %rules.bucket.name, %error, "queue a notification"),
            }
        }
    }

    /// Nanoseconds since 1970, but never twice and never backwards.
    fn number(&self, core: &Core) -> u64 {
        let now = core.config.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let next = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self.last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).unwrap_or(now);
        now.max(last.saturating_add(1))
    }

    async fn write(&self, number: u64, letter: &Letter) -> io::Result<()> {
        tokio::fs::create_dir_all(&self.dir).await?;
        if self.waiting().await?.len() >= MOST {
            return Err(io::Error::other("the queue is full: a webhook has not answered for long"));
        }
        let text = serde_json::to_vec(letter)?;
        let path = self.dir.join(format!("{number:020}.json"));
        let unfinished = path.with_extension("part");
        let mut file = tokio::fs::File::create(&unfinished).await?;
        tokio::io::AsyncWriteExt::write_all(&mut file, &text).await?;
        file.sync_all().await?;
        tokio::fs::rename(&unfinished, &path).await
    }

    /// The files that wait, oldest first.
    async fn waiting(&self) -> io::Result<Vec<PathBuf>> {
        let mut entries = match tokio::fs::read_dir(&self.dir).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut files = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            if entry.path().extension().is_some_and(|extension| extension == "json") {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok(files)
    }
}

/// What is known of a webhook that did not answer.
struct Trouble {
    failures: u32,
    again: Instant,
}

/// Delivers what waits, until `closing`.
pub(crate) async fn deliver(core: &Core, closing: &CancellationToken) {
    let mut troubles: HashMap<String, Trouble> = HashMap::new();
    loop {
        let round = async {
            let next = round(core, &mut troubles).await;
            let pause = next.map_or(LONGEST_PAUSE, |at| at.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = core.outbox.more.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        };
        tokio::select! {
            () = closing.cancelled() => return,
            () = round => {}
        }
    }
}

/// Tries all that may be tried; answers when to try again.
async fn round(core: &Core, troubles: &mut HashMap<String, Trouble>) -> Option<Instant> {
    let files = match core.outbox.waiting().await {
        Ok(files) => files,
        Err(error) => {
            tracing::error!(%error, "read the queue of notifications");
            return None;
        }
    };
    for path in files {
        let letter = match read(&path).await {
            Ok(letter) => letter,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "drop an unreadable notification");
                drop_file(&path).await;
                continue;
            }
        };
        if troubles.get(&letter.url).is_some_and(|trouble| trouble.again > Instant::now()) {
            continue;
        }
        one(core, troubles, &path, letter).await;
    }
    troubles.values().map(|trouble| trouble.again).min()
}

async fn one(core: &Core, troubles: &mut HashMap<String, Trouble>, path: &Path, letter: Letter) {
    let Ok(target) = Target::parse(&letter.url) else { return drop_file(path).await };
    let body = Bytes::from(letter.body.to_string());
    let Err(error) = post(&target, body, core.config.local_webhooks).await else {
        troubles.remove(&letter.url);
        return drop_file(path).await;
    };
    let trouble =
        troubles.entry(letter.url.clone()).or_insert(Trouble { failures: 0, again: Instant::now() });
    trouble.failures += 1;
    if trouble.failures >= core.outbox.tries {
        tracing::warn!(url = %letter.url, %error, "gave up a notification");
        troubles.remove(&letter.url);
        return drop_file(path).await;
    }
    let pause = FIRST_PAUSE.saturating_mul(1 << (trouble.failures - 1).min(16)).min(LONGEST_PAUSE);
    trouble.again = Instant::now() + pause;
    tracing::debug!(url = %letter.url, %error, ?pause, "a notification waits");
}

async fn read(path: &Path) -> io::Result<Letter> {
    Ok(serde_json::from_slice(&tokio::fs::read(path).await?)?)
}

async fn drop_file(path: &Path) {
    if let Err(error) = tokio::fs::remove_file(path).await {
        tracing::error!(path = %path.display(), %error, "remove a notification");
    }
}

//! The one thread that changes anything: takes what is queued, appends the small bodies to a pack, runs all
//! changes in one transaction, writes both down in the journal with one sync, commits, and then answers
//! everybody.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::error::{Error, Result};
use super::journal::{Chunk, Journal};
use super::meta::Tables;
use super::pack::{Appender, Place, Small};
use super::shared::{Pending, Shared};
use super::stage::Freight;
use super::tx::{self, Garbage, Tx};

/// Callers that share one commit at most, and the bytes of their bodies.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 2 << 20;
/// Batches in the journal before tables and packs are synced.
const JOURNALED: usize = 256;
/// How long a caller may wait for others at most, and how often to look for them.
const LONGEST_WAIT: Duration = Duration::from_millis(2);
const GLANCE: Duration = Duration::from_micros(20);

/// A change that somebody waits for.
pub(super) trait Job: Send {
    /// Small bodies to be written before.
    fn bodies(&self) -> &[Small];
    /// Makes the change. `false`: refused.
    fn run(&mut self, tx: &mut Tx<'_>, places: &[Place]) -> bool;
    /// It is on the disk (or refused before anything changed); or the transaction came to nothing.
    fn finish(self: Box<Self>, outcome: Result<()>);
}

/// A closure as a job.
pub(super) struct Call<T, F> {
    pub(super) freight: Freight,
    pub(super) work: Option<F>,
    pub(super) result: Option<Result<T>>,
    pub(super) answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Call<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>, &[Place]) -> Result<T> + Send,
{
    fn bodies(&self) -> &[Small] {
        &self.freight.bodies
    }

    fn run(&mut self, tx: &mut Tx<'_>, places: &[Place]) -> bool {
        if let Some(work) = self.work.take() {
            self.result = Some(work(tx, places));
        }
        matches!(self.result, Some(Ok(_)))
    }

    fn finish(self: Box<Self>, outcome: Result<()>) {
        let Freight { pending, reservation, .. } = self.freight;
        // Refused, the file is dropped here and so removed. When nobody knows whether the commit happened,
        // it stays, and the upkeep looks whether anything refers to it.
        let result = match (self.result, outcome) {
            (Some(Err(error)), _) => Err(error),
            (result, outcome) => {
                pending.into_iter().for_each(Pending::keep);
                outcome.and_then(|()| result.unwrap_or(Err(Error::Closed)))
            }
        };
        drop(reservation);
        // A caller that has gone away needs no answer.
        drop(self.answer.send(result));
    }
}

pub(super) type Queued = Box<dyn Job>;

struct Writer {
    shared: Arc<Shared>,
    packs: Appender,
    journal: Journal,
    /// Batches in the journal since its start.
    journaled: usize,
    sequence: u64,
    /// The number of the next batch.
    number: u64,
    /// The last commit failed: the file must be opened again.
    broken: bool,
}

pub(super) fn spawn(
    shared: Arc<Shared>,
    packs: Appender,
    mut queue: mpsc::Receiver<Queued>,
) -> Result<JoinHandle<()>> {
    let journal = Journal::open(&shared.disk)?;
    let mut writer = Writer { shared, packs, journal, journaled: 0, sequence: 0, number: 0, broken: false };
    writer.replay()?;
    let run = move || {
        let mut pace = Pace { callers: 1, commit: Duration::ZERO };
        while let Some(first) = queue.blocking_recv() {
            let batch = pace.gather(first, &mut queue);
            let (callers, started) = (batch.len(), Instant::now());
            writer.batch(batch);
            pace = Pace { callers, commit: started.elapsed() };
        }
        if let Err(error) = writer.settle() {
            tracing::warn!(%error, "the journal stays for the next start");
        }
        writer.shared.meta.close();
    };
    let spawned = Builder::new().name("s3-writer".to_owned()).spawn(run);
    spawned.map_err(|source| Error::Io { attempt: "start the thread", path: "s3-writer".to_owned(), source })
}

/// How the last commit went. Its callers, answered at the same moment, come back at almost the same moment:
/// waiting a little for all of them saves the late ones a whole commit. A lone caller never waits.
struct Pace {
    callers: usize,
    commit: Duration,
}

impl Pace {
    fn gather(&self, first: Queued, queue: &mut mpsc::Receiver<Queued>) -> Vec<Queued> {
        let deadline = Instant::now() + (self.commit / 4).min(LONGEST_WAIT);
        let weight = |job: &Queued| job.bodies().iter().map(|small| small.bytes.len()).sum::<usize>();
        let mut bytes = weight(&first);
        let mut batch = vec![first];
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            match queue.try_recv() {
                Ok(job) => {
                    bytes += weight(&job);
                    batch.push(job);
                }
                Err(_) if batch.len() >= self.callers || Instant::now() >= deadline => break,
                Err(_) => std::thread::sleep(GLANCE),
            }
        }
        batch
    }
}

impl Writer {
    fn batch(&mut self, mut batch: Vec<Queued>) {
        match self.commit(&mut batch) {
            Ok(garbage) => {
                for job in batch {
                    job.finish(Ok(()));
                }
                self.shared.reap(garbage);
            }
            Err(error) => {
                tracing::error!(%error, "a commit did not happen");
                self.broken = true;
                for job in batch {
                    job.finish(Err(again(&error)));
                }
            }
        }
    }

    fn commit(&mut self, batch: &mut [Queued]) -> Result<Garbage> {
        if self.broken {
            self.shared.meta.reopen()?;
            self.replay()?;
            self.broken = false;
            tracing::info!("the store accepts writes again");
        }
        let (places, chunk) = self.append(batch)?;
        let transaction = self.shared.meta.begin()?;
        let mut tx = Tx::new(Tables::open(&transaction)?, self.sequence);
        let mut places = places.as_slice();
        for job in batch.iter_mut() {
            let (mine, rest) = places.split_at(job.bodies().len());
            places = rest;
            let before = tx.changes;
            if !job.run(&mut tx, mine) && tx.changes > before {
                drop(tx);
                // Dropped, the transaction never was.
                let reason = "a change failed half way, and those with it were taken back: try again";
                return Err(Error::Unusable { reason: reason.to_owned() });
            }
        }
        // Bytes of a pack are written down even if all were refused: the journal knows every byte of it.
        if tx.changes == 0 && chunk.is_none() {
            return Ok(Garbage::default());
        }
        let finished = tx.finish(self.packs.writing(), self.number)?;
        let room = self.journaled < JOURNALED;
        if room && self.journal.append(self.number, chunk.as_ref(), &finished.rows)? {
            self.shared.meta.commit_unsynced(transaction)?;
            self.journaled += 1;
        } else {
            self.packs.sync()?;
            self.shared.meta.commit(transaction)?;
            self.begin_again();
        }
        self.number += 1;
        self.sequence = finished.sequence;
        Ok(finished.garbage)
    }

    fn begin_again(&mut self) {
        self.journal.begin_again();
        self.journaled = 0;
    }

    /// Syncs the tables and packs, so that the journal is not needed.
    fn settle(&mut self) -> Result<()> {
        if self.broken || self.journaled == 0 {
            return Ok(());
        }
        self.packs.sync()?;
        self.shared.meta.commit(self.shared.meta.begin()?)?;
        self.begin_again();
        Ok(())
    }

    /// Does what the journal has and the tables have not: at the start, and after a commit went wrong.
    fn replay(&mut self) -> Result<()> {
        self.packs.rotate();
        let next = tx::next_batch(&self.shared.meta.view()?)?;
        let entries = self.journal.entries(next)?;
        if !entries.is_empty() {
            tracing::info!(batches = entries.len(), "the store catches up with its journal");
            let transaction = self.shared.meta.begin()?;
            let mut tables = Tables::open(&transaction)?;
            for entry in &entries {
                if let Some(chunk) = &entry.chunk {
                    self.packs.replay(chunk)?;
                }
                tables.replay(&entry.rows)?;
            }
            drop(tables);
            self.packs.sync()?;
            self.shared.meta.commit(transaction)?;
        }
        let view = self.shared.meta.view()?;
        self.number = tx::next_batch(&view)?;
        self.sequence = self.sequence.max(tx::last_sequence(&view)?);
        self.begin_again();
        Ok(())
    }

    fn append(&mut self, batch: &[Queued]) -> Result<(Vec<Place>, Option<Chunk>)> {
        let mut bodies: Vec<(u64, Bytes)> = Vec::new();
        for small in batch.iter().flat_map(|job| job.bodies()) {
            let id = small.id.unwrap_or_else(|| {
                self.sequence = tx::after(self.sequence);
                self.sequence
            });
            bodies.push((id, small.bytes.clone()));
        }
        if bodies.is_empty() {
            return Ok((Vec::new(), None));
        }
        self.sequence = tx::after(self.sequence);
        let (places, chunk) = self.packs.append(&bodies, self.sequence)?;
        Ok((places, Some(chunk)))
    }
}

/// The same failure for the next who waited for it.
fn again(error: &Error) -> Error {
    match error {
        Error::Full { source } => Error::Full { source: io::Error::new(source.kind(), source.to_string()) },
        Error::Closed => Error::Closed,
        Error::Unusable { reason } => Error::Unusable { reason: reason.clone() },
        other => {
            let mut reason = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(cause) = source {
                reason = format!("{reason}: {cause}");
                source = cause.source();
            }
            Error::Unusable { reason }
        }
    }
}

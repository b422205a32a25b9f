//! The one thread that changes anything: takes what is queued, commits it at once, then shows it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::disk::{Disk, Write};
use crate::entry::{Change, Encoded, Entry, Event, Expect};
use crate::error::Error;
use crate::memory::{Memory, bucket_of};

/// Writes that share one commit at most.
const BATCH: usize = 256;
/// How long a write may wait for others at most, and how often to look for them.
const LONGEST_WAIT: Duration = Duration::from_millis(2);
const GLANCE: Duration = Duration::from_micros(20);

pub(crate) enum Operation {
    Put { key: Arc<str>, expect: Expect, value: Encoded },
    Delete { key: Arc<str>, expect: Expect, last: Option<Encoded> },
}

pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) ack: oneshot::Sender<Result<Entry, Error>>,
}

type Ack = (oneshot::Sender<Result<Entry, Error>>, Entry);

/// A commit whose outcome the disk did not tell: it counts if the file turns out to hold it.
struct Unsure {
    events: Vec<Event>,
    revision: u64,
}

struct Writer {
    disk: Disk,
    memory: Arc<Memory>,
    unsure: Option<Unsure>,
}

/// What a batch will do, built before anything is written.
struct Plan {
    revision: u64,
    pending: HashMap<Arc<str>, Option<Entry>>,
    writes: Vec<Write>,
    events: Vec<Event>,
    acks: Vec<Ack>,
}

pub(crate) fn spawn(
    disk: Disk,
    memory: Arc<Memory>,
    mut queue: mpsc::Receiver<Request>,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name("store".to_owned()).spawn(move || {
        let mut writer = Writer { disk, memory, unsure: None };
        let mut pace = Pace { writers: 1, commit: Duration::ZERO };
        while let Some(first) = queue.blocking_recv() {
            let batch = pace.gather(first, &mut queue);
            let (writers, started) = (batch.len(), Instant::now());
            writer.run(batch);
            pace = Pace { writers, commit: started.elapsed() };
        }
    })
}

/// How the last commit went. Its writers, told at the same moment, come back at almost the same moment:
/// waiting a little for all of them saves the late ones a whole commit.
struct Pace {
    writers: usize,
    commit: Duration,
}

impl Pace {
    /// What is queued; and, when the last commit had several writers, what comes within a fraction of
    /// the time a commit takes. A lone writer never waits.
    fn gather(&self, first: Request, queue: &mut mpsc::Receiver<Request>) -> Vec<Request> {
        let deadline = Instant::now() + (self.commit / 4).min(LONGEST_WAIT);
        let mut batch = vec![first];
        while batch.len() < BATCH {
            match queue.try_recv() {
                Ok(request) => batch.push(request),
                Err(_) if batch.len() >= self.writers || Instant::now() >= deadline => break,
                Err(_) => std::thread::sleep(GLANCE),
            }
        }
        batch
    }
}

impl Writer {
    fn run(&mut self, batch: Vec<Request>) {
        if let Err(error) = self.recover() {
            for request in batch {
                answer(request.ack, Err(error.again()));
            }
            return;
        }
        let plan = self.plan(batch);
        if plan.writes.is_empty() {
            return;
        }
        match self.disk.commit(&plan.writes, plan.revision) {
            Ok(()) => {
                self.memory.apply(plan.events, plan.revision);
                for (ack, entry) in plan.acks {
                    answer(ack, Ok(entry));
                }
            }
            Err(error) => {
                tracing::error!(%error, "a commit did not happen");
                self.unsure = Some(Unsure { events: plan.events, revision: plan.revision });
                for (ack, _) in plan.acks {
                    answer(ack, Err(error.again()));
                }
            }
        }
    }

    /// After a commit that went wrong: opens the file again and believes what it holds.
    fn recover(&mut self) -> Result<(), Error> {
        if self.unsure.is_none() {
            return Ok(());
        }
        let found = self.disk.reopen()?;
        if let Some(unsure) = self.unsure.take()
            && unsure.revision == found
        {
            self.memory.apply(unsure.events, unsure.revision);
        }
        tracing::info!(revision = found, "the store accepts writes again");
        Ok(())
    }

    fn plan(&self, batch: Vec<Request>) -> Plan {
        let mut plan = Plan {
            revision: self.memory.revision(),
            pending: HashMap::new(),
            writes: Vec::with_capacity(batch.len()),
            events: Vec::with_capacity(batch.len()),
            acks: Vec::with_capacity(batch.len()),
        };
        for Request { operation, ack } in batch {
            match self.add(&mut plan, operation) {
                Ok(entry) => plan.acks.push((ack, entry)),
                Err(error) => answer(ack, Err(error)),
            }
        }
        plan
    }

    fn add(&self, plan: &mut Plan, operation: Operation) -> Result<Entry, Error> {
        let (key, expect) = match &operation {
            Operation::Put { key, expect, .. } | Operation::Delete { key, expect, .. } => (key, *expect),
        };
        bucket_of(key)?;
        let current = match plan.pending.get(key) {
            Some(pending) => pending.clone(),
            None => self.memory.get(key),
        };
        check(key, expect, current.as_ref())?;
        let revision = plan.revision + 1;
        let (change, entry, previous) = match operation {
            Operation::Put { key, value, .. } => {
                let (change, key, previous) = match current {
                    Some(current) => (Change::Updated, current.key, Some(current.value)),
                    None => (Change::Created, key, None),
                };
                let entry = Entry { key, value: value.at(revision), revision };
                plan.writes.push(Write::Put(entry.clone()));
                plan.pending.insert(Arc::clone(&entry.key), Some(entry.clone()));
                (change, entry, previous)
            }
            Operation::Delete { key, last, .. } => {
                let Some(current) = current else { return Err(Error::Missing { key: key.to_string() }) };
                let value = last.map_or_else(|| current.value.clone(), |last| last.at(revision));
                plan.writes.push(Write::Remove(Arc::clone(&key)));
                plan.pending.insert(Arc::clone(&key), None);
                (Change::Deleted, Entry { key, value, revision }, Some(current.value))
            }
        };
        plan.revision = revision;
        plan.events.push(Event::new(change, entry.clone(), previous));
        Ok(entry)
    }
}

fn check(key: &str, expect: Expect, current: Option<&Entry>) -> Result<(), Error> {
    match (expect, current) {
        (Expect::Any, _) | (Expect::Absent, None) => Ok(()),
        (Expect::Absent, Some(_)) => Err(Error::Exists { key: key.to_owned() }),
        (Expect::Revision(_), None) => Err(Error::Missing { key: key.to_owned() }),
        (Expect::Revision(expected), Some(current)) if expected == current.revision => Ok(()),
        (Expect::Revision(expected), Some(current)) => {
            Err(Error::Conflict { key: key.to_owned(), expected, current: current.revision })
        }
    }
}

/// A caller that has gone away needs no answer.
fn answer(ack: oneshot::Sender<Result<Entry, Error>>, result: Result<Entry, Error>) {
    drop(ack.send(result));
}

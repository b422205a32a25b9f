//! Durable, revisioned objects: put, delete, get, list, watch, compact.
//!
//! Everything current is held in memory as shared bytes; a writer thread makes changes durable, many
//! in one commit, before they become visible. The store never learns what an object means: keys are
//! `<bucket>/<rest>`, values are opaque bytes with a place where their revision is written.

mod disk;
mod entry;
mod error;
mod memory;
mod watch;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

pub use entry::{Change, Encoded, Entry, Event, Expect, List};
pub use error::Error;
use memory::Memory;
pub use watch::Watch;
use writer::{Operation, Request};

/// How many writes may wait for the writer thread before callers wait too.
const QUEUE: usize = 1024;

/// Where the store lives and how much history it keeps for watchers.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database file; its directory is made when missing.
    pub path: PathBuf,
    /// Events kept per bucket for watchers that start in the past.
    pub history: usize,
    /// Bytes of superseded or deleted values those events may hold per bucket.
    pub history_bytes: usize,
    /// Bytes of database pages cached by the writer.
    pub cache_bytes: usize,
}

impl Config {
    /// The defaults, for a database file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), history: 4096, history_bytes: 16 << 20, cache_bytes: 16 << 20 }
    }
}

/// A durable map of keys to bytes with one revision counter. Cheap to clone; the last clone to go
/// closes the file.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    memory: Arc<Memory>,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<std::thread::JoinHandle<()>>,
}

impl Store {
    /// Opens the store, or makes a new one where none has been.
    pub fn open(config: Config) -> Result<Self, Error> {
        let (disk, loaded) = disk::Disk::open(&config.path, config.cache_bytes)?;
        let memory = Arc::new(Memory::new(loaded, config.history, config.history_bytes));
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = writer::spawn(disk, Arc::clone(&memory), queue)
            .map_err(|source| Error::Io { path: config.path, source })?;
        Ok(Self { shared: Arc::new(Shared { memory, requests: Some(requests), writer: Some(writer) }) })
    }

    /// The revision of the latest change that readers can see.
    pub fn revision(&self) -> u64 {
        self.shared.memory.revision()
    }

    /// The current value of `key`.
    pub fn get(&self, key: &str) -> Option<Entry> {
        self.shared.memory.get(key)
    }

    /// Up to `limit` entries (0: all) whose keys start with `prefix`, after the key `after`, as they
    /// were at one revision. `prefix` names a bucket: it contains a `/`.
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> List {
        self.shared.memory.list(prefix, after, limit)
    }

    /// Writes `value`; returns once it is on disk. Dropping the future does not take the write back.
    pub async fn put(&self, key: &str, expect: Expect, value: Encoded) -> Result<Entry, Error> {
        self.submit(Operation::Put { key: key.into(), expect, value }).await
    }

    /// Deletes `key`; watchers see `last` (or the current value) as its final state.
    pub async fn delete(&self, key: &str, expect: Expect, last: Option<Encoded>) -> Result<Entry, Error> {
        self.submit(Operation::Delete { key: key.into(), expect, last }).await
    }

    /// Every change under `prefix` after revision `from`.
    pub fn watch(&self, prefix: &str, from: u64) -> Result<Watch, Error> {
        Watch::new(&self.shared.memory, prefix, from)
    }

    /// Forgets the history up to `revision`: older watches and continued lists get
    /// [`Error::Compacted`].
    pub fn compact(&self, revision: u64) {
        self.shared.memory.compact(revision);
    }

    /// The revision of the last change in the bucket of `prefix` since the store was opened (0: none):
    /// a cheap way to know that something derived from it is still right.
    pub fn changed(&self, prefix: &str) -> u64 {
        self.shared.memory.changed(prefix)
    }

    /// The oldest revision a watch under `prefix` can start from.
    pub fn oldest(&self, prefix: &str) -> u64 {
        self.shared.memory.oldest(prefix)
    }

    async fn submit(&self, operation: Operation) -> Result<Entry, Error> {
        let (ack, answer) = oneshot::channel();
        let requests = self.shared.requests.as_ref().ok_or(Error::Closed)?;
        requests.send(Request { operation, ack }).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

impl Drop for Shared {
    /// Waits for the writer, so that the file is free when the last handle is gone.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer thread ended by a panic");
        }
    }
}

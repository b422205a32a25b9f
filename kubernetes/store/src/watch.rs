//! A place in the history of one prefix.

use std::sync::Arc;

use tokio::sync::watch;

use crate::entry::Event;
use crate::error::Error;
use crate::memory::{Bucket, Memory, bucket_of};

/// How many events one call hands out.
const BATCH: usize = 512;

/// Changes under a prefix, in order. Holds no lock and no buffer of its own: a slow reader costs
/// nothing until history passes it by, and then it is told so.
pub struct Watch {
    memory: Arc<Memory>,
    bucket: Arc<Bucket>,
    applied: watch::Receiver<u64>,
    prefix: String,
    next: u64,
}

impl Watch {
    pub(crate) fn new(memory: &Arc<Memory>, prefix: &str, from: u64) -> Result<Self, Error> {
        let bucket = memory.bucket(bucket_of(prefix)?);
        bucket.events(prefix, from, 1)?;
        let applied = bucket.applied.subscribe();
        Ok(Self { memory: Arc::clone(memory), bucket, applied, prefix: prefix.to_owned(), next: from })
    }

    /// The next changes, in order, as soon as there are any. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, Error> {
        loop {
            self.applied.mark_unchanged();
            let (events, seen) = self.bucket.events(&self.prefix, self.next, BATCH)?;
            self.next = seen;
            if !events.is_empty() {
                return Ok(events);
            }
            self.applied.changed().await.map_err(|_| Error::Closed)?;
        }
    }

    /// The changes that are there already; none at all when nothing has happened since the last call.
    pub fn ready(&mut self) -> Result<Vec<Arc<Event>>, Error> {
        let mut all = Vec::new();
        loop {
            let (events, seen) = self.bucket.events(&self.prefix, self.next, BATCH)?;
            self.next = seen;
            if events.is_empty() {
                return Ok(all);
            }
            all.extend(events);
        }
    }

    /// A revision up to which this watch has handed out everything: for bookmarks.
    pub fn progress(&self) -> u64 {
        let visible = self.memory.revision();
        match self.bucket.events(&self.prefix, self.next, 1) {
            Ok((pending, _)) if pending.is_empty() => visible.max(self.next),
            _ => self.next,
        }
    }
}

//! Everything current, in memory, by bucket, with recent events for watchers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::entry::{Change, Entry, Event, List};
use crate::error::Error;

/// The bucket of a key: what comes before its first `/`.
pub(crate) fn bucket_of(key: &str) -> Result<&str, Error> {
    match key.split_once('/') {
        Some((bucket, _)) if !bucket.is_empty() => Ok(bucket),
        _ => Err(Error::Key { key: key.to_owned() }),
    }
}

/// What a database file held when it was opened.
pub(crate) struct Loaded {
    pub(crate) revision: u64,
    pub(crate) entries: Vec<Entry>,
}

pub(crate) struct Memory {
    revision: AtomicU64,
    /// Where history began when the store was opened.
    start: u64,
    history: usize,
    history_bytes: usize,
    buckets: RwLock<HashMap<String, Arc<Bucket>>>,
}

/// One kind of object. Its changes are applied under one lock, a commit at a time.
pub(crate) struct Bucket {
    state: RwLock<State>,
    /// The last revision applied; watchers wait on it.
    pub(crate) applied: watch::Sender<u64>,
}

struct State {
    entries: BTreeMap<Arc<str>, Entry>,
    events: VecDeque<Arc<Event>>,
    held: usize,
    /// Events up to this revision may be gone.
    forgotten: u64,
    last: u64,
}

impl Memory {
    pub(crate) fn new(loaded: Loaded, history: usize, history_bytes: usize) -> Self {
        let memory = Self {
            revision: AtomicU64::new(loaded.revision),
            start: loaded.revision,
            history: history.max(1),
            history_bytes,
            buckets: RwLock::new(HashMap::new()),
        };
        for entry in loaded.entries {
            if let Ok(name) = bucket_of(&entry.key) {
                let bucket = memory.bucket(name);
                bucket.state.write().entries.insert(Arc::clone(&entry.key), entry);
            }
        }
        memory
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    pub(crate) fn bucket(&self, name: &str) -> Arc<Bucket> {
        if let Some(bucket) = self.buckets.read().get(name) {
            return Arc::clone(bucket);
        }
        let mut buckets = self.buckets.write();
        let new = || Arc::new(Bucket::new(self.start));
        Arc::clone(buckets.entry(name.to_owned()).or_insert_with(new))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        let name = bucket_of(key).ok()?;
        let bucket = self.buckets.read().get(name).cloned()?;
        let state = bucket.state.read();
        state.entries.get(key).cloned()
    }

    pub(crate) fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> List {
        let visible = self.revision();
        let bucket = bucket_of(prefix).ok().and_then(|name| self.buckets.read().get(name).cloned());
        let Some(bucket) = bucket else {
            return List { entries: Vec::new(), revision: visible, remaining: 0 };
        };
        let state = bucket.state.read();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let mut range = state
            .entries
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, entry)| entry);
        let take = if limit == 0 { usize::MAX } else { limit };
        let entries: Vec<Entry> = range.by_ref().take(take).cloned().collect();
        List { entries, remaining: range.count(), revision: visible.max(state.last) }
    }

    /// Makes a committed batch visible; the events are in revision order and end at `revision`.
    pub(crate) fn apply(&self, events: Vec<Event>, revision: u64) {
        let mut touched: Vec<(Arc<Bucket>, Vec<Event>)> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        for event in events {
            let Ok(name) = bucket_of(&event.entry.key) else { continue };
            let at = match index.get(name) {
                Some(at) => *at,
                None => {
                    touched.push((self.bucket(name), Vec::new()));
                    index.insert(name.to_owned(), touched.len() - 1);
                    touched.len() - 1
                }
            };
            touched[at].1.push(event);
        }
        let mut woken = Vec::with_capacity(touched.len());
        for (bucket, events) in touched {
            let last = bucket.state.write().apply(events, self.history, self.history_bytes);
            woken.push((bucket, last));
        }
        self.revision.store(revision, Ordering::Release);
        for (bucket, last) in woken {
            bucket.applied.send_replace(last);
        }
    }

    pub(crate) fn compact(&self, revision: u64) {
        let revision = revision.min(self.revision());
        let buckets: Vec<_> = self.buckets.read().values().cloned().collect();
        for bucket in buckets {
            let mut state = bucket.state.write();
            while state.events.front().is_some_and(|event| event.entry.revision <= revision) {
                state.forget();
            }
            state.forgotten = state.forgotten.max(revision);
        }
    }

    pub(crate) fn changed(&self, prefix: &str) -> u64 {
        let bucket = bucket_of(prefix).ok().and_then(|name| self.buckets.read().get(name).cloned());
        bucket.map_or(0, |bucket| bucket.state.read().last)
    }

    pub(crate) fn oldest(&self, prefix: &str) -> u64 {
        let bucket = bucket_of(prefix).ok().and_then(|name| self.buckets.read().get(name).cloned());
        bucket.map_or(self.start, |bucket| bucket.state.read().forgotten)
    }
}

impl Bucket {
    fn new(start: u64) -> Self {
        let state =
            State { entries: BTreeMap::new(), events: VecDeque::new(), held: 0, forgotten: start, last: 0 };
        Self { state: RwLock::new(state), applied: watch::Sender::new(0) }
    }

    /// Up to `limit` events after `from` under `prefix`, and the revision seen so far.
    pub(crate) fn events(
        &self,
        prefix: &str,
        from: u64,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), Error> {
        let state = self.state.read();
        if from < state.forgotten {
            return Err(Error::Compacted { from, oldest: state.forgotten });
        }
        let start = state.events.partition_point(|event| event.entry.revision <= from);
        let mut found = Vec::new();
        for event in state.events.range(start..) {
            if event.entry.key.starts_with(prefix) {
                found.push(Arc::clone(event));
                if found.len() == limit {
                    return Ok((found, event.entry.revision));
                }
            }
        }
        Ok((found, from.max(state.last)))
    }
}

impl State {
    fn apply(&mut self, events: Vec<Event>, history: usize, history_bytes: usize) -> u64 {
        for event in events {
            match event.change {
                Change::Deleted => {
                    self.entries.remove(&event.entry.key);
                }
                Change::Created | Change::Updated => {
                    self.entries.insert(Arc::clone(&event.entry.key), event.entry.clone());
                }
            }
            self.last = event.entry.revision;
            self.held += event.held();
            self.events.push_back(Arc::new(event));
        }
        while self.events.len() > history || (self.held > history_bytes && self.events.len() > 1) {
            self.forget();
        }
        self.last
    }

    fn forget(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.forgotten = event.entry.revision;
            self.held = self.held.saturating_sub(event.held());
        }
        if self.events.is_empty() {
            self.held = 0;
        }
    }
}

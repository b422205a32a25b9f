//! What is stored: encoded values, entries, events.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// A value encoded once, with the place where its revision belongs.
#[derive(Clone, Debug)]
pub struct Encoded {
    bytes: Vec<u8>,
    splice: Option<usize>,
}

impl Encoded {
    /// Bytes that get the decimal digits of their revision inserted at `splice`.
    pub fn new(bytes: Vec<u8>, splice: usize) -> Self {
        let splice = splice.min(bytes.len());
        Self { bytes, splice: Some(splice) }
    }

    /// Bytes that do not carry their revision.
    pub fn plain(bytes: Vec<u8>) -> Self {
        Self { bytes, splice: None }
    }

    pub(crate) fn at(self, revision: u64) -> Bytes {
        let Some(splice) = self.splice else { return Bytes::from(self.bytes) };
        let digits = revision.to_string();
        let mut out = Vec::with_capacity(self.bytes.len() + digits.len());
        out.extend_from_slice(&self.bytes[..splice]);
        out.extend_from_slice(digits.as_bytes());
        out.extend_from_slice(&self.bytes[splice..]);
        Bytes::from(out)
    }
}

/// One stored value. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `<bucket>/<rest>`.
    pub key: Arc<str>,
    /// The value as written, revision included.
    pub value: Bytes,
    /// The change that wrote it.
    pub revision: u64,
}

/// What must hold for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key's current entry has this revision.
    Revision(u64),
    /// Anything.
    Any,
}

/// Entries as they were at one revision.
#[derive(Clone, Debug)]
pub struct List {
    /// In key order.
    pub entries: Vec<Entry>,
    /// The revision the list shows.
    pub revision: u64,
    /// How many entries under the prefix come after the last one given.
    pub remaining: usize,
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Written for the first time.
    Created,
    /// Written again.
    Updated,
    /// Deleted; the entry holds its final state.
    Deleted,
}

/// One change, shared by all watchers.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub change: Change,
    /// The key's state after the change (its final state when deleted).
    pub entry: Entry,
    /// The value before the change.
    pub previous: Option<Bytes>,
    frame: OnceLock<Bytes>,
}

impl Event {
    pub(crate) fn new(change: Change, entry: Entry, previous: Option<Bytes>) -> Self {
        Self { change, entry, previous, frame: OnceLock::new() }
    }

    /// The event as it goes over the wire: built by the first watcher, shared by the others.
    pub fn frame(&self, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.frame.get_or_init(|| encode(self)).clone()
    }

    /// Bytes that are kept alive by this event alone.
    pub(crate) fn held(&self) -> usize {
        let last = if self.change == Change::Deleted { self.entry.value.len() } else { 0 };
        last + self.previous.as_ref().map_or(0, Bytes::len) + self.frame.get().map_or(0, Bytes::len)
    }
}

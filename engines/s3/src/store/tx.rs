//! A transaction: what several callers change at once. Each looks first and changes after; what a caller
//! refuses after it began to change takes the whole transaction down with it.

use std::collections::HashMap;
use std::time::SystemTime;

use serde::Serialize;

use super::error::{Error, Result};
use super::journal;
use super::meta::{Guard, Look, Rows, Tables};
use super::pack::{self, Place};
use super::record::{self, Body, Name, Usage};
use super::tables::{self, At};

/// What a commit leaves to be removed from the disk.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    pub(super) files: Vec<Name>,
    /// Manifests with their files: somebody may be reading through them.
    pub(super) manifests: Vec<(u64, Vec<Name>)>,
    pub(super) packs: Vec<u64>,
}

/// What there is to say about a transaction before its commit.
pub(super) struct Finished {
    pub(super) garbage: Garbage,
    pub(super) sequence: u64,
    pub(super) rows: Vec<u8>,
}

/// Counters that are written once per transaction.
const SEQUENCE: &[u8] = b"sequence";
const BUCKET: &[u8] = b"bucket";
const BATCH: &[u8] = b"batch";

pub(super) struct Tx<'t> {
    tables: Tables<'t>,
    usage: HashMap<Vec<u8>, Usage>,
    packs: HashMap<u64, i64>,
    sequence: u64,
    /// What changes, for the journal.
    rows: Vec<u8>,
    /// Changes so far: tells whether a refusal came before or after the first.
    pub(super) changes: u64,
    pub(super) garbage: Garbage,
}

impl Look for Tx<'_> {
    fn get(&self, at: At, key: &[u8]) -> Result<Option<Guard<'_>>> {
        self.tables.get(at, key)
    }

    fn rows(&self, at: At, from: &[u8], to: Option<&[u8]>) -> Result<Rows<'_>> {
        self.tables.rows(at, from, to)
    }
}

pub(super) fn counter(look: &impl Look, name: &[u8]) -> Result<u64> {
    let found = look.get(At::Meta, name)?;
    Ok(found.and_then(|guard| guard.value().try_into().ok().map(u64::from_be_bytes)).unwrap_or(0))
}

pub(super) fn now() -> u64 {
    record::millis(SystemTime::now())
}

/// A number that is greater than all before, also after a restart: microseconds, unless the clock went back.
pub(super) fn after(last: u64) -> u64 {
    now().saturating_mul(1000).max(last + 1)
}

/// The number of the next batch in the journal.
pub(super) fn next_batch(look: &impl Look) -> Result<u64> {
    counter(look, BATCH)
}

/// The last number given out.
pub(super) fn last_sequence(look: &impl Look) -> Result<u64> {
    counter(look, SEQUENCE)
}

impl<'t> Tx<'t> {
    pub(super) fn new(tables: Tables<'t>, sequence: u64) -> Self {
        let (usage, packs) = (HashMap::new(), HashMap::new());
        Self { tables, usage, packs, sequence, rows: Vec::new(), changes: 0, garbage: Garbage::default() }
    }

    pub(super) fn insert(&mut self, at: At, key: &[u8], value: &[u8]) -> Result<()> {
        self.changes += 1;
        journal::write_row(&mut self.rows, (at, key, Some(value)));
        self.tables.insert(at, key, value)
    }

    pub(super) fn store<T: Serialize>(&mut self, at: At, key: &[u8], record: &T) -> Result<()> {
        self.insert(at, key, &record::encode(record)?)
    }

    pub(super) fn remove(&mut self, at: At, key: &[u8]) -> Result<()> {
        self.changes += 1;
        journal::write_row(&mut self.rows, (at, key, None));
        self.tables.remove(at, key)
    }

    pub(super) fn next_sequence(&mut self) -> u64 {
        self.sequence = after(self.sequence);
        self.sequence
    }

    pub(super) fn next_bucket(&mut self) -> Result<u32> {
        let next = counter(&self.tables, BUCKET)? + 1;
        self.insert(At::Meta, BUCKET, &next.to_be_bytes())?;
        u32::try_from(next).map_err(|_| Error::Record { detail: "there are no more bucket ids".to_owned() })
    }

    pub(super) fn usage(&mut self, key: &[u8]) -> Result<&mut Usage> {
        if !self.usage.contains_key(key) {
            let found = self.tables.record(At::Usage, key)?.unwrap_or_default();
            self.usage.insert(key.to_vec(), found);
        }
        self.usage.get_mut(key).ok_or(Error::Closed)
    }

    /// Counts for a bucket and its owner.
    pub(super) fn count(&mut self, bucket: &record::Bucket, change: impl Fn(&mut Usage)) -> Result<()> {
        self.changes += 1;
        change(self.usage(&tables::bucket_usage(bucket.id))?);
        change(self.usage(&tables::user_usage(&bucket.owner))?);
        Ok(())
    }

    pub(super) fn forget_usage(&mut self, key: &[u8]) -> Result<()> {
        self.usage.remove(key);
        self.remove(At::Usage, key)
    }

    /// Writes down where a small body lies, for one that refers to it.
    pub(super) fn keep_packed(&mut self, place: Place) -> Result<Body> {
        let Place { id, pack, offset, length } = place;
        self.store(At::Packed, &id.to_be_bytes(), &record::Packed { pack, offset, length, references: 1 })?;
        self.live(pack, length, 1);
        Ok(Body::Packed(id))
    }

    pub(super) fn keep_file(&mut self, name: Name) -> Result<Body> {
        self.store(At::Files, &name, &1_u32)?;
        Ok(Body::File(name))
    }

    /// A body of a pack lies elsewhere now.
    pub(super) fn move_packed(&mut self, from: &record::Packed, to: Place) -> Result<()> {
        let Place { id, pack, offset, length } = to;
        self.live(from.pack, from.length, -1);
        self.live(pack, length, 1);
        self.store(At::Packed, &id.to_be_bytes(), &record::Packed { pack, offset, length, ..*from })
    }

    fn live(&mut self, pack: u64, length: u32, sign: i64) {
        let bytes = i64::try_from(pack::footprint(length)).unwrap_or(0);
        *self.packs.entry(pack).or_default() += sign * bytes;
    }

    /// One more refers to the bytes.
    pub(super) fn share(&mut self, body: Body) -> Result<()> {
        let lost = || Error::Record { detail: "the bytes to share are not written down".to_owned() };
        match body {
            Body::Empty => Ok(()),
            Body::Packed(id) => {
                let mut row: record::Packed = self.record(At::Packed, &id.to_be_bytes())?.ok_or_else(lost)?;
                row.references += 1;
                self.store(At::Packed, &id.to_be_bytes(), &row)
            }
            Body::File(name) => {
                let references: u32 = self.record(At::Files, &name)?.ok_or_else(lost)?;
                self.store(At::Files, &name, &(references + 1))
            }
            Body::Parts(id) => {
                let mut row: record::Manifest =
                    self.record(At::Manifests, &id.to_be_bytes())?.ok_or_else(lost)?;
                row.references += 1;
                self.store(At::Manifests, &id.to_be_bytes(), &row)
            }
        }
    }

    /// One less refers to the bytes; the last one takes them along.
    pub(super) fn release(&mut self, body: Body) -> Result<()> {
        match body {
            Body::Parts(id) => self.release_manifest(id),
            Body::File(name) => {
                if self.release_file(name)? {
                    self.garbage.files.push(name);
                }
                Ok(())
            }
            Body::Packed(id) => self.release_packed(id),
            Body::Empty => Ok(()),
        }
    }

    fn release_packed(&mut self, id: u64) -> Result<()> {
        let Some(mut row) = self.record::<record::Packed>(At::Packed, &id.to_be_bytes())? else {
            return Ok(());
        };
        if row.references > 1 {
            row.references -= 1;
            return self.store(At::Packed, &id.to_be_bytes(), &row);
        }
        self.live(row.pack, row.length, -1);
        self.remove(At::Packed, &id.to_be_bytes())
    }

    /// Whether that was the last.
    fn release_file(&mut self, name: Name) -> Result<bool> {
        let references: u32 = self.record(At::Files, &name)?.unwrap_or(1);
        if references > 1 {
            self.store(At::Files, &name, &(references - 1))?;
            return Ok(false);
        }
        self.remove(At::Files, &name)?;
        Ok(true)
    }

    fn release_manifest(&mut self, id: u64) -> Result<()> {
        let Some(mut row) = self.record::<record::Manifest>(At::Manifests, &id.to_be_bytes())? else {
            return Ok(());
        };
        if row.references > 1 {
            row.references -= 1;
            return self.store(At::Manifests, &id.to_be_bytes(), &row);
        }
        self.remove(At::Manifests, &id.to_be_bytes())?;
        let mut files = Vec::new();
        for segment in row.segments {
            match segment.body {
                Body::File(name) if self.release_file(name)? => files.push(name),
                Body::File(_) => {}
                other => self.release(other)?,
            }
        }
        self.garbage.manifests.push((id, files));
        Ok(())
    }

    /// Writes the counters and gives out what became garbage. `writing` is the pack that stays, `batch` the
    /// number of this one.
    pub(super) fn finish(mut self, writing: u64, batch: u64) -> Result<Finished> {
        for (key, usage) in std::mem::take(&mut self.usage) {
            self.store(At::Usage, &key, &usage)?;
        }
        for (pack, change) in std::mem::take(&mut self.packs) {
            let key = pack.to_be_bytes();
            let live: u64 = self.record(At::Packs, &key)?.unwrap_or(0);
            let live = live.saturating_add_signed(change);
            if live == 0 && pack != writing {
                self.remove(At::Packs, &key)?;
                self.garbage.packs.push(pack);
            } else {
                self.store(At::Packs, &key, &live)?;
            }
        }
        let sequence = self.sequence;
        self.insert(At::Meta, SEQUENCE, &sequence.to_be_bytes())?;
        self.insert(At::Meta, BATCH, &(batch + 1).to_be_bytes())?;
        Ok(Finished { garbage: self.garbage, sequence, rows: self.rows })
    }
}

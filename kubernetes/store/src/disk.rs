//! The database file: one table of entries, one of facts about the store itself, and a marker beside
//! it that says a store has been here.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
};

use crate::entry::Entry;
use crate::error::Error;
use crate::memory::Loaded;

const ENTRIES: TableDefinition<&str, &[u8]> = TableDefinition::new("entries");
const FACTS: TableDefinition<&str, &[u8]> = TableDefinition::new("facts");
const REVISION: &str = "revision";
/// Revision (8 bytes) and checksum (4 bytes) before each value.
const HEADER: usize = 12;
/// Kubernetes revisions start at 1; 0 means "any" to its clients.
const FIRST_REVISION: u64 = 1;

pub(crate) enum Write {
    Put(Entry),
    Remove(Arc<str>),
}

pub(crate) struct Disk {
    path: PathBuf,
    cache_bytes: usize,
    /// `None` after a commit went wrong, until the file could be opened again.
    database: Option<Database>,
}

impl Disk {
    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Result<(Self, Loaded), Error> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io(parent))?;
        }
        let marker = marker(path);
        let bytes = fs::metadata(path).map(|found| found.len()).unwrap_or(0);
        if bytes == 0 {
            if marker.exists() {
                return Err(Error::Lost { path: path.to_owned(), marker });
            }
            create(path, cache_bytes)?;
        }
        let (database, loaded) = guard(path, || {
            let database = open(path, cache_bytes)?;
            let loaded = load(&database, path)?;
            Ok((database, loaded))
        })?;
        if !marker.exists() {
            write_marker(&marker)?;
        }
        Ok((Self { path: path.to_owned(), cache_bytes, database: Some(database) }, loaded))
    }

    /// Makes `writes` durable, all or none.
    pub(crate) fn commit(&mut self, writes: &[Write], revision: u64) -> Result<(), Error> {
        let path = self.path.clone();
        let Some(database) = self.database.as_ref() else {
            return Err(Error::Database { path, reason: "the file is not open".to_owned() });
        };
        let result =
            guard(&path, || commit(database, writes, revision).map_err(|error| refused(&path, error)));
        if result.is_err() {
            self.database = None;
        }
        result
    }

    /// Opens the file again after a failed commit; returns the revision it holds.
    pub(crate) fn reopen(&mut self) -> Result<u64, Error> {
        self.database = None;
        let (database, revision) = guard(&self.path, || {
            let database = open(&self.path, self.cache_bytes)?;
            let revision = revision(&database).map_err(|error| refused(&self.path, error))?;
            Ok((database, revision))
        })?;
        let revision = revision.ok_or_else(|| corrupt(&self.path, "it holds no revision"))?;
        self.database = Some(database);
        Ok(revision)
    }
}

/// A new file is made under another name, so that a crash in between leaves nothing half made.
fn create(path: &Path, cache_bytes: usize) -> Result<(), Error> {
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(&fresh)(error)),
        _ => {}
    }
    let database = Builder::new()
        .set_cache_size(cache_bytes)
        .create(&fresh)
        .map_err(|error| refused(&fresh, error.into()))?;
    commit(&database, &[], FIRST_REVISION).map_err(|error| refused(&fresh, error))?;
    drop(database);
    fs::rename(&fresh, path).map_err(io(path))?;
    sync_parent(path)
}

fn open(path: &Path, cache_bytes: usize) -> Result<Database, Error> {
    Builder::new().set_cache_size(cache_bytes).open(path).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse { path: path.to_owned() },
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == ErrorKind::InvalidData => {
            corrupt(path, "it is not a database")
        }
        other => refused(path, other.into()),
    })
}

fn load(database: &Database, path: &Path) -> Result<Loaded, Error> {
    let revision = revision(database).map_err(|error| refused(path, error))?;
    let revision = revision.ok_or_else(|| Error::Lost { path: path.to_owned(), marker: marker(path) })?;
    let entries = entries(database, path)?;
    match entries.iter().find(|entry| entry.revision > revision) {
        Some(entry) => Err(corrupt(path, &format!("`{}` is newer than the store itself", entry.key))),
        None => Ok(Loaded { revision, entries }),
    }
}

fn revision(database: &Database) -> Result<Option<u64>, redb::Error> {
    let read = database.begin_read()?;
    let facts = match read.open_table(FACTS) {
        Ok(facts) => facts,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let found = facts.get(REVISION)?;
    Ok(found.and_then(|value| value.value().try_into().ok().map(u64::from_be_bytes)))
}

fn entries(database: &Database, path: &Path) -> Result<Vec<Entry>, Error> {
    let refuse = |error: redb::Error| refused(path, error);
    let read = database.begin_read().map_err(|error| refuse(error.into()))?;
    let table = match read.open_table(ENTRIES) {
        Ok(table) => table,
        Err(error) => return Err(refuse(error.into())),
    };
    let mut entries = Vec::new();
    for row in table.iter().map_err(|error| refuse(error.into()))? {
        let (key, value) = row.map_err(|error| refuse(error.into()))?;
        let entry = decode(key.value(), value.value());
        entries
            .push(entry.ok_or_else(|| corrupt(path, &format!("the value of `{}` is wrong", key.value())))?);
    }
    Ok(entries)
}

fn commit(database: &Database, writes: &[Write], revision: u64) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut entries = transaction.open_table(ENTRIES)?;
        let mut buffer = Vec::new();
        for write in writes {
            match write {
                Write::Put(entry) => {
                    encode(entry, &mut buffer);
                    entries.insert(&*entry.key, buffer.as_slice())?;
                }
                Write::Remove(key) => {
                    entries.remove(&**key)?;
                }
            }
        }
        let mut facts = transaction.open_table(FACTS)?;
        facts.insert(REVISION, revision.to_be_bytes().as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}

fn encode(entry: &Entry, buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend_from_slice(&entry.revision.to_be_bytes());
    buffer.extend_from_slice(&checksum(&entry.key, entry.revision, &entry.value).to_be_bytes());
    buffer.extend_from_slice(&entry.value);
}

fn decode(key: &str, stored: &[u8]) -> Option<Entry> {
    let (header, value) = stored.split_at_checked(HEADER)?;
    let (revision, sum) = header.split_at_checked(8)?;
    let revision = u64::from_be_bytes(revision.try_into().ok()?);
    let sum = u32::from_be_bytes(sum.try_into().ok()?);
    (sum == checksum(key, revision, value)).then(|| Entry {
        key: key.into(),
        value: Bytes::copy_from_slice(value),
        revision,
    })
}

fn checksum(key: &str, revision: u64, value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(&revision.to_be_bytes());
    hasher.update(value);
    hasher.finalize()
}

/// A damaged file makes the database panic in places; here that is one more way to be damaged.
fn guard<T>(path: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(_) => Err(corrupt(path, "the database could not make sense of it")),
    }
}

fn refused(path: &Path, error: redb::Error) -> Error {
    match error {
        redb::Error::Io(error) if no_space(&error) => Error::NoSpace { path: path.to_owned() },
        redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            corrupt(path, "it ends too early")
        }
        redb::Error::Io(source) => Error::Io { path: path.to_owned(), source },
        redb::Error::Corrupted(reason) => corrupt(path, &reason),
        other => Error::Database { path: path.to_owned(), reason: other.to_string() },
    }
}

fn no_space(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn corrupt(path: &Path, reason: &str) -> Error {
    Error::Corrupt { path: path.to_owned(), marker: marker(path), reason: reason.to_owned() }
}

fn marker(path: &Path) -> PathBuf {
    path.with_extension("marker")
}

fn write_marker(marker: &Path) -> Result<(), Error> {
    let mut file = File::create(marker).map_err(io(marker))?;
    file.write_all(
        b"A store has been made here. Without this file a missing database is taken for a new one.\n",
    )
    .and_then(|()| file.sync_all())
    .map_err(io(marker))?;
    sync_parent(marker)
}

fn sync_parent(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(io(parent))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| {
        if no_space(&source) { Error::NoSpace { path } } else { Error::Io { path, source } }
    }
}

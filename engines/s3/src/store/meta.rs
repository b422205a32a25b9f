//! The database file: opened, read in snapshots, and opened again after a commit went wrong.

use std::cell::OnceCell;
use std::fs::File;
use std::io::Write as _;
use std::ops::Bound;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use redb::{
    AccessGuard, Builder, Database, Durability, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    ReadableTable, Table, WriteTransaction,
};
use serde::de::DeserializeOwned;

use super::disk::{self, Disk};
use super::error::{Error, Result};
use super::journal;
use super::record;
use super::tables::{self, At, NAMES};

pub(super) type Rows<'a> = redb::Range<'a, &'static [u8], &'static [u8]>;
pub(super) type Guard<'a> = AccessGuard<'a, &'static [u8]>;

const FORMAT: &str = "sealos-s3 1\n";
/// How long a reopening waits for readers of the old file.
const READERS_LEAVE: Duration = Duration::from_secs(10);

/// Names the attempt; a full disk is told apart.
pub(super) fn refused<E: Into<redb::Error>>(attempt: &'static str) -> impl FnOnce(E) -> Error {
    move |error| match error.into() {
        redb::Error::Io(source)
            if matches!(
                source.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ) =>
        {
            Error::Full { source }
        }
        source => Error::Database { attempt, source: Box::new(source) },
    }
}

/// The open database, or `None` while it is closed or being reopened.
pub(super) struct Meta {
    disk: Disk,
    cache: usize,
    database: RwLock<Option<Database>>,
}

impl Meta {
    /// Opens the file. Where the marker says that there was one and it is gone, refuses.
    pub(super) fn open(disk: &Disk, cache: usize) -> Result<Self> {
        let (path, format) = (disk.meta(), disk.format());
        match std::fs::read_to_string(&format) {
            Ok(text) if text != FORMAT => {
                let reason = format!(
                    "{} is of a format this program does not know: use the version that wrote it",
                    format.display()
                );
                return Err(Error::Unusable { reason });
            }
            Ok(_) if !path.exists() => {
                let reason = format!(
                    "{} is missing, though {} says a store was here: restore the directory from a backup",
                    path.display(),
                    format.display()
                );
                return Err(Error::Unusable { reason });
            }
            _ => {}
        }
        let database = open(disk, cache)?;
        let fresh = !format.exists();
        check(&database, fresh)?;
        if fresh {
            let mut file = disk::create(&format)?;
            file.write_all(FORMAT.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(disk::failed("write", &format))?;
            disk::sync_dir(format.parent().unwrap_or(&format))?;
        }
        Ok(Self { disk: disk.clone(), cache, database: RwLock::new(Some(database)) })
    }

    /// What is committed now.
    pub(super) fn view(&self) -> Result<View> {
        let database = self.database.read();
        let database = database.as_ref().ok_or(Error::Closed)?;
        let transaction = database.begin_read().map_err(refused("read the metadata"))?;
        Ok(View { transaction, tables: Default::default() })
    }

    pub(super) fn begin(&self) -> Result<WriteTransaction> {
        let database = self.database.read();
        let database = database.as_ref().ok_or(Error::Closed)?;
        database.begin_write().map_err(refused("begin to write the metadata"))
    }

    /// Visible now; on the disk after the next `commit`. The journal has it until then.
    pub(super) fn commit_unsynced(&self, mut transaction: WriteTransaction) -> Result<()> {
        transaction.set_durability(Durability::None).map_err(refused("commit the metadata"))?;
        transaction.commit().map_err(refused("commit the metadata"))
    }

    /// Visible and on the disk.
    pub(super) fn commit(&self, mut transaction: WriteTransaction) -> Result<()> {
        // Else the first start after a crash would walk through the whole file.
        transaction.set_quick_repair(true);
        transaction.commit().map_err(refused("commit the metadata"))
    }

    /// After a commit went wrong: what the file holds is what counts.
    pub(super) fn reopen(&self) -> Result<()> {
        let mut slot = self.database.write();
        *slot = None;
        let deadline = Instant::now() + READERS_LEAVE;
        loop {
            match open(&self.disk, self.cache) {
                Ok(database) => {
                    *slot = Some(database);
                    return Ok(());
                }
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    pub(super) fn close(&self) {
        *self.database.write() = None;
    }
}

fn open(disk: &Disk, cache: usize) -> Result<Database> {
    let path = disk.meta();
    let database = Builder::new().set_cache_size(cache).create(&path).map_err(|error| match error {
        redb::DatabaseError::DatabaseAlreadyOpen => {
            let reason = format!("{} is in use by another process: stop it first", path.display());
            Error::Unusable { reason }
        }
        other => refused("open the metadata")(other),
    })?;
    // Keys and secrets are inside.
    let _ = File::open(&path)
        .and_then(|file| file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)));
    Ok(database)
}

/// Makes the tables of a new database; an old one must have them.
fn check(database: &Database, fresh: bool) -> Result<()> {
    let transaction = database.begin_read().map_err(refused("read the metadata"))?;
    let known = transaction.list_tables().map_err(refused("list the metadata's tables"))?.count();
    if known == 0 && !fresh {
        let reason = "the metadata is empty, though a store was here: restore it from a backup".to_owned();
        return Err(Error::Unusable { reason });
    }
    drop(transaction);
    let mut transaction = database.begin_write().map_err(refused("begin to write the metadata"))?;
    transaction.set_quick_repair(true);
    for name in NAMES {
        transaction.open_table(tables::Bytewise::new(name)).map_err(refused("open a table"))?;
    }
    transaction.commit().map_err(refused("commit the metadata"))
}

/// Reading, in a snapshot or in the middle of a transaction.
pub(super) trait Look {
    fn get(&self, at: At, key: &[u8]) -> Result<Option<Guard<'_>>>;

    /// Rows from `from` (included) to `to` (excluded; `None`: the end).
    fn rows(&self, at: At, from: &[u8], to: Option<&[u8]>) -> Result<Rows<'_>>;

    fn record<T: DeserializeOwned>(&self, at: At, key: &[u8]) -> Result<Option<T>> {
        self.get(at, key)?.map(|guard| record::decode(guard.value())).transpose()
    }

    /// Rows whose key begins with `prefix`.
    fn under(&self, at: At, prefix: &[u8]) -> Result<Rows<'_>> {
        self.rows(at, prefix, tables::behind(prefix).as_deref())
    }
}

fn rows<'a>(
    table: &'a impl ReadableTable<&'static [u8], &'static [u8]>,
    from: &[u8],
    to: Option<&[u8]>,
) -> Result<Rows<'a>> {
    let to = match to {
        // A range that ends before it begins is empty.
        Some(to) => Bound::Excluded(to.max(from)),
        None => Bound::Unbounded,
    };
    table.range::<&[u8]>((Bound::Included(from), to)).map_err(refused("read the metadata"))
}

pub(super) fn next<'a>(rows: &mut Rows<'a>) -> Result<Option<(Guard<'a>, Guard<'a>)>> {
    rows.next().transpose().map_err(refused("read the metadata"))
}

/// A snapshot.
pub(super) struct View {
    transaction: ReadTransaction,
    tables: [OnceCell<ReadOnlyTable<&'static [u8], &'static [u8]>>; NAMES.len()],
}

impl View {
    fn table(&self, at: At) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>> {
        let cell = &self.tables[at as usize];
        if let Some(table) = cell.get() {
            return Ok(table);
        }
        let table = self.transaction.open_table(at.definition()).map_err(refused("open a table"))?;
        Ok(cell.get_or_init(|| table))
    }
}

impl Look for View {
    fn get(&self, at: At, key: &[u8]) -> Result<Option<Guard<'_>>> {
        ReadableTable::get(self.table(at)?, key).map_err(refused("read the metadata"))
    }

    fn rows(&self, at: At, from: &[u8], to: Option<&[u8]>) -> Result<Rows<'_>> {
        rows(self.table(at)?, from, to)
    }
}

/// All tables of a transaction, open.
pub(super) struct Tables<'t>(Vec<Table<'t, &'static [u8], &'static [u8]>>);

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self> {
        let open = |name| transaction.open_table(tables::Bytewise::new(name));
        let tables = NAMES.into_iter().map(open).collect::<Result<_, _>>();
        Ok(Self(tables.map_err(refused("open a table"))?))
    }

    pub(super) fn insert(&mut self, at: At, key: &[u8], value: &[u8]) -> Result<()> {
        self.0[at as usize].insert(key, value).map(drop).map_err(refused("write the metadata"))
    }

    pub(super) fn remove(&mut self, at: At, key: &[u8]) -> Result<()> {
        self.0[at as usize].remove(key).map(drop).map_err(refused("write the metadata"))
    }
}

impl Tables<'_> {
    /// Does again what the journal says of a batch.
    pub(super) fn replay(&mut self, mut rows: &[u8]) -> Result<()> {
        while let Some((at, key, value)) = journal::read_row(&mut rows)? {
            match value {
                Some(value) => self.insert(at, key, value)?,
                None => self.remove(at, key)?,
            }
        }
        Ok(())
    }
}

impl Look for Tables<'_> {
    fn get(&self, at: At, key: &[u8]) -> Result<Option<Guard<'_>>> {
        ReadableTable::get(&self.0[at as usize], key).map_err(refused("read the metadata"))
    }

    fn rows(&self, at: At, from: &[u8], to: Option<&[u8]>) -> Result<Rows<'_>> {
        rows(&self.0[at as usize], from, to)
    }
}

//! The journal: one sync per batch. What a batch changes (rows of tables, bytes of packs) is appended here
//! and synced, and only then done in the tables and packs without a sync of theirs. From time to time those
//! are synced, and the journal begins again at its start. After a crash it is replayed from there.
//!
//! The file has its full size from the beginning and is written over, so that a sync writes data alone.
//! Batches are numbered without end: what is left of an earlier round has smaller numbers.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;

use super::disk::{self, Disk};
use super::error::{Error, Result};
use super::tables::At;

const SIZE: u64 = 8 << 20;
const MAGIC: [u8; 4] = *b"S3JL";
/// Magic, number, length, CRC of number and content.
const HEADER: usize = 20;

pub(super) struct Journal {
    file: File,
    disk: Disk,
    end: u64,
}

/// Bytes of a pack.
pub(super) struct Chunk {
    pub(super) pack: u64,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// A batch, as it was written down.
pub(super) struct Entry {
    pub(super) chunk: Option<Chunk>,
    pub(super) rows: Vec<u8>,
}

/// A change of a row: `None` removes it.
pub(super) type Row<'a> = (At, &'a [u8], Option<&'a [u8]>);

/// Appends a change of a row to the text of a batch.
pub(super) fn write_row(out: &mut Vec<u8>, (at, key, value): Row<'_>) {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.push(at as u8);
    out.extend_from_slice(&length(key));
    out.extend_from_slice(key);
    out.extend_from_slice(&value.map_or(u32::MAX.to_le_bytes(), length));
    out.extend_from_slice(value.unwrap_or_default());
}

/// Takes the first change off the text of a batch.
pub(super) fn read_row<'a>(rows: &mut &'a [u8]) -> Result<Option<Row<'a>>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let row = (|| {
        let at = At::from_index(*rows.split_off_first()?)?;
        let length = u32::from_le_bytes(*rows.split_off(..4)?.first_chunk()?);
        let key = rows.split_off(..length as usize)?;
        let length = u32::from_le_bytes(*rows.split_off(..4)?.first_chunk()?);
        if length == u32::MAX {
            return Some((at, key, None));
        }
        Some((at, key, Some(rows.split_off(..length as usize)?)))
    })();
    row.map(Some).ok_or_else(|| Error::Record { detail: "a batch in the journal makes no sense".to_owned() })
}

fn sum(number: u64, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

impl Journal {
    /// Opens the file, made at its full size if it is missing.
    pub(super) fn open(disk: &Disk) -> Result<Self> {
        let path = disk.journal();
        let file = match File::options().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(disk)?,
            Err(error) => return Err(disk::failed("open", &path)(error)),
        };
        Ok(Self { file, disk: disk.clone(), end: 0 })
    }

    /// Writes a batch down and syncs it. `false`: there is no room, begin again first.
    pub(super) fn append(&mut self, number: u64, chunk: Option<&Chunk>, rows: &[u8]) -> Result<bool> {
        let bytes = chunk.map_or(&[][..], |chunk| &chunk.bytes);
        let content = 20 + bytes.len() + rows.len();
        if self.end + (HEADER + content) as u64 > SIZE {
            return Ok(false);
        }
        let mut out = Vec::with_capacity(HEADER + content);
        out.resize(HEADER, 0);
        out.extend_from_slice(&chunk.map_or(0, |chunk| chunk.pack).to_le_bytes());
        out.extend_from_slice(&chunk.map_or(0, |chunk| chunk.offset).to_le_bytes());
        out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(rows);
        let crc = sum(number, &out[HEADER..]);
        out[..4].copy_from_slice(&MAGIC);
        out[4..12].copy_from_slice(&number.to_le_bytes());
        out[12..16].copy_from_slice(&u32::try_from(content).unwrap_or(u32::MAX).to_le_bytes());
        out[16..20].copy_from_slice(&crc.to_le_bytes());
        let written = self.file.write_all_at(&out, self.end).and_then(|()| self.file.sync_data());
        written.map_err(disk::failed("write", &self.disk.journal()))?;
        self.end += out.len() as u64;
        Ok(true)
    }

    /// All that was written down is elsewhere too: begin again at the start.
    pub(super) fn begin_again(&mut self) {
        self.end = 0;
    }

    /// The batches from `number` on, up to the first that is not whole.
    pub(super) fn entries(&self, mut number: u64) -> Result<Vec<Entry>> {
        let mut out = Vec::new();
        let mut at = 0;
        while let Some((entry, length)) =
            self.entry(at, number).map_err(disk::failed("read", &self.disk.journal()))?
        {
            out.push(entry);
            at += length;
            number += 1;
        }
        Ok(out)
    }

    fn entry(&self, at: u64, number: u64) -> io::Result<Option<(Entry, u64)>> {
        let mut header = [0; HEADER];
        if at + HEADER as u64 > self.file.metadata()?.len() {
            return Ok(None);
        }
        self.file.read_exact_at(&mut header, at)?;
        let word = |at: usize| header[at..].first_chunk().copied().map_or(0, u32::from_le_bytes);
        let found = header[4..].first_chunk().copied().map_or(0, u64::from_le_bytes);
        let length = u64::from(word(12));
        if header[..4] != MAGIC || found != number || at + HEADER as u64 + length > SIZE {
            return Ok(None);
        }
        let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
        match self.file.read_exact_at(&mut content, at + HEADER as u64) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            done => done?,
        }
        if sum(number, &content) != word(16) {
            return Ok(None);
        }
        Ok(parse(&content).map(|entry| (entry, HEADER as u64 + length)))
    }
}

fn parse(mut content: &[u8]) -> Option<Entry> {
    let pack = u64::from_le_bytes(*content.split_off(..8)?.first_chunk()?);
    let offset = u64::from_le_bytes(*content.split_off(..8)?.first_chunk()?);
    let length = u32::from_le_bytes(*content.split_off(..4)?.first_chunk()?);
    let bytes = content.split_off(..length as usize)?.to_vec();
    let chunk = (!bytes.is_empty()).then_some(Chunk { pack, offset, bytes });
    Some(Entry { chunk, rows: content.to_vec() })
}

/// Zeroes to the end, under another name until they are on the disk.
fn create(disk: &Disk) -> Result<File> {
    let (path, fresh) = (disk.journal(), disk.journal().with_extension("new"));
    disk::remove(&fresh);
    let mut file = disk::create(&fresh)?;
    let zeroes = vec![0; 1 << 20];
    for _ in 0..SIZE >> 20 {
        file.write_all(&zeroes).map_err(disk::failed("write", &fresh))?;
    }
    file.sync_all().map_err(disk::failed("sync", &fresh))?;
    std::fs::rename(&fresh, &path).map_err(disk::failed("rename", &fresh))?;
    disk::sync_dir(path.parent().unwrap_or(&path))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::TempDir::new().unwrap();
        let journal = Journal::open(&Disk::prepare(dir.path()).unwrap()).unwrap();
        (dir, journal)
    }

    #[test]
    fn batches_return_in_order_and_old_rounds_are_not_heard() {
        let (_dir, mut journal) = journal();
        for number in 5..9 {
            let mut rows = Vec::new();
            write_row(&mut rows, (At::Latest, b"key", Some(&[number as u8])));
            write_row(&mut rows, (At::Older, b"", None));
            let chunk = Chunk { pack: 1, offset: number, bytes: vec![7; 3] };
            assert!(journal.append(number, (number % 2 == 0).then_some(&chunk), &rows).unwrap());
        }
        assert_eq!(journal.entries(5).unwrap().len(), 4);
        assert_eq!(journal.entries(9).unwrap().len(), 0);
        journal.begin_again();
        assert!(journal.append(9, None, b"").unwrap());
        assert_eq!(journal.entries(9).unwrap().len(), 1, "what follows is of the round before");
        let (_dir, mut journal) = self::journal();
        let mut rows = Vec::new();
        write_row(&mut rows, (At::Latest, b"key", Some(b"value")));
        write_row(&mut rows, (At::Parts, b"", None));
        journal.append(0, None, &rows).unwrap();
        let entry = journal.entries(0).unwrap().remove(0);
        let mut rows = entry.rows.as_slice();
        assert_eq!(
            read_row(&mut rows).unwrap(),
            Some((At::Latest, b"key".as_slice(), Some(b"value".as_slice())))
        );
        assert_eq!(read_row(&mut rows).unwrap(), Some((At::Parts, b"".as_slice(), None)));
        assert_eq!(read_row(&mut rows).unwrap(), None);
    }

    #[test]
    fn a_torn_batch_ends_the_journal() {
        let (dir, mut journal) = journal();
        assert!(journal.append(1, None, &[1; 100]).unwrap() && journal.append(2, None, &[2; 100]).unwrap());
        let path = dir.path().join("journal");
        let whole = std::fs::read(&path).unwrap();
        for at in 140..280 {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            std::fs::write(&path, torn).unwrap();
            let again = Journal::open(&journal.disk).unwrap();
            assert_eq!(again.entries(1).unwrap().len(), 1, "byte {at}");
        }
        assert!(!journal.append(3, None, &vec![0; 8 << 20]).unwrap(), "no room");
    }
}

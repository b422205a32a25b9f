//! Pack files: small bodies one after the other, each behind a header that names and checks it. A pack is
//! only ever appended to; after a restart or a failed write a new one is begun, so that a torn tail is
//! always the end of its file. Until a pack is synced, the journal has its last bytes too.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::disk::{self, Disk};
use super::error::Result;
use super::journal::Chunk;

/// Magic, length, id, CRC of the bytes, CRC of these.
pub(super) const HEADER: usize = 24;
const MAGIC: [u8; 4] = *b"S3PK";
/// Pack files kept open for reading.
const OPEN: usize = 256;

/// A small body on its way to a pack; `id` is given when it is moved there from another one.
#[derive(Debug, Clone)]
pub(super) struct Small {
    pub(super) id: Option<u64>,
    pub(super) bytes: Bytes,
}

/// Where it has been written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) id: u64,
    pub(super) pack: u64,
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// The bytes a body takes in its pack.
pub(super) fn footprint(length: u32) -> u64 {
    u64::from(length) + HEADER as u64
}

fn header(id: u64, bytes: &[u8]) -> [u8; HEADER] {
    let mut out = [0; HEADER];
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out[..4].copy_from_slice(&MAGIC);
    out[4..8].copy_from_slice(&length.to_le_bytes());
    out[8..16].copy_from_slice(&id.to_le_bytes());
    out[16..20].copy_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    let sum = crc32fast::hash(&out[..20]);
    out[20..].copy_from_slice(&sum.to_le_bytes());
    out
}

/// Id, length and CRC, if it is a header.
fn parse(header: &[u8]) -> Option<(u64, u32, u32)> {
    let word = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    if header.get(..4)? != MAGIC || crc32fast::hash(header.get(..20)?) != word(20)? {
        return None;
    }
    Some((u64::from_le_bytes(header.get(8..16)?.try_into().ok()?), word(4)?, word(16)?))
}

/// The end that writes: one, in the writer thread.
pub(super) struct Appender {
    disk: Disk,
    limit: u64,
    current: Option<(u64, File, u64)>,
    /// Finished, and not synced yet.
    unsynced: Vec<File>,
    /// The pack being written, for the upkeep to leave alone.
    pub(super) shown: Arc<AtomicU64>,
}

impl Appender {
    pub(super) fn new(disk: Disk, limit: u64) -> Self {
        // Offsets are 32 bits wide.
        Self {
            disk,
            limit: limit.min(1 << 31),
            current: None,
            unsynced: Vec::new(),
            shown: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Appends all of `bodies`; they are synced by `sync`. `fresh` names a new pack if one is needed.
    /// Gives what the journal needs to write it again.
    pub(super) fn append(&mut self, bodies: &[(u64, Bytes)], fresh: u64) -> Result<(Vec<Place>, Chunk)> {
        let (pack, file, end) = self.file(fresh)?;
        let total = bodies.iter().map(|(_, bytes)| HEADER + bytes.len()).sum();
        let mut buffer = Vec::with_capacity(total);
        let mut places = Vec::with_capacity(bodies.len());
        for (id, bytes) in bodies {
            let offset = u32::try_from(end + buffer.len() as u64).unwrap_or(u32::MAX);
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            places.push(Place { id: *id, pack, offset, length });
            buffer.extend_from_slice(&header(*id, bytes));
            buffer.extend_from_slice(bytes);
        }
        let written = file.write_all_at(&buffer, end);
        match written {
            Ok(()) => {
                if let Some(current) = &mut self.current {
                    current.2 += buffer.len() as u64;
                }
                Ok((places, Chunk { pack, offset: end, bytes: buffer }))
            }
            Err(error) => {
                self.current = None;
                self.shown.store(0, Ordering::SeqCst);
                Err(disk::failed("append to the pack", &self.disk.pack(pack))(error))
            }
        }
    }

    fn file(&mut self, fresh: u64) -> Result<(u64, &File, u64)> {
        if self.current.as_ref().is_none_or(|(_, _, end)| *end >= self.limit) {
            self.shown.store(fresh, Ordering::SeqCst);
            let file = disk::create(&self.disk.pack(fresh))?;
            self.unsynced.extend(self.current.take().map(|(_, file, _)| file));
            self.current = Some((fresh, file, 0));
        }
        match &self.current {
            Some((pack, file, end)) => Ok((*pack, file, *end)),
            None => Err(super::Error::Closed),
        }
    }

    /// Syncs all that was appended.
    pub(super) fn sync(&mut self) -> Result<()> {
        let current = self.current.as_ref().map(|(_, file, _)| file);
        for file in self.unsynced.iter().chain(current) {
            file.sync_data().map_err(disk::failed("sync the packs in", &self.disk.packs()))?;
        }
        self.unsynced.clear();
        disk::sync_dir(&self.disk.packs())
    }

    /// Writes a chunk again, as the journal has it.
    pub(super) fn replay(&mut self, chunk: &Chunk) -> Result<()> {
        let path = self.disk.pack(chunk.pack);
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(disk::failed("open the pack", &path))?;
        file.write_all_at(&chunk.bytes, chunk.offset).map_err(disk::failed("write the pack", &path))?;
        file.sync_data().map_err(disk::failed("sync the pack", &path))
    }

    /// The pack that the next body goes to, 0 if none.
    pub(super) fn writing(&self) -> u64 {
        self.shown.load(Ordering::SeqCst)
    }

    /// Forgets the pack being written: the next body begins a new one.
    pub(super) fn rotate(&mut self) {
        self.current = None;
        self.unsynced.clear();
        self.shown.store(0, Ordering::SeqCst);
    }
}

/// The end that reads: pack files open and shared.
pub(super) struct Shelf {
    disk: Disk,
    open: Mutex<HashMap<u64, Arc<File>>>,
}

/// Why a small body could not be read.
pub(super) enum Unread {
    /// The pack is gone: look up again where the body is now.
    Gone,
    Damaged(String),
    Io(io::Error),
}

impl Shelf {
    pub(super) fn new(disk: Disk) -> Self {
        Self { disk, open: Mutex::new(HashMap::new()) }
    }

    pub(super) fn file(&self, pack: u64) -> io::Result<Arc<File>> {
        if let Some(file) = self.open.lock().get(&pack) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(self.disk.pack(pack))?);
        let mut open = self.open.lock();
        if open.len() >= OPEN
            && let Some(any) = open.keys().next().copied()
        {
            open.remove(&any);
        }
        open.insert(pack, Arc::clone(&file));
        Ok(file)
    }

    pub(super) fn forget(&self, pack: u64) {
        self.open.lock().remove(&pack);
    }

    pub(super) fn read(&self, place: Place) -> Result<Bytes, Unread> {
        let file = self.file(place.pack).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Unread::Gone,
            _ => Unread::Io(error),
        })?;
        read(&file, place)
    }
}

/// Reads a body and compares all there is to compare.
pub(super) fn read(file: &File, place: Place) -> Result<Bytes, Unread> {
    let mut buffer = vec![0; HEADER + place.length as usize];
    file.read_exact_at(&mut buffer, u64::from(place.offset)).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Unread::Damaged(format!("pack {:016x} is too short", place.pack)),
        _ => Unread::Io(error),
    })?;
    let bytes = Bytes::from(buffer);
    let body = bytes.slice(HEADER..);
    let expected = Some((place.id, place.length, crc32fast::hash(&body)));
    if parse(&bytes[..HEADER]) != expected {
        let detail = format!("the checksum differs in pack {:016x} at byte {}", place.pack, place.offset);
        return Err(Unread::Damaged(detail));
    }
    Ok(body)
}

/// Where the bodies of a finished pack are, up to the first byte that is none.
pub(super) fn walk(file: &File, pack: u64) -> io::Result<Vec<Place>> {
    let (mut places, mut offset, end) = (Vec::new(), 0, file.metadata()?.len());
    while offset + HEADER as u64 <= end {
        let mut buffer = [0; HEADER];
        file.read_exact_at(&mut buffer, offset)?;
        let (Some((id, length, _)), Ok(at)) = (parse(&buffer), u32::try_from(offset)) else { break };
        places.push(Place { id, pack, offset: at, length });
        offset += footprint(length);
    }
    Ok(places)
}

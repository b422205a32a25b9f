//! Files of large bodies: the bytes as they are, then a CRC-32 for each block. The CRC begins with the
//! file's name and the block's number, so a block of another file or place does not pass.

use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use crc32fast::Hasher;

use super::record::Name;

/// What is checked, and so read, at once.
pub(super) const BLOCK: u64 = 64 << 10;
/// What is written is synced in steps of this, beside the writing, so that the last sync is short.
const PUSH: u64 = 32 << 20;

fn seed(name: &Name, block: u64) -> u32 {
    let [a, b, c, d, ..] = *name;
    // Blocks of one file differ by their number; a file has fewer than 2^32.
    u32::from_le_bytes([a, b, c, d]) ^ u32::try_from(block & u64::from(u32::MAX)).unwrap_or(0)
}

/// Length of the file of a body of `size` bytes.
pub(super) fn length(size: u64) -> u64 {
    size + 4 * size.div_ceil(BLOCK)
}

/// Writes a blob file front to back.
pub(super) struct Writer {
    file: File,
    name: Name,
    size: u64,
    pushed: u64,
    pusher: Option<JoinHandle<io::Result<()>>>,
    sums: Vec<u8>,
    block: Hasher,
}

impl Writer {
    pub(super) fn new(file: File, name: Name) -> Self {
        let block = Hasher::new_with_initial(seed(&name, 0));
        Self { file, name, size: 0, pushed: 0, pusher: None, sums: Vec::new(), block }
    }

    pub(super) fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.sum(piece);
        }
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            match self.file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.size - self.pushed >= PUSH && self.pusher.as_ref().is_none_or(JoinHandle::is_finished) {
            self.pushed = self.size;
            self.join()?;
            let file = self.file.try_clone()?;
            self.pusher = Some(Builder::new().name("s3-push".to_owned()).spawn(move || file.sync_data())?);
        }
        Ok(())
    }

    /// Whether what was pushed is on the disk: the kernel tells of a failed write once, and to one who asks.
    fn join(&mut self) -> io::Result<()> {
        match self.pusher.take().map(JoinHandle::join) {
            Some(Ok(done)) => done,
            Some(Err(_)) => Err(io::Error::other("the thread that syncs stopped")),
            None => Ok(()),
        }
    }

    fn sum(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let room = usize::try_from(BLOCK - self.size % BLOCK).unwrap_or(usize::MAX);
            let (now, later) = piece.split_at(room.min(piece.len()));
            self.block.update(now);
            self.size += now.len() as u64;
            if self.size.is_multiple_of(BLOCK) {
                self.close_block();
            }
            piece = later;
        }
    }

    fn close_block(&mut self) {
        let next = Hasher::new_with_initial(seed(&self.name, self.size / BLOCK));
        let done = std::mem::replace(&mut self.block, next);
        self.sums.extend_from_slice(&done.finalize().to_le_bytes());
    }

    /// Adds the checksums and syncs.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        if !self.size.is_multiple_of(BLOCK) {
            self.close_block();
        }
        self.file.write_all(&self.sums)?;
        self.join()?;
        self.file.sync_all()?;
        Ok(self.size)
    }
}

/// Reads a blob file from some byte on.
pub(super) struct Reader {
    file: File,
    name: Name,
    size: u64,
    block: u64,
    /// To cut off the first block.
    skip: usize,
}

/// Why a blob could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    Damaged(String),
    Io(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Reader {
    pub(super) fn new(mut file: File, name: Name, size: u64, from: u64) -> Result<Self, Unread> {
        let found = file.metadata()?.len();
        if found != length(size) {
            return Err(Unread::Damaged(format!("its file has {found} bytes instead of {}", length(size))));
        }
        let block = from / BLOCK;
        file.seek(SeekFrom::Start(block * BLOCK))?;
        let skip = usize::try_from(from % BLOCK).unwrap_or(0);
        Ok(Self { file, name, size, block, skip })
    }

    /// The next bytes, some blocks of them and at least `1`, unless there are none; `want` is a hint.
    pub(super) fn next(&mut self, want: u64) -> Result<Bytes, Unread> {
        let start = self.block * BLOCK;
        let left = self.size.saturating_sub(start);
        let take = (want + self.skip as u64).div_ceil(BLOCK).max(1).saturating_mul(BLOCK).min(left);
        let blocks = take.div_ceil(BLOCK);
        let mut sums = vec![0; usize::try_from(4 * blocks).unwrap_or(0)];
        self.file.read_exact_at(&mut sums, self.size + 4 * self.block)?;
        let mut buffer = Vec::with_capacity(usize::try_from(take).unwrap_or(0));
        (&mut self.file).take(take).read_to_end(&mut buffer)?;
        if buffer.len() as u64 != take {
            return Err(Unread::Damaged(format!("its file ends at byte {}", start + buffer.len() as u64)));
        }
        let block_size = usize::try_from(BLOCK).unwrap_or(usize::MAX);
        for (at, (bytes, sum)) in buffer.chunks(block_size).zip(sums.chunks(4)).enumerate() {
            let block = self.block + at as u64;
            let mut hasher = Hasher::new_with_initial(seed(&self.name, block));
            hasher.update(bytes);
            if hasher.finalize().to_le_bytes() != sum {
                let (from, to) = (block * BLOCK, block * BLOCK + bytes.len() as u64);
                let file = super::disk::hex(&self.name);
                return Err(Unread::Damaged(format!(
                    "the checksum of bytes {from} to {to} of file {file} differs"
                )));
            }
        }
        self.block += blocks;
        Ok(Bytes::from(buffer).split_off(std::mem::take(&mut self.skip)))
    }
}

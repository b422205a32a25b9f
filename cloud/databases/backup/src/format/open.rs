//! Opening: the head says how the object is cut; its size says how many chunks there must be.

use super::{HEAD, Key, MAGIC, MOST_CHUNK, Seal, TAG, VERSION, ZSTD};
use crate::Error;

/// Opens the chunks of one object.
pub(crate) struct Opener {
    seal: Seal,
    name: String,
    record: u64,
    chunks: u64,
    size: u64,
}

impl Opener {
    /// Reads the head of an object of `size` bytes.
    pub(crate) fn new(key: &Key, name: &str, head: &[u8], size: u64) -> Result<Self, Error> {
        let refuse = |why: &str| Error::NoBackup { object: name.to_owned(), why: why.to_owned() };
        let head: &[u8; HEAD] = head.try_into().map_err(|_| refuse("it is too short"))?;
        if &head[..8] != MAGIC {
            return Err(refuse("its head is not that of a backup"));
        }
        if head[8] != VERSION || head[9] != ZSTD || head[10..12] != [0, 0] {
            let why = format!("its version {}.{} is not known to this version of Sealos", head[8], head[9]);
            return Err(refuse(&why));
        }
        if head[16..24] != key.id_bytes() {
            let theirs = hex::encode(&head[16..24]);
            return Err(Error::OtherKey { object: name.to_owned(), theirs, ours: key.id() });
        }
        let chunk = usize::try_from(u32::from_be_bytes([head[12], head[13], head[14], head[15]]));
        let chunk = chunk.unwrap_or(usize::MAX);
        if chunk == 0 || chunk > MOST_CHUNK {
            return Err(refuse("its head is damaged"));
        }
        let record = (chunk + TAG) as u64;
        let body = size.saturating_sub(HEAD as u64);
        Ok(Self {
            seal: Seal::new(key, head, name),
            name: name.to_owned(),
            record,
            chunks: body.div_ceil(record).max(1),
            size,
        })
    }

    /// How many chunks there are.
    pub(crate) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Where chunk `number`, from 0, lies in the object.
    pub(crate) fn range(&self, number: u64) -> std::ops::Range<u64> {
        let start = HEAD as u64 + number * self.record;
        start..(start + self.record).min(self.size).max(start)
    }

    /// Opens chunk `number`, from 0.
    pub(crate) fn open(&self, number: u64, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let last = number + 1 == self.chunks;
        if let Some(plain) = self.try_open(number, sealed, last) {
            return Ok(plain);
        }
        // A chunk that opens as one in the middle, at the end of the object: what followed is gone.
        if last && self.try_open(number, sealed, false).is_some() {
            return Err(Error::Cut { object: self.name.clone(), chunk: number + 1 });
        }
        Err(Error::Damaged { object: self.name.clone(), chunk: number + 1, chunks: self.chunks })
    }

    fn try_open(&self, number: u64, sealed: &[u8], last: bool) -> Option<Vec<u8>> {
        let mut data = sealed.to_vec();
        let plain =
            self.seal.key.open_in_place(Seal::nonce(number, last), self.seal.aad(), &mut data).ok()?;
        let length = plain.len();
        data.truncate(length);
        Some(data)
    }
}

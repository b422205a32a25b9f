//! Sealing: a head, then chunk after chunk.

use bytes::Bytes;

use super::{CHUNK, HEAD, Key, MAGIC, Seal, VERSION, ZSTD};

/// Seals the chunks of one object.
pub(crate) struct Sealer {
    seal: Seal,
    number: u64,
    chunk: usize,
    pending: Vec<u8>,
}

impl Sealer {
    /// A sealer for the object of that name, and the object's head.
    pub(crate) fn new(key: &Key, name: &str) -> (Self, Bytes) {
        Self::with_chunks(key, name, CHUNK)
    }

    /// Like [`Self::new`], with chunks of another size.
    pub(crate) fn with_chunks(key: &Key, name: &str, chunk: usize) -> (Self, Bytes) {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8] = VERSION;
        head[9] = ZSTD;
        head[12..16].copy_from_slice(&u32::try_from(chunk).unwrap_or(u32::MAX).to_be_bytes());
        head[16..24].copy_from_slice(&key.id_bytes());
        head[24..].copy_from_slice(&rand::random::<[u8; 32]>());
        let seal = Seal::new(key, &head, name);
        (Self { seal, number: 0, chunk, pending: Vec::with_capacity(chunk) }, Bytes::copy_from_slice(&head))
    }

    /// Takes bytes; gives the chunks that are full. The last full one waits, since it may be the last of all.
    pub(crate) fn push(&mut self, mut data: &[u8]) -> Vec<Bytes> {
        let mut sealed = Vec::new();
        while !data.is_empty() {
            if self.pending.len() == self.chunk {
                sealed.push(self.seal(false));
            }
            let (now, later) = data.split_at(data.len().min(self.chunk - self.pending.len()));
            self.pending.extend_from_slice(now);
            data = later;
        }
        sealed
    }

    /// The last chunk; there always is one.
    pub(crate) fn finish(mut self) -> Bytes {
        self.seal(true)
    }

    fn seal(&mut self, last: bool) -> Bytes {
        let mut data = std::mem::replace(&mut self.pending, Vec::with_capacity(self.chunk));
        let nonce = Seal::nonce(self.number, last);
        self.seal
            .key
            .seal_in_place_append_tag(nonce, self.seal.aad(), &mut data)
            .expect("a chunk is far below the limit of AES-GCM");
        self.number += 1;
        data.into()
    }
}

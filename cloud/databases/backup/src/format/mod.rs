//! How a stream lies in a bucket: compressed, cut into chunks, each chunk sealed. Pure.
//!
//! ```text
//! head   "SEALOSBK"  version (1)  compression (1)  0 0  chunk size (4)  key id (8)  salt (32)
//! chunk  AES-256-GCM of `chunk size` bytes, and a tag of 16; the last one may be shorter
//! ```
//! Each object has a key of its own, derived from the workspace's key and the salt, so that the chunk's
//! number can be the nonce. The nonce also says whether a chunk is the last; head and the object's name are
//! authenticated with every chunk. A flipped bit, a cut, and a chunk or an object in another's place are
//! therefore all found, before a byte of the chunk is passed on.

mod key;
mod open;
mod seal;

pub use key::Key;
pub(crate) use open::Opener;
pub(crate) use seal::Sealer;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;

/// The bytes of a head.
pub(crate) const HEAD: usize = 56;
/// The bytes that a seal adds to a chunk.
pub(crate) const TAG: usize = 16;
/// The bytes of a chunk before it is sealed.
pub(crate) const CHUNK: usize = 1 << 20;
/// No sane writer makes larger chunks; a reader must hold one in memory.
const MOST_CHUNK: usize = 64 << 20;
const MAGIC: &[u8; 8] = b"SEALOSBK";
const VERSION: u8 = 1;
/// The one compression of version 1.
const ZSTD: u8 = 1;

/// What belongs to one object: its own key, and what every chunk vouches for.
struct Seal {
    key: LessSafeKey,
    aad: Vec<u8>,
}

impl Seal {
    fn new(key: &Key, head: &[u8; HEAD], name: &str) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &head[24..HEAD]);
        let info: [&[u8]; 1] = [b"sealos backup object"];
        let derived = salt.extract(key.bytes());
        let okm = derived.expand(&info, &AES_256_GCM).expect("32 bytes are a length HKDF can give");
        let aad = [head.as_slice(), name.as_bytes()].concat();
        Self { key: LessSafeKey::new(UnboundKey::from(okm)), aad }
    }

    fn nonce(number: u64, last: bool) -> Nonce {
        let mut nonce = [0; 12];
        nonce[0] = u8::from(last);
        nonce[4..].copy_from_slice(&number.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn aad(&self) -> Aad<&[u8]> {
        Aad::from(self.aad.as_slice())
    }
}

#[cfg(test)]
mod tests;

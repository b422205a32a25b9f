//! Header blocks: pairs, compressed over the whole life of a connection with words known before.

use std::io;
use std::sync::LazyLock;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// A block that unpacks to more than this is an attack.
const MAX_BLOCK: usize = 64 * 1024;

/// The words that compression starts with, as SPDY/3 lays them down.
static DICTIONARY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut bytes = Vec::with_capacity(1423);
    for word in WORDS.split(' ').map(|word| word.replace('_', " ")) {
        bytes.extend((word.len() as u32).to_be_bytes());
        bytes.extend(word.bytes());
    }
    bytes.extend(TAIL.bytes());
    bytes
});

const WORDS: &str = "options head post put delete trace accept accept-charset accept-encoding \
accept-language accept-ranges age allow authorization cache-control connection content-base \
content-encoding content-language content-length content-location content-md5 content-range \
content-type date etag expect expires from host if-match if-modified-since if-none-match if-range \
if-unmodified-since last-modified location max-forwards pragma proxy-authenticate \
proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade \
user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public \
set-cookie keep-alive origin";

const TAIL: &str = "100101201202205206300302303304305306307402405406407408409410411412413414415416\
417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad \
Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not \
Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, \
Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,\
application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,\
deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

/// The state of one direction.
pub(super) struct Headers {
    packer: Option<Compress>,
    unpacker: Decompress,
}

impl Headers {
    pub(super) fn new() -> Self {
        Self { packer: None, unpacker: Decompress::new(true) }
    }

    pub(super) fn pack(&mut self, pairs: &[(String, String)]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        plain.extend((pairs.len() as u32).to_be_bytes());
        for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend((text.len() as u32).to_be_bytes());
            plain.extend(text.bytes());
        }
        let packer = match &mut self.packer {
            Some(packer) => packer,
            None => {
                let mut packer = Compress::new(Compression::default(), true);
                packer.set_dictionary(&DICTIONARY).map_err(io::Error::other)?;
                self.packer.insert(packer)
            }
        };
        let begun = packer.total_in();
        let mut packed = Vec::with_capacity(plain.len() + 64);
        loop {
            let taken = usize::try_from(packer.total_in() - begun).unwrap_or(usize::MAX);
            let rest = plain.get(taken..).unwrap_or_default();
            packer.compress_vec(rest, &mut packed, FlushCompress::Sync).map_err(io::Error::other)?;
            // Room left over means that everything is flushed.
            if packed.len() < packed.capacity() {
                return Ok(packed);
            }
            packed.reserve(packed.capacity());
        }
    }

    pub(super) fn unpack(&mut self, packed: &[u8]) -> io::Result<Vec<(String, String)>> {
        let mut plain = Vec::with_capacity(1024);
        let begun = self.unpacker.total_in();
        loop {
            let taken = usize::try_from(self.unpacker.total_in() - begun).unwrap_or(usize::MAX);
            let rest = packed.get(taken..).unwrap_or_default();
            let result = self.unpacker.decompress_vec(rest, &mut plain, FlushDecompress::Sync);
            match result {
                Ok(_) if plain.len() < plain.capacity() => return parse(&plain),
                Ok(_) if plain.len() > MAX_BLOCK => return Err(invalid("a header block is too long")),
                Ok(_) => plain.reserve(plain.capacity()),
                Err(error) if error.needs_dictionary().is_some() => {
                    self.unpacker.set_dictionary(&DICTIONARY).map_err(io::Error::other)?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

fn parse(plain: &[u8]) -> io::Result<Vec<(String, String)>> {
    let mut rest = plain;
    let count = number(&mut rest)?;
    // Each pair takes eight bytes at least.
    let mut pairs = Vec::with_capacity(count.min(rest.len() / 8));
    for _ in 0..count {
        let name = text(&mut rest)?.to_ascii_lowercase();
        pairs.push((name, text(&mut rest)?));
    }
    Ok(pairs)
}

fn number(rest: &mut &[u8]) -> io::Result<usize> {
    let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(|| invalid("a header block is cut off"))?;
    *rest = tail;
    Ok(u32::from_be_bytes(*head) as usize)
}

fn text(rest: &mut &[u8]) -> io::Result<String> {
    let length = number(rest)?;
    let (head, tail) = rest.split_at_checked(length).ok_or_else(|| invalid("a header block is cut off"))?;
    *rest = tail;
    Ok(String::from_utf8_lossy(head).into_owned())
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_the_one_everybody_has() {
        let (mut low, mut high) = (1_u32, 0_u32);
        for byte in DICTIONARY.iter() {
            low = (low + u32::from(*byte)) % 65521;
            high = (high + low) % 65521;
        }
        assert_eq!((DICTIONARY.len(), high << 16 | low), (1423, 0xe3c6_a7c2));
    }

    #[test]
    fn blocks_depend_on_those_before() {
        let (mut packer, mut unpacker) = (Headers::new(), Headers::new());
        for round in 0..5 {
            let pairs = vec![
                ("streamtype".to_owned(), "error".to_owned()),
                ("port".to_owned(), "8080".repeat(round * 400)),
                ("requestid".to_owned(), round.to_string()),
            ];
            let packed = packer.pack(&pairs).unwrap();
            assert_eq!(unpacker.unpack(&packed).unwrap(), pairs);
        }
    }

    #[test]
    fn a_broken_block_is_an_error() {
        assert!(Headers::new().unpack(b"nonsense").is_err());
        assert!(parse(&[0, 0, 0, 1, 0, 0, 0, 9, b'x']).is_err());
        assert!(parse(&[0xff, 0xff, 0xff, 0xff]).is_err());
    }
}

//! The checksums clients may send and ask for, besides the ETag.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::{S3Error, S3ErrorCode, S3Result, dto, s3_error};

use crate::store::{Checksum, Observe};

/// An algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

const ALL: [Algorithm; 5] =
    [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

impl Algorithm {
    pub(crate) fn parse(name: &str) -> S3Result<Self> {
        ALL.into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| s3_error!(InvalidRequest, "checksum algorithm `{name}` is not supported"))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    fn header(self) -> String {
        format!("x-amz-checksum-{}", self.name().to_ascii_lowercase())
    }

    fn bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Whether the parts' checksums can be put together to that of the whole.
    pub(crate) fn combines(self) -> bool {
        matches!(self, Self::Crc32 | Self::Crc32c | Self::Crc64Nvme)
    }

    fn hasher(self) -> ChecksumHasher {
        let mut hasher = ChecksumHasher::default();
        match self {
            Self::Crc32 => hasher.crc32 = Some(Crc32::new()),
            Self::Crc32c => hasher.crc32c = Some(Crc32c::new()),
            Self::Crc64Nvme => hasher.crc64nvme = Some(Crc64Nvme::new()),
            Self::Sha1 => hasher.sha1 = Some(Sha1::new()),
            Self::Sha256 => hasher.sha256 = Some(Sha256::new()),
        }
        hasher
    }

    pub(crate) fn of(self, bytes: &[u8]) -> String {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        value(hasher)
    }
}

fn value(hasher: ChecksumHasher) -> String {
    let sums = hasher.finalize();
    let all = [sums.checksum_crc32, sums.checksum_crc32c, sums.checksum_crc64nvme, sums.checksum_sha1];
    all.into_iter().chain([sums.checksum_sha256]).flatten().next().unwrap_or_default()
}

/// The checksum fields many inputs have, taken out of one.
macro_rules! sent {
    ($input:expr) => {
        $crate::checksum::Sent::new([
            $input.checksum_crc32.take(),
            $input.checksum_crc32c.take(),
            $input.checksum_crc64nvme.take(),
            $input.checksum_sha1.take(),
            $input.checksum_sha256.take(),
        ])
    };
}
pub(crate) use sent;

/// The one checksum a client sent, or none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent(pub(crate) Option<(Algorithm, String)>);

impl Sent {
    pub(crate) fn new(values: [Option<String>; 5]) -> S3Result<Self> {
        let mut sent = ALL.into_iter().zip(values).filter_map(|(algorithm, value)| Some((algorithm, value?)));
        let one = sent.next();
        if sent.next().is_some() {
            return Err(s3_error!(InvalidRequest, "expecting a single x-amz-checksum- header"));
        }
        Ok(Self(one))
    }
}

/// What is to be computed over a body, and what it should come to.
pub(crate) struct Plan {
    algorithm: Option<Algorithm>,
    expected: Option<String>,
}

impl Plan {
    /// From what came with the request: a checksum, the name of a trailer, or an algorithm. `fallback` is
    /// what the upload was begun with.
    pub(crate) fn new(sent: Sent, headers: &http::HeaderMap, fallback: Option<Algorithm>) -> S3Result<Self> {
        if let Some((algorithm, value)) = sent.0 {
            check_value(algorithm, &value)?;
            return Ok(Self { algorithm: Some(algorithm), expected: Some(value) });
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let trailer = text("x-amz-trailer").and_then(|names| {
            ALL.into_iter()
                .find(|a| names.split(',').any(|name| name.trim().eq_ignore_ascii_case(&a.header())))
        });
        let named = match text("x-amz-sdk-checksum-algorithm") {
            Some(name) => Some(Algorithm::parse(name)?),
            None => None,
        };
        Ok(Self { algorithm: trailer.or(named).or(fallback), expected: None })
    }

    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch(self.algorithm.map(Algorithm::hasher))
    }

    /// Compares what was computed with what was sent, in a header or in the trailer.
    pub(crate) fn settle(
        self,
        watch: Watch,
        trailers: Option<&s3s::TrailingHeaders>,
    ) -> S3Result<Option<Checksum>> {
        let (Some(algorithm), Some(hasher)) = (self.algorithm, watch.0) else { return Ok(None) };
        let value = value(hasher);
        let trailing = trailers.and_then(|trailers| {
            trailers.read(|headers| {
                headers.get(algorithm.header()).and_then(|v| v.to_str().ok()).map(str::to_owned)
            })?
        });
        for expected in [self.expected, trailing].into_iter().flatten() {
            check_value(algorithm, &expected)?;
            if expected != value {
                return Err(s3_error!(
                    BadDigest,
                    "the {} of the body is {value}, not {expected} as sent",
                    algorithm.name()
                ));
            }
        }
        Ok(Some(Checksum { algorithm: algorithm.name().to_owned(), value, composite: false }))
    }
}

fn check_value(algorithm: Algorithm, value: &str) -> S3Result<()> {
    let bytes = STANDARD.decode(value.as_bytes()).ok();
    if bytes.is_some_and(|bytes| bytes.len() == algorithm.bytes()) {
        return Ok(());
    }
    Err(s3_error!(InvalidRequest, "Value for {} header is invalid.", algorithm.header()))
}

/// Watches a body go by.
pub(crate) struct Watch(Option<ChecksumHasher>);

impl Observe for Watch {
    fn update(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.0 {
            hasher.update(bytes);
        }
    }
}

/// Compares the `Content-MD5` a client sent.
pub(crate) fn check_md5(sent: Option<&str>, md5: [u8; 16]) -> S3Result<()> {
    let Some(sent) = sent else { return Ok(()) };
    if decode_md5(sent)? == md5 {
        return Ok(());
    }
    Err(s3_error!(BadDigest, "the MD5 of the body is not the Content-MD5 sent"))
}

/// A `Content-MD5`, or why it is none: asked before a body is taken in.
pub(crate) fn decode_md5(sent: &str) -> S3Result<[u8; 16]> {
    STANDARD
        .decode(sent.as_bytes())
        .ok()
        .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        .ok_or_else(|| S3Error::with_message(S3ErrorCode::InvalidDigest, "Content-MD5 is no MD5 in base64"))
}

/// A part of a whole.
pub(crate) struct Piece {
    pub(crate) checksum: String,
    pub(crate) size: u64,
}

/// The checksum of the whole from those of its parts.
pub(crate) fn whole(algorithm: Algorithm, composite: bool, pieces: &[Piece]) -> Option<Checksum> {
    let sums: Vec<Vec<u8>> = pieces
        .iter()
        .map(|piece| STANDARD.decode(piece.checksum.as_bytes()))
        .collect::<Result<_, _>>()
        .ok()?;
    let value = if composite {
        format!("{}-{}", algorithm.of(&sums.concat()), pieces.len())
    } else {
        combined(algorithm, &sums, pieces)?
    };
    Some(Checksum { algorithm: algorithm.name().to_owned(), value, composite })
}

fn combined(algorithm: Algorithm, sums: &[Vec<u8>], pieces: &[Piece]) -> Option<String> {
    let kind = match algorithm {
        Algorithm::Crc32 => crc_fast::CrcAlgorithm::Crc32IsoHdlc,
        Algorithm::Crc32c => crc_fast::CrcAlgorithm::Crc32Iscsi,
        Algorithm::Crc64Nvme => crc_fast::CrcAlgorithm::Crc64Nvme,
        Algorithm::Sha1 | Algorithm::Sha256 => return None,
    };
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let mut all = number(sums.first()?);
    for (sum, piece) in sums.iter().zip(pieces).skip(1) {
        all = crc_fast::checksum_combine(kind, all, number(sum), piece.size);
    }
    let bytes = all.to_be_bytes();
    Some(STANDARD.encode(&bytes[8 - algorithm.bytes()..]))
}

/// A kept checksum in the five fields of an answer.
#[derive(Default)]
pub(crate) struct Fields {
    pub(crate) crc32: Option<String>,
    pub(crate) crc32c: Option<String>,
    pub(crate) crc64nvme: Option<String>,
    pub(crate) sha1: Option<String>,
    pub(crate) sha256: Option<String>,
    pub(crate) kind: Option<dto::ChecksumType>,
}

impl Fields {
    pub(crate) fn of(checksum: Option<&Checksum>) -> Self {
        let mut fields = Self::default();
        let Some(checksum) = checksum else { return fields };
        let value = Some(checksum.value.clone());
        match checksum.algorithm.as_str() {
            "CRC32" => fields.crc32 = value,
            "CRC32C" => fields.crc32c = value,
            "CRC64NVME" => fields.crc64nvme = value,
            "SHA1" => fields.sha1 = value,
            _ => fields.sha256 = value,
        }
        let kind =
            if checksum.composite { dto::ChecksumType::COMPOSITE } else { dto::ChecksumType::FULL_OBJECT };
        fields.kind = Some(dto::ChecksumType::from_static(kind));
        fields
    }
}

/// Puts a kept checksum into an answer that has the five fields.
macro_rules! fill {
    ($output:expr, $checksum:expr) => {{
        let fields = $crate::checksum::Fields::of($checksum);
        $output.checksum_crc32 = fields.crc32;
        $output.checksum_crc32c = fields.crc32c;
        $output.checksum_crc64nvme = fields.crc64nvme;
        $output.checksum_sha1 = fields.sha1;
        $output.checksum_sha256 = fields.sha256;
        fields.kind
    }};
}
pub(crate) use fill;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_the_whole() {
        let (a, b) = (b"hello ".as_slice(), b"world".as_slice());
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let pieces = [a, b].map(|text| Piece { checksum: algorithm.of(text), size: text.len() as u64 });
            let whole = whole(algorithm, false, &pieces).expect("a checksum");
            assert_eq!(whole.value, algorithm.of(b"hello world"), "{}", algorithm.name());
        }
    }

    #[test]
    fn composites_count_their_parts() {
        let pieces = [Piece { checksum: Algorithm::Sha256.of(b"a"), size: 1 }];
        let whole = whole(Algorithm::Sha256, true, &pieces).expect("a checksum");
        assert!(whole.composite && whole.value.ends_with("-1"), "{whole:?}");
    }

    #[test]
    fn refuses_two_checksums() {
        let two = [Some("a".to_owned()), Some("b".to_owned()), None, None, None];
        assert!(Sent::new(two).is_err());
    }
}

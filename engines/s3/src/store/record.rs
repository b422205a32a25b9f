//! What lies in the tables: versioned, compact, each with a checksum of its own. Nothing outside the store
//! sees these; a changed shape gets a new version byte and the old one stays readable here.

use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::model;

/// The first byte of every record.
const VERSION: u8 = 1;

/// Version, fields, CRC-32 of both.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(128);
    out.push(VERSION);
    let mut out = postcard::to_extend(record, out)
        .map_err(|error| Error::Record { detail: format!("it does not encode: {error}") })?;
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    Ok(out)
}

/// Decodes a record; a type with the first few fields alone reads just those.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let damaged = |detail: &str| Error::Record { detail: detail.to_owned() };
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged("it is too short"))?;
    if crc32fast::hash(body).to_le_bytes() != *sum {
        return Err(damaged("its checksum differs"));
    }
    let (version, fields) = body.split_first().ok_or_else(|| damaged("it is empty"))?;
    if *version != VERSION {
        return Err(damaged("a later version of this program wrote it"));
    }
    match postcard::take_from_bytes(fields) {
        Ok((record, _)) => Ok(record),
        Err(error) => Err(damaged(&format!("it does not decode: {error}"))),
    }
}

pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

/// The name of a blob file.
pub(super) type Name = [u8; 16];

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Body {
    Empty,
    Packed(u64),
    File(Name),
    /// A manifest of segments.
    Parts(u64),
}

/// The MD5 of the bytes; or of the parts' MD5s, when `parts` is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Etag {
    pub(super) md5: [u8; 16],
    pub(super) parts: u32,
}

impl std::fmt::Display for Etag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.md5 {
            write!(f, "{byte:02x}")?;
        }
        if self.parts > 0 {
            write!(f, "-{}", self.parts)?;
        }
        Ok(())
    }
}

/// One version. The head comes first, so that listings decode nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) head: Head,
    pub(super) attributes: Attributes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) sequence: u64,
    pub(super) null: bool,
    pub(super) marker: bool,
    pub(super) size: u64,
    pub(super) etag: Etag,
    pub(super) modified: u64,
    pub(super) body: Body,
}

impl Head {
    pub(super) fn version(&self) -> model::VersionId {
        if self.null { model::VersionId::Null } else { model::VersionId::Id(self.sequence) }
    }

    /// For a listing: without attributes.
    pub(super) fn show(&self, key: String, latest: bool) -> model::Object {
        model::Object {
            key,
            version: self.version(),
            latest,
            delete_marker: self.marker,
            size: self.size,
            etag: if self.marker { String::new() } else { self.etag.to_string() },
            modified: time(self.modified),
            attributes: model::Attributes::default(),
            parts: self.etag.parts,
        }
    }
}

impl Object {
    pub(super) fn show(&self, key: String, latest: bool) -> model::Object {
        model::Object { attributes: (&self.attributes).into(), ..self.head.show(key, latest) }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attributes {
    pub(super) content_type: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) checksum: Option<Checksum>,
    /// Mode (true: compliance) and time.
    pub(super) retention: Option<(bool, u64)>,
    pub(super) legal_hold: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub(super) algorithm: String,
    pub(super) value: String,
    pub(super) composite: bool,
}

impl From<model::Checksum> for Checksum {
    fn from(from: model::Checksum) -> Self {
        let model::Checksum { algorithm, value, composite } = from;
        Self { algorithm, value, composite }
    }
}

impl From<Checksum> for model::Checksum {
    fn from(from: Checksum) -> Self {
        let Checksum { algorithm, value, composite } = from;
        Self { algorithm, value, composite }
    }
}

pub(super) fn retention(from: Option<model::Retention>) -> Option<(bool, u64)> {
    from.map(|r| (r.mode == model::RetentionMode::Compliance, millis(r.until)))
}

impl From<model::Attributes> for Attributes {
    fn from(from: model::Attributes) -> Self {
        Self {
            content_type: from.content_type,
            headers: from.headers.into_iter().collect(),
            metadata: from.metadata.into_iter().collect(),
            tags: from.tags,
            checksum: from.checksum.map(Into::into),
            retention: retention(from.retention),
            legal_hold: from.legal_hold,
        }
    }
}

impl From<&Attributes> for model::Attributes {
    fn from(from: &Attributes) -> Self {
        let mode = |compliance| match compliance {
            true => model::RetentionMode::Compliance,
            false => model::RetentionMode::Governance,
        };
        Self {
            content_type: from.content_type.clone(),
            headers: from.headers.iter().cloned().collect(),
            metadata: from.metadata.iter().cloned().collect(),
            tags: from.tags.clone(),
            checksum: from.checksum.clone().map(Into::into),
            retention: from
                .retention
                .map(|(compliance, until)| model::Retention { mode: mode(compliance), until: time(until) }),
            legal_hold: from.legal_hold,
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) disabled: bool,
    pub(super) deny_write: bool,
    pub(super) bytes: Option<u64>,
    pub(super) objects: Option<u64>,
    pub(super) buckets: Option<u64>,
}

impl User {
    pub(super) fn show(&self, name: &str) -> model::User {
        model::User {
            name: name.to_owned(),
            disabled: self.disabled,
            deny_write: self.deny_write,
            quota: model::Quota { bytes: self.bytes, objects: self.objects, buckets: self.buckets },
        }
    }
}

impl From<&model::User> for User {
    fn from(from: &model::User) -> Self {
        let model::Quota { bytes, objects, buckets } = from.quota;
        Self { disabled: from.disabled, deny_write: from.deny_write, bytes, objects, buckets }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) secret: String,
    pub(super) user: String,
    pub(super) bucket: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Bucket {
    pub(super) id: u32,
    pub(super) owner: String,
    pub(super) created: u64,
    pub(super) versioning: Versioning,
    pub(super) object_lock: bool,
    pub(super) generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Versioning {
    Unversioned,
    Enabled,
    Suspended,
}

impl From<model::Versioning> for Versioning {
    fn from(from: model::Versioning) -> Self {
        match from {
            model::Versioning::Unversioned => Self::Unversioned,
            model::Versioning::Enabled => Self::Enabled,
            model::Versioning::Suspended => Self::Suspended,
        }
    }
}

impl Bucket {
    pub(super) fn show(&self, name: &str) -> model::Bucket {
        model::Bucket {
            id: self.id,
            name: name.to_owned(),
            owner: self.owner.clone(),
            created: time(self.created),
            versioning: match self.versioning {
                Versioning::Unversioned => model::Versioning::Unversioned,
                Versioning::Enabled => model::Versioning::Enabled,
                Versioning::Suspended => model::Versioning::Suspended,
            },
            object_lock: self.object_lock,
            generation: self.generation,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) buckets: u64,
    pub(super) objects: u64,
    pub(super) versions: u64,
    pub(super) bytes: u64,
    pub(super) upload_bytes: u64,
}

impl From<Usage> for model::Usage {
    fn from(from: Usage) -> Self {
        let Usage { buckets, objects, versions, bytes, upload_bytes } = from;
        Self { buckets, objects, versions, bytes, upload_bytes }
    }
}

/// Where a small body lies. The length is that of the bytes alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packed {
    pub(super) pack: u64,
    pub(super) offset: u32,
    pub(super) length: u32,
    pub(super) references: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) references: u32,
    pub(super) segments: Vec<Segment>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Segment {
    pub(super) number: u16,
    pub(super) size: u64,
    pub(super) body: Body,
    pub(super) checksum: Option<Checksum>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) initiated: u64,
    pub(super) attributes: Attributes,
    pub(super) notes: Vec<(String, String)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    pub(super) modified: u64,
    pub(super) body: Body,
    pub(super) checksum: Option<Checksum>,
}

/// An upload that has become the version `sequence` of the bucket's key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Completed {
    pub(super) bucket: u32,
    pub(super) key: String,
    pub(super) sequence: u64,
    pub(super) etag: Etag,
    pub(super) at: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> Object {
        Object {
            head: Head {
                sequence: 7,
                null: true,
                marker: false,
                size: 3,
                etag: Etag { md5: [0xab; 16], parts: 2 },
                modified: 1_700_000_000_000,
                body: Body::Packed(9),
            },
            attributes: Attributes { content_type: Some("text/plain".to_owned()), ..Attributes::default() },
        }
    }

    #[test]
    fn a_head_reads_alone() {
        let bytes = encode(&object()).unwrap();
        assert_eq!(decode::<Object>(&bytes).unwrap(), object());
        assert_eq!(decode::<Head>(&bytes).unwrap(), object().head);
        assert_eq!(object().head.etag.to_string(), format!("{}-2", "ab".repeat(16)));
    }

    #[test]
    fn every_flipped_bit_shows() {
        let bytes = encode(&object()).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<Object>(&flipped).is_err(), "bit {bit}");
        }
    }

    /// Records written by the first release: they must decode for ever.
    #[test]
    fn what_the_first_release_wrote_still_decodes() {
        let golden = [
            1, 7, 1, 0, 3, 171, 171, 171, 171, 171, 171, 171, 171, 171, 171, 171, 171, 171, 171, 171, 171, 2,
        ];
        assert_eq!(encode(&object()).unwrap()[..golden.len()], golden);
    }
}

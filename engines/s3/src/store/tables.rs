//! The tables of `meta.redb` and how their keys are made: the order of keys is the order of listings.

use redb::TableDefinition;

pub(super) type Bytewise = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Every table maps bytes to bytes. The order is that of `NAMES`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Counters: `sequence`, `bucket`.
    Meta,
    /// Name → user.
    Users,
    /// Access key → key.
    Keys,
    /// Name → bucket.
    Buckets,
    /// Bucket, document's name → document.
    Documents,
    /// `b` bucket or `u` user → usage.
    Usage,
    /// Bucket, key → the latest version. Every key that has versions has a row here.
    Latest,
    /// Bucket, key, 0, inverted sequence → an older version: newest first.
    Older,
    /// Bucket, key → sequence of the `null` version, when it is an older one.
    Nulls,
    /// Name of a blob file → how many bodies refer to it.
    Files,
    /// Id of a small body → where it lies in which pack, and how many refer to it.
    Packed,
    /// Pack → live bytes.
    Packs,
    /// Manifest → how many refer to it, and its segments.
    Manifests,
    /// Bucket, key, 0, upload → upload.
    Uploads,
    /// Upload, number → part.
    Parts,
    /// Upload → the object it became: for a client that asks again.
    Completed,
    /// Deleted buckets whose contents are still to be removed.
    Doomed,
}

const ALL: [At; NAMES.len()] = [
    At::Meta,
    At::Users,
    At::Keys,
    At::Buckets,
    At::Documents,
    At::Usage,
    At::Latest,
    At::Older,
    At::Nulls,
    At::Files,
    At::Packed,
    At::Packs,
    At::Manifests,
    At::Uploads,
    At::Parts,
    At::Completed,
    At::Doomed,
];

pub(super) const NAMES: [&str; 17] = [
    "meta",
    "users",
    "keys",
    "buckets",
    "documents",
    "usage",
    "latest",
    "older",
    "nulls",
    "files",
    "packed",
    "packs",
    "manifests",
    "uploads",
    "parts",
    "completed",
    "doomed",
];

impl At {
    /// The table with this place in `NAMES`.
    pub(super) fn from_index(index: u8) -> Option<Self> {
        ALL.get(usize::from(index)).copied()
    }

    pub(super) fn definition(self) -> Bytewise {
        TableDefinition::new(NAMES[self as usize])
    }
}

/// The bucket's part of a key.
pub(super) fn of_bucket(bucket: u32) -> [u8; 4] {
    bucket.to_be_bytes()
}

pub(super) fn document(bucket: u32, name: &str) -> Vec<u8> {
    latest(bucket, name)
}

pub(super) fn latest(bucket: u32, key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + key.len() + 17);
    out.extend_from_slice(&of_bucket(bucket));
    out.extend_from_slice(key.as_bytes());
    out
}

/// Where the older versions of a key begin. Keys hold no zero byte, so this sorts before longer keys.
pub(super) fn olders(bucket: u32, key: &str) -> Vec<u8> {
    let mut out = latest(bucket, key);
    out.push(0);
    out
}

pub(super) fn older(bucket: u32, key: &str, sequence: u64) -> Vec<u8> {
    let mut out = olders(bucket, key);
    out.extend_from_slice(&(!sequence).to_be_bytes());
    out
}

pub(super) fn upload(bucket: u32, key: &str, upload: &[u8; 16]) -> Vec<u8> {
    let mut out = olders(bucket, key);
    out.extend_from_slice(upload);
    out
}

pub(super) fn part(upload: &[u8; 16], number: u16) -> [u8; 18] {
    let mut out = [0; 18];
    out[..16].copy_from_slice(upload);
    out[16..].copy_from_slice(&number.to_be_bytes());
    out
}

pub(super) fn bucket_usage(bucket: u32) -> Vec<u8> {
    [b"b".as_slice(), &of_bucket(bucket)].concat()
}

pub(super) fn user_usage(user: &str) -> Vec<u8> {
    [b"u", user.as_bytes()].concat()
}

/// The first key behind all that begin with `prefix`; `None` when there is none.
pub(super) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut out = prefix[..=last].to_vec();
    out[last] += 1;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_newest_first_and_before_longer_keys() {
        let keys = [older(1, "a", 9), older(1, "a", 3), older(1, "a!", 1), older(1, "b", 1), older(2, "", 1)];
        assert!(keys.is_sorted());
    }

    #[test]
    fn places_are_those_of_the_names() {
        assert!(ALL.iter().enumerate().all(|(index, at)| *at as usize == index));
    }

    #[test]
    fn behind_skips_exactly_the_prefix() {
        assert_eq!(behind(b"a/"), Some(b"a0".to_vec()));
        assert_eq!(behind(&[1, 0xff]), Some(vec![2]));
        assert_eq!(behind(&[0xff]), None);
    }
}

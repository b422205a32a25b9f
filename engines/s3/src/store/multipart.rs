//! Multipart uploads: parts are bodies of their own, and completing lists them in a manifest.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt;
use md5::{Digest, Md5};

use super::error::{BoxError, Error, Result};
use super::listing::{Scope, blocking};
use super::meta::{self, Look, View};
use super::model::{
    Attributes, Checksum, CompletePart, Condition, ListUploads, Object, Part, PartListing, Upload,
    UploadListing, VersionId,
};
use super::objects::{Place, admit, before_put, check_key, install, locate};
use super::record::{self, Body, Etag, Head, Segment};
use super::stage::{Freight, Observe, Stage, Staged};
use super::tables::{self, At};
use super::tx::{self, Tx};
use super::{Store, buckets, disk, text};

const MOST_PARTS: u16 = 10_000;

/// Names one upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadRef {
    pub bucket: String,
    pub key: String,
    pub id: String,
}

type Id = [u8; 16];

/// Sorts by time, cannot be guessed.
fn new_id() -> Id {
    let mut id = uuid::Uuid::new_v4().into_bytes();
    let time = tx::now() << 8 | u64::from(id[7]);
    id[..8].copy_from_slice(&time.to_be_bytes());
    id
}

impl UploadRef {
    fn missing(&self) -> Error {
        let Self { bucket, key, id } = self.clone();
        Error::NoSuchUpload { bucket, key, upload: id }
    }

    fn find(&self, look: &impl Look) -> Result<(record::Bucket, Id, record::Upload)> {
        let bucket = buckets::find(look, &self.bucket)?;
        let id = disk::unhex(&self.id).ok_or_else(|| self.missing())?;
        let found = look.record(At::Uploads, &tables::upload(bucket.id, &self.key, &id))?;
        Ok((bucket, id, found.ok_or_else(|| self.missing())?))
    }
}

fn show(key: &str, id: &[u8], upload: record::Upload) -> Upload {
    Upload {
        key: key.to_owned(),
        id: disk::hex(id),
        initiated: record::time(upload.initiated),
        attributes: (&upload.attributes).into(),
        notes: upload.notes.into_iter().collect(),
    }
}

fn show_part(number: u16, part: record::Part) -> Part {
    Part {
        number,
        size: part.size,
        etag: disk::hex(&part.md5),
        modified: record::time(part.modified),
        checksum: part.checksum.map(Into::into),
    }
}

/// Up to `limit` parts with numbers from `from` on.
fn parts(look: &impl Look, id: &Id, from: u16, limit: usize) -> Result<Vec<(u16, record::Part)>> {
    let end = tables::behind(id);
    let mut rows = look.rows(At::Parts, &tables::part(id, from), end.as_deref())?;
    let mut out = Vec::new();
    while out.len() < limit
        && let Some((row, value)) = meta::next(&mut rows)?
    {
        let number = row.value().last_chunk::<2>().copied().map_or(0, u16::from_be_bytes);
        out.push((number, record::decode(value.value())?));
    }
    Ok(out)
}

/// Removes an upload and its parts, but for the bytes of those in `kept`.
pub(super) fn discard(
    tx: &mut Tx<'_>,
    bucket: &record::Bucket,
    row: &[u8],
    kept: &BTreeMap<u16, record::Part>,
) -> Result<()> {
    let id: Id = row.last_chunk().copied().unwrap_or_default();
    let mut bytes = 0;
    for (number, part) in parts(tx, &id, 0, usize::MAX)? {
        bytes += part.size;
        if !kept.contains_key(&number) {
            tx.release(part.body)?;
        }
        tx.remove(At::Parts, &tables::part(&id, number))?;
    }
    tx.count(bucket, |usage| usage.upload_bytes = usage.upload_bytes.saturating_sub(bytes))?;
    tx.remove(At::Uploads, row)
}

/// The parts that the client names, compared with those there are.
fn choose(
    found: &BTreeMap<u16, record::Part>,
    named: &[CompletePart],
    minimum: u64,
) -> Result<BTreeMap<u16, record::Part>> {
    let invalid = |number, reason: &str| Error::InvalidPart { number, reason: reason.to_owned() };
    let mut chosen = BTreeMap::new();
    let last = named.last().ok_or_else(|| invalid(0, "the list of parts is empty"))?.number;
    let mut before = 0;
    for wanted in named {
        let number = wanted.number;
        if number <= before {
            return Err(Error::PartOrder { number });
        }
        before = number;
        let part = found.get(&number).ok_or_else(|| invalid(number, "it was not uploaded"))?;
        if wanted.etag.trim_matches('"') != disk::hex(&part.md5) {
            return Err(invalid(number, "its ETag is another"));
        }
        let known = part.checksum.as_ref().map(|checksum| &checksum.value);
        if wanted.checksum.is_some() && wanted.checksum.as_ref() != known {
            return Err(invalid(number, "its checksum is another"));
        }
        chosen.insert(number, part.clone());
    }
    match chosen.iter().find(|(number, part)| **number != last && part.size < minimum) {
        Some((number, part)) => Err(Error::PartTooSmall { number: *number, size: part.size, minimum }),
        None => Ok(chosen),
    }
}

fn combined(parts: &BTreeMap<u16, record::Part>) -> Etag {
    let mut md5 = Md5::new();
    parts.values().for_each(|part| md5.update(part.md5));
    Etag { md5: md5.finalize().into(), parts: u32::try_from(parts.len()).unwrap_or(u32::MAX) }
}

/// What a client that names these parts would get as ETag; `None` if it names nonsense.
fn claimed(named: &[CompletePart]) -> Option<Etag> {
    let mut md5 = Md5::new();
    for part in named {
        md5.update(disk::unhex::<16>(part.etag.trim_matches('"'))?);
    }
    Some(Etag { md5: md5.finalize().into(), parts: u32::try_from(named.len()).ok()? })
}

struct Complete {
    upload: UploadRef,
    parts: Vec<CompletePart>,
    checksum: Option<Checksum>,
    condition: Condition,
    minimum: u64,
}

fn complete(tx: &mut Tx<'_>, wanted: Complete) -> Result<Object> {
    let upload = wanted.upload;
    let (bucket, id, found) = match upload.find(tx) {
        Err(missing @ Error::NoSuchUpload { .. }) => {
            return completed(tx, &upload, &wanted.parts)?.ok_or(missing);
        }
        found => found?,
    };
    let all: BTreeMap<_, _> = parts(tx, &id, 0, usize::MAX)?.into_iter().collect();
    let chosen = choose(&all, &wanted.parts, wanted.minimum)?;
    let place = Place { name: &upload.bucket, bucket: &bucket };
    let size = chosen.values().map(|part| part.size).sum();
    // Its bytes count already, as parts.
    before_put(tx, &place, &upload.key, &wanted.condition, 0)?;
    let etag = combined(&chosen);
    discard(tx, &bucket, &tables::upload(bucket.id, &upload.key, &id), &chosen)?;
    let manifest = tx.next_sequence();
    let segment = |(number, part): (u16, record::Part)| Segment {
        number,
        size: part.size,
        body: part.body,
        checksum: part.checksum,
    };
    let segments = chosen.into_iter().map(segment).collect();
    tx.store(At::Manifests, &manifest.to_be_bytes(), &record::Manifest { references: 1, segments })?;
    let mut attributes = found.attributes;
    if let Some(checksum) = wanted.checksum {
        attributes.checksum = Some(checksum.into());
    }
    let body = Body::Parts(manifest);
    let head = Head { sequence: 0, null: false, marker: false, size, etag, modified: tx::now(), body };
    let fresh = install(tx, &place, &upload.key, record::Object { head, attributes })?;
    let sequence = fresh.head.sequence;
    let done =
        record::Completed { bucket: bucket.id, key: upload.key.clone(), sequence, etag, at: tx::now() };
    tx.store(At::Completed, &id, &done)?;
    Ok(fresh.show(upload.key, true))
}

/// The answer of an earlier completion with the same parts, while its object is there.
fn completed(look: &impl Look, upload: &UploadRef, named: &[CompletePart]) -> Result<Option<Object>> {
    let Some(id) = disk::unhex::<16>(&upload.id) else { return Ok(None) };
    let Some(done) = look.record::<record::Completed>(At::Completed, &id)? else { return Ok(None) };
    let bucket = buckets::find(look, &upload.bucket)?;
    if done.bucket != bucket.id || done.key != upload.key || claimed(named) != Some(done.etag) {
        return Ok(None);
    }
    for version in [VersionId::Id(done.sequence), VersionId::Null] {
        if let Some((found, latest)) = locate(look, bucket.id, &upload.key, Some(version))?
            && found.head.sequence == done.sequence
        {
            return Ok(Some(found.show(upload.key.clone(), latest)));
        }
    }
    Ok(None)
}

fn list(view: &View, bucket: u32, list: &ListUploads) -> Result<UploadListing> {
    let scope = Scope::new(bucket, &list.prefix, &list.delimiter);
    let mut out = UploadListing::default();
    let after = disk::unhex::<16>(&list.after_upload).filter(|_| scope.roll(&list.after).is_none());
    let start = match after {
        // The key's other uploads may follow.
        Some(id) => Some([tables::upload(bucket, &list.after, &id).as_slice(), &[0]].concat()),
        None if list.after.is_empty() || scope.roll(&list.after) == Some(&list.after) => {
            scope.start(bucket, &list.after)
        }
        None => tables::behind(&tables::olders(bucket, &list.after)),
    };
    let (Some(start), end) = (start, scope.end()) else { return Ok(out) };
    let mut from = start.max(tables::latest(bucket, &list.prefix));
    if list.limit == 0 {
        return Ok(out);
    }
    let mut last = (String::new(), String::new());
    'seek: loop {
        let mut rows = view.rows(At::Uploads, &from, end.as_deref())?;
        while let Some((row, value)) = meta::next(&mut rows)? {
            let row = row.value();
            let key = text(row.get(4..row.len().saturating_sub(17)).unwrap_or_default())?;
            let id = row.last_chunk::<16>().copied().unwrap_or_default();
            if out.uploads.len() + out.common_prefixes.len() == list.limit {
                out.next = Some(last);
                return Ok(out);
            }
            if let Some(common) = scope.roll(key) {
                last = (common.to_owned(), String::new());
                out.common_prefixes.push(common.to_owned());
                match tables::behind(&tables::latest(bucket, common)) {
                    Some(behind) => from = behind,
                    None => return Ok(out),
                }
                continue 'seek;
            }
            last = (key.to_owned(), disk::hex(&id));
            out.uploads.push(show(key, &id, record::decode(value.value())?));
        }
        return Ok(out);
    }
}

impl Store {
    /// Begins an upload and returns its id.
    pub async fn create_upload(
        &self,
        bucket: &str,
        key: &str,
        attributes: Attributes,
        notes: BTreeMap<String, String>,
    ) -> Result<String> {
        check_key(key)?;
        let (name, key, id) = (bucket.to_owned(), key.to_owned(), new_id());
        let notes = notes.into_iter().collect();
        self.write(Freight::default(), move |tx, _| {
            let bucket = buckets::find(tx, &name)?;
            admit(tx, &bucket.owner, 0, 0)?;
            let upload = record::Upload { initiated: tx::now(), attributes: attributes.into(), notes };
            tx.store(At::Uploads, &tables::upload(bucket.id, &key, &id), &upload)?;
            Ok(disk::hex(&id))
        })
        .await
    }

    pub async fn upload(&self, upload: &UploadRef) -> Result<Upload> {
        let (_, id, found) = upload.find(&self.shared().meta.view()?)?;
        Ok(show(&upload.key, &id, found))
    }

    /// Adds or replaces a part (1 to 10,000).
    pub async fn put_part(
        &self,
        upload: &UploadRef,
        number: u16,
        staged: Staged,
        checksum: Option<Checksum>,
    ) -> Result<Part> {
        if !(1..=MOST_PARTS).contains(&number) {
            let reason = format!("numbers go from 1 to {MOST_PARTS}");
            return Err(Error::InvalidPart { number, reason });
        }
        let (size, md5, upload) = (staged.size(), staged.md5(), upload.clone());
        let (load, freight) = staged.load();
        self.write(freight, move |tx, places| {
            let (bucket, id, _) = upload.find(tx)?;
            let row = tables::part(&id, number);
            let old: Option<record::Part> = tx.record(At::Parts, &row)?;
            let freed = old.as_ref().map_or(0, |old| old.size);
            admit(tx, &bucket.owner, size.saturating_sub(freed), 0)?;
            let body = load.keep(tx, places)?;
            if let Some(old) = old {
                tx.release(old.body)?;
            }
            tx.count(&bucket, |usage| {
                usage.upload_bytes = (usage.upload_bytes + size).saturating_sub(freed);
            })?;
            let checksum = checksum.map(Into::into);
            let part = record::Part { size, md5, modified: tx::now(), body, checksum };
            tx.store(At::Parts, &row, &part)?;
            Ok(show_part(number, part))
        })
        .await
    }

    /// Reads a range of an object as a part, inside the store: the part's digests need its bytes. The
    /// caller makes the part of what it gets with `put_part`.
    pub async fn stage_copy<H: Observe>(
        &self,
        bucket: &str,
        source: super::Opened,
        range: Range<u64>,
        observer: H,
    ) -> Result<(Staged, H)> {
        let body = source.read(range);
        let stage = Stage { size: Some(body.remaining()), limit: None };
        let body = body.map(|piece: Result<Bytes>| piece.map_err(|error| Box::new(error) as BoxError));
        match self.stage(bucket, stage, body, observer).await {
            // What the source says counts, not that it was said in the middle of a body.
            Err(Error::Body { source }) => Err(match source.downcast::<Error>() {
                Ok(error) => *error,
                Err(source) => Error::Body { source },
            }),
            staged => staged,
        }
    }

    pub async fn list_parts(&self, upload: &UploadRef, after: u16, limit: usize) -> Result<PartListing> {
        let view = self.shared().meta.view()?;
        let (_, id, _) = upload.find(&view)?;
        let mut found = parts(&view, &id, after.saturating_add(1), limit.saturating_add(1))?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().map(|(number, _)| *number).filter(|_| more);
        Ok(PartListing { parts: found.into_iter().map(|(n, part)| show_part(n, part)).collect(), next })
    }

    pub async fn list_uploads(&self, bucket: &str, wanted: ListUploads) -> Result<UploadListing> {
        let view = self.shared().meta.view()?;
        let bucket = buckets::find(&view, bucket)?.id;
        blocking(move || list(&view, bucket, &wanted)).await
    }

    /// Puts the parts together without moving bytes. `checksum` is that of the whole object, computed by
    /// the caller from the parts; it replaces the one given when the upload began. Completing again with
    /// the same parts, after the answer was lost, gives the same answer for a day.
    pub async fn complete_upload(
        &self,
        upload: &UploadRef,
        parts: Vec<CompletePart>,
        checksum: Option<Checksum>,
        condition: Condition,
    ) -> Result<Object> {
        let (upload, minimum) = (upload.clone(), self.shared().config.minimum_part);
        let wanted = Complete { upload, parts, checksum, condition, minimum };
        self.write(Freight::default(), move |tx, _| complete(tx, wanted)).await
    }

    /// Ends an upload and takes its parts away.
    pub async fn abort_upload(&self, upload: &UploadRef) -> Result<()> {
        let upload = upload.clone();
        self.write(Freight::default(), move |tx, _| {
            let (bucket, id, _) = upload.find(tx)?;
            discard(tx, &bucket, &tables::upload(bucket.id, &upload.key, &id), &BTreeMap::new())
        })
        .await
    }
}

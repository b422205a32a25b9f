//! Objects and their versions: putting, finding, copying, changing.

use super::error::{Error, Result};
use super::meta::Look;
use super::model::{Attributes, Change, Condition, Match, Object, ObjectPart, RetentionMode, VersionId};
use super::record::{self, Body, Etag, Head, Versioning};
use super::shared::{denied, over};
use super::stage::{Freight, Staged};
use super::tables::{self, At};
use super::tx::{self, Tx};
use super::{Store, buckets};

/// S3's limit.
const LONGEST_KEY: usize = 1024;

/// A new object out of staged bytes.
pub struct Put {
    pub key: String,
    pub staged: Staged,
    pub attributes: Attributes,
    pub condition: Condition,
}

/// A copy inside the store.
#[derive(Debug, Clone)]
pub struct Copy {
    pub source_bucket: String,
    pub source_key: String,
    pub source_version: Option<VersionId>,
    /// Only if the source still has this ETag (from the head the caller decided upon).
    pub source_etag: Option<String>,
    pub bucket: String,
    pub key: String,
    /// `None`: those of the source, without its retention and legal hold.
    pub attributes: Option<Attributes>,
    pub condition: Condition,
}

/// A bucket as the caller names it, with its record.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) bucket: &'a record::Bucket,
}

pub(super) fn check_key(key: &str) -> Result<()> {
    let reason = match key {
        "" => "it is empty",
        _ if key.len() > LONGEST_KEY => "it is longer than 1024 bytes",
        _ if key.contains('\0') => "it holds a zero byte",
        _ => return Ok(()),
    };
    Err(Error::InvalidKey { key: key.chars().take(64).collect(), reason })
}

/// The version asked for, marker or not; and where it lies when it is not the latest.
pub(super) fn locate(
    look: &impl Look,
    bucket: u32,
    key: &str,
    version: Option<VersionId>,
) -> Result<Option<(record::Object, bool)>> {
    let Some(latest) = look.record::<record::Object>(At::Latest, &tables::latest(bucket, key))? else {
        return Ok(None);
    };
    let sequence = match version {
        None => return Ok(Some((latest, true))),
        Some(version) if latest.head.version() == version => return Ok(Some((latest, true))),
        Some(VersionId::Id(sequence)) => sequence,
        Some(VersionId::Null) => match null_sequence(look, bucket, key)? {
            Some(sequence) => sequence,
            None => return Ok(None),
        },
    };
    let older: Option<record::Object> = look.record(At::Older, &tables::older(bucket, key, sequence))?;
    // The null version has a sequence too, which names nothing.
    let named = older.filter(|older| older.head.null == (version == Some(VersionId::Null)));
    Ok(named.map(|older| (older, false)))
}

pub(super) fn null_sequence(look: &impl Look, bucket: u32, key: &str) -> Result<Option<u64>> {
    look.record(At::Nulls, &tables::latest(bucket, key))
}

/// The version asked for, and whether it is the latest. A marker is an error.
pub(super) fn get(
    look: &impl Look,
    (name, bucket): (&str, u32),
    key: &str,
    version: Option<VersionId>,
) -> Result<(record::Object, bool)> {
    let (bucket_name, key_name) = (name.to_owned(), key.to_owned());
    match (locate(look, bucket, key, version)?, version) {
        (Some((found, _)), _) if found.head.marker => Err(Error::DeleteMarker {
            bucket: bucket_name,
            key: key_name,
            version: found.head.version(),
            modified: record::time(found.head.modified),
        }),
        (Some(found), _) => Ok(found),
        (None, None) => Err(Error::NoSuchKey { bucket: bucket_name, key: key_name }),
        (None, Some(version)) => Err(Error::NoSuchVersion { bucket: bucket_name, key: key_name, version }),
    }
}

/// Whether `condition` holds for the latest version; a marker counts as nothing.
pub(super) fn check(name: &str, key: &str, condition: &Condition, latest: Option<&Head>) -> Result<()> {
    let etag = latest.filter(|head| !head.marker).map(|head| head.etag.to_string());
    let matches = |wanted: &Match| match (wanted, &etag) {
        (_, None) => false,
        (Match::Any, Some(_)) => true,
        (Match::Etags(etags), Some(etag)) => etags.iter().any(|wanted| wanted.trim_matches('"') == etag),
    };
    let failed =
        |reason| Err(Error::PreconditionFailed { bucket: name.to_owned(), key: key.to_owned(), reason });
    if condition.if_match.is_some() && etag.is_none() {
        return Err(Error::NoSuchKey { bucket: name.to_owned(), key: key.to_owned() });
    }
    if condition.if_match.as_ref().is_some_and(|wanted| !matches(wanted)) {
        return failed("the object's ETag is another (If-Match)");
    }
    if condition.if_none_match.as_ref().is_some_and(matches) {
        return failed("the object exists (If-None-Match)");
    }
    Ok(())
}

/// Whether the owner may add what it wants to add.
pub(super) fn admit(tx: &mut Tx<'_>, owner: &str, bytes: u64, objects: u64) -> Result<()> {
    let Some(user) = tx.record::<record::User>(At::Users, owner.as_bytes())? else { return Ok(()) };
    if user.deny_write {
        return Err(denied(owner));
    }
    let usage = *tx.usage(&tables::user_usage(owner))?;
    let used = usage.bytes + usage.upload_bytes;
    if let Some(limit) = user.bytes
        && bytes > 0
        && used.saturating_add(bytes) > limit
    {
        return Err(over("a write", owner, "bytes", (limit, used)));
    }
    if let Some(limit) = user.objects
        && objects > 0
        && usage.objects.saturating_add(objects) > limit
    {
        return Err(over("a write", owner, "objects", (limit, usage.objects)));
    }
    Ok(())
}

/// Whether retention or a legal hold keeps a version from being removed.
pub(super) fn check_lock(place: &Place<'_>, key: &str, found: &record::Object, bypass: bool) -> Result<()> {
    let locked = |reason: &str| {
        let (bucket, key) = (place.name.to_owned(), key.to_owned());
        Err(Error::Locked { bucket, key, version: found.head.version(), reason: reason.to_owned() })
    };
    if found.attributes.legal_hold {
        return locked("a legal hold is on it");
    }
    match found.attributes.retention {
        Some((_, until)) if until <= tx::now() => Ok(()),
        Some((true, _)) => locked("it is under compliance retention"),
        Some((false, _)) if !bypass => locked("it is under governance retention"),
        _ => Ok(()),
    }
}

/// Counts what a key's rows lose and gain.
pub(super) fn count_version(
    tx: &mut Tx<'_>,
    bucket: &record::Bucket,
    head: &Head,
    added: bool,
) -> Result<()> {
    let (size, step) = (head.size, |value: &mut u64, by: u64| {
        *value = if added { value.saturating_add(by) } else { value.saturating_sub(by) };
    });
    tx.count(bucket, |usage| {
        step(&mut usage.versions, 1);
        step(&mut usage.bytes, size);
    })
}

/// The latest version was or was not an object; now it is or is not.
pub(super) fn count_object(tx: &mut Tx<'_>, bucket: &record::Bucket, was: bool, is: bool) -> Result<()> {
    match (was, is) {
        (true, false) => tx.count(bucket, |usage| usage.objects = usage.objects.saturating_sub(1)),
        (false, true) => tx.count(bucket, |usage| usage.objects += 1),
        _ => Ok(()),
    }
}

/// Takes a version's bytes away and counts it out.
pub(super) fn dispose(tx: &mut Tx<'_>, bucket: &record::Bucket, head: &Head) -> Result<()> {
    tx.release(head.body)?;
    count_version(tx, bucket, head, false)
}

/// Makes `fresh` the latest version; what it replaces is kept or taken away, as the bucket has it. The
/// caller has checked everything but the lock of a replaced `null` version.
pub(super) fn install(
    tx: &mut Tx<'_>,
    place: &Place<'_>,
    key: &str,
    mut fresh: record::Object,
) -> Result<record::Object> {
    let bucket = place.bucket;
    let row = tables::latest(bucket.id, key);
    let latest: Option<record::Object> = tx.record(At::Latest, &row)?;
    fresh.head.null = bucket.versioning != Versioning::Enabled;
    fresh.head.sequence = tx.next_sequence();
    let was = latest.as_ref().is_some_and(|latest| !latest.head.marker);
    if fresh.head.null {
        let replaced = locate(tx, bucket.id, key, Some(VersionId::Null))?;
        if let Some((replaced, is_latest)) = replaced {
            dispose(tx, bucket, &replaced.head)?;
            if !is_latest {
                tx.remove(At::Older, &tables::older(bucket.id, key, replaced.head.sequence))?;
                tx.remove(At::Nulls, &row)?;
            }
        }
    }
    if let Some(latest) = latest
        && !(fresh.head.null && latest.head.null)
    {
        tx.store(At::Older, &tables::older(bucket.id, key, latest.head.sequence), &latest)?;
        if latest.head.null {
            tx.store(At::Nulls, &row, &latest.head.sequence)?;
        }
    }
    count_version(tx, bucket, &fresh.head, true)?;
    count_object(tx, bucket, was, !fresh.head.marker)?;
    tx.store(At::Latest, &row, &fresh)?;
    Ok(fresh)
}

/// What a put looks at before it changes anything; returns whether the key is new.
pub(super) fn before_put(
    tx: &mut Tx<'_>,
    place: &Place<'_>,
    key: &str,
    condition: &Condition,
    size: u64,
) -> Result<()> {
    let latest: Option<Head> = tx.record(At::Latest, &tables::latest(place.bucket.id, key))?;
    check(place.name, key, condition, latest.as_ref())?;
    let fresh = latest.as_ref().is_none_or(|head| head.marker);
    if place.bucket.versioning != Versioning::Enabled
        && let Some((replaced, _)) = locate(tx, place.bucket.id, key, Some(VersionId::Null))?
    {
        check_lock(place, key, &replaced, false)?;
        let grows = size.saturating_sub(replaced.head.size);
        return admit(tx, &place.bucket.owner, grows, u64::from(fresh));
    }
    admit(tx, &place.bucket.owner, size, u64::from(fresh))
}

fn change(found: &mut record::Object, place: &Place<'_>, key: &str, change: Change) -> Result<()> {
    let attributes = &mut found.attributes;
    match change {
        Change::Tags(tags) => attributes.tags = tags,
        Change::LegalHold(on) => attributes.legal_hold = on,
        Change::Header { name, value } => {
            attributes.headers.retain(|(known, _)| *known != name);
            attributes.headers.extend(value.map(|value| (name, value)));
            attributes.headers.sort();
        }
        Change::Retention { retention, bypass } => {
            let weaker = match (attributes.retention, retention) {
                (None, _) => false,
                (Some((_, until)), _) if until <= tx::now() => false,
                (Some(_), None) => true,
                (Some((compliance, until)), Some(next)) => {
                    record::millis(next.until) < until
                        || (compliance && next.mode == RetentionMode::Governance)
                }
            };
            if weaker {
                let hold = std::mem::take(&mut found.attributes.legal_hold);
                let checked = check_lock(place, key, found, bypass);
                found.attributes.legal_hold = hold;
                checked?;
            }
            found.attributes.retention = record::retention(retention);
        }
    }
    Ok(())
}

impl Store {
    /// Makes staged bytes the latest version of an object. Returns when it is on the disk.
    pub async fn put(&self, bucket: &str, put: Put) -> Result<Object> {
        let Put { key, staged, attributes, condition } = put;
        check_key(&key)?;
        let (size, md5, name) = (staged.size(), staged.md5(), bucket.to_owned());
        let (load, freight) = staged.load();
        self.write(freight, move |tx, places| {
            let bucket = buckets::find(tx, &name)?;
            let place = Place { name: &name, bucket: &bucket };
            before_put(tx, &place, &key, &condition, size)?;
            let head = Head {
                sequence: 0,
                null: false,
                marker: false,
                size,
                etag: Etag { md5, parts: 0 },
                modified: tx::now(),
                body: load.keep(tx, places)?,
            };
            let fresh = record::Object { head, attributes: attributes.into() };
            Ok(install(tx, &place, &key, fresh)?.show(key, true))
        })
        .await
    }

    /// The latest version, or the one named, without its bytes. `Error::DeleteMarker` for a marker.
    pub async fn head(&self, bucket: &str, key: &str, version: Option<VersionId>) -> Result<Object> {
        let view = self.shared().meta.view()?;
        let found = buckets::find(&view, bucket)?;
        let (object, latest) = get(&view, (bucket, found.id), key, version)?;
        Ok(object.show(key.to_owned(), latest))
    }

    /// The parts of a completed multipart object; empty for one put in one piece.
    pub async fn object_parts(
        &self,
        bucket: &str,
        key: &str,
        version: Option<VersionId>,
    ) -> Result<Vec<ObjectPart>> {
        let view = self.shared().meta.view()?;
        let found = buckets::find(&view, bucket)?;
        let (object, _) = get(&view, (bucket, found.id), key, version)?;
        let Body::Parts(manifest) = object.head.body else { return Ok(Vec::new()) };
        let manifest: Option<record::Manifest> = view.record(At::Manifests, &manifest.to_be_bytes())?;
        let mut offset = 0;
        let part = |segment: record::Segment| {
            let record::Segment { number, size, checksum, .. } = segment;
            let part = ObjectPart { number, offset, size, checksum: checksum.map(Into::into) };
            offset += size;
            part
        };
        Ok(manifest.map(|manifest| manifest.segments.into_iter().map(part).collect()).unwrap_or_default())
    }

    /// Copies without moving bytes: the copy shares them.
    pub async fn copy(&self, copy: Copy) -> Result<Object> {
        check_key(&copy.key)?;
        self.write(Freight::default(), move |tx, _| {
            let Copy { source_bucket, source_key, source_version, source_etag, .. } = copy;
            let from = buckets::find(tx, &source_bucket)?;
            let (source, _) = get(tx, (&source_bucket, from.id), &source_key, source_version)?;
            if source_etag.is_some_and(|etag| etag.trim_matches('"') != source.head.etag.to_string()) {
                let reason = "the source has changed meanwhile";
                return Err(Error::PreconditionFailed { bucket: source_bucket, key: source_key, reason });
            }
            let bucket = buckets::find(tx, &copy.bucket)?;
            let place = Place { name: &copy.bucket, bucket: &bucket };
            before_put(tx, &place, &copy.key, &copy.condition, source.head.size)?;
            let attributes = match copy.attributes {
                Some(attributes) => attributes.into(),
                None => record::Attributes { retention: None, legal_hold: false, ..source.attributes },
            };
            // Shared before the old version lets go of it: it may be the same.
            tx.share(source.head.body)?;
            let head = Head { modified: tx::now(), ..source.head };
            let fresh = install(tx, &place, &copy.key, record::Object { head, attributes })?;
            Ok(fresh.show(copy.key, true))
        })
        .await
    }

    /// Changes tags, lock or a header of a version.
    pub async fn change(
        &self,
        bucket: &str,
        key: &str,
        version: Option<VersionId>,
        changed: Change,
    ) -> Result<Object> {
        let (name, key) = (bucket.to_owned(), key.to_owned());
        self.write(Freight::default(), move |tx, _| {
            let bucket = buckets::find(tx, &name)?;
            let (mut found, latest) = get(tx, (&name, bucket.id), &key, version)?;
            change(&mut found, &Place { name: &name, bucket: &bucket }, &key, changed)?;
            match latest {
                true => tx.store(At::Latest, &tables::latest(bucket.id, &key), &found)?,
                false => {
                    tx.store(At::Older, &tables::older(bucket.id, &key, found.head.sequence), &found)?;
                }
            }
            Ok(found.show(key, latest))
        })
        .await
    }
}

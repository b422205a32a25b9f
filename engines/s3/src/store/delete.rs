//! Deleting: a marker where versions are kept, for good where they are not or where one is named.

use super::error::{Error, Result};
use super::meta::{self, Look};
use super::model::{Delete, Deleted, VersionId};
use super::objects::{self, Place, check_lock, count_object, dispose, install, locate};
use super::record::{self, Body, Etag, Head, Versioning};
use super::stage::Freight;
use super::tables::{self, At};
use super::tx::{self, Tx};
use super::{Store, buckets};

fn check(place: &Place<'_>, delete: &Delete, found: Option<&record::Object>) -> Result<()> {
    let head = found.map(|found| &found.head);
    let conditional = delete.condition.if_match.is_some()
        || delete.condition.if_none_match.is_some()
        || delete.if_modified.is_some()
        || delete.if_size.is_some();
    // Deleting what is not there succeeds, whatever was expected of it.
    let (true, Some(head)) = (conditional, head) else { return Ok(()) };
    objects::check(place.name, &delete.key, &delete.condition, Some(head))?;
    let failed = |reason| {
        let (bucket, key) = (place.name.to_owned(), delete.key.clone());
        Err(Error::PreconditionFailed { bucket, key, reason })
    };
    if delete.if_modified.is_some_and(|time| record::millis(time) / 1000 != head.modified / 1000) {
        return failed("the object was written at another time");
    }
    if delete.if_size.is_some_and(|size| size != head.size) {
        return failed("the object has another size");
    }
    Ok(())
}

fn delete(tx: &mut Tx<'_>, place: &Place<'_>, delete: &Delete) -> Result<Deleted> {
    let found = locate(tx, place.bucket.id, &delete.key, delete.version)?;
    check(place, delete, found.as_ref().map(|(found, _)| found))?;
    let nothing = Deleted { key: delete.key.clone(), existed: false, marker: None, version: None };
    if delete.version.is_none() && place.bucket.versioning != Versioning::Unversioned {
        return mark(tx, place, nothing, found.is_some_and(|(found, _)| !found.head.marker));
    }
    let Some((found, latest)) = found else {
        return Ok(Deleted { version: delete.version, ..nothing });
    };
    check_lock(place, &delete.key, &found, delete.bypass)?;
    remove(tx, place.bucket, &delete.key, (&found, latest))?;
    Ok(Deleted {
        existed: true,
        marker: found.head.marker.then(|| found.head.version()),
        version: delete.version,
        ..nothing
    })
}

/// Puts a delete marker on top.
fn mark(tx: &mut Tx<'_>, place: &Place<'_>, nothing: Deleted, existed: bool) -> Result<Deleted> {
    if place.bucket.versioning == Versioning::Suspended
        && let Some((replaced, _)) = locate(tx, place.bucket.id, &nothing.key, Some(VersionId::Null))?
    {
        check_lock(place, &nothing.key, &replaced, false)?;
    }
    let head = Head {
        sequence: 0,
        null: false,
        marker: true,
        size: 0,
        etag: Etag { md5: [0; 16], parts: 0 },
        modified: tx::now(),
        body: Body::Empty,
    };
    let fresh = record::Object { head, attributes: record::Attributes::default() };
    let fresh = install(tx, place, &nothing.key, fresh)?;
    Ok(Deleted { existed, marker: Some(fresh.head.version()), ..nothing })
}

/// Removes a version for good; when it was the latest, the next older one becomes it.
fn remove(
    tx: &mut Tx<'_>,
    bucket: &record::Bucket,
    key: &str,
    (found, latest): (&record::Object, bool),
) -> Result<()> {
    let row = tables::latest(bucket.id, key);
    dispose(tx, bucket, &found.head)?;
    if !latest {
        if found.head.null {
            tx.remove(At::Nulls, &row)?;
        }
        return tx.remove(At::Older, &tables::older(bucket.id, key, found.head.sequence));
    }
    let next = {
        let mut rows = tx.under(At::Older, &tables::olders(bucket.id, key))?;
        let next = meta::next(&mut rows)?;
        next.map(|(_, value)| record::decode::<record::Object>(value.value())).transpose()?
    };
    let is = next.as_ref().is_some_and(|next| !next.head.marker);
    count_object(tx, bucket, !found.head.marker, is)?;
    let Some(next) = next else { return tx.remove(At::Latest, &row) };
    tx.remove(At::Older, &tables::older(bucket.id, key, next.head.sequence))?;
    if next.head.null {
        tx.remove(At::Nulls, &row)?;
    }
    tx.store(At::Latest, &row, &next)
}

impl Store {
    /// Deletes an object or a version. What is not there is deleted with `existed: false`.
    pub async fn delete(&self, bucket: &str, wanted: Delete) -> Result<Deleted> {
        let name = bucket.to_owned();
        self.write(Freight::default(), move |tx, _| {
            let bucket = buckets::find(tx, &name)?;
            delete(tx, &Place { name: &name, bucket: &bucket }, &wanted)
        })
        .await
    }

    /// Deletes many in one transaction; one answer each, in order.
    pub async fn delete_many(&self, bucket: &str, wanted: Vec<Delete>) -> Result<Vec<Result<Deleted>>> {
        let name = bucket.to_owned();
        self.write(Freight::default(), move |tx, _| {
            let bucket = buckets::find(tx, &name)?;
            let place = Place { name: &name, bucket: &bucket };
            let mut out = Vec::with_capacity(wanted.len());
            for wanted in &wanted {
                let before = tx.changes;
                let done = delete(tx, &place, wanted);
                match done {
                    Err(error) if tx.changes > before => return Err(error),
                    done => out.push(done),
                }
            }
            Ok(out)
        })
        .await
    }
}

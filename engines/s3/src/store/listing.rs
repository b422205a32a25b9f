//! Listings: range scans in the order of keys. A common prefix is one step, however many keys are under it:
//! the scan goes on behind it by seeking.

use tokio::task::spawn_blocking;

use super::error::{Error, Result};
use super::meta::{self, Look, View};
use super::model::{Candidate, Cursor, List, ListVersions, Listing, Object, VersionId, VersionListing};
use super::objects::{locate, null_sequence};
use super::record::{self, Head};
use super::tables::{self, At};
use super::{Store, buckets, text};

/// Which keys of a bucket a listing is about.
pub(super) struct Scope {
    /// Bucket and prefix.
    base: Vec<u8>,
    prefix: usize,
    delimiter: String,
}

impl Scope {
    pub(super) fn new(bucket: u32, prefix: &str, delimiter: &str) -> Self {
        let base = tables::latest(bucket, prefix);
        Self { base, prefix: prefix.len(), delimiter: delimiter.to_owned() }
    }

    /// Where the listing begins: behind `after`, and behind all under it if it is a common prefix.
    pub(super) fn start(&self, bucket: u32, after: &str) -> Option<Vec<u8>> {
        let row = tables::latest(bucket, after);
        let start = match self.roll(after) {
            _ if after.is_empty() => self.base.clone(),
            Some(common) if common == after => tables::behind(&row)?,
            _ => [row.as_slice(), &[0]].concat(),
        };
        Some(start.max(self.base.clone()))
    }

    pub(super) fn end(&self) -> Option<Vec<u8>> {
        tables::behind(&self.base)
    }

    /// The common prefix that stands for `key`, if one does.
    pub(super) fn roll<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.delimiter.is_empty() || !key.as_bytes().starts_with(&self.base[4..]) {
            return None;
        }
        let rest = key.get(self.prefix..)?;
        let at = rest.find(&self.delimiter)?;
        key.get(..self.prefix + at + self.delimiter.len())
    }
}

/// The key in a row of `Latest`.
fn key_of(row: &[u8]) -> Result<&str> {
    text(row.get(4..).unwrap_or_default())
}

fn list(view: &View, bucket: u32, list: &List) -> Result<Listing> {
    let scope = Scope::new(bucket, &list.prefix, &list.delimiter);
    let mut out = Listing::default();
    let (Some(mut from), end) = (scope.start(bucket, &list.after), scope.end()) else { return Ok(out) };
    if list.limit == 0 {
        return Ok(out);
    }
    let mut last = String::new();
    'seek: loop {
        let mut rows = view.rows(At::Latest, &from, end.as_deref())?;
        while let Some((row, value)) = meta::next(&mut rows)? {
            let head: Head = record::decode(value.value())?;
            if head.marker {
                continue;
            }
            let key = key_of(row.value())?;
            if out.objects.len() + out.common_prefixes.len() == list.limit {
                out.next = Some(last);
                return Ok(out);
            }
            if let Some(common) = scope.roll(key) {
                last = common.to_owned();
                out.common_prefixes.push(last.clone());
                match tables::behind(&tables::latest(bucket, common)) {
                    Some(behind) => from = behind,
                    None => return Ok(out),
                }
                continue 'seek;
            }
            last = key.to_owned();
            out.objects.push(head.show(last.clone(), true));
        }
        return Ok(out);
    }
}

/// The older versions of a key, newest first, behind `after`.
fn olders(view: &View, bucket: u32, key: &str, after: Option<u64>, limit: usize) -> Result<Vec<Head>> {
    let from = match after {
        Some(sequence) => [tables::older(bucket, key, sequence).as_slice(), &[0]].concat(),
        None => tables::olders(bucket, key),
    };
    let end = tables::behind(&tables::olders(bucket, key));
    let mut rows = view.rows(At::Older, &from, end.as_deref())?;
    let mut out = Vec::new();
    while out.len() < limit
        && let Some((_, value)) = meta::next(&mut rows)?
    {
        out.push(record::decode(value.value())?);
    }
    Ok(out)
}

/// The sequence of a version that a page ended with, also when it is gone by now.
fn sequence_of(view: &View, bucket: u32, key: &str, version: VersionId) -> Result<Option<u64>> {
    match (version, locate(view, bucket, key, Some(version))?) {
        (_, Some((found, _))) => Ok(Some(found.head.sequence)),
        (VersionId::Id(sequence), None) => Ok(Some(sequence)),
        (VersionId::Null, None) => null_sequence(view, bucket, key),
    }
}

/// A page of versions being filled.
struct Page {
    out: VersionListing,
    limit: usize,
    last: (String, Option<VersionId>),
}

impl Page {
    /// Whether the page had room.
    fn push(&mut self, object: Object) -> bool {
        if self.full() {
            return false;
        }
        self.last = (object.key.clone(), Some(object.version));
        self.out.versions.push(object);
        true
    }

    fn full(&mut self) -> bool {
        let full = self.out.versions.len() + self.out.common_prefixes.len() >= self.limit;
        if full {
            self.out.next = Some(self.last.clone());
        }
        full
    }

    fn room(&self) -> usize {
        // One more than fits tells that there is more.
        self.limit + 1 - self.out.versions.len() - self.out.common_prefixes.len()
    }
}

fn list_versions(view: &View, bucket: u32, list: &ListVersions) -> Result<VersionListing> {
    let scope = Scope::new(bucket, &list.prefix, &list.delimiter);
    let mut page = Page { out: VersionListing::default(), limit: list.limit, last: Default::default() };
    if list.limit == 0 {
        return Ok(page.out);
    }
    if let (Some(version), None) = (list.after_version, scope.roll(&list.after))
        && list.after.starts_with(&list.prefix)
        && let Some(sequence) = sequence_of(view, bucket, &list.after, version)?
    {
        for head in olders(view, bucket, &list.after, Some(sequence), page.room())? {
            if !page.push(head.show(list.after.clone(), false)) {
                return Ok(page.out);
            }
        }
    }
    let (Some(mut from), end) = (scope.start(bucket, &list.after), scope.end()) else { return Ok(page.out) };
    'seek: loop {
        let mut rows = view.rows(At::Latest, &from, end.as_deref())?;
        while let Some((row, value)) = meta::next(&mut rows)? {
            if page.full() {
                return Ok(page.out);
            }
            let key = key_of(row.value())?;
            if let Some(common) = scope.roll(key) {
                page.out.common_prefixes.push(common.to_owned());
                page.last = (common.to_owned(), None);
                match tables::behind(&tables::latest(bucket, common)) {
                    Some(behind) => from = behind,
                    None => return Ok(page.out),
                }
                continue 'seek;
            }
            let head: Head = record::decode(value.value())?;
            page.push(head.show(key.to_owned(), true));
            for head in olders(view, bucket, key, None, page.room())? {
                if !page.push(head.show(key.to_owned(), false)) {
                    return Ok(page.out);
                }
            }
        }
        return Ok(page.out);
    }
}

/// All versions of a key, newest first, as the lifecycle wants them.
fn candidates(view: &View, bucket: u32, key: &str, latest: record::Object) -> Result<Vec<Candidate>> {
    let mut versions = vec![latest];
    let mut rows = view.under(At::Older, &tables::olders(bucket, key))?;
    while let Some((_, value)) = meta::next(&mut rows)? {
        versions.push(record::decode(value.value())?);
    }
    let only = versions.len() == 1;
    let mut newer = None;
    let candidate = |(at, version): (usize, &record::Object)| {
        let noncurrent_since = newer.replace(version.head.modified).map(record::time);
        let newer_noncurrent = (at as u64).saturating_sub(1);
        Candidate { object: version.show(key.to_owned(), at == 0), noncurrent_since, newer_noncurrent, only }
    };
    Ok(versions.iter().enumerate().map(candidate).collect())
}

fn scan(
    view: &View,
    bucket: u32,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<(Vec<Candidate>, Option<Cursor>)> {
    let scope = Scope::new(bucket, "", "");
    let mut out = Vec::new();
    let from = scope.start(bucket, after.map_or("", |cursor| &cursor.key));
    let (Some(from), end) = (from, scope.end()) else { return Ok((out, None)) };
    let mut rows = view.rows(At::Latest, &from, end.as_deref())?;
    let mut keys = 0;
    while let Some((row, value)) = meta::next(&mut rows)? {
        let key = key_of(row.value())?;
        out.extend(candidates(view, bucket, key, record::decode(value.value())?)?);
        keys += 1;
        if keys >= limit.max(1) {
            return Ok((out, Some(Cursor { key: key.to_owned() })));
        }
    }
    Ok((out, None))
}

/// Runs something that may wait for the disk for a while.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Unusable { reason: format!("a thread of the store stopped: {error}") }),
    }
}

impl Store {
    /// Latest versions that are objects, in the order of UTF-8 bytes. Their `attributes` are left empty.
    pub async fn list(&self, bucket: &str, wanted: List) -> Result<Listing> {
        let view = self.shared().meta.view()?;
        let bucket = buckets::find(&view, bucket)?.id;
        blocking(move || list(&view, bucket, &wanted)).await
    }

    /// All versions and markers. Their `attributes` are left empty.
    pub async fn list_versions(&self, bucket: &str, wanted: ListVersions) -> Result<VersionListing> {
        let view = self.shared().meta.view()?;
        let bucket = buckets::find(&view, bucket)?.id;
        blocking(move || list_versions(&view, bucket, &wanted)).await
    }

    /// All versions of up to `limit` keys with what the lifecycle asks about them. Delete what it decides
    /// with `Delete { version, .. }`, so that nothing newer is hit.
    pub async fn scan(
        &self,
        bucket: &str,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<Candidate>, Option<Cursor>)> {
        let view = self.shared().meta.view()?;
        let bucket = buckets::find(&view, bucket)?.id;
        blocking(move || scan(&view, bucket, after.as_ref(), limit)).await
    }
}

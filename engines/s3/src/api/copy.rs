//! Copies: of an object, and of a range of one into a part of an upload.

use std::ops::Range as Bytes;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{check_lockable, refuse_extras, written};
use super::conditions::Reading;
use super::{answer, lock, multipart, shown, version};
use crate::access::{What, authorise_also};
use crate::checksum::{Algorithm, Plan, Sent, fill};
use crate::core::Core;
use crate::events::{Event, Kind};
use crate::refuse::refuse;
use crate::store::{self, Attributes, Object, Put, Stage, VersionId};
use crate::time::stamp;

/// Where a copy comes from.
struct Source {
    bucket: String,
    key: String,
    version: Option<VersionId>,
}

impl Source {
    fn parse(source: &CopySource) -> S3Result<Self> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(NotImplemented, "copy sources are buckets: there are no access points"));
        };
        let version = version(version_id.as_deref())?;
        Ok(Self { bucket: bucket.to_string(), key: key.to_string(), version })
    }

    /// The source's object, if the caller may read it and the conditions hold.
    async fn find<T>(&self, core: &Core, req: &S3Request<T>, reading: Reading) -> S3Result<Object> {
        let action = if self.version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        let what = What { action, bucket: &self.bucket, key: Some(&self.key) };
        authorise_also(core, &req.extensions, &req.headers, &req.uri, what).await?;
        let object = match core.store.head(&self.bucket, &self.key, self.version).await {
            Ok(object) => object,
            Err(store::Error::DeleteMarker { .. }) if self.version.is_some() => {
                return Err(s3_error!(InvalidRequest, "the source of a copy must not be a delete marker"));
            }
            Err(error @ store::Error::DeleteMarker { .. }) => {
                return Err(s3_error!(NoSuchKey, "{error}"));
            }
            Err(error) => return Err(refuse(error)),
        };
        reading.check_source(&object)?;
        Ok(object)
    }
}

macro_rules! reading {
    ($input:expr) => {
        Reading {
            if_match: $input.copy_source_if_match.take(),
            if_none_match: $input.copy_source_if_none_match.take(),
            if_modified_since: $input.copy_source_if_modified_since.take(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}

pub(super) async fn copy(
    core: &Core,
    mut req: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    refuse_extras!(req.input);
    let source = Source::parse(&req.input.copy_source)?;
    let reading = reading!(req.input);
    let found = source.find(core, &req, reading).await?;
    let source_rules = core.shelf.rules(&core.store, &source.bucket).await?;
    let rules = core.shelf.rules(&core.store, &req.input.bucket).await?;
    let replaces = is_replace(req.input.metadata_directive.as_ref().map(MetadataDirective::as_str))?;
    let retags = is_replace(req.input.tagging_directive.as_ref().map(TaggingDirective::as_str))?;
    let input = &mut req.input;
    let onto_itself = source.bucket == input.bucket && source.key == input.key && source.version.is_none();
    let changes_class = input.storage_class.is_some() || input.website_redirect_location.is_some();
    if onto_itself && !replaces && !retags && !changes_class {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing it"
        ));
    }
    let algorithm = input.checksum_algorithm.take().map(|a| Algorithm::parse(a.as_str())).transpose()?;
    let retention =
        lock::asked(core, input.object_lock_mode.take(), input.object_lock_retain_until_date.take())?;
    let legal_hold = lock::hold(input.object_lock_legal_hold_status.take());
    check_lockable(&rules.bucket, retention.as_ref(), legal_hold)?;
    let given = written!(input).check()?;
    let mut attributes = merged(&found.attributes, given, replaces, retags);
    attributes.retention = retention.or_else(|| lock::default_retention(core, &rules));
    attributes.legal_hold = legal_hold;

    let other_sum =
        algorithm.is_some_and(|a| attributes.checksum.as_ref().is_none_or(|c| c.algorithm != a.name()));
    let object = match algorithm {
        Some(algorithm) if other_sum => {
            recoded(core, &source, &found, &req.input, attributes, algorithm).await?
        }
        _ => shared(core, &source, &found, &req.input, attributes).await?,
    };
    core.outbox.tell(core, &rules, Event::created(Kind::Copy, &object, &req.extensions)).await;
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(stamp(object.modified)),
        ..Default::default()
    };
    result.checksum_type = fill!(result, object.attributes.checksum.as_ref());
    answer(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: shown(&source_rules.bucket, found.version),
        version_id: shown(&rules.bucket, object.version),
        ..Default::default()
    })
}

fn is_replace(directive: Option<&str>) -> S3Result<bool> {
    match directive {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(other) => Err(s3_error!(InvalidArgument, "a directive is COPY or REPLACE, not `{other}`")),
    }
}

/// The copy's attributes: each half from the source or from the request.
fn merged(source: &Attributes, given: Attributes, replaces: bool, retags: bool) -> Attributes {
    let redirect = "x-amz-website-redirect-location";
    let tags = if retags { given.tags.clone() } else { source.tags.clone() };
    let mut attributes = if replaces { given.clone() } else { source.clone() };
    // A redirect is never copied.
    match given.headers.get(redirect) {
        Some(value) => attributes.headers.insert(redirect.to_owned(), value.clone()),
        None => attributes.headers.remove(redirect),
    };
    attributes.tags = tags;
    attributes.checksum = source.checksum.clone();
    attributes
}

/// A copy that shares the source's bytes.
async fn shared(
    core: &Core,
    source: &Source,
    found: &Object,
    input: &CopyObjectInput,
    attributes: Attributes,
) -> S3Result<Object> {
    let copy = store::Copy {
        source_bucket: source.bucket.clone(),
        source_key: source.key.clone(),
        source_version: Some(found.version),
        source_etag: Some(found.etag.clone()),
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        attributes: Some(attributes),
        condition: store::Condition::default(),
    };
    core.store.copy(copy).await.map_err(refuse)
}

/// A copy that is read once more, for another checksum.
async fn recoded(
    core: &Core,
    source: &Source,
    found: &Object,
    input: &CopyObjectInput,
    mut attributes: Attributes,
    algorithm: Algorithm,
) -> S3Result<Object> {
    let plan = Plan::new(Sent::default(), &http::HeaderMap::new(), Some(algorithm))?;
    let (staged, checksum) = restage(core, source, found, &input.bucket, 0..found.size, plan).await?;
    attributes.checksum = checksum;
    let put = Put { key: input.key.clone(), staged, attributes, condition: store::Condition::default() };
    core.store.put(&input.bucket, put).await.map_err(refuse)
}

/// Takes a range of the source in as if a client had sent it.
async fn restage(
    core: &Core,
    source: &Source,
    found: &Object,
    bucket: &str,
    bytes: Bytes<u64>,
    plan: Plan,
) -> S3Result<(store::Staged, Option<store::Checksum>)> {
    let opened =
        core.store.open_object(&source.bucket, &source.key, Some(found.version)).await.map_err(refuse)?;
    let stage = Stage { size: Some(bytes.end - bytes.start), limit: None };
    let body = StreamingBlob::wrap(opened.read(bytes));
    let (staged, watch) = core.store.stage(bucket, stage, body, plan.watch()).await.map_err(refuse)?;
    Ok((staged, plan.settle(watch, None)?))
}

pub(super) async fn part(
    core: &Core,
    mut req: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let source = Source::parse(&req.input.copy_source)?;
    let reading = reading!(req.input);
    let number = multipart::part_number(req.input.part_number)?;
    let upload = multipart::reference(&req.input.bucket, &req.input.key, &req.input.upload_id);
    let algorithm = multipart::algorithm(&core.store.upload(&upload).await.map_err(refuse)?);
    let found = source.find(core, &req, reading).await?;
    let source_rules = core.shelf.rules(&core.store, &source.bucket).await?;
    let bytes = match req.input.copy_source_range.as_deref() {
        None => 0..found.size,
        Some(text) => source_range(text, found.size)?,
    };
    let plan = Plan::new(Sent::default(), &http::HeaderMap::new(), algorithm)?;
    let (staged, checksum) = restage(core, &source, &found, &req.input.bucket, bytes, plan).await?;
    let part = core.store.put_part(&upload, number, staged, checksum).await.map_err(refuse)?;
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(stamp(part.modified)),
        ..Default::default()
    };
    let _ = fill!(result, part.checksum.as_ref());
    answer(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: shown(&source_rules.bucket, found.version),
        ..Default::default()
    })
}

/// `bytes=first-last`, both given, within the source.
fn source_range(text: &str, size: u64) -> S3Result<Bytes<u64>> {
    let invalid = || s3_error!(InvalidArgument, "x-amz-copy-source-range must be bytes=first-last");
    let (first, last) =
        text.strip_prefix("bytes=").and_then(|range| range.split_once('-')).ok_or_else(invalid)?;
    let first: u64 = first.parse().map_err(|_| invalid())?;
    let last: u64 = last.parse().map_err(|_| invalid())?;
    if first > last {
        return Err(invalid());
    }
    if last >= size {
        return Err(s3_error!(InvalidRange, "the source has {size} bytes"));
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_lie_within_the_source() {
        assert_eq!(source_range("bytes=0-9", 10).expect("a range"), 0..10);
        for text in ["bytes=5-2", "0-9", "bytes=0-", "bytes=-5", "bytes=0-10"] {
            assert!(source_range(text, 10).is_err(), "{text}");
        }
    }

    #[test]
    fn redirects_are_not_copied() {
        let name = "x-amz-website-redirect-location".to_owned();
        let source = Attributes { headers: [(name, "/a".to_owned())].into(), ..Attributes::default() };
        assert!(merged(&source, Attributes::default(), false, false).headers.is_empty());
    }
}

//! Reading an object: all of it, a range, a part, or what is known about it.

use std::ops::Range as Bytes;

use http::{HeaderMap, HeaderValue};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::attributes::{expires, header};
use super::conditions::Reading;
use super::{answer, lock, number, shown, version};
use crate::access::{What, authorise_also};
use crate::checksum::{Fields, fill};
use crate::core::Core;
use crate::refuse::refuse;
use crate::store::{self, Object, ObjectPart, VersionId};
use crate::time::stamp;

/// What a read asks for, whichever way.
struct Wanted<'a> {
    bucket: &'a str,
    key: &'a str,
    version: Option<VersionId>,
    range: Option<Range>,
    part: Option<i32>,
    reading: Reading,
}

/// What part of an object is sent.
struct Slice {
    bytes: Bytes<u64>,
    /// `Content-Range`, when it is not all.
    shown: Option<String>,
    parts: Option<i32>,
    /// The checksum belongs to the slice rather than to the object.
    checksum: Option<store::Checksum>,
}

macro_rules! wanted {
    ($input:expr) => {
        Wanted {
            bucket: &$input.bucket,
            key: &$input.key,
            version: version($input.version_id.as_deref())?,
            range: $input.range.clone(),
            part: $input.part_number,
            reading: Reading {
                if_match: $input.if_match.clone(),
                if_none_match: $input.if_none_match.clone(),
                if_modified_since: $input.if_modified_since.clone(),
                if_unmodified_since: $input.if_unmodified_since.clone(),
            },
        }
    };
}

/// Fills what `GET` and `HEAD` answer alike.
macro_rules! describe {
    ($output:expr, $rules:expr, $object:expr, $slice:expr, $mode:expr) => {{
        let attributes = &$object.attributes;
        $output.accept_ranges = Some("bytes".to_owned());
        $output.content_length = Some(number($slice.bytes.end - $slice.bytes.start));
        $output.content_range = $slice.shown.clone();
        $output.parts_count = $slice.parts;
        $output.content_type =
            Some(attributes.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.cache_control = header(attributes, "cache-control");
        $output.content_disposition = header(attributes, "content-disposition");
        $output.content_encoding = header(attributes, "content-encoding");
        $output.content_language = header(attributes, "content-language");
        $output.website_redirect_location = header(attributes, "x-amz-website-redirect-location");
        $output.expires = expires(attributes);
        $output.e_tag = Some(ETag::Strong($object.etag.clone()));
        $output.last_modified = Some(stamp($object.modified));
        $output.metadata = Some(attributes.metadata.clone().into_iter().collect());
        $output.version_id = shown(&$rules.bucket, $object.version);
        $output.object_lock_mode = attributes.retention.map(|r| lock::header_mode(r.mode));
        $output.object_lock_retain_until_date = attributes.retention.map(|r| stamp(r.until));
        $output.object_lock_legal_hold_status = attributes.legal_hold.then(|| lock::status(true));
        // A checksum of the whole says nothing about a range.
        if $mode.as_ref().is_some_and(|mode| mode.as_str().eq_ignore_ascii_case(ChecksumMode::ENABLED)) {
            let sum = match $slice.shown {
                None => attributes.checksum.as_ref(),
                Some(_) => $slice.checksum.as_ref(),
            };
            $output.checksum_type = fill!($output, sum);
        }
    }};
}

pub(super) async fn get(
    core: &Core,
    req: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = &req.input;
    refuse_overrides(&req)?;
    let wanted = wanted!(input);
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let found = core.store.open_object(wanted.bucket, wanted.key, wanted.version).await;
    let opened = match found {
        Ok(opened) => opened,
        Err(error) => return Err(missing(core, &req, &wanted, error).await),
    };
    wanted.reading.check(&opened.object)?;
    let slice = slice(core, &wanted, &opened.object).await?;
    let mut output = GetObjectOutput::default();
    describe!(output, rules, opened.object, slice, input.checksum_mode);
    let tags = opened.object.attributes.tags.len();
    output.tag_count = i32::try_from(tags).ok().filter(|count| *count > 0);
    output.body = Some(StreamingBlob::wrap(opened.read(slice.bytes)));
    answer(output)
}

pub(super) async fn head(
    core: &Core,
    req: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = &req.input;
    let wanted = wanted!(input);
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let object = match core.store.head(wanted.bucket, wanted.key, wanted.version).await {
        Ok(object) => object,
        Err(error) => return Err(missing(core, &req, &wanted, error).await),
    };
    wanted.reading.check(&object)?;
    let slice = slice(core, &wanted, &object).await?;
    let mut output = HeadObjectOutput::default();
    describe!(output, rules, object, slice, input.checksum_mode);
    let mut response = S3Response::new(output);
    if !object.attributes.tags.is_empty() {
        response.headers.insert("x-amz-tagging-count", HeaderValue::from(object.attributes.tags.len()));
    }
    if slice.shown.is_some() {
        response.status = Some(http::StatusCode::PARTIAL_CONTENT);
    }
    Ok(response)
}

/// Only a signed request may have its answer's headers changed: else a link could make mischief.
fn refuse_overrides(req: &S3Request<GetObjectInput>) -> S3Result<()> {
    let input = &req.input;
    let overrides = input.response_content_type.is_some()
        || input.response_content_disposition.is_some()
        || input.response_content_encoding.is_some()
        || input.response_content_language.is_some()
        || input.response_cache_control.is_some()
        || input.response_expires.is_some();
    if overrides && req.credentials.is_none() {
        return Err(s3_error!(InvalidRequest, "response- parameters need a signed request"));
    }
    Ok(())
}

/// Why there is nothing to read. Who may not list does not learn whether a key exists.
async fn missing<T>(core: &Core, req: &S3Request<T>, wanted: &Wanted<'_>, error: store::Error) -> S3Error {
    match error {
        store::Error::NoSuchKey { .. } => {
            let what = What { action: "s3:ListBucket", bucket: wanted.bucket, key: None };
            match authorise_also(core, &req.extensions, &req.headers, &req.uri, what).await {
                Ok(()) => refuse(error),
                Err(refusal) => refusal,
            }
        }
        store::Error::DeleteMarker { version, .. } => marker(wanted.version.is_some(), version, error),
        error => refuse(error),
    }
}

fn marker(named: bool, version: VersionId, error: store::Error) -> S3Error {
    let code = if named { S3ErrorCode::MethodNotAllowed } else { S3ErrorCode::NoSuchKey };
    let mut refusal = S3Error::with_message(code, error.to_string());
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(version) = HeaderValue::try_from(version.to_string()) {
        headers.insert("x-amz-version-id", version);
    }
    refusal.set_headers(headers);
    refusal
}

async fn slice(core: &Core, wanted: &Wanted<'_>, object: &Object) -> S3Result<Slice> {
    let all = Slice { bytes: 0..object.size, shown: None, parts: None, checksum: None };
    if let Some(number) = wanted.part {
        if wanted.range.is_some() {
            return Err(s3_error!(InvalidRequest, "give a range or a part number, not both"));
        }
        return part(core, wanted, object, number).await;
    }
    let Some(range) = &wanted.range else { return Ok(all) };
    let bytes = range
        .check(object.size)
        .map_err(|_| s3_error!(InvalidRange, "the object has {} bytes", object.size))?;
    Ok(Slice { shown: Some(content_range(&bytes, object.size)), bytes, ..all })
}

fn content_range(bytes: &Bytes<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", bytes.start, bytes.end.saturating_sub(1))
}

async fn part(core: &Core, wanted: &Wanted<'_>, object: &Object, number: i32) -> S3Result<Slice> {
    let unknown = || {
        let code = S3ErrorCode::Custom("InvalidPartNumber".into());
        let mut error = S3Error::with_message(code, format!("the object has no part {number}"));
        error.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
        error
    };
    if object.parts == 0 {
        if number != 1 {
            return Err(unknown());
        }
        return Ok(Slice { bytes: 0..object.size, shown: None, parts: None, checksum: None });
    }
    let parts = parts(core, wanted.bucket, wanted.key, object).await?;
    let found = parts.iter().find(|part| i32::from(part.number) == number).ok_or_else(unknown)?;
    let bytes = found.offset..found.offset + found.size;
    Ok(Slice {
        shown: Some(content_range(&bytes, object.size)),
        bytes,
        parts: i32::try_from(object.parts).ok(),
        checksum: found.checksum.clone(),
    })
}

async fn parts(core: &Core, bucket: &str, key: &str, object: &Object) -> S3Result<Vec<ObjectPart>> {
    core.store.object_parts(bucket, key, Some(object.version)).await.map_err(refuse)
}

pub(super) async fn attributes(
    core: &Core,
    req: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = &req.input;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let wanted = Wanted {
        bucket: &input.bucket,
        key: &input.key,
        version: version(input.version_id.as_deref())?,
        range: None,
        part: None,
        reading: Reading::default(),
    };
    let object = match core.store.head(wanted.bucket, wanted.key, wanted.version).await {
        Ok(object) => object,
        Err(error) => return Err(missing(core, &req, &wanted, error).await),
    };
    let asks = |name: &str| {
        input.object_attributes.iter().any(|list| list.as_str().split(',').any(|one| one.trim() == name))
    };
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(stamp(object.modified)),
        version_id: shown(&rules.bucket, object.version),
        ..Default::default()
    };
    output.e_tag = asks(ObjectAttributes::ETAG).then(|| ETag::Strong(object.etag.clone()));
    output.object_size = asks(ObjectAttributes::OBJECT_SIZE).then(|| number(object.size));
    output.storage_class =
        asks(ObjectAttributes::STORAGE_CLASS).then(|| StorageClass::from_static(StorageClass::STANDARD));
    if asks(ObjectAttributes::CHECKSUM)
        && let Some(checksum) = &object.attributes.checksum
    {
        let mut sums = Checksum::default();
        sums.checksum_type = fill!(sums, Some(checksum));
        output.checksum = Some(sums);
    }
    if asks(ObjectAttributes::OBJECT_PARTS) && object.parts > 0 {
        let parts = parts(core, wanted.bucket, wanted.key, &object).await?;
        output.object_parts = Some(page_of_parts(&parts, input.part_number_marker, input.max_parts));
    }
    answer(output)
}

fn page_of_parts(parts: &[ObjectPart], after: Option<i32>, most: Option<i32>) -> GetObjectAttributesParts {
    let after = after.unwrap_or(0);
    let most = usize::try_from(most.unwrap_or(1000)).unwrap_or(0).min(1000);
    let rest: Vec<&ObjectPart> = parts.iter().filter(|part| i32::from(part.number) > after).collect();
    let page: Vec<s3s::dto::ObjectPart> = rest.iter().take(most).map(|part| shown_part(part)).collect();
    GetObjectAttributesParts {
        is_truncated: Some(rest.len() > most),
        max_parts: i32::try_from(most).ok(),
        next_part_number_marker: page.last().and_then(|part| part.part_number).or(Some(0)),
        part_number_marker: Some(after),
        // Parts are told one by one only where each has a checksum, as S3 does.
        parts: parts.iter().all(|part| part.checksum.is_some()).then_some(page),
        total_parts_count: i32::try_from(parts.len()).ok(),
    }
}

fn shown_part(part: &ObjectPart) -> s3s::dto::ObjectPart {
    let sums = Fields::of(part.checksum.as_ref());
    s3s::dto::ObjectPart {
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        part_number: Some(i32::from(part.number)),
        size: Some(number(part.size)),
    }
}

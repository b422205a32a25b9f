//! Multipart uploads.

use std::collections::BTreeMap;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{check_lockable, refuse_extras, written};
use super::listing::{Writing, page};
use super::{answer, conditions, lock, made, number, owner};
use crate::access::caller;
use crate::checksum::{self, Algorithm, Piece, Plan, Sent, fill, sent, whole};
use crate::core::Core;
use crate::events::{Event, Kind};
use crate::refuse::refuse;
use crate::store::{self, CompletePart, ListUploads, Stage, Upload, UploadRef};
use crate::time::stamp;

/// Notes kept with an upload.
const ALGORITHM: &str = "checksum-algorithm";
const TYPE: &str = "checksum-type";
const INITIATOR: &str = "initiator";

pub(super) fn reference(bucket: &str, key: &str, id: &str) -> UploadRef {
    UploadRef { bucket: bucket.to_owned(), key: key.to_owned(), id: id.to_owned() }
}

/// The checksum algorithm an upload was begun with.
pub(super) fn algorithm(upload: &Upload) -> Option<Algorithm> {
    upload.notes.get(ALGORITHM).and_then(|name| Algorithm::parse(name).ok())
}

fn is_composite(upload: &Upload) -> bool {
    upload.notes.get(TYPE).is_none_or(|kind| kind == ChecksumType::COMPOSITE)
}

fn checksum_type(upload: &Upload) -> Option<ChecksumType> {
    upload.notes.get(TYPE).map(|kind| ChecksumType::from(kind.clone()))
}

fn checksum_algorithm(upload: &Upload) -> Option<ChecksumAlgorithm> {
    upload.notes.get(ALGORITHM).map(|name| ChecksumAlgorithm::from(name.clone()))
}

pub(super) fn part_number(number: i32) -> S3Result<u16> {
    u16::try_from(number).ok().filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
        s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")
    })
}

pub(super) async fn create(
    core: &Core,
    mut req: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let initiator = caller(&req.extensions).user;
    let input = &mut req.input;
    refuse_extras!(input);
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let mut notes = notes(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?;
    if let Some(user) = initiator {
        notes.insert(INITIATOR.to_owned(), user);
    }
    let mut attributes = written!(input).check()?;
    attributes.retention =
        lock::asked(core, input.object_lock_mode.take(), input.object_lock_retain_until_date.take())?;
    attributes.legal_hold = lock::hold(input.object_lock_legal_hold_status.take());
    check_lockable(&rules.bucket, attributes.retention.as_ref(), attributes.legal_hold)?;
    attributes.retention = attributes.retention.or_else(|| lock::default_retention(core, &rules));
    let kind = notes.get(TYPE).map(|kind| ChecksumType::from(kind.clone()));
    let name = notes.get(ALGORITHM).map(|name| ChecksumAlgorithm::from(name.clone()));
    let id = core.store.create_upload(&input.bucket, &input.key, attributes, notes).await.map_err(refuse)?;
    answer(CreateMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(id),
        checksum_algorithm: name,
        checksum_type: kind,
        ..Default::default()
    })
}

/// What to remember about the checksum the whole will have.
fn notes(
    name: Option<&ChecksumAlgorithm>,
    kind: Option<&ChecksumType>,
) -> S3Result<BTreeMap<String, String>> {
    let mut notes = BTreeMap::new();
    let Some(name) = name else {
        if kind.is_some() {
            return Err(s3_error!(InvalidRequest, "a checksum type needs a checksum algorithm"));
        }
        return Ok(notes);
    };
    let algorithm = Algorithm::parse(name.as_str())?;
    let kind = match kind.map(ChecksumType::as_str) {
        None if algorithm == Algorithm::Crc64Nvme => ChecksumType::FULL_OBJECT,
        None | Some(ChecksumType::COMPOSITE) if algorithm != Algorithm::Crc64Nvme => ChecksumType::COMPOSITE,
        Some(ChecksumType::FULL_OBJECT) if algorithm.combines() => ChecksumType::FULL_OBJECT,
        other => {
            let kind = other.unwrap_or_default();
            return Err(s3_error!(InvalidRequest, "{} cannot be of the type {kind}", algorithm.name()));
        }
    };
    notes.insert(ALGORITHM.to_owned(), algorithm.name().to_owned());
    notes.insert(TYPE.to_owned(), kind.to_owned());
    Ok(notes)
}

pub(super) async fn part(
    core: &Core,
    mut req: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let input = &mut req.input;
    if input.sse_customer_algorithm.is_some() {
        return Err(s3_error!(NotImplemented, "server-side encryption is not offered"));
    }
    let number = part_number(input.part_number)?;
    let upload = reference(&input.bucket, &input.key, &input.upload_id);
    let begun = core.store.upload(&upload).await.map_err(refuse)?;
    let plan = Plan::new(sent!(input)?, &req.headers, algorithm(&begun))?;
    if let (Some(wanted), Some(given)) = (algorithm(&begun), plan.algorithm())
        && wanted != given
    {
        return Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            wanted.name().to_ascii_lowercase(),
            given.name().to_ascii_lowercase()
        ));
    }
    let md5 = input.content_md5.take();
    md5.as_deref().map(checksum::decode_md5).transpose()?;
    let size = input.content_length.and_then(|size| u64::try_from(size).ok());
    let stage = Stage { size, limit: Some(super::put::LARGEST) };
    let body = input.body.take().unwrap_or_else(super::put::empty);
    let (staged, watch) = core.store.stage(&input.bucket, stage, body, plan.watch()).await.map_err(refuse)?;
    checksum::check_md5(md5.as_deref(), staged.md5())?;
    let sum = plan.settle(watch, req.trailing_headers.as_ref())?;
    let part = core.store.put_part(&upload, number, staged, sum).await.map_err(refuse)?;
    let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(part.etag)), ..Default::default() };
    let _ = fill!(output, part.checksum.as_ref());
    answer(output)
}

pub(super) async fn list_parts(
    core: &Core,
    req: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = req.input;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let upload = reference(&input.bucket, &input.key, &input.upload_id);
    let begun = core.store.upload(&upload).await.map_err(refuse)?;
    let after = u16::try_from(input.part_number_marker.unwrap_or(0))
        .map_err(|_| s3_error!(InvalidArgument, "part-number-marker must be 0 to 10000"))?;
    let limit = page(input.max_parts)?;
    let listing = match limit {
        0 => store::PartListing::default(),
        _ => core.store.list_parts(&upload, after, limit).await.map_err(refuse)?,
    };
    answer(ListPartsOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(input.upload_id.clone()),
        checksum_algorithm: checksum_algorithm(&begun),
        checksum_type: checksum_type(&begun),
        initiator: begun.notes.get(INITIATOR).map(|user| initiator(user)),
        is_truncated: Some(listing.next.is_some()),
        max_parts: i32::try_from(limit).ok(),
        next_part_number_marker: listing.next.map(i32::from).or(Some(0)),
        owner: Some(owner(&rules.bucket.owner)),
        part_number_marker: Some(i32::from(after)),
        parts: Some(listing.parts.into_iter().map(shown_part).collect()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    })
}

fn initiator(user: &str) -> Initiator {
    Initiator { id: Some(user.to_owned()), display_name: Some(user.to_owned()) }
}

fn shown_part(part: store::Part) -> Part {
    let mut shown = Part {
        e_tag: Some(ETag::Strong(part.etag)),
        last_modified: Some(stamp(part.modified)),
        part_number: Some(i32::from(part.number)),
        size: Some(number(part.size)),
        ..Default::default()
    };
    let _ = fill!(shown, part.checksum.as_ref());
    shown
}

pub(super) async fn list_uploads(
    core: &Core,
    req: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = req.input;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let limit = page(input.max_uploads)?;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let list = ListUploads {
        prefix: text(&input.prefix),
        delimiter: text(&input.delimiter),
        after: text(&input.key_marker),
        after_upload: if input.key_marker.is_some() { text(&input.upload_id_marker) } else { String::new() },
        limit,
    };
    let listing = match limit {
        0 => store::UploadListing::default(),
        _ => core.store.list_uploads(&input.bucket, list).await.map_err(refuse)?,
    };
    let (next_key, next_upload) = listing.next.clone().unzip();
    let whose = &rules.bucket.owner;
    let shown = |upload: Upload| MultipartUpload {
        checksum_algorithm: checksum_algorithm(&upload),
        checksum_type: checksum_type(&upload),
        initiated: Some(stamp(upload.initiated)),
        initiator: upload.notes.get(INITIATOR).map(|user| initiator(user)),
        key: Some(writing.name(&upload.key)),
        owner: Some(owner(whose)),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(upload.id),
    };
    answer(ListMultipartUploadsOutput {
        bucket: Some(input.bucket.clone()),
        common_prefixes: writing.prefixes(&listing.common_prefixes),
        delimiter: writing.some(input.delimiter.as_deref().filter(|text| !text.is_empty())),
        encoding_type: writing.shown(),
        is_truncated: Some(listing.next.is_some()),
        key_marker: Some(writing.name(&text(&input.key_marker))),
        max_uploads: i32::try_from(limit).ok(),
        next_key_marker: writing.some(next_key.as_deref()),
        next_upload_id_marker: next_upload,
        prefix: Some(writing.name(&text(&input.prefix))),
        upload_id_marker: input.upload_id_marker,
        uploads: Some(listing.uploads.into_iter().map(shown).collect()),
        ..Default::default()
    })
}

pub(super) async fn complete(
    core: &Core,
    mut req: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = &mut req.input;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let upload = reference(&input.bucket, &input.key, &input.upload_id);
    let named = input.multipart_upload.take().and_then(|upload| upload.parts).unwrap_or_default();
    if named.is_empty() {
        return Err(s3_error!(MalformedXML, "name at least one part"));
    }
    let parts: Vec<CompletePart> = named.into_iter().map(named_part).collect::<S3Result<_>>()?;
    let sent = sent!(input)?;
    let sum = sum_of_all(core, &upload, &parts, input.mpu_object_size, sent).await?;
    let condition = conditions::writing(input.if_match.take(), input.if_none_match.take());
    let object = core.store.complete_upload(&upload, parts, sum, condition).await.map_err(refuse)?;
    core.outbox.tell(core, &rules, Event::created(Kind::Complete, &object, &req.extensions)).await;
    let input = &req.input;
    let mut output = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!("/{}/{}", input.bucket, crate::sign::encode(&input.key, true))),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        version_id: made(&rules.bucket, object.version),
        ..Default::default()
    };
    output.checksum_type = fill!(output, object.attributes.checksum.as_ref());
    answer(output)
}

fn named_part(mut part: CompletedPart) -> S3Result<CompletePart> {
    let sum = sent!(part)?;
    let number = part_number(part.part_number.unwrap_or(0))?;
    let etag = part.e_tag.ok_or_else(|| s3_error!(MalformedXML, "part {number} has no ETag"))?;
    Ok(CompletePart { number, etag: etag.into_value(), checksum: sum.0.map(|(_, value)| value) })
}

/// The checksum of the whole from those of the parts, compared with what the client says it is. `None`
/// when the upload has no checksum, or is gone already (the store then knows whether it was completed).
async fn sum_of_all(
    core: &Core,
    upload: &UploadRef,
    named: &[CompletePart],
    size: Option<i64>,
    sent: Sent,
) -> S3Result<Option<store::Checksum>> {
    let Ok(begun) = core.store.upload(upload).await else { return Ok(None) };
    let known = all_parts(core, upload).await?;
    let chosen: Vec<&store::Part> = named.iter().filter_map(|part| known.get(&part.number)).collect();
    let total = chosen.iter().map(|part| part.size).sum();
    if size.is_some_and(|size| size != number(total)) {
        return Err(s3_error!(
            InvalidRequest,
            "the parts have {total} bytes, not those x-amz-mp-object-size says"
        ));
    }
    let Some(algorithm) = algorithm(&begun) else { return Ok(None) };
    let piece = |part: &&store::Part| {
        Some(Piece { checksum: part.checksum.as_ref()?.value.clone(), size: part.size })
    };
    let Some(pieces) = chosen.iter().map(piece).collect::<Option<Vec<Piece>>>() else { return Ok(None) };
    let sum = whole(algorithm, is_composite(&begun), &pieces);
    if let (Some((_, expected)), Some(sum)) = (&sent.0, &sum)
        && *expected != sum.value
        && Some(expected.as_str()) != sum.value.split('-').next()
    {
        return Err(s3_error!(
            BadDigest,
            "the {} of the whole is {}, not {expected}",
            algorithm.name(),
            sum.value
        ));
    }
    Ok(sum)
}

async fn all_parts(core: &Core, upload: &UploadRef) -> S3Result<BTreeMap<u16, store::Part>> {
    let mut parts = BTreeMap::new();
    let mut after = Some(0);
    while let Some(from) = after {
        let listing = core.store.list_parts(upload, from, 1000).await.map_err(refuse)?;
        parts.extend(listing.parts.into_iter().map(|part| (part.number, part)));
        after = listing.next;
    }
    Ok(parts)
}

pub(super) async fn abort(
    core: &Core,
    req: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = req.input;
    let upload = reference(&input.bucket, &input.key, &input.upload_id);
    core.store.abort_upload(&upload).await.map_err(refuse)?;
    answer(AbortMultipartUploadOutput::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, kind: Option<&str>) -> Option<String> {
        let kind = kind.map(|kind| ChecksumType::from(kind.to_owned()));
        notes(Some(&ChecksumAlgorithm::from(name.to_owned())), kind.as_ref()).ok()?.remove(TYPE)
    }

    #[test]
    fn checksums_have_the_types_they_can() {
        assert_eq!(check("SHA256", None).as_deref(), Some("COMPOSITE"));
        assert_eq!(check("CRC64NVME", None).as_deref(), Some("FULL_OBJECT"));
        assert_eq!(check("CRC32", Some("FULL_OBJECT")).as_deref(), Some("FULL_OBJECT"));
        assert_eq!(check("SHA1", Some("FULL_OBJECT")), None);
        assert_eq!(check("CRC64NVME", Some("COMPOSITE")), None);
    }

    #[test]
    fn parts_are_numbered_from_one() {
        assert!(part_number(0).is_err() && part_number(10_001).is_err());
        assert_eq!(part_number(10_000).expect("a number"), 10_000);
    }
}

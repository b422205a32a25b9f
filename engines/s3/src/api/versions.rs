//! Versions: whether a bucket keeps them, and their listing.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::listing::{Writing, page};
use super::{answer, number, owner, version};
use crate::core::Core;
use crate::refuse::refuse;
use crate::store::{self, ListVersions, VersionListing, Versioning};
use crate::time::stamp;

pub(super) async fn get(
    core: &Core,
    req: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let bucket = core.store.bucket(&req.input.bucket).await.map_err(refuse)?;
    let status = match bucket.versioning {
        Versioning::Unversioned => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    answer(GetBucketVersioningOutput {
        status: status.map(BucketVersioningStatus::from_static),
        ..Default::default()
    })
}

pub(super) async fn put(
    core: &Core,
    req: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let configuration = req.input.versioning_configuration;
    if configuration.mfa_delete.as_ref().is_some_and(|mfa| mfa.as_str() == MFADelete::ENABLED) {
        return Err(s3_error!(NotImplemented, "MFA delete is not offered"));
    }
    let bucket = core.store.bucket(&req.input.bucket).await.map_err(refuse)?;
    let versioning = match configuration.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) if bucket.object_lock => {
            return Err(s3_error!(InvalidBucketState, "a bucket with object lock keeps its versions"));
        }
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => {
            return Err(s3_error!(IllegalVersioningConfigurationException, "Status is Enabled or Suspended"));
        }
    };
    core.store.set_versioning(&req.input.bucket, versioning).await.map_err(refuse)?;
    answer(PutBucketVersioningOutput::default())
}

pub(super) async fn list(
    core: &Core,
    req: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = req.input;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let limit = page(input.max_keys)?;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let after_version = version(input.version_id_marker.as_deref())?;
    let after = input.key_marker.clone().unwrap_or_default();
    if after_version.is_some() && after.is_empty() {
        return Err(s3_error!(
            InvalidArgument,
            "A version-id marker cannot be specified without a key marker."
        ));
    }
    let delimiter = input.delimiter.as_deref().filter(|text| !text.is_empty());
    let list = ListVersions {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: delimiter.unwrap_or_default().to_owned(),
        after,
        after_version,
        limit,
    };
    let listing = match limit {
        0 => VersionListing::default(),
        _ => core.store.list_versions(&input.bucket, list).await.map_err(refuse)?,
    };
    let whose = &rules.bucket.owner;
    let (markers, versions): (Vec<_>, Vec<_>) = listing.versions.iter().partition(|v| v.delete_marker);
    let (next_key, next_version) = listing.next.clone().unzip();
    answer(ListObjectVersionsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(writing.name(input.prefix.as_deref().unwrap_or_default())),
        key_marker: Some(writing.name(input.key_marker.as_deref().unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(listing.next.is_some()),
        next_key_marker: writing.some(next_key.as_deref()),
        next_version_id_marker: next_version.flatten().map(|version| version.to_string()),
        versions: Some(versions.into_iter().map(|object| entry(writing, object, whose)).collect()),
        delete_markers: Some(markers.into_iter().map(|object| marker(writing, object, whose)).collect()),
        common_prefixes: writing.prefixes(&listing.common_prefixes),
        delimiter: writing.some(delimiter),
        encoding_type: writing.shown(),
        ..Default::default()
    })
}

fn entry(writing: Writing, object: &store::Object, whose: &str) -> ObjectVersion {
    let checksum = object.attributes.checksum.as_ref();
    ObjectVersion {
        checksum_algorithm: checksum.map(|sum| vec![ChecksumAlgorithm::from(sum.algorithm.clone())]),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        is_latest: Some(object.latest),
        key: Some(writing.name(&object.key)),
        last_modified: Some(stamp(object.modified)),
        owner: Some(owner(whose)),
        size: Some(number(object.size)),
        storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
        version_id: Some(object.version.to_string()),
        ..Default::default()
    }
}

fn marker(writing: Writing, object: &store::Object, whose: &str) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        is_latest: Some(object.latest),
        key: Some(writing.name(&object.key)),
        last_modified: Some(stamp(object.modified)),
        owner: Some(owner(whose)),
        version_id: Some(object.version.to_string()),
    }
}

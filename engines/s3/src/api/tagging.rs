//! Tags of objects and buckets.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{tag_set, tags_of};
use super::{answer, shown, version};
use crate::core::Core;
use crate::documents::{self, TAGGING};
use crate::refuse::refuse;
use crate::store::Change;

pub(super) async fn get(
    core: &Core,
    req: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = req.input;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let version = version(input.version_id.as_deref())?;
    let object = core.store.head(&input.bucket, &input.key, version).await.map_err(refuse)?;
    answer(GetObjectTaggingOutput {
        tag_set: tag_set(&object.attributes.tags),
        version_id: shown(&rules.bucket, object.version),
    })
}

pub(super) async fn put(
    core: &Core,
    req: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let input = req.input;
    let tags = tags_of(input.tagging.tag_set, 10)?;
    let version_id = change(core, &input.bucket, &input.key, input.version_id.as_deref(), tags).await?;
    answer(PutObjectTaggingOutput { version_id })
}

pub(super) async fn delete(
    core: &Core,
    req: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let input = req.input;
    let version_id = change(core, &input.bucket, &input.key, input.version_id.as_deref(), Vec::new()).await?;
    answer(DeleteObjectTaggingOutput { version_id })
}

async fn change(
    core: &Core,
    bucket: &str,
    key: &str,
    of: Option<&str>,
    tags: Vec<(String, String)>,
) -> S3Result<Option<String>> {
    let rules = core.shelf.rules(&core.store, bucket).await?;
    let object = core.store.change(bucket, key, version(of)?, Change::Tags(tags)).await.map_err(refuse)?;
    Ok(shown(&rules.bucket, object.version))
}

pub(super) async fn get_bucket(
    core: &Core,
    req: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let tagging: Option<Tagging> = documents::get(&core.store, &req.input.bucket, TAGGING).await?;
    let tagging = tagging.ok_or_else(|| s3_error!(NoSuchTagSet, "the bucket has no tags"))?;
    answer(GetBucketTaggingOutput { tag_set: tagging.tag_set })
}

pub(super) async fn put_bucket(
    core: &Core,
    req: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let tags = tags_of(req.input.tagging.tag_set, 50)?;
    let tagging = Tagging { tag_set: tag_set(&tags) };
    documents::set(&core.store, &req.input.bucket, TAGGING, &tagging).await?;
    Ok(S3Response::with_status(PutBucketTaggingOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn delete_bucket(
    core: &Core,
    req: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    core.store.set_document(&req.input.bucket, TAGGING, None).await.map_err(refuse)?;
    answer(DeleteBucketTaggingOutput::default())
}

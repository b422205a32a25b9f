//! Buckets: list, create, delete, and where they are.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::{acl, answer, owner};
use crate::access::caller;
use crate::core::Core;
use crate::refuse::refuse;
use crate::store;
use crate::time::stamp;

pub(super) async fn list(
    core: &Core,
    req: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let caller = caller(&req.extensions);
    let user = caller.named()?;
    let prefix = req.input.prefix.clone().unwrap_or_default();
    let after = req.input.continuation_token.clone().unwrap_or_default();
    let most = usize::try_from(req.input.max_buckets.unwrap_or(10_000)).unwrap_or(0).clamp(1, 10_000);
    let buckets = core.store.buckets(Some(user)).await.map_err(refuse)?;
    let mut seen = buckets.into_iter().filter(|bucket| {
        let open = caller.only.as_deref().is_none_or(|only| only == bucket.name);
        open && bucket.name.starts_with(&prefix) && bucket.name > after
    });
    let page: Vec<Bucket> = seen.by_ref().take(most).map(|bucket| shown(core, bucket)).collect();
    let more = seen.next().is_some();
    answer(ListBucketsOutput {
        continuation_token: page.last().and_then(|bucket| bucket.name.clone()).filter(|_| more),
        buckets: Some(page),
        owner: Some(owner(user)),
        prefix: req.input.prefix,
    })
}

fn shown(core: &Core, bucket: store::Bucket) -> Bucket {
    Bucket {
        bucket_region: Some(core.config.region.clone()),
        creation_date: Some(stamp(bucket.created)),
        name: Some(bucket.name),
    }
}

pub(super) async fn create(
    core: &Core,
    req: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let input = req.input;
    let caller = caller(&req.extensions);
    let user = caller.named()?;
    acl::refuse_canned(input.acl.as_ref().map(BucketCannedACL::as_str))?;
    let grants = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    acl::refuse_grants(grants.into_iter().any(Option::is_some))?;
    acl::check_ownership(input.object_ownership.as_ref().map(ObjectOwnership::as_str))?;
    let place = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
    if let Some(place) = place
        && !place.as_str().is_empty()
        && place.as_str() != core.config.region
    {
        return Err(s3_error!(InvalidLocationConstraint, "there is one region: {}", core.config.region));
    }
    let lock = input.object_lock_enabled_for_bucket.unwrap_or(false);
    let created = CreateBucketOutput { location: Some(format!("/{}", input.bucket)) };
    match core.store.create_bucket(&input.bucket, user, lock).await {
        Ok(_) => answer(created),
        // As the oldest region does: creating one's own again changes nothing.
        Err(store::Error::BucketExists { owner, .. })
            if owner == user && !lock && core.is_oldest_region() =>
        {
            answer(created)
        }
        Err(store::Error::BucketExists { owner, .. }) if owner == user => {
            Err(s3_error!(BucketAlreadyOwnedByYou, "the bucket `{}` is yours already", input.bucket))
        }
        // Not whose it is: names are shared by all.
        Err(store::Error::BucketExists { bucket, .. }) => {
            Err(s3_error!(BucketAlreadyExists, "the name `{bucket}` is taken: choose another"))
        }
        Err(error) => Err(refuse(error)),
    }
}

pub(super) async fn delete(
    core: &Core,
    req: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    core.store.delete_bucket(&req.input.bucket).await.map_err(refuse)?;
    answer(DeleteBucketOutput::default())
}

pub(super) async fn head(
    core: &Core,
    req: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    core.store.bucket(&req.input.bucket).await.map_err(refuse)?;
    answer(HeadBucketOutput { bucket_region: Some(core.config.region.clone()), ..Default::default() })
}

pub(super) async fn location(
    core: &Core,
    req: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    core.store.bucket(&req.input.bucket).await.map_err(refuse)?;
    // The oldest region has no name here: clients know that.
    let named = !core.is_oldest_region();
    answer(GetBucketLocationOutput {
        location_constraint: named.then(|| BucketLocationConstraint::from(core.config.region.clone())),
    })
}

//! ACLs, as a bucket answers whose owner owns everything in it: they can be read, and not be changed.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::{answer, owner, version};
use crate::core::Core;
use crate::documents::{self, OWNERSHIP};
use crate::refuse::refuse;

/// Canned ACLs that say what holds anyway are fine.
pub(super) fn refuse_canned(acl: Option<&str>) -> S3Result<()> {
    match acl {
        None | Some("" | "private" | "bucket-owner-full-control") => Ok(()),
        Some(_) => refused(),
    }
}

pub(super) fn refuse_grants(any: bool) -> S3Result<()> {
    if any { refused() } else { Ok(()) }
}

fn refused() -> S3Result<()> {
    Err(s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs: use a bucket policy"))
}

fn grants(user: &str) -> Vec<Grant> {
    let grantee = Grantee {
        display_name: Some(user.to_owned()),
        email_address: None,
        id: Some(user.to_owned()),
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    vec![Grant {
        grantee: Some(grantee),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    }]
}

/// A list that grants all to the owner and nothing to others changes nothing.
fn check_list(list: Option<&AccessControlPolicy>, user: &str) -> S3Result<()> {
    let Some(list) = list else { return Ok(()) };
    let grants = list.grants.iter().flatten();
    for grant in grants {
        let whole = grant.permission.as_ref().is_some_and(|p| p.as_str() == Permission::FULL_CONTROL);
        let id = grant.grantee.as_ref().and_then(|grantee| grantee.id.as_deref());
        if !whole || id != Some(user) {
            return refused();
        }
    }
    Ok(())
}

pub(super) async fn get_bucket(
    core: &Core,
    req: S3Request<GetBucketAclInput>,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let bucket = core.store.bucket(&req.input.bucket).await.map_err(refuse)?;
    answer(GetBucketAclOutput { grants: Some(grants(&bucket.owner)), owner: Some(owner(&bucket.owner)) })
}

pub(super) async fn put_bucket(
    core: &Core,
    req: S3Request<PutBucketAclInput>,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    let input = req.input;
    let bucket = core.store.bucket(&input.bucket).await.map_err(refuse)?;
    refuse_canned(input.acl.as_ref().map(BucketCannedACL::as_str))?;
    let given = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    refuse_grants(given.into_iter().any(Option::is_some))?;
    check_list(input.access_control_policy.as_ref(), &bucket.owner)?;
    answer(PutBucketAclOutput::default())
}

pub(super) async fn get_object(
    core: &Core,
    req: S3Request<GetObjectAclInput>,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let input = req.input;
    let bucket = core.store.bucket(&input.bucket).await.map_err(refuse)?;
    let version = version(input.version_id.as_deref())?;
    core.store.head(&input.bucket, &input.key, version).await.map_err(refuse)?;
    answer(GetObjectAclOutput {
        grants: Some(grants(&bucket.owner)),
        owner: Some(owner(&bucket.owner)),
        ..Default::default()
    })
}

pub(super) async fn put_object(
    core: &Core,
    req: S3Request<PutObjectAclInput>,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    let input = req.input;
    let bucket = core.store.bucket(&input.bucket).await.map_err(refuse)?;
    core.store
        .head(&input.bucket, &input.key, version(input.version_id.as_deref())?)
        .await
        .map_err(refuse)?;
    refuse_canned(input.acl.as_ref().map(ObjectCannedACL::as_str))?;
    let given = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    refuse_grants(given.into_iter().any(Option::is_some))?;
    check_list(input.access_control_policy.as_ref(), &bucket.owner)?;
    answer(PutObjectAclOutput::default())
}

/// There is one kind of ownership.
pub(super) fn check_ownership(ownership: Option<&str>) -> S3Result<()> {
    match ownership {
        None | Some(ObjectOwnership::BUCKET_OWNER_ENFORCED) => Ok(()),
        Some(_) => refused(),
    }
}

pub(super) async fn get_ownership(
    core: &Core,
    req: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
    core.store.bucket(&req.input.bucket).await.map_err(refuse)?;
    let enforced = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
    let controls = OwnershipControls { rules: vec![OwnershipControlsRule { object_ownership: enforced }] };
    answer(GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) })
}

pub(super) async fn put_ownership(
    core: &Core,
    req: S3Request<PutBucketOwnershipControlsInput>,
) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
    for rule in &req.input.ownership_controls.rules {
        check_ownership(Some(rule.object_ownership.as_str()))?;
    }
    documents::set(&core.store, &req.input.bucket, OWNERSHIP, &req.input.ownership_controls).await?;
    answer(PutBucketOwnershipControlsOutput::default())
}

pub(super) async fn delete_ownership(
    core: &Core,
    req: S3Request<DeleteBucketOwnershipControlsInput>,
) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
    core.store.set_document(&req.input.bucket, OWNERSHIP, None).await.map_err(refuse)?;
    answer(DeleteBucketOwnershipControlsOutput::default())
}

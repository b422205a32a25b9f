//! Bucket policies, and the block on public ones.

use bytes::Bytes;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answer;
use crate::access;
use crate::core::Core;
use crate::documents::{self, POLICY, PUBLIC_ACCESS_BLOCK};
use crate::refuse::{internal, refuse};

pub(super) async fn get(
    core: &Core,
    req: S3Request<GetBucketPolicyInput>,
) -> S3Result<S3Response<GetBucketPolicyOutput>> {
    let text = core.store.document(&req.input.bucket, POLICY).await.map_err(refuse)?;
    let text = text.ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))?;
    let policy =
        String::from_utf8(text.to_vec()).map_err(|error| internal(format!("a kept policy: {error}")))?;
    answer(GetBucketPolicyOutput { policy: Some(policy) })
}

pub(super) async fn put(
    core: &Core,
    req: S3Request<PutBucketPolicyInput>,
) -> S3Result<S3Response<PutBucketPolicyOutput>> {
    let input = req.input;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let policy = access::Policy::parse(input.policy.as_bytes(), &input.bucket)
        .map_err(|reason| s3_error!(MalformedPolicy, "{reason}"))?;
    if rules.block.block_public_policy.unwrap_or(false) && policy.is_public() {
        return Err(s3_error!(AccessDenied, "public policies are blocked by the BlockPublicPolicy setting"));
    }
    let text = Bytes::from(input.policy);
    core.store.set_document(&input.bucket, POLICY, Some(text)).await.map_err(refuse)?;
    Ok(S3Response::with_status(PutBucketPolicyOutput::default(), http::StatusCode::NO_CONTENT))
}

pub(super) async fn delete(
    core: &Core,
    req: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<S3Response<DeleteBucketPolicyOutput>> {
    core.store.set_document(&req.input.bucket, POLICY, None).await.map_err(refuse)?;
    answer(DeleteBucketPolicyOutput::default())
}

pub(super) async fn status(
    core: &Core,
    req: S3Request<GetBucketPolicyStatusInput>,
) -> S3Result<S3Response<GetBucketPolicyStatusOutput>> {
    let rules = core.shelf.rules(&core.store, &req.input.bucket).await?;
    let canned = rules.canned != access::Canned::Private;
    let public = canned || rules.policy.as_ref().is_some_and(access::Policy::is_public);
    answer(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(public) }) })
}

pub(super) async fn get_block(
    core: &Core,
    req: S3Request<GetPublicAccessBlockInput>,
) -> S3Result<S3Response<GetPublicAccessBlockOutput>> {
    let block = documents::get(&core.store, &req.input.bucket, PUBLIC_ACCESS_BLOCK).await?;
    if block.is_none() {
        let code = s3s::S3ErrorCode::Custom("NoSuchPublicAccessBlockConfiguration".into());
        let mut error =
            s3s::S3Error::with_message(code, "The public access block configuration was not found");
        error.set_status_code(http::StatusCode::NOT_FOUND);
        return Err(error);
    }
    answer(GetPublicAccessBlockOutput { public_access_block_configuration: block })
}

pub(super) async fn put_block(
    core: &Core,
    req: S3Request<PutPublicAccessBlockInput>,
) -> S3Result<S3Response<PutPublicAccessBlockOutput>> {
    let input = req.input;
    documents::set(&core.store, &input.bucket, PUBLIC_ACCESS_BLOCK, &input.public_access_block_configuration)
        .await?;
    answer(PutPublicAccessBlockOutput::default())
}

pub(super) async fn delete_block(
    core: &Core,
    req: S3Request<DeletePublicAccessBlockInput>,
) -> S3Result<S3Response<DeletePublicAccessBlockOutput>> {
    core.store.set_document(&req.input.bucket, PUBLIC_ACCESS_BLOCK, None).await.map_err(refuse)?;
    answer(DeletePublicAccessBlockOutput::default())
}

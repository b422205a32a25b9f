//! The operations: what each means for the store. One module a subject; here they meet `s3s`'s trait.

mod acl;
mod attributes;
mod buckets;
mod conditions;
mod configs;
mod copy;
mod delete;
mod get;
mod listing;
mod lock;
mod multipart;
mod policies;
mod put;
mod tagging;
mod versions;

use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use crate::core::Core;

/// The operations we offer; `s3s` answers `NotImplemented` to all others.
pub(crate) struct Api(pub(crate) Arc<Core>);

macro_rules! operations {
    ($($operation:ident: $input:ident => $output:ident = $call:path;)*) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(async fn $operation(&self, req: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $call(&self.0, req).await
            })*
        }
    };
}

operations! {
    list_buckets: ListBucketsInput => ListBucketsOutput = buckets::list;
    create_bucket: CreateBucketInput => CreateBucketOutput = buckets::create;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput = buckets::delete;
    head_bucket: HeadBucketInput => HeadBucketOutput = buckets::head;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput = buckets::location;

    put_object: PutObjectInput => PutObjectOutput = put::put;
    post_object: PostObjectInput => PostObjectOutput = put::post;
    get_object: GetObjectInput => GetObjectOutput = get::get;
    head_object: HeadObjectInput => HeadObjectOutput = get::head;
    get_object_attributes: GetObjectAttributesInput => GetObjectAttributesOutput = get::attributes;
    copy_object: CopyObjectInput => CopyObjectOutput = copy::copy;
    delete_object: DeleteObjectInput => DeleteObjectOutput = delete::one;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput = delete::many;

    list_objects: ListObjectsInput => ListObjectsOutput = listing::v1;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output = listing::v2;
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput = versions::list;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput = versions::get;
    put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput = versions::put;

    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput = multipart::create;
    upload_part: UploadPartInput => UploadPartOutput = multipart::part;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput = copy::part;
    list_parts: ListPartsInput => ListPartsOutput = multipart::list_parts;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput = multipart::list_uploads;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput = multipart::complete;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput = multipart::abort;

    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput = tagging::get;
    put_object_tagging: PutObjectTaggingInput => PutObjectTaggingOutput = tagging::put;
    delete_object_tagging: DeleteObjectTaggingInput => DeleteObjectTaggingOutput = tagging::delete;
    get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput = tagging::get_bucket;
    put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput = tagging::put_bucket;
    delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput = tagging::delete_bucket;

    get_object_retention: GetObjectRetentionInput => GetObjectRetentionOutput = lock::get_retention;
    put_object_retention: PutObjectRetentionInput => PutObjectRetentionOutput = lock::put_retention;
    get_object_legal_hold: GetObjectLegalHoldInput => GetObjectLegalHoldOutput = lock::get_hold;
    put_object_legal_hold: PutObjectLegalHoldInput => PutObjectLegalHoldOutput = lock::put_hold;
    get_object_lock_configuration:
        GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput = lock::get_default;
    put_object_lock_configuration:
        PutObjectLockConfigurationInput => PutObjectLockConfigurationOutput = lock::put_default;

    get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput = policies::get;
    put_bucket_policy: PutBucketPolicyInput => PutBucketPolicyOutput = policies::put;
    delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput = policies::delete;
    get_bucket_policy_status: GetBucketPolicyStatusInput => GetBucketPolicyStatusOutput = policies::status;
    get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput = policies::get_block;
    put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput = policies::put_block;
    delete_public_access_block:
        DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput = policies::delete_block;

    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput = acl::get_bucket;
    put_bucket_acl: PutBucketAclInput => PutBucketAclOutput = acl::put_bucket;
    get_object_acl: GetObjectAclInput => GetObjectAclOutput = acl::get_object;
    put_object_acl: PutObjectAclInput => PutObjectAclOutput = acl::put_object;
    get_bucket_ownership_controls:
        GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput = acl::get_ownership;
    put_bucket_ownership_controls:
        PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput = acl::put_ownership;
    delete_bucket_ownership_controls:
        DeleteBucketOwnershipControlsInput => DeleteBucketOwnershipControlsOutput = acl::delete_ownership;

    get_bucket_cors: GetBucketCorsInput => GetBucketCorsOutput = configs::get_cors;
    put_bucket_cors: PutBucketCorsInput => PutBucketCorsOutput = configs::put_cors;
    delete_bucket_cors: DeleteBucketCorsInput => DeleteBucketCorsOutput = configs::delete_cors;
    get_bucket_website: GetBucketWebsiteInput => GetBucketWebsiteOutput = configs::get_website;
    put_bucket_website: PutBucketWebsiteInput => PutBucketWebsiteOutput = configs::put_website;
    delete_bucket_website: DeleteBucketWebsiteInput => DeleteBucketWebsiteOutput = configs::delete_website;
    get_bucket_lifecycle_configuration:
        GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput = configs::get_lifecycle;
    put_bucket_lifecycle_configuration:
        PutBucketLifecycleConfigurationInput => PutBucketLifecycleConfigurationOutput = configs::put_lifecycle;
    delete_bucket_lifecycle:
        DeleteBucketLifecycleInput => DeleteBucketLifecycleOutput = configs::delete_lifecycle;
    get_bucket_notification_configuration:
        GetBucketNotificationConfigurationInput => GetBucketNotificationConfigurationOutput
        = configs::get_notification;
    put_bucket_notification_configuration:
        PutBucketNotificationConfigurationInput => PutBucketNotificationConfigurationOutput
        = configs::put_notification;
}

/// An answer with nothing to add.
fn answer<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

/// How S3 shows an owner.
fn owner(name: &str) -> Owner {
    Owner { id: Some(name.to_owned()), display_name: Some(name.to_owned()) }
}

/// The version id as given, or why it is none.
fn version(text: Option<&str>) -> S3Result<Option<crate::store::VersionId>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let version = text.parse().map_err(|error| s3s::s3_error!(InvalidArgument, "{error}"))?;
    Ok(Some(version))
}

/// The version id as an answer shows it: only where the bucket keeps versions.
fn shown(bucket: &crate::store::Bucket, version: crate::store::VersionId) -> Option<String> {
    (bucket.versioning != crate::store::Versioning::Unversioned).then(|| version.to_string())
}

/// The version a write made: named only while the bucket makes versions.
fn made(bucket: &crate::store::Bucket, version: crate::store::VersionId) -> Option<String> {
    (bucket.versioning == crate::store::Versioning::Enabled).then(|| version.to_string())
}

/// A size as S3's XML has it.
fn number(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

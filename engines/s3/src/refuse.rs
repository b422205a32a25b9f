//! The store's refusals in S3's words.

use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::store::Error;

/// The error S3 has for what the store says.
pub(crate) fn refuse(error: Error) -> S3Error {
    let code = match &error {
        Error::NoSuchUser { .. } | Error::NoSuchAccessKey { .. } => S3ErrorCode::InvalidAccessKeyId,
        Error::NoSuchBucket { .. } => S3ErrorCode::NoSuchBucket,
        Error::BucketExists { .. } => S3ErrorCode::BucketAlreadyExists,
        Error::BucketNotEmpty { .. } => S3ErrorCode::BucketNotEmpty,
        Error::InvalidKey { .. } => S3ErrorCode::InvalidArgument,
        Error::NoSuchKey { .. } => S3ErrorCode::NoSuchKey,
        Error::NoSuchVersion { .. } => S3ErrorCode::NoSuchVersion,
        Error::DeleteMarker { .. } => S3ErrorCode::MethodNotAllowed,
        Error::PreconditionFailed { .. } => S3ErrorCode::PreconditionFailed,
        Error::Locked { .. } | Error::DenyWrite { .. } => S3ErrorCode::AccessDenied,
        Error::NoSuchUpload { .. } => S3ErrorCode::NoSuchUpload,
        Error::InvalidPart { .. } => S3ErrorCode::InvalidPart,
        Error::PartOrder { .. } => S3ErrorCode::InvalidPartOrder,
        Error::PartTooSmall { .. } => S3ErrorCode::EntityTooSmall,
        Error::TooLarge { .. } => S3ErrorCode::EntityTooLarge,
        Error::Incomplete { .. } => S3ErrorCode::IncompleteBody,
        Error::Quota { .. } => return quota(&error),
        Error::Body { source } => return body(&source.to_string()),
        Error::Full { .. } => return full(error),
        Error::Closed => S3ErrorCode::ServiceUnavailable,
        _ => {
            tracing::error!(error = &error as &dyn std::error::Error, "the store could not answer");
            return internal(error.to_string());
        }
    };
    S3Error::with_message(code, error.to_string())
}

/// An error of ours.
pub(crate) fn internal(message: String) -> S3Error {
    tracing::error!("{message}");
    S3Error::with_message(S3ErrorCode::InternalError, message)
}

fn quota(error: &Error) -> S3Error {
    if matches!(error, Error::Quota { what: "buckets", .. }) {
        return S3Error::with_message(S3ErrorCode::TooManyBuckets, error.to_string());
    }
    let mut refusal = S3Error::with_message(S3ErrorCode::Custom("QuotaExceeded".into()), error.to_string());
    refusal.set_status_code(http::StatusCode::FORBIDDEN);
    refusal
}

fn full(error: Error) -> S3Error {
    tracing::error!(error = &error as &dyn std::error::Error, "the disk is full");
    let mut refusal = S3Error::with_message(S3ErrorCode::Custom("StorageFull".into()), error.to_string());
    refusal.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
    refusal
}

/// What went wrong with a body on its way in. `s3s` keeps its stream errors to itself, so by their words.
fn body(words: &str) -> S3Error {
    if words.contains("Sha256Mismatch") {
        let code = S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into());
        let mut error = S3Error::with_message(
            code,
            "the body's SHA-256 is not the one in x-amz-content-sha256".to_owned(),
        );
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return error;
    }
    if words.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "a chunk of the body has a wrong signature");
    }
    if words.contains("Incomplete") || words.contains("LengthMismatch") {
        return s3_error!(IncompleteBody, "the body ended early");
    }
    if words.contains(crate::front::STALLED) {
        return s3_error!(RequestTimeout, "nothing of the body came for too long");
    }
    s3_error!(IncompleteBody, "the body could not be read: {words}")
}

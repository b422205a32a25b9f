//! Object lock: retention, legal holds, and a bucket's default.

use std::time::Duration;

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::{answer, version};
use crate::access::{What, authorise_also};
use crate::core::Core;
use crate::documents::{self, OBJECT_LOCK, Rules};
use crate::refuse::refuse;
use crate::store::{Bucket, Change, Retention, RetentionMode};
use crate::time::{stamp, system};

const DAY: u64 = 24 * 3600;

/// The retention headers of a write, checked.
pub(super) fn asked(
    core: &Core,
    mode: Option<ObjectLockMode>,
    until: Option<Timestamp>,
) -> S3Result<Option<Retention>> {
    match (mode, until) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => retention(core, mode.as_str(), &until).map(Some),
        _ => Err(s3_error!(
            InvalidArgument,
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        )),
    }
}

fn retention(core: &Core, mode: &str, until: &Timestamp) -> S3Result<Retention> {
    let until = system(until);
    if until <= core.config.clock.now() {
        return Err(s3_error!(InvalidArgument, "The retain until date must be in the future!"));
    }
    Ok(Retention { mode: read_mode(mode)?, until })
}

fn read_mode(mode: &str) -> S3Result<RetentionMode> {
    match mode {
        ObjectLockRetentionMode::GOVERNANCE => Ok(RetentionMode::Governance),
        ObjectLockRetentionMode::COMPLIANCE => Ok(RetentionMode::Compliance),
        _ => Err(s3_error!(MalformedXML, "a retention mode is GOVERNANCE or COMPLIANCE")),
    }
}

fn write_mode(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => ObjectLockRetentionMode::GOVERNANCE,
        RetentionMode::Compliance => ObjectLockRetentionMode::COMPLIANCE,
    }
}

pub(super) fn header_mode(mode: RetentionMode) -> ObjectLockMode {
    ObjectLockMode::from_static(write_mode(mode))
}

/// The legal hold header of a write.
pub(super) fn hold(status: Option<ObjectLockLegalHoldStatus>) -> bool {
    status.is_some_and(|status| status.as_str() == ObjectLockLegalHoldStatus::ON)
}

pub(super) fn status(on: bool) -> ObjectLockLegalHoldStatus {
    let status = if on { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
    ObjectLockLegalHoldStatus::from_static(status)
}

/// What the bucket gives objects that ask for nothing.
pub(super) fn default_retention(core: &Core, rules: &Rules) -> Option<Retention> {
    let default = rules.lock.as_ref()?.rule.as_ref()?.default_retention.as_ref()?;
    let mode = read_mode(default.mode.as_ref()?.as_str()).ok()?;
    let days = match (default.days, default.years) {
        (Some(days), _) => u64::try_from(days).ok()?,
        (None, Some(years)) => u64::try_from(years).ok()? * 365,
        (None, None) => return None,
    };
    let until = core.config.clock.now().checked_add(Duration::from_secs(days * DAY))?;
    Some(Retention { mode, until })
}

fn need_lock(bucket: &Bucket) -> S3Result<()> {
    if bucket.object_lock {
        return Ok(());
    }
    Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"))
}

pub(super) async fn get_retention(
    core: &Core,
    req: S3Request<GetObjectRetentionInput>,
) -> S3Result<S3Response<GetObjectRetentionOutput>> {
    let input = req.input;
    need_lock(&core.shelf.rules(&core.store, &input.bucket).await?.bucket)?;
    let version = version(input.version_id.as_deref())?;
    let object = core.store.head(&input.bucket, &input.key, version).await.map_err(refuse)?;
    let Some(retention) = object.attributes.retention else {
        return Err(s3_error!(NoSuchObjectLockConfiguration, "the version has no retention"));
    };
    answer(GetObjectRetentionOutput {
        retention: Some(ObjectLockRetention {
            mode: Some(ObjectLockRetentionMode::from_static(write_mode(retention.mode))),
            retain_until_date: Some(stamp(retention.until)),
        }),
    })
}

pub(super) async fn put_retention(
    core: &Core,
    req: S3Request<PutObjectRetentionInput>,
) -> S3Result<S3Response<PutObjectRetentionOutput>> {
    let bypass = req.input.bypass_governance_retention.unwrap_or(false);
    if bypass {
        let action = "s3:BypassGovernanceRetention";
        let what = What { action, bucket: &req.input.bucket, key: Some(&req.input.key) };
        authorise_also(core, &req.extensions, &req.headers, &req.uri, what).await?;
    }
    let input = req.input;
    need_lock(&core.shelf.rules(&core.store, &input.bucket).await?.bucket)?;
    let given = input.retention.unwrap_or_default();
    let retention = match (given.mode, given.retain_until_date) {
        (None, None) => None,
        (Some(mode), Some(until)) => Some(retention(core, mode.as_str(), &until)?),
        _ => return Err(s3_error!(MalformedXML, "Mode and RetainUntilDate go together")),
    };
    let version = version(input.version_id.as_deref())?;
    let object = core.store.head(&input.bucket, &input.key, version).await.map_err(refuse)?;
    let mode = |retention: Option<Retention>| retention.map(|retention| retention.mode);
    let hardens = mode(object.attributes.retention) == Some(RetentionMode::Governance)
        && mode(retention) == Some(RetentionMode::Compliance);
    if hardens && !bypass {
        return Err(s3_error!(AccessDenied, "only who may bypass governance may turn it into compliance"));
    }
    let change = Change::Retention { retention, bypass };
    core.store.change(&input.bucket, &input.key, version, change).await.map_err(refuse)?;
    answer(PutObjectRetentionOutput::default())
}

pub(super) async fn get_hold(
    core: &Core,
    req: S3Request<GetObjectLegalHoldInput>,
) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
    let input = req.input;
    need_lock(&core.shelf.rules(&core.store, &input.bucket).await?.bucket)?;
    let version = version(input.version_id.as_deref())?;
    let object = core.store.head(&input.bucket, &input.key, version).await.map_err(refuse)?;
    let legal_hold = ObjectLockLegalHold { status: Some(status(object.attributes.legal_hold)) };
    answer(GetObjectLegalHoldOutput { legal_hold: Some(legal_hold) })
}

pub(super) async fn put_hold(
    core: &Core,
    req: S3Request<PutObjectLegalHoldInput>,
) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
    let input = req.input;
    need_lock(&core.shelf.rules(&core.store, &input.bucket).await?.bucket)?;
    let status = input.legal_hold.and_then(|hold| hold.status);
    let on = match status.as_ref().map(ObjectLockLegalHoldStatus::as_str) {
        Some(ObjectLockLegalHoldStatus::ON) => true,
        Some(ObjectLockLegalHoldStatus::OFF) => false,
        _ => return Err(s3_error!(MalformedXML, "Status is ON or OFF")),
    };
    let version = version(input.version_id.as_deref())?;
    core.store.change(&input.bucket, &input.key, version, Change::LegalHold(on)).await.map_err(refuse)?;
    answer(PutObjectLegalHoldOutput::default())
}

pub(super) async fn get_default(
    core: &Core,
    req: S3Request<GetObjectLockConfigurationInput>,
) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
    let rules = core.shelf.rules(&core.store, &req.input.bucket).await?;
    if !rules.bucket.object_lock {
        return Err(s3_error!(ObjectLockConfigurationNotFoundError, "the bucket has no object lock"));
    }
    let mut configuration = rules.lock.clone().unwrap_or_default();
    configuration.object_lock_enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
    answer(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) })
}

pub(super) async fn put_default(
    core: &Core,
    req: S3Request<PutObjectLockConfigurationInput>,
) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
    let input = req.input;
    let bucket = core.store.bucket(&input.bucket).await.map_err(refuse)?;
    let configuration = input.object_lock_configuration.unwrap_or_default();
    check_default(&configuration)?;
    if !bucket.object_lock {
        if bucket.versioning != crate::store::Versioning::Enabled {
            return Err(s3_error!(InvalidBucketState, "object lock needs a bucket that keeps versions"));
        }
        core.store.enable_object_lock(&input.bucket).await.map_err(refuse)?;
    }
    documents::set(&core.store, &input.bucket, OBJECT_LOCK, &configuration).await?;
    answer(PutObjectLockConfigurationOutput::default())
}

fn check_default(configuration: &ObjectLockConfiguration) -> S3Result<()> {
    let enabled = configuration.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str);
    if enabled != Some(ObjectLockEnabled::ENABLED) {
        return Err(s3_error!(MalformedXML, "ObjectLockEnabled must be Enabled"));
    }
    let Some(rule) = &configuration.rule else { return Ok(()) };
    let Some(default) = &rule.default_retention else {
        return Err(s3_error!(MalformedXML, "a rule needs DefaultRetention"));
    };
    read_mode(default.mode.as_ref().map(ObjectLockRetentionMode::as_str).unwrap_or_default())?;
    match (default.days, default.years) {
        (Some(days), None) if (1..=36_500).contains(&days) => Ok(()),
        (None, Some(years)) if (1..=100).contains(&years) => Ok(()),
        (Some(_), None) | (None, Some(_)) => {
            let code = S3ErrorCode::Custom("InvalidRetentionPeriod".into());
            let mut error =
                S3Error::with_message(code, "Default retention period must be a positive integer value");
            error.set_status_code(http::StatusCode::BAD_REQUEST);
            Err(error)
        }
        _ => Err(s3_error!(MalformedXML, "give days or years, and not both")),
    }
}

//! Deleting: one object, or up to a thousand in one request.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::{answer, conditions, version};
use crate::access::{Context, What, authorise, caller};
use crate::core::Core;
use crate::events::Event;
use crate::refuse::refuse;
use crate::store::{Condition, Delete as Deletion, Deleted, Match};
use crate::time::system;

/// The most keys in one request.
const MOST: usize = 1000;

pub(super) async fn one(
    core: &Core,
    req: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let bypass = req.input.bypass_governance_retention.unwrap_or(false);
    if bypass {
        may(core, &req, &req.input.bucket, &req.input.key, "s3:BypassGovernanceRetention").await?;
    }
    let input = req.input;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let deletion = Deletion {
        version: version(input.version_id.as_deref())?,
        bypass,
        condition: conditions::writing(input.if_match, None),
        if_modified: input.if_match_last_modified_time.as_ref().map(system),
        if_size: input.if_match_size.map(|size| u64::try_from(size).unwrap_or(u64::MAX)),
        key: input.key,
    };
    let deleted = core.store.delete(&input.bucket, deletion).await.map_err(refuse)?;
    core.outbox.tell(core, &rules, Event::removed(&deleted, &req.extensions)).await;
    answer(DeleteObjectOutput {
        delete_marker: deleted.marker.map(|_| true),
        version_id: deleted.version.or(deleted.marker).map(|version| version.to_string()),
        ..Default::default()
    })
}

async fn may<T>(core: &Core, req: &S3Request<T>, bucket: &str, key: &str, action: &str) -> S3Result<()> {
    let caller = caller(&req.extensions);
    let context = Context::new(&caller, &req.headers, &req.uri);
    authorise(core, &caller, What { action, bucket, key: Some(key) }, context).await
}

pub(super) async fn many(
    core: &Core,
    req: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let input = &req.input;
    let wanted = &input.delete.objects;
    if wanted.is_empty() || wanted.len() > MOST {
        return Err(s3_error!(MalformedXML, "name 1 to {MOST} objects"));
    }
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let mut errors = Vec::new();
    let mut deletions = Vec::with_capacity(wanted.len());
    for object in wanted {
        match checked(core, &req, object).await {
            Ok(deletion) => deletions.push(deletion),
            Err(error) => errors.push(told(object.key.clone(), object.version_id.clone(), &error)),
        }
    }
    let names: Vec<_> = deletions.iter().map(|d| (d.key.clone(), d.version.map(|v| v.to_string()))).collect();
    let outcomes = core.store.delete_many(&input.bucket, deletions).await.map_err(refuse)?;
    let mut done = Vec::new();
    for ((key, asked), outcome) in names.into_iter().zip(outcomes) {
        match outcome {
            Ok(deleted) => {
                core.outbox.tell(core, &rules, Event::removed(&deleted, &req.extensions)).await;
                done.push(shown(deleted, asked));
            }
            Err(error) => errors.push(told(key, asked, &refuse(error))),
        }
    }
    let quiet = input.delete.quiet.unwrap_or(false);
    answer(DeleteObjectsOutput {
        deleted: (!quiet).then_some(done),
        errors: (!errors.is_empty()).then_some(errors),
        ..Default::default()
    })
}

async fn checked(
    core: &Core,
    req: &S3Request<DeleteObjectsInput>,
    object: &ObjectIdentifier,
) -> S3Result<Deletion> {
    let bucket = &req.input.bucket;
    let bypass = req.input.bypass_governance_retention.unwrap_or(false);
    let action = if object.version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
    may(core, req, bucket, &object.key, action).await?;
    if bypass {
        may(core, req, bucket, &object.key, "s3:BypassGovernanceRetention").await?;
    }
    let etag = object.e_tag.as_ref().map(|etag| Match::Etags(vec![etag.value().to_owned()]));
    Ok(Deletion {
        key: object.key.clone(),
        version: version(object.version_id.as_deref())?,
        bypass,
        condition: Condition { if_match: etag, if_none_match: None },
        if_modified: object.last_modified_time.as_ref().map(system),
        if_size: object.size.map(|size| u64::try_from(size).unwrap_or(u64::MAX)),
    })
}

fn shown(deleted: Deleted, asked: Option<String>) -> DeletedObject {
    DeletedObject {
        key: Some(deleted.key),
        delete_marker: deleted.marker.map(|_| true),
        delete_marker_version_id: deleted.marker.map(|version| version.to_string()),
        version_id: asked,
    }
}

fn told(key: String, version: Option<String>, error: &s3s::S3Error) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id: version,
    }
}

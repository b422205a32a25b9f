//! Putting an object: by `PUT`, or by a form from a browser.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{check_lockable, refuse_extras, tags_of, written};
use super::{conditions, lock, made, number};
use crate::checksum::{self, Plan, fill, sent};
use crate::core::Core;
use crate::events::{Event, Kind};
use crate::refuse::refuse;
use crate::store::{Put, Stage};

/// The largest object in one piece.
pub(super) const LARGEST: u64 = 5 << 30;

pub(super) async fn put(
    core: &Core,
    req: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    stored(core, req, Kind::Put).await
}

pub(super) async fn post(
    core: &Core,
    req: S3Request<PostObjectInput>,
) -> S3Result<S3Response<PostObjectOutput>> {
    if req.input.key.contains("${filename}") {
        return Err(s3_error!(NotImplemented, "name the key in the form: `${{filename}}` is not filled in"));
    }
    let tagging = req.input.tagging.as_deref().map(form_tags).transpose()?;
    let mut req = req.map_input(put_of_post);
    req.input.tagging = tagging;
    let response = stored(core, req, Kind::Post).await?;
    let shown = |output: PutObjectOutput| PostObjectOutput {
        e_tag: output.e_tag,
        version_id: output.version_id,
        ..Default::default()
    };
    Ok(response.map_output(shown))
}

/// The form's fields, as a put has them.
fn put_of_post(post: PostObjectInput) -> PutObjectInput {
    PutObjectInput {
        acl: post.acl,
        body: post.body,
        bucket: post.bucket,
        cache_control: post.cache_control,
        checksum_crc32: post.checksum_crc32,
        checksum_crc32c: post.checksum_crc32c,
        checksum_crc64nvme: post.checksum_crc64nvme,
        checksum_sha1: post.checksum_sha1,
        checksum_sha256: post.checksum_sha256,
        content_disposition: post.content_disposition,
        content_encoding: post.content_encoding,
        content_language: post.content_language,
        content_md5: post.content_md5,
        content_type: post.content_type,
        expires: post.expires,
        key: post.key,
        metadata: post.metadata,
        object_lock_legal_hold_status: post.object_lock_legal_hold_status,
        object_lock_mode: post.object_lock_mode,
        object_lock_retain_until_date: post.object_lock_retain_until_date,
        server_side_encryption: post.server_side_encryption,
        sse_customer_algorithm: post.sse_customer_algorithm,
        storage_class: post.storage_class,
        website_redirect_location: post.website_redirect_location,
        ..Default::default()
    }
}

/// A form has its tags as XML; a put has them as a query.
fn form_tags(text: &str) -> S3Result<String> {
    let mut reader = s3s::xml::Deserializer::new(text.as_bytes());
    let tagging = <Tagging as s3s::xml::Deserialize>::deserialize(&mut reader)
        .map_err(|error| s3_error!(MalformedXML, "the form's tagging: {error}"))?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, value) in tags_of(tagging.tag_set, 10)? {
        query.append_pair(&key, &value);
    }
    Ok(query.finish())
}

async fn stored(
    core: &Core,
    mut req: S3Request<PutObjectInput>,
    kind: Kind,
) -> S3Result<S3Response<PutObjectOutput>> {
    let input = &mut req.input;
    refuse_extras!(input);
    if input.write_offset_bytes.is_some() {
        return Err(s3_error!(NotImplemented, "appending to objects is not offered"));
    }
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let plan = Plan::new(sent!(input)?, &req.headers, None)?;
    let md5 = input.content_md5.take();
    md5.as_deref().map(checksum::decode_md5).transpose()?;
    let mut attributes = written!(input).check()?;
    attributes.retention =
        lock::asked(core, input.object_lock_mode.take(), input.object_lock_retain_until_date.take())?;
    attributes.legal_hold = lock::hold(input.object_lock_legal_hold_status.take());
    check_lockable(&rules.bucket, attributes.retention.as_ref(), attributes.legal_hold)?;
    attributes.retention = attributes.retention.or_else(|| lock::default_retention(core, &rules));
    let condition = conditions::writing(input.if_match.take(), input.if_none_match.take());

    let size = input.content_length.and_then(|size| u64::try_from(size).ok());
    let body = input.body.take().unwrap_or_else(empty);
    let stage = Stage { size, limit: Some(LARGEST) };
    let (staged, watch) = core.store.stage(&input.bucket, stage, body, plan.watch()).await.map_err(refuse)?;
    checksum::check_md5(md5.as_deref(), staged.md5())?;
    attributes.checksum = plan.settle(watch, req.trailing_headers.as_ref())?;

    let put = Put { key: input.key.clone(), staged, attributes, condition };
    let object = core.store.put(&input.bucket, put).await.map_err(refuse)?;
    core.outbox.tell(core, &rules, Event::created(kind, &object, &req.extensions)).await;
    let mut output = PutObjectOutput {
        e_tag: Some(ETag::Strong(object.etag.clone())),
        version_id: made(&rules.bucket, object.version),
        size: (kind == Kind::Post).then(|| number(object.size)),
        ..Default::default()
    };
    output.checksum_type = fill!(output, object.attributes.checksum.as_ref());
    Ok(S3Response::new(output))
}

/// A body of nothing.
pub(super) fn empty() -> StreamingBlob {
    StreamingBlob::from(s3s::Body::empty())
}

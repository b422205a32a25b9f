//! Who may do what: the owner everything, others what the bucket's policies say.

mod actions;
mod canned;
mod condition;
mod pattern;
mod policy;

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, Uri};
use s3s::access::{S3Access, S3AccessContext};
use s3s::path::S3Path;
use s3s::{S3Request, S3Result, dto, s3_error};

pub use self::canned::Canned;
pub(crate) use self::condition::Context;
pub(crate) use self::policy::{Policy, Verdict};
use crate::auth::Caller;
use crate::core::Core;
use crate::documents::Rules;

/// Where a request comes from; the front puts it among the request's extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The gate before every operation.
pub(crate) struct Gate(pub(crate) Arc<Core>);

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let peer = cx.extensions_mut().get::<Peer>().map(|peer| peer.0);
        let access_key = cx.credentials().map(|credentials| credentials.access_key.clone());
        let caller = Caller::of(&self.0, access_key.as_deref(), peer).await?;
        self.may(&caller, cx).await?;
        cx.extensions_mut().insert(caller);
        Ok(())
    }

    /// The form names the key, which `check` did not know.
    async fn post_object(&self, req: &mut S3Request<dto::PostObjectInput>) -> S3Result<()> {
        let caller = caller(&req.extensions);
        let what = What { action: "s3:PutObject", bucket: &req.input.bucket, key: Some(&req.input.key) };
        let context = Context::new(&caller, &req.headers, &req.uri);
        authorise(&self.0, &caller, what, context).await
    }
}

impl Gate {
    async fn may(&self, caller: &Caller, cx: &S3AccessContext<'_>) -> S3Result<()> {
        let operation = cx.s3_op().name();
        let versioned = cx.uri().query().is_some_and(|query| query.contains("versionId="));
        let (bucket, key) = match cx.s3_path() {
            S3Path::Root => return caller.named().map(drop),
            S3Path::Bucket { bucket } => (bucket.as_ref(), None),
            S3Path::Object { bucket, key } => (bucket.as_ref(), Some(key.as_ref())),
        };
        if operation == "CreateBucket" {
            return may_create(caller);
        }
        if let Some(expected) = cx.headers().get("x-amz-expected-bucket-owner") {
            let rules = self.0.shelf.rules(&self.0.store, bucket).await?;
            if expected.as_bytes() != rules.bucket.owner.as_bytes() {
                return Err(s3_error!(AccessDenied, "the bucket has another owner"));
            }
        }
        // Each of these names its keys in the body, or in the form: the operation asks for each.
        if matches!(operation, "DeleteObjects" | "PostObject") {
            return self.0.shelf.rules(&self.0.store, bucket).await.map(drop);
        }
        let context = Context::new(caller, cx.headers(), cx.uri());
        let what = What { action: actions::action(operation, versioned), bucket, key };
        authorise(&self.0, caller, what, context).await
    }
}

fn may_create(caller: &Caller) -> S3Result<()> {
    caller.named()?;
    match &caller.only {
        None => Ok(()),
        Some(only) => Err(s3_error!(AccessDenied, "this key opens the bucket `{only}` alone")),
    }
}

/// The caller the gate let in.
pub(crate) fn caller(extensions: &http::Extensions) -> Caller {
    extensions.get::<Caller>().cloned().unwrap_or_default()
}

/// One thing to be done.
#[derive(Clone, Copy)]
pub(crate) struct What<'a> {
    pub(crate) action: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) key: Option<&'a str>,
}

/// Refuses unless the caller may.
pub(crate) async fn authorise(
    core: &Core,
    caller: &Caller,
    what: What<'_>,
    mut context: Context,
) -> S3Result<()> {
    let rules = core.shelf.rules(&core.store, what.bucket).await?;
    if let (Some(policy), Some(key)) = (&rules.policy, what.key)
        && policy.asks_for_tags()
    {
        let version = context.version();
        if let Ok(object) = core.store.head(what.bucket, key, version).await {
            context.existing_tags(&object.attributes.tags);
        }
    }
    if allowed(&rules, caller, what, &context) {
        return Ok(());
    }
    Err(s3_error!(AccessDenied, "`{}` is not allowed here", what.action))
}

/// As `authorise`, for what an operation finds out by itself.
pub(crate) async fn authorise_also(
    core: &Core,
    extensions: &http::Extensions,
    headers: &HeaderMap,
    uri: &Uri,
    what: What<'_>,
) -> S3Result<()> {
    let caller = caller(extensions);
    let context = Context::new(&caller, headers, uri);
    authorise(core, &caller, what, context).await
}

fn allowed(rules: &Rules, caller: &Caller, what: What<'_>, context: &Context) -> bool {
    let owner = caller.owns(&rules.bucket);
    let verdict = rules.policy.as_ref().map_or(Verdict::Silent, |policy| policy.judge(caller, what, context));
    match verdict {
        // Owners cannot lock themselves out of their policy.
        Verdict::Deny => owner && caller.only.is_none() && what.action.ends_with("BucketPolicy"),
        _ if owner => true,
        Verdict::Allow => {
            let restricted = rules.block.restrict_public_buckets.unwrap_or(false)
                && rules.policy.as_ref().is_some_and(Policy::is_public);
            !restricted
        }
        Verdict::Silent => rules.canned.allows(what.action),
    }
}

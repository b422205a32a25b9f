//! Buckets: listing, making, who may read them, their keys. All of it is `sealos-buckets`' doing.

use http::StatusCode;
use sealos_buckets::{BucketView, Buckets, Error, Keys, Policy};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::api::{Json, Name, Workspace};
use crate::failure::Failure;
use crate::store::{REGION, with_scheme};

type Reply<T> = Result<axum::Json<T>, Failure>;

/// How long a new bucket may take; it is there in a moment.
const SETTLE: Duration = Duration::from_secs(10);

impl Workspace {
    pub(crate) fn buckets(&self) -> Buckets {
        Buckets::new(self.client.clone(), self.name.clone())
    }
}

/// A bucket, in the page's words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bucket {
    name: String,
    workspace: String,
    real_name: String,
    policy: Policy,
    phase: &'static str,
    message: String,
    size_bytes: u64,
    objects: u64,
    created_at: Option<String>,
    public_url: Option<String>,
}

fn view(bucket: BucketView, external: &str) -> Bucket {
    let phase = match &bucket {
        BucketView { deleting: true, .. } => "deleting",
        BucketView { ready: true, .. } => "running",
        BucketView { message, .. } if message.is_empty() => "creating",
        _ => "error",
    };
    let is_public = bucket.policy != Policy::Private && !external.is_empty();
    Bucket {
        public_url: is_public.then(|| format!("{}/{}/", with_scheme(external), bucket.bucket)),
        phase,
        name: bucket.name,
        workspace: bucket.workspace,
        real_name: bucket.bucket,
        policy: bucket.policy,
        message: bucket.message,
        size_bytes: bucket.size,
        objects: bucket.objects,
        created_at: bucket.created_at,
    }
}

pub(crate) async fn list(workspace: Workspace) -> Reply<Vec<Bucket>> {
    let buckets = workspace.buckets();
    let (all, user) = tokio::try_join!(buckets.list(), buckets.user())?;
    Ok(axum::Json(all.into_iter().map(|bucket| view(bucket, &user.external)).collect()))
}

pub(crate) async fn get(workspace: Workspace, Name(name): Name) -> Reply<Bucket> {
    let buckets = workspace.buckets();
    let (bucket, user) = tokio::try_join!(buckets.get(&name), buckets.user())?;
    Ok(axum::Json(view(bucket, &user.external)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    name: String,
    policy: Policy,
}

pub(crate) async fn create(
    workspace: Workspace,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, axum::Json<Bucket>), Failure> {
    let buckets = workspace.buckets();
    buckets.create(&wanted.name, wanted.policy).await?;
    let made = buckets.wait_ready(&wanted.name, SETTLE).await?;
    let user = buckets.user().await?;
    Ok((StatusCode::CREATED, axum::Json(view(made, &user.external))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPolicy {
    policy: Policy,
}

pub(crate) async fn set_policy(
    workspace: Workspace,
    Name(name): Name,
    Json(to): Json<NewPolicy>,
) -> Reply<Bucket> {
    let buckets = workspace.buckets();
    buckets.set_policy(&name, to.policy).await?;
    let (changed, user) = tokio::try_join!(buckets.wait_ready(&name, SETTLE), buckets.user())?;
    Ok(axum::Json(view(changed, &user.external)))
}

pub(crate) async fn delete(workspace: Workspace, Name(name): Name) -> Result<StatusCode, Failure> {
    workspace.buckets().delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyView {
    access_key: String,
    secret_key: String,
    internal: String,
    external: String,
    region: &'static str,
    secret: String,
}

fn keys_view(keys: Keys) -> axum::Json<KeyView> {
    axum::Json(KeyView {
        access_key: keys.access_key,
        secret_key: keys.secret_key,
        internal: with_scheme(&keys.internal),
        external: with_scheme(&keys.external),
        region: REGION,
        secret: keys.secret,
    })
}

pub(crate) async fn keys(workspace: Workspace) -> Reply<KeyView> {
    Ok(keys_view(workspace.buckets().keys(None).await?))
}

pub(crate) async fn rotate(workspace: Workspace) -> Reply<KeyView> {
    Ok(keys_view(workspace.buckets().rotate(None).await?))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    at: Vec<i64>,
    size_bytes: Vec<Option<f64>>,
    objects: Vec<Option<f64>>,
    quota_bytes: Option<u64>,
}

/// Whoever may see the bucket may see how it grew.
pub(crate) async fn usage(workspace: Workspace, Name(name): Name) -> Reply<Usage> {
    let buckets = workspace.buckets();
    let (bucket, user) = tokio::try_join!(buckets.get(&name), buckets.user())?;
    let mut lines = workspace.parts.buckets.look(&workspace.name, &bucket.name);
    Ok(axum::Json(Usage {
        size_bytes: lines.series.remove("sizeBytes").unwrap_or_default(),
        objects: lines.series.remove("objects").unwrap_or_default(),
        at: lines.at,
        quota_bytes: Some(user.quota).filter(|quota| *quota > 0),
    }))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::InvalidName(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message.clone()).field("name", message)
            }
            Error::NotFound { .. } | Error::NoKeys { .. } => Self::not_found(message),
            Error::Exists { .. } => Self::name_taken(message),
            Error::Refused { .. } => Self::new(StatusCode::CONFLICT, "Conflict", message),
            Error::Apply(sealos_kit::apply::Error::Refused { source, .. }) | Error::Api { source, .. } => {
                Self::refused(message, &source)
            }
            _ => Self::new(StatusCode::BAD_GATEWAY, "Failed", message),
        }
    }
}

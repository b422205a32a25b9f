//! What people do to buckets. All of it goes through a `kube::Client` and so acts as the user.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::Error;
use crate::kinds::{ObjectStorageBucket, ObjectStorageUser, Policy};
use crate::names::{USER_SECRET, bucket_of, bucket_secret, url_of, user_of};
use crate::view::{BucketView, Keys, UserView};

/// How long a new key may take to be in use.
const ROTATION: Duration = Duration::from_secs(30);

/// The buckets of one workspace.
#[derive(Clone)]
pub struct Buckets {
    client: Client,
    workspace: String,
}

impl Buckets {
    /// The buckets of `workspace` (a namespace), acting as the client's user.
    pub fn new(client: Client, workspace: impl Into<String>) -> Self {
        Self { client, workspace: workspace.into() }
    }

    /// All buckets of the workspace, by name.
    pub async fn list(&self) -> Result<Vec<BucketView>, Error> {
        let all =
            self.buckets().list(&ListParams::default()).await.map_err(Error::api("list the buckets"))?;
        let mut views: Vec<_> = all.items.iter().map(BucketView::from).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }

    /// One bucket, by its name in the workspace or in S3.
    pub async fn get(&self, name: &str) -> Result<BucketView, Error> {
        let attempt = || Error::api(format!("look up bucket `{name}`"));
        if let Some(found) = self.buckets().get_opt(name).await.map_err(attempt())? {
            return Ok(BucketView::from(&found));
        }
        let short = name.strip_prefix(&format!("{}-", user_of(&self.workspace)));
        if let Some(short) = short.filter(|short| !short.is_empty())
            && let Some(found) = self.buckets().get_opt(short).await.map_err(attempt())?
        {
            return Ok(BucketView::from(&found));
        }
        Err(self.missing(name))
    }

    /// What the workspace stores and may store; zeros before its first bucket.
    pub async fn user(&self) -> Result<UserView, Error> {
        let found = self.users().get_opt(self.user_name()).await.map_err(Error::api("look up the user"))?;
        Ok(found.as_ref().map(UserView::from).unwrap_or_default())
    }

    /// Makes a bucket. One of the name must not be there.
    pub async fn create(&self, name: &str, policy: Policy) -> Result<BucketView, Error> {
        bucket_of(&self.workspace, name)?;
        let wanted = ObjectStorageBucket::new(&self.workspace, name, policy);
        match self.buckets().create(&PostParams::default(), &wanted).await {
            Ok(made) => Ok(BucketView::from(&made)),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Err(Error::Exists { name: name.to_owned(), workspace: self.workspace.clone() })
            }
            Err(error) => Err(Error::api(format!("create bucket `{name}`"))(error)),
        }
    }

    /// Makes a bucket unless it is there; an existing one gets the policy, if one is given.
    pub async fn ensure(&self, name: &str, policy: Option<Policy>) -> Result<BucketView, Error> {
        match (self.create(name, policy.unwrap_or_default()).await, policy) {
            (Err(Error::Exists { .. }), Some(policy)) => self.set_policy(name, policy).await,
            (Err(Error::Exists { .. }), None) => self.get(name).await,
            (done, _) => done,
        }
    }

    /// Deletes a bucket with all that is in it.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        match self.buckets().delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Err(self.missing(name)),
            other => other.map(drop).map_err(Error::api(format!("delete bucket `{name}`"))),
        }
    }

    /// Sets who may use a bucket without a key.
    pub async fn set_policy(&self, name: &str, policy: Policy) -> Result<BucketView, Error> {
        let done = self.patch(name, &json!({ "spec": { "policy": policy } }), "set the policy of").await?;
        Ok(BucketView::from(&done))
    }

    /// The key of one bucket, or of the whole workspace.
    pub async fn keys(&self, name: Option<&str>) -> Result<Keys, Error> {
        let secret = match name {
            Some(name) => bucket_secret(&self.get(name).await?.bucket),
            None => USER_SECRET.to_owned(),
        };
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.workspace);
        let found = secrets.get_opt(&secret).await.map_err(Error::api(format!("read Secret `{secret}`")))?;
        let keys = found.and_then(|found| keys_of(&found));
        keys.ok_or_else(|| Error::NoKeys { workspace: self.workspace.clone(), secret })
    }

    /// Makes a new secret key for one bucket, or for the whole workspace, and waits until it is in use.
    /// The old one opens nothing any more.
    pub async fn rotate(&self, name: Option<&str>) -> Result<Keys, Error> {
        let old = self.keys(name).await?;
        let bump = |version: i64| json!({ "spec": { "secretKeyVersion": version + 1 } });
        match name {
            Some(name) => {
                let name = self.get(name).await?.name;
                let attempt = Error::api(format!("rotate the key of bucket `{name}`"));
                let now = self.buckets().get(&name).await.map_err(attempt)?;
                let used = now.status.map(|status| status.secret_key_version).unwrap_or_default();
                let asked = now.spec.secret_key_version.unwrap_or_default();
                self.patch(&name, &bump(asked.max(used)), "rotate the key of").await?;
            }
            None => {
                let user = self.user_name();
                let attempt = || Error::api("rotate the workspace's key");
                let now = self.users().get(user).await.map_err(attempt())?;
                let used = now.status.map(|status| status.secret_key_version).unwrap_or_default();
                let patch = Patch::Merge(bump(now.spec.secret_key_version.max(used)));
                self.users().patch(user, &PatchParams::default(), &patch).await.map_err(attempt())?;
            }
        }
        self.await_new_key(&old).await?;
        self.keys(name).await
    }

    /// Waits until a Secret holds another key than before.
    async fn await_new_key(&self, old: &Keys) -> Result<(), Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.workspace);
        let renewed = |secret: Option<&Secret>| {
            secret.and_then(keys_of).is_some_and(|now| now.secret_key != old.secret_key)
        };
        let waiting = await_condition(secrets, &old.secret, renewed);
        self.within(ROTATION, waiting, || format!("the new key in Secret `{}`", old.secret)).await.map(drop)
    }

    /// Waits until a bucket can be used as it is asked for; ends at once if it never will.
    pub async fn wait_ready(&self, name: &str, limit: Duration) -> Result<BucketView, Error> {
        let settled = |bucket: Option<&ObjectStorageBucket>| {
            bucket.map(BucketView::from).is_none_or(|view| view.ready || !view.message.is_empty())
        };
        let waiting = await_condition(self.buckets(), name, settled);
        let found = self.within(limit, waiting, || format!("bucket `{name}`")).await?;
        let view = found.as_ref().map(BucketView::from).ok_or_else(|| self.missing(name))?;
        if view.ready {
            return Ok(view);
        }
        Err(Error::Refused { name: name.to_owned(), why: view.message })
    }

    /// Waits until a deleted bucket is gone.
    pub async fn wait_gone(&self, name: &str, limit: Duration) -> Result<(), Error> {
        let attempt = Error::api(format!("look up bucket `{name}`"));
        let Some(found) = self.buckets().get_opt(name).await.map_err(attempt)? else { return Ok(()) };
        let uid = found.uid().unwrap_or_default();
        let waiting = await_condition(self.buckets(), name, conditions::is_deleted(&uid));
        self.within(limit, waiting, || format!("the end of bucket `{name}`")).await.map(drop)
    }

    async fn within<T>(
        &self,
        limit: Duration,
        waiting: impl Future<Output = Result<T, kube::runtime::wait::Error>>,
        what: impl Fn() -> String,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, waiting).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Error::Wait { what: what(), why: error.to_string() }),
            Err(_) => Err(Error::Wait { what: what(), why: format!("nothing came within {limit:?}") }),
        }
    }

    async fn patch(&self, name: &str, patch: &Value, verb: &str) -> Result<ObjectStorageBucket, Error> {
        match self.buckets().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Err(self.missing(name)),
            other => other.map_err(Error::api(format!("{verb} bucket `{name}`"))),
        }
    }

    fn missing(&self, name: &str) -> Error {
        Error::NotFound { name: name.to_owned(), workspace: self.workspace.clone() }
    }

    fn user_name(&self) -> &str {
        user_of(&self.workspace)
    }

    fn buckets(&self) -> Api<ObjectStorageBucket> {
        Api::namespaced(self.client.clone(), &self.workspace)
    }

    fn users(&self) -> Api<ObjectStorageUser> {
        Api::namespaced(self.client.clone(), &self.workspace)
    }
}

fn keys_of(secret: &Secret) -> Option<Keys> {
    let text = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
    Some(Keys {
        access_key: text("accessKey")?,
        secret_key: text("secretKey")?,
        internal: url_of(&text("internal")?),
        external: url_of(&text("external")?),
        bucket: text("bucket"),
        secret: secret.name_any(),
    })
}

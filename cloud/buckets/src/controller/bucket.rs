//! Buckets: made with their user, emptied and removed with their object.

use std::sync::Arc;

use kube::api::PostParams;
use kube::runtime::controller::Action;
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::json;

use super::claim::Refusal;
use super::finalizer::{Task, keep, release};
use super::keys::{Rotation, Wanted};
use super::{Error, LOOK_AGAIN, NOW_AND_THEN, Shared, condition};
use crate::kinds::{BucketStatus, ObjectStorageBucket, ObjectStorageUser};
use crate::names::{bucket_access_key, bucket_of, bucket_secret};

/// A bucket that may be.
struct Allowed<'n> {
    user: &'n str,
    /// Its name in S3.
    bucket: String,
    /// Whether it is there.
    exists: bool,
}

pub(super) async fn reconcile(
    bucket: Arc<ObjectStorageBucket>,
    shared: Arc<Shared>,
) -> Result<Action, Error> {
    let namespace = bucket.namespace().unwrap_or_default();
    let api: Api<ObjectStorageBucket> = Api::namespaced(shared.client.clone(), &namespace);
    match keep(&api, bucket.clone()).await? {
        Task::Bring(bucket) => shared.bring_bucket(&bucket, &namespace).await,
        Task::Take => {
            shared.take_bucket(&bucket, &namespace).await?;
            release(&api, bucket.as_ref()).await?;
            Ok(Action::await_change())
        }
        Task::Nothing => Ok(Action::await_change()),
    }
}

impl Shared {
    async fn bring_bucket(&self, object: &ObjectStorageBucket, namespace: &str) -> Result<Action, Error> {
        let Allowed { user, bucket, exists } = match self.may_be(object, namespace).await? {
            Ok(allowed) => allowed,
            Err(refusal) => return self.refuse_bucket(object, &refusal).await,
        };
        self.ensure_user(namespace, user).await?;
        self.backend.put_user(user, self.quota(namespace).await?).await?;
        if !exists {
            self.backend.create_bucket(&bucket, user).await?;
        }
        self.backend.set_policy(&bucket, object.spec.policy).await?;
        let before = object.status.clone().unwrap_or_default();
        let version = object.spec.secret_key_version.unwrap_or_default();
        let used = before.name.is_some().then_some(before.secret_key_version);
        let wanted = Wanted {
            namespace,
            secret: &bucket_secret(&bucket),
            owner: object.controller_owner_ref(&()).unwrap_or_default(),
            user,
            access: &bucket_access_key(namespace, &object.name_any()),
            bucket: Some(&bucket),
            rotation: Rotation::from_versions(version, used),
        };
        self.keep_key(&wanted).await?;
        let usage = self.backend.bucket_usage(&bucket).await?;
        let generation = object.metadata.generation.unwrap_or_default();
        let status = BucketStatus {
            name: Some(bucket),
            size: usage.bytes,
            objects_count: usage.objects,
            secret_key_version: version,
            observed_generation: generation,
            conditions: condition::ready(&before.conditions, generation, None),
        };
        self.write_status(object, &json!(object.status), &json!(status)).await?;
        Ok(Action::requeue(NOW_AND_THEN))
    }

    /// Whether the object may have its bucket.
    async fn may_be<'n>(
        &self,
        object: &ObjectStorageBucket,
        namespace: &'n str,
    ) -> Result<Result<Allowed<'n>, Refusal>, Error> {
        let bucket = match bucket_of(namespace, &object.name_any()) {
            Ok(bucket) => bucket,
            Err(error) => return Ok(Err(Refusal { reason: "InvalidName", message: error.to_string() })),
        };
        let user = match self.claim(namespace).await? {
            Ok(user) => user,
            Err(refusal) => return Ok(Err(refusal)),
        };
        Ok(match self.backend.owner(&bucket).await? {
            Some(owner) if owner != user => {
                let message = format!("the name `{bucket}` is used by another workspace; choose another");
                Err(Refusal { reason: "NameTaken", message })
            }
            owner => Ok(Allowed { user, bucket, exists: owner.is_some() }),
        })
    }

    /// Makes the workspace's user if there is none.
    async fn ensure_user(&self, namespace: &str, user: &str) -> Result<(), Error> {
        let api: Api<ObjectStorageUser> = Api::namespaced(self.client.clone(), namespace);
        let attempt = "make the workspace's user";
        if api.get_metadata_opt(user).await.map_err(Error::api(attempt))?.is_some() {
            return Ok(());
        }
        match api.create(&PostParams::default(), &ObjectStorageUser::new(namespace, user)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            other => other.map(drop).map_err(Error::api(attempt)),
        }
    }

    async fn refuse_bucket(&self, object: &ObjectStorageBucket, refusal: &Refusal) -> Result<Action, Error> {
        let before = object.status.clone().unwrap_or_default();
        if !condition::says(&before.conditions, refusal) {
            self.warn(object, refusal.reason, &refusal.message).await;
        }
        let generation = object.metadata.generation.unwrap_or_default();
        let conditions = condition::ready(&before.conditions, generation, Some(refusal));
        let status = BucketStatus { conditions, observed_generation: generation, ..before };
        self.write_status(object, &json!(object.status), &json!(status)).await?;
        Ok(Action::requeue(LOOK_AGAIN * 30))
    }

    async fn take_bucket(&self, object: &ObjectStorageBucket, namespace: &str) -> Result<(), Error> {
        // What was refused has nothing in the store.
        let Ok(allowed) = self.may_be(object, namespace).await? else { return Ok(()) };
        if allowed.exists {
            self.backend.remove_bucket(&allowed.bucket).await?;
        }
        self.backend.remove_key(&bucket_access_key(namespace, &object.name_any())).await?;
        Ok(())
    }
}

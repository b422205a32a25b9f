//! Users: one a workspace, made with its first bucket.

use std::sync::Arc;

use kube::api::ListParams;
use kube::runtime::controller::Action;
use kube::{Api, Resource as _, ResourceExt as _};
use serde_json::json;

use super::claim::Refusal;
use super::finalizer::{Task, keep, release};
use super::keys::{Rotation, Wanted};
use super::{Error, LOOK_AGAIN, NOW_AND_THEN, Shared, condition};
use crate::kinds::{ObjectStorageBucket, ObjectStorageUser, UserStatus};
use crate::names::{USER_SECRET, host_of, user_of};

pub(super) async fn reconcile(user: Arc<ObjectStorageUser>, shared: Arc<Shared>) -> Result<Action, Error> {
    let namespace = user.namespace().unwrap_or_default();
    let api: Api<ObjectStorageUser> = Api::namespaced(shared.client.clone(), &namespace);
    match keep(&api, user.clone()).await? {
        Task::Bring(user) => shared.bring_user(&user, &namespace).await,
        Task::Take => {
            shared.take_user(&user, &namespace).await?;
            release(&api, user.as_ref()).await?;
            Ok(Action::await_change())
        }
        Task::Nothing => Ok(Action::await_change()),
    }
}

impl Shared {
    async fn bring_user(&self, object: &ObjectStorageUser, namespace: &str) -> Result<Action, Error> {
        let user = match self.allowed(object, namespace).await? {
            Ok(user) => user,
            Err(refusal) => return self.refuse_user(object, &refusal).await,
        };
        let quota = self.quota(namespace).await?;
        self.backend.put_user(user, quota).await?;
        let before = object.status.clone().unwrap_or_default();
        let used = object.status.as_ref().filter(|s| !s.access_key.is_empty()).map(|s| s.secret_key_version);
        let wanted = Wanted {
            namespace,
            secret: USER_SECRET,
            owner: object.controller_owner_ref(&()).unwrap_or_default(),
            user,
            access: user,
            bucket: None,
            rotation: Rotation::from_versions(object.spec.secret_key_version, used),
        };
        let secret_key = self.keep_key(&wanted).await?;
        let usage = self.backend.user_usage(user).await?;
        let generation = object.metadata.generation.unwrap_or_default();
        let status = UserStatus {
            size: usage.bytes,
            quota,
            objects_count: usage.objects,
            access_key: user.to_owned(),
            secret_key,
            internal: host_of(&self.endpoints.internal).to_owned(),
            external: host_of(&self.endpoints.external).to_owned(),
            secret_key_version: object.spec.secret_key_version,
            conditions: condition::ready(&before.conditions, generation, None),
        };
        self.write_status(object, &json!(object.status), &json!(status)).await?;
        Ok(Action::requeue(NOW_AND_THEN))
    }

    /// The user's name, if this object may stand for it.
    async fn allowed<'n>(
        &self,
        object: &ObjectStorageUser,
        namespace: &'n str,
    ) -> Result<Result<&'n str, Refusal>, Error> {
        let (user, name) = (user_of(namespace), object.name_any());
        if name != user {
            let message = format!("the user of the namespace `{namespace}` is called `{user}`, not `{name}`");
            return Ok(Err(Refusal { reason: "WrongName", message }));
        }
        self.claim(namespace).await
    }

    async fn refuse_user(&self, object: &ObjectStorageUser, refusal: &Refusal) -> Result<Action, Error> {
        let before = object.status.clone().unwrap_or_default();
        if !condition::says(&before.conditions, refusal) {
            self.warn(object, refusal.reason, &refusal.message).await;
        }
        let generation = object.metadata.generation.unwrap_or_default();
        let conditions = condition::ready(&before.conditions, generation, Some(refusal));
        let status = UserStatus { conditions, ..before };
        self.write_status(object, &json!(object.status), &json!(status)).await?;
        Ok(Action::requeue(LOOK_AGAIN * 30))
    }

    /// A user goes last: its buckets go with objects of their own.
    async fn take_user(&self, object: &ObjectStorageUser, namespace: &str) -> Result<(), Error> {
        let Ok(user) = self.allowed(object, namespace).await? else { return Ok(()) };
        let buckets: Api<ObjectStorageBucket> = Api::namespaced(self.client.clone(), namespace);
        let left = buckets.list(&ListParams::default().limit(1)).await;
        if !left.map_err(Error::api("list the buckets"))?.items.is_empty() {
            return Err(Error::HasBuckets);
        }
        self.backend.remove_user(user).await?;
        Ok(())
    }
}

//! Which namespace a user's name belongs to, and how much it may store.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{Api, ResourceExt as _};
use sealos_kit::quantity::Bytes;
use tracing::warn;

use super::{Error, Shared};
use crate::kinds::ObjectStorageUser;
use crate::names::{quota_of, twin_of, user_of};

/// The entry of a ResourceQuota that limits object storage.
const ENTRY: &str = "objectstorage/size";
/// What a workspace may store when nobody says otherwise: 20 GiB.
const DEFAULT_QUOTA: u64 = 20 << 30;

/// Why something cannot be, in a word and in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Shared {
    /// The user of a namespace, unless another namespace had the same one before.
    pub(super) async fn claim<'n>(&self, namespace: &'n str) -> Result<Result<&'n str, Refusal>, Error> {
        let user = user_of(namespace);
        let Some(twin) = twin_of(namespace) else { return Ok(Ok(user)) };
        let Some(other) = self.user(&twin, user).await? else { return Ok(Ok(user)) };
        let own = self.user(namespace, user).await?;
        let age = |user: &ObjectStorageUser| user.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let first = own.is_some_and(|own| (age(&own), namespace) < (age(&other), twin.as_str()));
        if first {
            return Ok(Ok(user));
        }
        let message = format!(
            "the object storage user `{user}` belongs to the namespace `{twin}`; use buckets there, or choose another namespace"
        );
        Ok(Err(Refusal { reason: "UserTaken", message }))
    }

    async fn user(&self, namespace: &str, name: &str) -> Result<Option<ObjectStorageUser>, Error> {
        let api: Api<ObjectStorageUser> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name).await.map_err(Error::api("look up the user"))
    }

    /// The most bytes that a namespace may store.
    pub(super) async fn quota(&self, namespace: &str) -> Result<u64, Error> {
        let api: Api<ResourceQuota> = Api::namespaced(self.client.clone(), namespace);
        let found = api.get_opt(&quota_of(namespace)).await.map_err(Error::api("look up the quota"))?;
        let hard = found.as_ref().and_then(|quota| quota.spec.as_ref()?.hard.as_ref()?.get(ENTRY));
        Ok(hard.map_or(DEFAULT_QUOTA, |amount| {
            bytes(&amount.0).unwrap_or_else(|| {
                let name = found.as_ref().map(ResourceQuota::name_any).unwrap_or_default();
                warn!(namespace, name, amount = amount.0, "{ENTRY} is no amount of bytes; the default holds");
                DEFAULT_QUOTA
            })
        }))
    }
}

fn bytes(text: &str) -> Option<u64> {
    if text.trim() == "0" {
        return Some(0);
    }
    Bytes::parse(text).ok().map(Bytes::get)
}

//! Keys and the Secrets that hold them. The store knows every key; a Secret is a copy for people and
//! pods, and is written again when it is lost or changed.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Api, ResourceExt as _};
use rand::distr::{Alphanumeric, SampleString as _};
use sealos_kit::apply::apply;
use serde_json::json;

use super::{Error, Shared, USER_LABEL};
use crate::backend::Key;
use crate::names::host_of;

/// The length of a secret key.
const LENGTH: usize = 16;

/// A key that should be there, with its Secret.
pub(super) struct Wanted<'a> {
    pub(super) namespace: &'a str,
    pub(super) secret: &'a str,
    pub(super) owner: OwnerReference,
    pub(super) user: &'a str,
    pub(super) access: &'a str,
    pub(super) bucket: Option<&'a str>,
    pub(super) rotation: Rotation,
}

/// Whether the key stays.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotation {
    Keep,
    Renew,
}

impl Rotation {
    /// Renews if a larger version is asked for than the one in use; a new object has none in use.
    pub(super) fn from_versions(asked: i64, used: Option<i64>) -> Self {
        if used.is_some_and(|used| asked > used) { Self::Renew } else { Self::Keep }
    }
}

impl Shared {
    /// Sees to the key and its Secret; answers the secret half.
    pub(super) async fn keep_key(&self, wanted: &Wanted<'_>) -> Result<String, Error> {
        let held = self.backend.secret(wanted.access).await?;
        let api: Api<Secret> = Api::namespaced(self.client.clone(), wanted.namespace);
        let written = api.get_opt(wanted.secret).await.map_err(Error::api("look up the Secret"))?;
        let secret = match (wanted.rotation, &held) {
            (Rotation::Renew, _) => new_secret(),
            (Rotation::Keep, Some(held)) => held.clone(),
            // A store that was made anew gets back what the workspace uses.
            (Rotation::Keep, None) => {
                written.as_ref().and_then(|w| stated(w, wanted.access)).unwrap_or_else(new_secret)
            }
        };
        if held.as_ref() != Some(&secret) {
            let key = Key {
                access: wanted.access.to_owned(),
                secret: secret.clone(),
                user: wanted.user.to_owned(),
                bucket: wanted.bucket.map(str::to_owned),
            };
            self.backend.put_key(&key).await?;
        }
        let data = self.data(wanted, &secret);
        if !written.is_some_and(|written| is_same(&written, &data, wanted)) {
            self.write_secret(wanted, &data).await?;
        }
        Ok(secret)
    }

    fn data(&self, wanted: &Wanted<'_>, secret: &str) -> BTreeMap<&'static str, String> {
        let mut data = BTreeMap::from([
            ("accessKey", wanted.access.to_owned()),
            ("secretKey", secret.to_owned()),
            ("internal", host_of(&self.endpoints.internal).to_owned()),
            ("external", host_of(&self.endpoints.external).to_owned()),
        ]);
        if let Some(bucket) = wanted.bucket {
            data.insert("bucket", bucket.to_owned());
        }
        data
    }

    async fn write_secret(
        &self,
        wanted: &Wanted<'_>,
        data: &BTreeMap<&'static str, String>,
    ) -> Result<(), Error> {
        let encoded: BTreeMap<_, _> =
            data.iter().map(|(key, value)| (key, ByteString(value.clone().into_bytes()))).collect();
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {
                "name": wanted.secret, "namespace": wanted.namespace,
                "labels": { USER_LABEL: wanted.user }, "ownerReferences": [wanted.owner],
            },
            "data": encoded,
        });
        apply(&self.client, Some(wanted.namespace), &object).await?;
        Ok(())
    }
}

fn is_same(written: &Secret, data: &BTreeMap<&'static str, String>, wanted: &Wanted<'_>) -> bool {
    let has = |(key, value): (&&str, &String)| {
        written.data.as_ref().and_then(|d| d.get(*key)).is_some_and(|bytes| bytes.0 == value.as_bytes())
    };
    data.iter().all(has)
        && written.labels().get(USER_LABEL).map(String::as_str) == Some(wanted.user)
        && written.owner_references().iter().any(|owner| owner.uid == wanted.owner.uid)
}

/// The secret half that a Secret states for an access key.
fn stated(secret: &Secret, access: &str) -> Option<String> {
    let text = |key: &str| String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok();
    (text("accessKey").as_deref() == Some(access)).then(|| text("secretKey"))?.filter(|s| s.len() >= LENGTH)
}

fn new_secret() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), LENGTH)
}

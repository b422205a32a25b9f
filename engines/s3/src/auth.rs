//! Who calls: secrets for checking signatures, and the caller every request carries.

use std::net::IpAddr;
use std::sync::Arc;

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::core::Core;
use crate::refuse::refuse;
use crate::store::{self, Scope};

/// Gives `s3s` the secrets.
pub(crate) struct Secrets(pub(crate) Arc<Core>);

#[async_trait::async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.store.key(access_key).await {
            Ok((_, user)) if user.disabled => Err(s3_error!(InvalidAccessKeyId, "the user is disabled")),
            Ok((key, _)) => Ok(SecretKey::from(key.secret)),
            Err(store::Error::NoSuchAccessKey { .. }) => {
                Err(s3_error!(InvalidAccessKeyId, "no such access key: {access_key}"))
            }
            Err(error) => Err(refuse(error)),
        }
    }
}

/// Who sent a request, as far as is proved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// `None`: anonymous.
    pub(crate) user: Option<String>,
    /// The only bucket the key opens.
    pub(crate) only: Option<String>,
    pub(crate) peer: Option<IpAddr>,
}

impl Caller {
    /// The caller behind an access key whose signature was checked.
    pub(crate) async fn of(core: &Core, access_key: Option<&str>, peer: Option<IpAddr>) -> S3Result<Self> {
        let Some(access_key) = access_key else { return Ok(Self { peer, ..Self::default() }) };
        let (key, _) = core.store.key(access_key).await.map_err(refuse)?;
        let only = match key.scope {
            Scope::User => None,
            Scope::Bucket(bucket) => Some(bucket),
        };
        Ok(Self { user: Some(key.user), only, peer })
    }

    /// Whether the caller acts as this bucket's owner.
    pub(crate) fn owns(&self, bucket: &store::Bucket) -> bool {
        self.user.as_deref() == Some(&bucket.owner)
            && self.only.as_deref().is_none_or(|only| only == bucket.name)
    }

    /// The caller's name, or an error for the anonymous.
    pub(crate) fn named(&self) -> S3Result<&str> {
        self.user.as_deref().ok_or_else(|| s3_error!(AccessDenied, "sign the request: this needs a user"))
    }
}

//! The embedded store as a [`Backend`].

use async_trait::async_trait;
use sealos_s3::store::{self, Scope, User};
use sealos_s3::{AccessKey, Canned, Quota, S3};

use crate::backend::{Backend, Error, Key, Usage};
use crate::kinds::Policy;

/// The S3 service of this process.
#[derive(Clone)]
pub struct Engine(S3);

impl Engine {
    /// Administers a service.
    pub fn new(service: S3) -> Self {
        Self(service)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

#[async_trait]
impl Backend for Engine {
    async fn put_user(&self, user: &str, quota: u64) -> Result<(), Error> {
        let attempt = failed("keep the user", user);
        let quota = Quota { bytes: Some(quota), ..Quota::default() };
        let known = match self.0.store().user(user).await {
            Ok(known) => Some(known),
            Err(store::Error::NoSuchUser { .. }) => None,
            Err(error) => return Err(attempt(&error)),
        };
        if known.as_ref().is_some_and(|known| known.quota == quota) {
            return Ok(());
        }
        let user = User { name: user.to_owned(), quota, ..known.unwrap_or_default() };
        self.0.store().put_user(user).await.map_err(|error| attempt(&error))
    }

    async fn remove_user(&self, user: &str) -> Result<(), Error> {
        self.0.remove_user(user).await.map_err(|error| failed("remove the user", user)(&error))
    }

    async fn secret(&self, access: &str) -> Result<Option<String>, Error> {
        match self.0.store().key(access).await {
            Ok((key, _)) => Ok(Some(key.secret)),
            Err(store::Error::NoSuchAccessKey { .. }) => Ok(None),
            Err(error) => Err(failed("look up the key", access)(&error)),
        }
    }

    async fn put_key(&self, key: &Key) -> Result<(), Error> {
        let scope = key.bucket.clone().map_or(Scope::User, Scope::Bucket);
        let wanted = AccessKey {
            access_key: key.access.clone(),
            secret: key.secret.clone(),
            user: key.user.clone(),
            scope,
        };
        self.0.put_key(wanted).await.map_err(|error| failed("keep the key", &key.access)(&error))
    }

    async fn remove_key(&self, access: &str) -> Result<(), Error> {
        self.0.remove_key(access).await.map_err(|error| failed("remove the key", access)(&error))
    }

    async fn owner(&self, bucket: &str) -> Result<Option<String>, Error> {
        match self.0.store().bucket(bucket).await {
            Ok(bucket) => Ok(Some(bucket.owner)),
            Err(store::Error::NoSuchBucket { .. }) => Ok(None),
            Err(error) => Err(failed("look up the bucket", bucket)(&error)),
        }
    }

    async fn create_bucket(&self, bucket: &str, user: &str) -> Result<(), Error> {
        self.0.create_bucket(bucket, user).await.map_err(|error| failed("make the bucket", bucket)(&error))
    }

    async fn set_policy(&self, bucket: &str, policy: Policy) -> Result<(), Error> {
        let attempt = failed("set the policy of", bucket);
        let canned = match policy {
            Policy::Private => Canned::Private,
            Policy::PublicRead => Canned::PublicRead,
            Policy::PublicReadwrite => Canned::PublicReadwrite,
        };
        if self.0.canned_policy(bucket).await.map_err(|error| attempt(&error))? == canned {
            return Ok(());
        }
        self.0.set_canned_policy(bucket, canned).await.map_err(|error| attempt(&error))
    }

    async fn remove_bucket(&self, bucket: &str) -> Result<(), Error> {
        let removed = self.0.delete_bucket_with_contents(bucket).await;
        removed.map_err(|error| failed("remove the bucket", bucket)(&error))
    }

    async fn bucket_usage(&self, bucket: &str) -> Result<Usage, Error> {
        let usage = self.0.bucket_usage(bucket).await;
        Ok(shown(usage.map_err(|error| failed("measure the bucket", bucket)(&error))?))
    }

    async fn user_usage(&self, user: &str) -> Result<Usage, Error> {
        let usage = self.0.owner_usage(user).await;
        Ok(shown(usage.map_err(|error| failed("measure the buckets of", user)(&error))?))
    }
}

/// Parts of uploads under way take room, and count.
fn shown(usage: sealos_s3::Usage) -> Usage {
    Usage { bytes: usage.bytes.saturating_add(usage.upload_bytes), objects: usage.objects }
}

/// Names the attempt and the chain of causes.
fn failed(attempt: &'static str, what: &str) -> impl Fn(&dyn std::error::Error) -> Error {
    let attempt = format!("{attempt} `{what}`");
    move |error| {
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            why = format!("{why}: {next}");
            cause = next.source();
        }
        Error { attempt: attempt.clone(), why }
    }
}

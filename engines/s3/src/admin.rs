//! The service for those who run it: open, serve, users, keys, buckets, usage.

use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::Canned;
use crate::config::Config;
use crate::core::Core;
use crate::documents::{self, Shelf};
use crate::error::{Error, Result};
use crate::events::Outbox;
use crate::presign::Presign;
use crate::store::{self, AccessKey, Bucket, Scope, Scrub, ScrubReport, Store, Usage, User};
use crate::{events, front, lifecycle, server};

/// An S3 service. Cheap to clone; all clones are the same service.
#[derive(Clone)]
pub struct S3 {
    core: Arc<Core>,
}

impl S3 {
    /// Opens the service in its directory.
    pub async fn open(config: Config) -> Result<Self> {
        for domain in &config.domains {
            check_domain(domain)?;
        }
        let store = Store::open(config.store.clone()).await?;
        let outbox = Outbox::open(&config.store.dir, config.event_tries);
        Ok(Self { core: Arc::new(Core { config, store, shelf: Shelf::default(), outbox }) })
    }

    /// Answers clients on a listener until `closing` is cancelled; requests under way may then finish
    /// within a grace time. May run several times, once a listener. Dropping the future cuts them off.
    pub async fn serve(self, listener: TcpListener, closing: CancellationToken) {
        server::serve(front::Front::new(&self.core), listener, self.core.config.stall, closing).await;
    }

    /// What goes on without requests: lifecycle rules and the delivery of notifications. To be run once,
    /// beside `serve`; ends when `closing` is cancelled.
    pub async fn background(self, closing: CancellationToken) {
        tokio::join!(lifecycle::run(&self.core, &closing), events::deliver(&self.core, &closing));
    }

    /// Carries out the lifecycle rules of all buckets once, now.
    pub async fn run_lifecycle(&self) -> Result<()> {
        lifecycle::round(&self.core).await.map_err(Error::from)
    }

    /// Waits for what is being written and closes the store. Later calls are refused.
    pub async fn close(&self) {
        self.core.store.close().await;
    }

    /// The region clients are told.
    pub fn region(&self) -> &str {
        &self.core.config.region
    }

    /// The store itself: listings and objects for a console, without HTTP and without access checks.
    pub fn store(&self) -> &Store {
        &self.core.store
    }

    /// Creates a user or changes it, with its main key: the access key is the user's name.
    pub async fn put_user(&self, user: User, secret: &str) -> Result<()> {
        let name = user.name.clone();
        self.core.store.put_user(user).await?;
        self.put_key(AccessKey {
            access_key: name.clone(),
            secret: secret.to_owned(),
            user: name,
            scope: Scope::User,
        })
        .await
    }

    /// Removes a user and its keys. Refused while it owns buckets. A user that is not there is fine.
    pub async fn remove_user(&self, name: &str) -> Result<()> {
        match self.core.store.delete_user(name).await {
            Ok(()) | Err(store::Error::NoSuchUser { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a further key of a user, or replaces its secret and scope.
    pub async fn put_key(&self, key: AccessKey) -> Result<()> {
        Ok(self.core.store.put_key(key).await?)
    }

    /// Removes a key. One that is not there is fine.
    pub async fn remove_key(&self, access_key: &str) -> Result<()> {
        match self.core.store.delete_key(access_key).await {
            Ok(()) | Err(store::Error::NoSuchAccessKey { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a bucket. One that exists and belongs to the same owner is fine.
    pub async fn create_bucket(&self, name: &str, owner: &str) -> Result<()> {
        check_bucket_name(name)?;
        match self.core.store.create_bucket(name, owner, false).await {
            Ok(_) => Ok(()),
            Err(store::Error::BucketExists { owner: other, .. }) if other == owner => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The buckets of one owner, or all of them.
    pub async fn buckets(&self, owner: Option<&str>) -> Result<Vec<Bucket>> {
        Ok(self.core.store.buckets(owner).await?)
    }

    /// Deletes a bucket with all it holds. One that is not there is fine.
    pub async fn delete_bucket_with_contents(&self, name: &str) -> Result<()> {
        match self.core.store.purge_bucket(name).await {
            Ok(()) | Err(store::Error::NoSuchBucket { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets what everybody may do with a bucket, beside its bucket policy if it has one.
    pub async fn set_canned_policy(&self, bucket: &str, canned: Canned) -> Result<()> {
        let document = Bytes::from_static(canned.name().as_bytes());
        Ok(self.core.store.set_document(bucket, documents::CANNED, Some(document)).await?)
    }

    /// What everybody may do with a bucket.
    pub async fn canned_policy(&self, bucket: &str) -> Result<Canned> {
        let document = self.core.store.document(bucket, documents::CANNED).await?;
        Ok(document.map_or(Canned::Private, |text| Canned::from_bytes(&text)))
    }

    pub async fn bucket_usage(&self, bucket: &str) -> Result<Usage> {
        Ok(self.core.store.bucket_usage(bucket).await?)
    }

    pub async fn owner_usage(&self, owner: &str) -> Result<Usage> {
        Ok(self.core.store.user_usage(owner).await?)
    }

    /// A URL that lets whoever has it do one thing with one object until it expires.
    pub async fn presign(&self, presign: Presign<'_>) -> Result<String> {
        let (key, _) = self.core.store.key(presign.access_key).await?;
        presign.url(&key.secret, &self.core.config.region, std::time::SystemTime::now())
    }

    /// Reads everything and compares it with its checksums.
    pub async fn scrub(&self, scrub: Scrub) -> Result<ScrubReport> {
        Ok(self.core.store.scrub(scrub).await?)
    }
}

fn check_bucket_name(name: &str) -> Result<()> {
    if s3s::path::check_bucket_name(name) {
        return Ok(());
    }
    let reason =
        "3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit";
    Err(Error::BucketName { name: name.to_owned(), reason })
}

fn check_domain(domain: &str) -> Result<()> {
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if domain.split('.').all(label) {
        return Ok(());
    }
    Err(Error::Domain { domain: domain.to_owned() })
}

//! Buckets and their documents.

use bytes::Bytes;

use super::error::{Error, Result};
use super::meta::{self, Look};
use super::model::{Bucket, Usage, Versioning};
use super::record;
use super::shared::over;
use super::stage::Freight;
use super::tables::{self, At};
use super::tx::{self, Tx};
use super::{Store, text};

pub(super) fn find(look: &impl Look, name: &str) -> Result<record::Bucket> {
    let found = look.record(At::Buckets, name.as_bytes())?;
    found.ok_or_else(|| Error::NoSuchBucket { bucket: name.to_owned() })
}

/// Every bucket by name.
pub(super) fn all(look: &impl Look) -> Result<Vec<(String, record::Bucket)>> {
    let mut rows = look.under(At::Buckets, b"")?;
    let mut out = Vec::new();
    while let Some((key, value)) = meta::next(&mut rows)? {
        out.push((text(key.value())?.to_owned(), record::decode(value.value())?));
    }
    Ok(out)
}

fn create(tx: &mut Tx<'_>, name: &str, owner: &str, object_lock: bool) -> Result<record::Bucket> {
    let user: Option<record::User> = tx.record(At::Users, owner.as_bytes())?;
    let user = user.ok_or_else(|| Error::NoSuchUser { user: owner.to_owned() })?;
    if let Some(old) = tx.record::<record::Bucket>(At::Buckets, name.as_bytes())? {
        return Err(Error::BucketExists { bucket: name.to_owned(), owner: old.owner });
    }
    let used = tx.usage(&tables::user_usage(owner))?.buckets;
    if let Some(limit) = user.buckets
        && used >= limit
    {
        return Err(over("creating a bucket", owner, "buckets", (limit, used)));
    }
    let bucket = record::Bucket {
        id: tx.next_bucket()?,
        owner: owner.to_owned(),
        created: tx::now(),
        versioning: if object_lock { record::Versioning::Enabled } else { record::Versioning::Unversioned },
        object_lock,
        generation: 0,
    };
    tx.store(At::Buckets, name.as_bytes(), &bucket)?;
    tx.usage(&tables::user_usage(owner))?.buckets += 1;
    Ok(bucket)
}

/// Takes the name away; what is inside is left to the upkeep, which knows the bucket by its id.
fn doom(tx: &mut Tx<'_>, name: &str) -> Result<()> {
    let bucket = find(tx, name)?;
    let usage = tables::bucket_usage(bucket.id);
    let held = *tx.usage(&usage)?;
    let owner = tx.usage(&tables::user_usage(&bucket.owner))?;
    owner.buckets = owner.buckets.saturating_sub(1);
    owner.objects = owner.objects.saturating_sub(held.objects);
    owner.versions = owner.versions.saturating_sub(held.versions);
    owner.bytes = owner.bytes.saturating_sub(held.bytes);
    owner.upload_bytes = owner.upload_bytes.saturating_sub(held.upload_bytes);
    tx.remove(At::Buckets, name.as_bytes())?;
    tx.forget_usage(&usage)?;
    tx.store(At::Doomed, &tables::of_bucket(bucket.id), &name)
}

impl Store {
    /// Creates a bucket. `Error::BucketExists` also when it is the owner's own (compare `owner`).
    /// Object lock switches versioning on with it.
    pub async fn create_bucket(&self, name: &str, owner: &str, object_lock: bool) -> Result<Bucket> {
        let (name, owner) = (name.to_owned(), owner.to_owned());
        self.write(Freight::default(), move |tx, _| Ok(create(tx, &name, &owner, object_lock)?.show(&name)))
            .await
    }

    pub async fn bucket(&self, name: &str) -> Result<Bucket> {
        Ok(find(&self.shared().meta.view()?, name)?.show(name))
    }

    /// All buckets, or those of one owner, by name.
    pub async fn buckets(&self, owner: Option<&str>) -> Result<Vec<Bucket>> {
        let all = all(&self.shared().meta.view()?)?;
        let mine = all.iter().filter(|(_, bucket)| owner.is_none_or(|owner| bucket.owner == owner));
        Ok(mine.map(|(name, bucket)| bucket.show(name)).collect())
    }

    /// Deletes an empty bucket: no versions, no markers. Open uploads are aborted with it.
    pub async fn delete_bucket(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.write(Freight::default(), move |tx, _| {
            let bucket = find(tx, &name)?;
            if meta::next(&mut tx.under(At::Latest, &tables::of_bucket(bucket.id))?)?.is_some() {
                return Err(Error::BucketNotEmpty { bucket: name });
            }
            doom(tx, &name)
        })
        .await?;
        self.shared().wake.notify_one();
        Ok(())
    }

    /// Deletes a bucket with all it holds, locked or not. It is gone at once; its contents follow in the
    /// background, in small transactions, also after a restart.
    pub async fn purge_bucket(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.write(Freight::default(), move |tx, _| doom(tx, &name)).await?;
        self.shared().wake.notify_one();
        Ok(())
    }

    async fn change_bucket<F>(&self, name: &str, change: F) -> Result<()>
    where
        F: FnOnce(&mut Tx<'_>, &mut record::Bucket) -> Result<()> + Send + 'static,
    {
        let name = name.to_owned();
        self.write(Freight::default(), move |tx, _| {
            let mut bucket = find(tx, &name)?;
            bucket.generation += 1;
            change(tx, &mut bucket)?;
            tx.store(At::Buckets, name.as_bytes(), &bucket)
        })
        .await
    }

    pub async fn set_versioning(&self, bucket: &str, versioning: Versioning) -> Result<()> {
        self.change_bucket(bucket, move |_, bucket| {
            bucket.versioning = versioning.into();
            Ok(())
        })
        .await
    }

    /// Switches object lock on, for good.
    pub async fn enable_object_lock(&self, bucket: &str) -> Result<()> {
        self.change_bucket(bucket, |_, bucket| {
            bucket.object_lock = true;
            Ok(())
        })
        .await
    }

    /// A document of the bucket (`policy`, `cors`, `lifecycle`, `website` …: the names are the caller's).
    pub async fn document(&self, bucket: &str, name: &str) -> Result<Option<Bytes>> {
        let view = self.shared().meta.view()?;
        let bucket = find(&view, bucket)?;
        let found: Option<Vec<u8>> = view.record(At::Documents, &tables::document(bucket.id, name))?;
        Ok(found.map(Bytes::from))
    }

    /// Sets or, with `None`, removes a document.
    pub async fn set_document(&self, bucket: &str, name: &str, document: Option<Bytes>) -> Result<()> {
        let name = name.to_owned();
        self.change_bucket(bucket, move |tx, bucket| {
            let key = tables::document(bucket.id, &name);
            match document {
                Some(document) => tx.store(At::Documents, &key, &document.to_vec()),
                None => tx.remove(At::Documents, &key),
            }
        })
        .await
    }

    pub async fn bucket_usage(&self, bucket: &str) -> Result<Usage> {
        let view = self.shared().meta.view()?;
        let bucket = find(&view, bucket)?;
        let usage: Option<record::Usage> = view.record(At::Usage, &tables::bucket_usage(bucket.id))?;
        Ok(Usage { buckets: 1, ..usage.unwrap_or_default().into() })
    }
}

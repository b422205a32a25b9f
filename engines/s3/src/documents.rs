//! The documents of a bucket: how they are named in the store, and a shelf of those parsed already.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use s3s::dto::{
    CORSConfiguration, NotificationConfiguration, ObjectLockConfiguration, PublicAccessBlockConfiguration,
    WebsiteConfiguration,
};
use s3s::{S3Result, xml};

use crate::access::{Canned, Policy};
use crate::refuse::{internal, refuse};
use crate::store::{Bucket, Store};

pub(crate) const CANNED: &str = "canned";
pub(crate) const POLICY: &str = "policy";
pub(crate) const CORS: &str = "cors";
pub(crate) const WEBSITE: &str = "website";
pub(crate) const NOTIFICATION: &str = "notification";
pub(crate) const OBJECT_LOCK: &str = "object-lock";
pub(crate) const LIFECYCLE: &str = "lifecycle";
pub(crate) const TAGGING: &str = "tagging";
pub(crate) const PUBLIC_ACCESS_BLOCK: &str = "public-access-block";
pub(crate) const OWNERSHIP: &str = "ownership";

/// How many buckets' documents are kept parsed.
const SHELF: usize = 1024;

/// A bucket with what every request to it may need, parsed.
pub(crate) struct Rules {
    pub(crate) bucket: Bucket,
    pub(crate) canned: Canned,
    pub(crate) policy: Option<Policy>,
    pub(crate) block: PublicAccessBlockConfiguration,
    pub(crate) cors: Option<CORSConfiguration>,
    pub(crate) website: Option<WebsiteConfiguration>,
    pub(crate) notification: Option<NotificationConfiguration>,
    pub(crate) lock: Option<ObjectLockConfiguration>,
}

/// Parsed rules by the bucket's id, good for one generation.
#[derive(Default)]
pub(crate) struct Shelf {
    rules: Mutex<HashMap<u32, Arc<Rules>>>,
}

impl Shelf {
    /// The bucket with its rules as they are now.
    pub(crate) async fn rules(&self, store: &Store, bucket: &str) -> S3Result<Arc<Rules>> {
        let bucket = store.bucket(bucket).await.map_err(refuse)?;
        if let Some(rules) = self.rules.lock().get(&bucket.id)
            && rules.bucket.generation == bucket.generation
        {
            return Ok(Arc::clone(rules));
        }
        let id = bucket.id;
        let rules = Arc::new(load(store, bucket).await?);
        let mut shelf = self.rules.lock();
        if shelf.len() >= SHELF {
            shelf.clear();
        }
        shelf.insert(id, Arc::clone(&rules));
        Ok(rules)
    }
}

async fn load(store: &Store, bucket: Bucket) -> S3Result<Rules> {
    let name = bucket.name.as_str();
    let policy = match store.document(name, POLICY).await.map_err(refuse)? {
        Some(text) => Some(Policy::parse(&text, name).map_err(|e| internal(format!("a kept policy: {e}")))?),
        None => None,
    };
    let canned = store.document(name, CANNED).await.map_err(refuse)?;
    Ok(Rules {
        canned: canned.map_or(Canned::Private, |text| Canned::from_bytes(&text)),
        policy,
        block: get(store, name, PUBLIC_ACCESS_BLOCK).await?.unwrap_or_default(),
        cors: get(store, name, CORS).await?,
        website: get(store, name, WEBSITE).await?,
        notification: get(store, name, NOTIFICATION).await?,
        lock: get(store, name, OBJECT_LOCK).await?,
        bucket,
    })
}

/// Reads an XML document of a bucket.
pub(crate) async fn get<T>(store: &Store, bucket: &str, name: &str) -> S3Result<Option<T>>
where
    T: for<'xml> xml::Deserialize<'xml>,
{
    let Some(text) = store.document(bucket, name).await.map_err(refuse)? else { return Ok(None) };
    let mut reader = xml::Deserializer::new(&text);
    let document =
        T::deserialize(&mut reader).map_err(|e| internal(format!("a kept {name} document: {e}")))?;
    Ok(Some(document))
}

/// Writes an XML document of a bucket.
pub(crate) async fn set<T: xml::Serialize>(
    store: &Store,
    bucket: &str,
    name: &str,
    value: &T,
) -> S3Result<()> {
    let mut text = Vec::with_capacity(256);
    value
        .serialize(&mut xml::Serializer::new(&mut text))
        .map_err(|e| internal(format!("write a {name} document: {e}")))?;
    store.set_document(bucket, name, Some(Bytes::from(text))).await.map_err(refuse)
}

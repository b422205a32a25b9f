//! One kind of object: its cache, and its writes, whose answers go into the cache.

use std::sync::Arc;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};

use crate::cache::{Cache, Change};
use crate::meta::{self, Key, Object};
use crate::patch;

/// Why an object could not be brought to its desired state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{verb} {kind} `{key}`")]
    Api { verb: &'static str, kind: String, key: Key, source: Box<kube::Error> },
    #[error("encode {kind} `{key}`")]
    Encode { kind: String, key: Key, source: serde_json::Error },
    #[error("{0}")]
    Refused(String),
}

impl Error {
    fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    pub(crate) fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// What the API said, without the way there.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => status.message.clone(),
                other => other.to_string(),
            },
            other => other.to_string(),
        }
    }
}

/// How an object is deleted.
#[derive(Clone, Default)]
pub(crate) struct Delete<'a> {
    /// Only the object with this uid.
    pub(crate) uid: Option<&'a str>,
    pub(crate) grace_seconds: Option<u32>,
    pub(crate) propagation: Option<kube::api::PropagationPolicy>,
}

/// Cheap to clone.
pub(crate) struct Kind<K> {
    client: kube::Client,
    cache: Cache<K>,
}

impl<K> Clone for Kind<K> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), cache: self.cache.clone() }
    }
}

impl<K: Object> Kind<K> {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client, cache: Cache::new() }
    }

    pub(crate) fn cache(&self) -> &Cache<K> {
        &self.cache
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.cache.get(key)
    }

    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.cache.all()
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.cache.in_namespace(namespace)
    }

    pub(crate) fn controlled_by(&self, uid: &str) -> Vec<Arc<K>> {
        self.cache.controlled_by(uid)
    }

    pub(crate) fn on_change(&self, handler: impl Fn(Change<'_, K>) + Send + Sync + 'static) {
        self.cache.on_change(handler);
    }

    pub(crate) async fn create(&self, object: &K) -> Result<Arc<K>, Error> {
        let key = Key::of(object.meta());
        let body = serde_json::to_vec(object).map_err(|source| encode::<K>(&key, source))?;
        let request = request::<K>(&key.namespace).create(&PostParams::default(), body);
        self.send("create", &key, request).await
    }

    /// Merges `body` into the object.
    pub(crate) async fn merge(&self, key: &Key, body: &Value) -> Result<Arc<K>, Error> {
        let request =
            request::<K>(&key.namespace).patch(&key.name, &PatchParams::default(), &Patch::Merge(body));
        self.send("patch", key, request).await
    }

    /// Brings `status` from what `old` shows to `new`, if they differ.
    pub(crate) async fn set_status<S: serde::Serialize>(
        &self,
        key: &Key,
        old: Option<&S>,
        new: &S,
    ) -> Result<(), Error> {
        let change = patch::between(old, new).map_err(|source| encode::<K>(key, source))?;
        let Some(change) = change else { return Ok(()) };
        self.merge_status(key, &json!({ "status": change })).await
    }

    /// Merges `body` into the object through its status subresource.
    pub(crate) async fn merge_status(&self, key: &Key, body: &Value) -> Result<(), Error> {
        let request = request::<K>(&key.namespace).patch_subresource(
            "status",
            &key.name,
            &PatchParams::default(),
            &Patch::Merge(body),
        );
        self.send("patch the status of", key, request).await.map(drop)
    }

    /// Deletes the object; one that is gone already is no error.
    pub(crate) async fn delete(&self, key: &Key, how: Delete<'_>) -> Result<(), Error> {
        let known = self.get(key);
        let params = DeleteParams {
            grace_period_seconds: how.grace_seconds,
            propagation_policy: how.propagation,
            preconditions: how
                .uid
                .map(|uid| kube::api::Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        let request = request::<K>(&key.namespace).delete(&key.name, &params);
        let request = request.map_err(|e| api::<K>("delete", key, kube::Error::BuildRequest(e)))?;
        match self.client.request_status::<K>(request).await.map_err(|e| api::<K>("delete", key, e)) {
            Ok(either) => {
                let object = either.left();
                match (object.filter(|o| meta::is_deleting(o.meta())), known) {
                    (Some(object), _) => self.cache.observe(object),
                    (None, Some(known)) => self.cache.forget(key, meta::uid(known.meta())),
                    (None, None) => {}
                }
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn send(
        &self,
        verb: &'static str,
        key: &Key,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Arc<K>, Error> {
        let request = request.map_err(|e| api::<K>(verb, key, kube::Error::BuildRequest(e)))?;
        let object: K = self.client.request(request).await.map_err(|e| api::<K>(verb, key, e))?;
        self.cache.observe(object.clone());
        Ok(Arc::new(object))
    }
}

fn request<K: Object>(namespace: &str) -> Request {
    Request::new(K::url_path(&(), (!namespace.is_empty()).then_some(namespace)))
}

fn api<K: Object>(verb: &'static str, key: &Key, source: kube::Error) -> Error {
    Error::Api { verb, kind: K::kind(&()).into_owned(), key: key.clone(), source: Box::new(source) }
}

fn encode<K: Object>(key: &Key, source: serde_json::Error) -> Error {
    Error::Encode { kind: K::kind(&()).into_owned(), key: key.clone(), source }
}

//! Where backups go: the workspace's own bucket, or a BackupRepo (any S3 bucket, also off-site), and the key
//! that seals them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Client, ResourceExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use sealos_kit::apply;
use serde_json::json;

use crate::Error;
use crate::format::Key;
use crate::kinds::BackupRepo;
use crate::names::{BUCKET, KEY_SECRET};
use crate::repo::Repo;

/// How long a new bucket may take to get its key.
const PATIENCE: Duration = Duration::from_secs(60);
/// The store of the platform has no regions; signatures need one.
const REGION: &str = "us-east-1";

/// Opens repositories.
#[async_trait]
pub(crate) trait Stores: Send + Sync {
    /// The repository of a workspace; it is made if it is the workspace's own and missing.
    async fn open(&self, workspace: &str, repo: &str) -> Result<Repo, Error>;

    /// Whether the repository is gone, so that nothing in it needs to be removed.
    async fn is_gone(&self, workspace: &str, repo: &str) -> Result<bool, Error>;
}

/// Those that the cluster knows.
pub(crate) struct Buckets {
    client: Client,
    endpoint: Option<String>,
}

impl Buckets {
    /// `endpoint` is where the platform's own S3 store is reached from here, if not by its in-cluster name.
    pub(crate) fn new(client: Client, endpoint: Option<String>) -> Self {
        Self { client, endpoint }
    }

    fn buckets(&self, workspace: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("objectstorage.sealos.io", "v1", "ObjectStorageBucket");
        Api::namespaced_with(self.client.clone(), workspace, &ApiResource::from_gvk(&gvk))
    }

    /// The workspace's own bucket.
    async fn own(&self, workspace: &str) -> Result<Arc<dyn ObjectStore>, Error> {
        let bucket = json!({
            "apiVersion": "objectstorage.sealos.io/v1", "kind": "ObjectStorageBucket",
            "metadata": { "name": BUCKET }, "spec": { "policy": "private" },
        });
        let api = self.buckets(workspace);
        let exists = api.get_metadata_opt(BUCKET).await;
        if exists.map_err(Error::api("look for bucket", BUCKET))?.is_none() {
            apply::apply(&self.client, Some(workspace), &bucket).await?;
        }
        let named = |object: Option<&DynamicObject>| object.is_some_and(|o| bucket_name(o).is_some());
        let waiting = kube::runtime::wait::await_condition(api, BUCKET, named);
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        let name = match found {
            Ok(Ok(Some(object))) => bucket_name(&object).unwrap_or_default(),
            _ => {
                return Err(Error::Repository(format!(
                    "the bucket `{BUCKET}` of workspace `{workspace}` did not come about within {PATIENCE:?}; look at `kubectl describe objectstoragebucket {BUCKET}`"
                )));
            }
        };
        let secret = self.secret(workspace, &format!("object-storage-key-{name}")).await?;
        let text = |key: &str| text_of(&secret, key);
        let endpoint = self.endpoint.clone().unwrap_or_else(|| format!("http://{}", text("internal")));
        connect(&endpoint, &name, REGION, &text("accessKey"), &text("secretKey"))
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let waiting = kube::runtime::wait::await_condition(api, name, |s: Option<&Secret>| s.is_some());
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Ok(Some(secret))) => Ok(secret),
            _ => Err(Error::Repository(format!(
                "there is no Secret `{name}` in namespace `{namespace}` with the keys of the backup repository"
            ))),
        }
    }

    /// A repository that an administrator has named.
    async fn named(&self, repo: &str) -> Result<Arc<dyn ObjectStore>, Error> {
        let api: Api<BackupRepo> = Api::all(self.client.clone());
        let found = api.get_opt(repo).await.map_err(Error::api("get backup repository", repo))?;
        let Some(found) = found else {
            return Err(Error::Refused(format!(
                "there is no BackupRepo `{repo}`; leave `repoName` empty for the workspace's own bucket"
            )));
        };
        let incomplete = |what: &str| Error::Refused(format!("the BackupRepo `{repo}` has no {what}"));
        let config = |key: &'static str| found.spec.config.get(key).filter(|v| !v.is_empty());
        let bucket = config("bucket").ok_or_else(|| incomplete("`config.bucket`"))?;
        let credential = found.spec.credential.as_ref().ok_or_else(|| incomplete("`credential`"))?;
        let secret = self.secret(&credential.namespace, &credential.name).await?;
        let region = config("region").map_or(REGION, String::as_str);
        let amazon = format!("https://s3.{region}.amazonaws.com");
        let endpoint = config("endpoint").map_or(amazon.as_str(), String::as_str);
        connect(
            endpoint,
            bucket,
            region,
            &text_of(&secret, "accessKeyId"),
            &text_of(&secret, "secretAccessKey"),
        )
    }

    /// The key of a workspace, made at the first call.
    async fn key(&self, workspace: &str) -> Result<Key, Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), workspace);
        let read = async || api.get_opt(KEY_SECRET).await.map_err(Error::api("get Secret", KEY_SECRET));
        let secret = match read().await? {
            Some(secret) => secret,
            None => {
                let secret: Secret = serde_json::from_value(json!({
                    "metadata": { "name": KEY_SECRET, "annotations": {
                        "databases.sealos.io/note": "seals the backups of this workspace; without it none can be restored, so keep a copy elsewhere" } },
                    "stringData": { "key": Key::random().to_text() },
                }))
                .map_err(|e| Error::Refused(e.to_string()))?;
                match api.create(&PostParams::default(), &secret).await {
                    // Somebody else was first: theirs counts.
                    Ok(_) | Err(kube::Error::Api(_)) => {}
                    Err(error) => return Err(Error::api("make Secret", KEY_SECRET)(error)),
                }
                read().await?.ok_or_else(|| Error::BadKey(workspace.to_owned()))?
            }
        };
        Key::parse(&text_of(&secret, "key")).ok_or_else(|| Error::BadKey(workspace.to_owned()))
    }
}

#[async_trait]
impl Stores for Buckets {
    async fn open(&self, workspace: &str, repo: &str) -> Result<Repo, Error> {
        let store = if repo.is_empty() { self.own(workspace).await? } else { self.named(repo).await? };
        Ok(Repo::new(store, self.key(workspace).await?))
    }

    async fn is_gone(&self, workspace: &str, repo: &str) -> Result<bool, Error> {
        if repo.is_empty() {
            let found = self.buckets(workspace).get_opt(BUCKET).await;
            let found = found.map_err(Error::api("look for bucket", BUCKET))?;
            return Ok(found.is_none_or(|b| b.metadata.deletion_timestamp.is_some()));
        }
        let api: Api<BackupRepo> = Api::all(self.client.clone());
        let found =
            api.get_metadata_opt(repo).await.map_err(Error::api("look for backup repository", repo))?;
        Ok(found.is_none())
    }
}

fn bucket_name(bucket: &DynamicObject) -> Option<String> {
    debug_assert!(bucket.name_any() == BUCKET, "only this one is asked for");
    bucket.data.pointer("/status/name")?.as_str().filter(|n| !n.is_empty()).map(str::to_owned)
}

fn text_of(secret: &Secret, key: &str) -> String {
    let bytes = secret.data.as_ref().and_then(|d| d.get(key));
    bytes.map(|b| String::from_utf8_lossy(&b.0).trim().to_owned()).unwrap_or_default()
}

/// A client of an S3 endpoint.
fn connect(
    endpoint: &str,
    bucket: &str,
    region: &str,
    access: &str,
    secret: &str,
) -> Result<Arc<dyn ObjectStore>, Error> {
    // Whoever is first installs it; a second call has nothing to do.
    drop(rustls::crypto::ring::default_provider().install_default());
    let endpoint = if endpoint.contains("://") { endpoint.to_owned() } else { format!("http://{endpoint}") };
    // A part of a large backup takes as long as it takes; a dead peer is found by its silence.
    let options = ClientOptions::new()
        .with_allow_http(true)
        .with_connect_timeout(Duration::from_secs(10))
        .with_timeout(Duration::from_secs(600));
    let retry =
        RetryConfig { max_retries: 6, retry_timeout: Duration::from_secs(120), ..RetryConfig::default() };
    let store = AmazonS3Builder::new()
        .with_endpoint(endpoint.trim_end_matches('/'))
        .with_bucket_name(bucket)
        .with_region(region)
        .with_access_key_id(access)
        .with_secret_access_key(secret)
        .with_client_options(options)
        .with_retry(retry)
        .build();
    match store {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(Error::Repository(format!("the S3 endpoint `{endpoint}` cannot be used: {error}"))),
    }
}

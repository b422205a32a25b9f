//! The files of ConfigMap, Secret, downward API and projected volumes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, ServiceAccount, ServiceAccountTokenProjection,
    Volume, VolumeProjection,
};
use kube::api::PostParams;
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Error;
use super::atomic::{File, Files};
use crate::downward::{self, Place};
use crate::sources::{Kind, Sources};

const DEFAULT_MODE: i32 = 0o644;
const DEFAULT_TOKEN_SECONDS: i64 = 3600;

/// What a volume's files come from.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    projections: Vec<VolumeProjection>,
    mode: i32,
    /// Tokens that are still young, by their path.
    tokens: Arc<Mutex<HashMap<String, Token>>>,
}

#[derive(Clone, Debug)]
struct Token {
    text: String,
    refresh_at: Instant,
}

/// What the files are read with.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub client: &'a Client,
    pub sources: &'a Sources,
    pub pod: &'a Pod,
    pub place: &'a Place,
}

/// The files, and when they must be made anew although nothing changed.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub files: Files,
    pub refresh_at: Option<Instant>,
}

impl Content {
    /// The content of a volume, if it is one of these kinds. All are treated as projections.
    pub(crate) fn of(volume: &Volume) -> Option<Self> {
        let one = |projection, mode: Option<i32>| Some(Self::new(vec![projection], mode));
        if let Some(source) = &volume.config_map {
            let projection = k8s_openapi::api::core::v1::ConfigMapProjection {
                name: source.name.clone(),
                items: source.items.clone(),
                optional: source.optional,
            };
            let projection = VolumeProjection { config_map: Some(projection), ..VolumeProjection::default() };
            return one(projection, source.default_mode);
        }
        if let Some(source) = &volume.secret {
            let projection = k8s_openapi::api::core::v1::SecretProjection {
                name: source.secret_name.clone().unwrap_or_default(),
                items: source.items.clone(),
                optional: source.optional,
            };
            let projection = VolumeProjection { secret: Some(projection), ..VolumeProjection::default() };
            return one(projection, source.default_mode);
        }
        if let Some(source) = &volume.downward_api {
            let projection =
                k8s_openapi::api::core::v1::DownwardAPIProjection { items: source.items.clone() };
            let projection =
                VolumeProjection { downward_api: Some(projection), ..VolumeProjection::default() };
            return one(projection, source.default_mode);
        }
        let source = volume.projected.as_ref()?;
        Some(Self::new(source.sources.clone().unwrap_or_default(), source.default_mode))
    }

    fn new(projections: Vec<VolumeProjection>, mode: Option<i32>) -> Self {
        Self { projections, mode: mode.unwrap_or(DEFAULT_MODE), tokens: Arc::default() }
    }

    /// Whether a change of this object changes the files.
    pub(crate) fn depends_on(&self, kind: Kind, name: &str) -> bool {
        self.projections.iter().any(|p| match kind {
            Kind::ConfigMap => p.config_map.as_ref().is_some_and(|c| c.name == name),
            Kind::Secret => p.secret.as_ref().is_some_and(|s| s.name == name),
        })
    }

    pub(crate) fn uses(&self, kind: Kind) -> bool {
        self.projections.iter().any(|p| match kind {
            Kind::ConfigMap => p.config_map.is_some(),
            Kind::Secret => p.secret.is_some(),
        })
    }

    /// Whether the files show the pod itself.
    pub(crate) fn uses_pod(&self) -> bool {
        self.projections.iter().any(|p| p.downward_api.is_some())
    }

    pub(crate) async fn read(&self, reader: Reader<'_>) -> Result<Read, Error> {
        let mut read = Read::default();
        for projection in &self.projections {
            self.project(projection, reader, &mut read).await?;
        }
        Ok(read)
    }

    async fn project(
        &self,
        projection: &VolumeProjection,
        reader: Reader<'_>,
        read: &mut Read,
    ) -> Result<(), Error> {
        let namespace = reader.pod.metadata.namespace.as_deref().unwrap_or_default();
        if let Some(from) = &projection.config_map {
            let optional = from.optional == Some(true);
            let object = reader.sources.config_map(namespace, &from.name).await;
            match object.map_err(|e| Error::api("read configmap", &from.name, e))? {
                Some(object) => {
                    self.pick(&data_of_config_map(object), from.items.as_deref(), optional, read)?
                }
                None if optional => {}
                None => return Err(Error::Missing { what: "configmap", name: from.name.clone() }),
            }
        }
        if let Some(from) = &projection.secret {
            let optional = from.optional == Some(true);
            let object = reader.sources.secret(namespace, &from.name).await;
            match object.map_err(|e| Error::api("read secret", &from.name, e))? {
                Some(object) => self.pick(&data_of_secret(object), from.items.as_deref(), optional, read)?,
                None if optional => {}
                None => return Err(Error::Missing { what: "secret", name: from.name.clone() }),
            }
        }
        for item in projection.downward_api.iter().flat_map(|d| d.items.iter().flatten()) {
            let value = downward_value(item, reader)?;
            read.files.insert(item.path.clone(), self.file(value.into_bytes(), item.mode));
        }
        if let Some(from) = &projection.service_account_token {
            let token = self.token(from, reader).await?;
            read.refresh_at = Some(read.refresh_at.map_or(token.refresh_at, |at| at.min(token.refresh_at)));
            read.files.insert(from.path.clone(), self.file(token.text.into_bytes(), None));
        }
        if projection.cluster_trust_bundle.is_some() || projection.pod_certificate.is_some() {
            return Err(Error::Unsupported("projected certificates"));
        }
        Ok(())
    }

    async fn token(&self, from: &ServiceAccountTokenProjection, reader: Reader<'_>) -> Result<Token, Error> {
        let known = self.tokens.lock().get(&from.path).cloned();
        if let Some(token) = known.filter(|token| token.refresh_at > Instant::now()) {
            return Ok(token);
        }
        let (text, lifetime) = request_token(from, reader).await?;
        let token = Token { text, refresh_at: Instant::now() + lifetime.mul_f64(0.8) };
        self.tokens.lock().insert(from.path.clone(), token.clone());
        Ok(token)
    }

    fn file(&self, bytes: Vec<u8>, mode: Option<i32>) -> File {
        File { bytes, mode: u32::try_from(mode.unwrap_or(self.mode)).unwrap_or(0o644) }
    }

    /// All of an object's keys, or those that `items` names, under the paths it gives them.
    fn pick(
        &self,
        data: &Files,
        items: Option<&[KeyToPath]>,
        optional: bool,
        read: &mut Read,
    ) -> Result<(), Error> {
        match items {
            None | Some([]) => {
                let all = data.iter().map(|(key, file)| (key.clone(), self.file(file.bytes.clone(), None)));
                read.files.extend(all);
            }
            Some(items) => {
                for item in items {
                    match data.get(&item.key) {
                        Some(file) => {
                            read.files.insert(item.path.clone(), self.file(file.bytes.clone(), item.mode));
                        }
                        None if optional => {}
                        None => return Err(Error::MissingKey { key: item.key.clone() }),
                    }
                }
            }
        }
        Ok(())
    }
}

fn data_of_config_map(object: ConfigMap) -> Files {
    let text = object.data.into_iter().flatten().map(|(key, text)| (key, text.into_bytes()));
    let binary = object.binary_data.into_iter().flatten().map(|(key, bytes)| (key, bytes.0));
    text.chain(binary).map(|(key, bytes)| (key, File { bytes, mode: 0 })).collect()
}

fn data_of_secret(object: Secret) -> Files {
    object.data.into_iter().flatten().map(|(key, bytes)| (key, File { bytes: bytes.0, mode: 0 })).collect()
}

fn downward_value(item: &DownwardAPIVolumeFile, reader: Reader<'_>) -> Result<String, Error> {
    let unknown = |path: &str| Error::Field { path: path.to_owned() };
    if let Some(field) = &item.field_ref {
        return downward::field(reader.pod, reader.place, &field.field_path)
            .ok_or_else(|| unknown(&field.field_path));
    }
    let Some(selector) = &item.resource_field_ref else { return Err(unknown(&item.path)) };
    let wanted = selector.container_name.as_deref().unwrap_or_default();
    let spec = reader.pod.spec.as_ref();
    let mut all = spec.into_iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
    let container = all.find(|c| c.name == wanted).ok_or_else(|| unknown(&selector.resource))?;
    downward::resource(container, reader.place, selector).ok_or_else(|| unknown(&selector.resource))
}

/// A token for the pod's service account that is valid as long as the pod exists.
async fn request_token(
    from: &ServiceAccountTokenProjection,
    reader: Reader<'_>,
) -> Result<(String, Duration), Error> {
    let meta = &reader.pod.metadata;
    let spec = reader.pod.spec.as_ref();
    let account = spec.and_then(|s| s.service_account_name.as_deref()).unwrap_or("default");
    let seconds = from.expiration_seconds.unwrap_or(DEFAULT_TOKEN_SECONDS);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            audiences: from.audience.iter().cloned().collect::<Vec<_>>().into(),
            expiration_seconds: Some(seconds),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: meta.name.clone(),
                uid: meta.uid.clone(),
            }),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let api: Api<ServiceAccount> = Api::namespaced(reader.client.clone(), namespace);
    let failed = |e| Error::api("get a token for service account", account, e);
    let answer = api.create_subresource("token", account, &PostParams::default(), &request).await;
    let answer: TokenRequest = answer.map_err(failed)?;
    let status = answer.status.unwrap_or_default();
    let expires = status.expiration_timestamp.map_or(0, |time| time.0.as_second());
    let left = u64::try_from(expires - Timestamp::now().as_second()).unwrap_or(0);
    Ok((status.token.unwrap_or_default(), Duration::from_secs(left.max(60))))
}

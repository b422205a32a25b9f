//! The volumes of a pod: made before its containers start, kept up to date, removed with it.

pub(crate) mod atomic;
pub(crate) mod content;
pub(crate) mod host;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use kube::{Api, Client};

use crate::quantity;
use content::{Content, Reader};
use tokio::time::Instant;

/// Why a volume is not there yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{what} \"{name}\" not found")]
    Missing { what: &'static str, name: String },
    #[error("references non-existent config key: {key}")]
    MissingKey { key: String },
    #[error("`{path}` is no field that pods offer")]
    Field { path: String },
    #[error("{attempt} \"{name}\": {source}")]
    Api {
        attempt: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("{attempt} `{path}`: {source}")]
    Io {
        attempt: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("hostPath type check failed: {} {what}", path.display())]
    HostPath { path: PathBuf, what: &'static str },
    #[error("subPath `{sub}` leads out of the volume")]
    SubPath { sub: String },
    #[error("PersistentVolumeClaim \"{name}\" is not bound yet")]
    Unbound { name: String },
    #[error("PersistentVolume \"{name}\" is of a kind this node cannot mount: use hostPath or local")]
    Foreign { name: String },
    #[error("{0} are not supported by this node")]
    Unsupported(&'static str),
    #[error("no volume of the pod is named `{name}`")]
    Unknown { name: String },
}

impl Error {
    fn api(attempt: &'static str, name: &str, source: kube::Error) -> Self {
        Self::Api { attempt, name: name.to_owned(), source: Box::new(source) }
    }
}

/// A volume that is ready to be mounted.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub path: PathBuf,
    pub read_only: bool,
    /// Where its files come from, for volumes that follow other objects.
    pub content: Option<Content>,
    /// When the files must be made anew although nothing changed.
    pub refresh_at: Option<Instant>,
}

pub(crate) type Volumes = HashMap<String, Ready>;

/// The error of one volume, with its name for the event.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {source}")]
pub(crate) struct SetUpError {
    pub volume: String,
    #[source]
    pub source: Error,
}

/// Makes all volumes of the pod below `dir`. Calling it again repairs what is missing.
pub(crate) async fn set_up(reader: Reader<'_>, dir: &Path) -> Result<Volumes, SetUpError> {
    let volumes = reader.pod.spec.as_ref().and_then(|s| s.volumes.as_deref()).unwrap_or_default();
    let made = volumes.iter().map(|volume| async move {
        let ready = make(reader, volume, dir).await;
        let named = |source| SetUpError { volume: volume.name.clone(), source };
        Ok((volume.name.clone(), ready.map_err(named)?))
    });
    futures::future::try_join_all(made).await.map(|list| list.into_iter().collect())
}

async fn make(reader: Reader<'_>, volume: &Volume, dir: &Path) -> Result<Ready, Error> {
    let path = dir.join(&volume.name);
    let group = fs_group(reader.pod);
    if let Some(content) = Content::of(volume) {
        let read = content.read(reader).await?;
        write(&path, read.files, group).await?;
        return Ok(Ready { path, read_only: true, content: Some(content), refresh_at: read.refresh_at });
    }
    let ready = |path, read_only| Ready { path, read_only, content: None, refresh_at: None };
    if let Some(source) = &volume.empty_dir {
        let size = source.size_limit.as_ref().and_then(quantity::units).and_then(|s| u64::try_from(s).ok());
        let memory = (source.medium.as_deref() == Some("Memory")).then_some(size);
        let at = path.clone();
        blocking(move || {
            host::empty_dir(&at, memory)?;
            group.map_or(Ok(()), |group| host::give_to_group(&at, group, true))
        })
        .await?;
        return Ok(ready(path, false));
    }
    if let Some(source) = &volume.host_path {
        let path = PathBuf::from(&source.path);
        let (at, kind) = (path.clone(), source.type_.clone().unwrap_or_default());
        blocking(move || host::host_path(&at, &kind)).await?;
        return Ok(ready(path, false));
    }
    let claim = match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => (source.claim_name.clone(), source.read_only == Some(true)),
        (None, Some(_)) => {
            let pod = reader.pod.metadata.name.as_deref().unwrap_or_default();
            (format!("{pod}-{}", volume.name), false)
        }
        (None, None) => return Err(Error::Unsupported("volumes of this kind")),
    };
    let path = claimed(reader, &claim.0).await?;
    if let Some(group) = group {
        let at = path.clone();
        let lazy = change_policy(reader.pod) == Some("OnRootMismatch");
        blocking(move || host::give_to_group(&at, group, lazy)).await?;
    }
    Ok(ready(path, claim.1))
}

/// The directory of the PersistentVolume that a claim is bound to.
async fn claimed(reader: Reader<'_>, name: &str) -> Result<PathBuf, Error> {
    let namespace = reader.pod.metadata.namespace.as_deref().unwrap_or_default();
    let client: &Client = reader.client;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let claim = claims.get_opt(name).await.map_err(|e| Error::api("read persistentvolumeclaim", name, e))?;
    let missing = || Error::Missing { what: "persistentvolumeclaim", name: name.to_owned() };
    let claim = claim.ok_or_else(missing)?;
    let bound = claim.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound");
    let volume = claim.spec.and_then(|s| s.volume_name).filter(|v| bound && !v.is_empty());
    let volume = volume.ok_or_else(|| Error::Unbound { name: name.to_owned() })?;
    let volumes: Api<PersistentVolume> = Api::all(client.clone());
    let found =
        volumes.get_opt(&volume).await.map_err(|e| Error::api("read persistentvolume", &volume, e))?;
    let spec = found.and_then(|v| v.spec);
    let spec = spec.ok_or_else(|| Error::Missing { what: "persistentvolume", name: volume.clone() })?;
    let (path, kind) = match (spec.host_path, spec.local) {
        (Some(source), _) => (source.path, source.type_.unwrap_or_default()),
        (None, Some(source)) => (source.path, "Directory".to_owned()),
        (None, None) => return Err(Error::Foreign { name: volume }),
    };
    let path = PathBuf::from(path);
    let at = path.clone();
    blocking(move || host::host_path(&at, &kind)).await?;
    Ok(path)
}

/// Replaces the files of a content volume.
pub(crate) async fn write(path: &Path, files: atomic::Files, group: Option<u32>) -> Result<(), Error> {
    let path = path.to_owned();
    blocking(move || {
        let written = atomic::write(&path, &files, group);
        written.map(drop).map_err(|source| Error::Io { attempt: "write volume", path, source })
    })
    .await
}

/// The group that owns the volumes of a pod, if it asks for one.
pub(crate) fn fs_group(pod: &Pod) -> Option<u32> {
    let context = pod.spec.as_ref()?.security_context.as_ref()?;
    context.fs_group.and_then(|group| u32::try_from(group).ok())
}

fn change_policy(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.security_context.as_ref()?.fs_group_change_policy.as_deref()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let stopped = |e| Error::Io {
        attempt: "finish work on",
        path: PathBuf::from("the volume"),
        source: std::io::Error::other(e),
    };
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}

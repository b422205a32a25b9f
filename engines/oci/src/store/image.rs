//! An image as others see it, and the manifest behind it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use oci_spec::image::ImageConfiguration;
use serde::{Deserialize, Serialize};

use super::index::Known;
use super::{Images, blobs::Pins};
use crate::digest::Digest;
use crate::{Error, Reference};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(super) const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// An image that is complete on this machine.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the manifest: what `repo@sha256:…` names.
    pub digest: String,
    /// Digest of the configuration: what Docker calls the image id.
    pub id: String,
    pub config: ImageConfiguration,
    /// Unpacked layers, top first, ready to be overlayfs's lower directories.
    pub layers: Vec<PathBuf>,
    /// Bytes of the compressed layers and the configuration.
    pub size: u64,
    /// Full names with tags.
    pub names: Vec<String>,
    /// Full names with digests.
    pub repo_digests: Vec<String>,
    pub source: Source,
}

/// Where an image came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    Registry,
    /// Built from the distribution's packages, because the registry was out of reach.
    Packages,
    Build,
    Archive,
}

/// A manifest in OCI's or Docker's format; the two differ in media types only.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) media_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// Content by type, digest and size.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) variant: Option<String>,
}

/// A layer that is in the store both as a blob and as a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    pub(crate) diff_id: Digest,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

impl Descriptor {
    pub(crate) fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self { media_type: media_type.to_owned(), digest, size, annotations: BTreeMap::new(), platform: None }
    }
}

impl Manifest {
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Self, Error> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|e| Error::malformed(format!("the manifest of {what}"), e))?;
        if manifest.schema_version == 2 {
            return Ok(manifest);
        }
        let reason = format!("schema version {} is not supported", manifest.schema_version);
        Err(Error::malformed(format!("the manifest of {what}"), reason))
    }

    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|e| Error::malformed("a manifest", e))
    }
}

/// The digests of the uncompressed layers, bottom first, checked against the manifest.
pub(crate) fn diff_ids(config: &ImageConfiguration, manifest: &Manifest) -> Result<Vec<Digest>, Error> {
    let ids: Result<Vec<Digest>, Error> = config.rootfs().diff_ids().iter().map(|id| id.parse()).collect();
    let ids = ids?;
    if ids.len() == manifest.layers.len() {
        return Ok(ids);
    }
    let reason =
        format!("its configuration lists {} layers, its manifest {}", ids.len(), manifest.layers.len());
    Err(Error::malformed("the image", reason))
}

pub(crate) fn parse_config(bytes: &[u8]) -> Result<ImageConfiguration, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::malformed("the image's configuration", e))
}

/// This machine's architecture, in the words that images use.
pub(crate) fn platform_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

impl Images {
    /// Makes an image known whose blobs and layers are all in the store.
    pub(crate) fn add_image(
        &self,
        manifest: &[u8],
        names: &[Reference],
        source: Source,
    ) -> Result<Image, Error> {
        let mut pins: Pins = self.pins();
        let digest = Digest::of(manifest);
        pins.add(&digest);
        self.put_blob(manifest)?;
        self.update_index(|index| {
            index.images.entry(digest.clone()).or_insert(Known { source });
            for name in names {
                index.names.insert(name.key(), digest.clone());
            }
        })?;
        self.get(&digest).ok_or_else(|| Error::malformed("the image", "a part of it is missing on disk"))
    }

    /// Reads an image from disk; nothing if a part is missing or damaged.
    pub(super) fn read_image(&self, digest: &Digest) -> Option<Image> {
        match self.load_image(digest) {
            Ok(image) => image,
            Err(error) => {
                tracing::warn!(%digest, %error, "image cannot be used");
                None
            }
        }
    }

    fn load_image(&self, digest: &Digest) -> Result<Option<Image>, Error> {
        let manifest = self.manifest(digest)?;
        let config = parse_config(&self.read_document(&manifest.config.digest)?)?;
        let diff_ids = diff_ids(&config, &manifest)?;
        if !diff_ids.iter().all(|diff_id| self.has_layer(diff_id)) {
            return Ok(None);
        }
        let layers = self.stacked(diff_ids.iter());
        let size = manifest.config.size + manifest.layers.iter().map(|layer| layer.size).sum::<u64>();
        Ok(Some(Image {
            digest: digest.to_string(),
            id: manifest.config.digest.to_string(),
            config,
            layers,
            size,
            names: Vec::new(),
            repo_digests: Vec::new(),
            source: Source::Registry,
        }))
    }

    pub(crate) fn manifest(&self, digest: &Digest) -> Result<Manifest, Error> {
        Manifest::parse(&self.read_document(digest)?, digest.as_str())
    }
}

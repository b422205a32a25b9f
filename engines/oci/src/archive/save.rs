//! Writing images into an archive.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use tokio::io::AsyncWrite;
use tokio_util::io::SyncIoBridge;

use super::{DockerImage, NAME_ANNOTATION, OCI_LAYOUT, OciIndex, TAG_ANNOTATION};
use crate::digest::Digest;
use crate::store::{Descriptor, Manifest, OCI_MANIFEST, blocking};
use crate::{Error, Images, Reference};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Images {
    /// Writes the images as one archive that Docker, Podman, Skopeo and containerd load.
    pub async fn save(
        &self,
        references: &[Reference],
        out: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(), Error> {
        let images = self.clone();
        let references = references.to_vec();
        blocking(move || images.save_to(&references, SyncIoBridge::new(out))).await
    }

    fn save_to(&self, references: &[Reference], out: impl Write) -> Result<(), Error> {
        let mut pins = self.pins();
        let mut index =
            OciIndex { schema_version: 2, media_type: Some(OCI_INDEX.into()), manifests: Vec::new() };
        let mut docker = Vec::new();
        let mut blobs: BTreeMap<Digest, u64> = BTreeMap::new();
        for reference in references {
            let image = self
                .find(reference)
                .ok_or_else(|| Error::NotFound { reference: reference.to_string(), registry: None })?;
            let digest: Digest = image.digest.parse()?;
            let bytes = self.read_document(&digest)?;
            let manifest = Manifest::parse(&bytes, image.digest.as_str())?;
            let size = bytes.len() as u64;
            index.manifests.push(describe(reference, &manifest, &digest, size));
            docker.push(docker_image(reference, &manifest));
            blobs.insert(digest, size);
            for part in manifest.layers.iter().chain([&manifest.config]) {
                blobs.insert(part.digest.clone(), part.size);
            }
        }
        blobs.keys().for_each(|digest| pins.add(digest));
        self.write_archive(&index, &docker, &blobs, out)
    }

    fn write_archive(
        &self,
        index: &OciIndex,
        docker: &[DockerImage],
        blobs: &BTreeMap<Digest, u64>,
        out: impl Write,
    ) -> Result<(), Error> {
        let unwritten = |e: io::Error| Error::io("write", "the archive")(e);
        let json = |e: serde_json::Error| Error::malformed("the archive's index", e);
        let mut tar = tar::Builder::new(out);
        let mut add = |name: &str, size: u64, content: &mut dyn Read| {
            tar.append_data(&mut file_header(size), name, content).map_err(unwritten)
        };
        let index = serde_json::to_vec(index).map_err(json)?;
        let docker = serde_json::to_vec(docker).map_err(json)?;
        for (name, content) in
            [("oci-layout", OCI_LAYOUT), ("index.json", &index), ("manifest.json", &docker)]
        {
            add(name, content.len() as u64, &mut &*content)?;
        }
        for (digest, size) in blobs {
            add(&blob_name(digest), *size, &mut self.open_blob(digest)?)?;
        }
        tar.into_inner().and_then(|mut out| out.flush()).map_err(unwritten)
    }
}

fn describe(reference: &Reference, manifest: &Manifest, digest: &Digest, size: u64) -> Descriptor {
    let media_type = manifest.media_type.as_deref().unwrap_or(OCI_MANIFEST);
    let mut descriptor = Descriptor::new(media_type, digest.clone(), size);
    if let Some(tag) = reference.tag() {
        descriptor.annotations.insert(NAME_ANNOTATION.into(), reference.to_string());
        descriptor.annotations.insert(TAG_ANNOTATION.into(), tag.to_owned());
    }
    descriptor
}

fn docker_image(reference: &Reference, manifest: &Manifest) -> DockerImage {
    DockerImage {
        config: blob_name(&manifest.config.digest),
        repo_tags: Some(reference.tag().map(|_| reference.familiar()).into_iter().collect()),
        layers: manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect(),
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn file_header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header
}

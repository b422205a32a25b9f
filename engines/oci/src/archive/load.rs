//! Reading images from an archive, in whatever order its files come.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tokio::io::AsyncRead;
use tokio_util::io::SyncIoBridge;

use super::{DockerImage, NAME_ANNOTATION, OciIndex, TAG_ANNOTATION};
use crate::digest::Digest;
use crate::store::{
    Descriptor, Manifest, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Pins, Platform, Source, blocking,
    decompressed, diff_ids, parse_config,
};
use crate::unpack::{Entries, Kind, clean};
use crate::{Error, Image, Images, Reference};

const LARGEST_DOCUMENT: u64 = 8 << 20;
/// An index in an index in an index is nobody's honest work.
const DEEPEST_INDEX: usize = 3;

impl Images {
    /// Takes in all images of an archive: an OCI layout or what `docker save` writes, compressed or not.
    pub async fn load(&self, archive: impl AsyncRead + Unpin + Send + 'static) -> Result<Vec<Image>, Error> {
        let images = self.clone();
        blocking(move || images.load_from(SyncIoBridge::new(archive))).await
    }

    fn load_from(&self, archive: impl Read) -> Result<Vec<Image>, Error> {
        let mut staged = Staged::read(self, archive)?;
        let found = staged.images()?;
        if found.is_empty() {
            let reason =
                "it is neither an OCI layout nor a `docker save` archive for this machine's architecture";
            return Err(Error::malformed("the archive", reason));
        }
        found.into_iter().map(|(manifest, names)| self.take_in(&manifest, &names)).collect()
    }

    fn take_in(&self, manifest: &[u8], names: &[Reference]) -> Result<Image, Error> {
        let parsed = Manifest::parse(manifest, "the archive")?;
        let config = parse_config(&self.read_document(&parsed.config.digest)?)?;
        for (layer, diff_id) in parsed.layers.iter().zip(diff_ids(&config, &parsed)?) {
            self.unpack_blob(&layer.digest, &diff_id, |_| {})?;
        }
        self.add_image(manifest, names, Source::Archive)
    }
}

/// A manifest and the image's names.
type Found = (Vec<u8>, Vec<Reference>);

/// An archive's files, as blobs of the store, or in memory if they are its tables of contents.
struct Staged<'a> {
    images: &'a Images,
    pins: Pins,
    documents: HashMap<PathBuf, Vec<u8>>,
    blobs: HashMap<PathBuf, (Digest, u64)>,
    links: HashMap<PathBuf, PathBuf>,
}

impl<'a> Staged<'a> {
    fn read(images: &'a Images, archive: impl Read) -> Result<Self, Error> {
        let stream = decompressed(archive).map_err(unreadable)?;
        let mut entries = Entries::new(stream);
        let mut staged = Self {
            images,
            pins: images.pins(),
            documents: HashMap::new(),
            blobs: HashMap::new(),
            links: HashMap::new(),
        };
        while let Some(entry) = entries.next_entry().map_err(unreadable)? {
            let path = clean(&entry.path)?;
            match entry.kind {
                Kind::File if is_document(&path) => {
                    let mut content = Vec::new();
                    (&mut entries).take(LARGEST_DOCUMENT).read_to_end(&mut content).map_err(unreadable)?;
                    staged.documents.insert(path, content);
                }
                Kind::File => {
                    let blob = staged.stage(&path, entry.size, &mut entries)?;
                    staged.blobs.insert(path, blob);
                }
                Kind::Symlink => {
                    let beside = path.parent().unwrap_or(Path::new("")).join(OsStr::from_bytes(&entry.link));
                    staged.links.insert(path, clean(beside.as_os_str().as_bytes())?);
                }
                Kind::Hardlink => {
                    staged.links.insert(path, clean(&entry.link)?);
                }
                _ => {}
            }
        }
        Ok(staged)
    }

    fn stage(&mut self, path: &Path, size: u64, content: &mut impl Read) -> Result<(Digest, u64), Error> {
        let mut blob = self.images.new_blob()?;
        let copied = io::copy(content, &mut blob).map_err(Error::io("store", path))?;
        if copied < size {
            return Err(Error::malformed("the archive", "it ends in the middle of a file"));
        }
        let named = path.file_name().and_then(OsStr::to_str).filter(|_| path.starts_with("blobs/sha256"));
        let (digest, size) = match named {
            Some(hex) => {
                let expected: Digest = format!("sha256:{hex}").parse()?;
                self.pins.add(&expected);
                let size = blob.commit_as(&expected, || format!("`{}` in the archive", path.display()))?;
                (expected, size)
            }
            None => blob.commit()?,
        };
        self.pins.add(&digest);
        Ok((digest, size))
    }

    /// Every image that is whole and made for this machine: its manifest and its names.
    fn images(&mut self) -> Result<Vec<Found>, Error> {
        let mut found = BTreeMap::new();
        if let Some(index) = self.documents.get(Path::new("index.json")) {
            let index = parse_index(index)?;
            self.walk(&index, None, DEEPEST_INDEX, &mut found)?;
        }
        if found.is_empty() && self.documents.contains_key(Path::new("manifest.json")) {
            self.docker_images(&mut found)?;
        }
        Ok(found.into_values().collect())
    }

    fn walk(
        &self,
        index: &OciIndex,
        outer: Option<&Descriptor>,
        depth: usize,
        found: &mut BTreeMap<Digest, Found>,
    ) -> Result<(), Error> {
        for descriptor in &index.manifests {
            let wrong_platform = descriptor.platform.as_ref().is_some_and(|p| !p.is_here());
            let absent = !self.blobs.values().any(|(digest, _)| *digest == descriptor.digest);
            if wrong_platform || absent {
                continue;
            }
            let bytes = self.images.read_document(&descriptor.digest)?;
            let named = outer.unwrap_or(descriptor);
            match parse_index(&bytes) {
                Ok(inner) if depth > 0 => self.walk(&inner, Some(named), depth - 1, found)?,
                Ok(_) => return Err(Error::malformed("the archive", "its indexes are nested too deeply")),
                Err(_) => {
                    let entry = found.entry(descriptor.digest.clone()).or_insert_with(|| (bytes, Vec::new()));
                    entry.1.extend(name_of(named));
                }
            }
        }
        Ok(())
    }

    fn docker_images(&mut self, found: &mut BTreeMap<Digest, Found>) -> Result<(), Error> {
        let bytes = self.documents.get(Path::new("manifest.json")).cloned().unwrap_or_default();
        let listed: Vec<DockerImage> = serde_json::from_slice(&bytes)
            .map_err(|e| Error::malformed("the archive's `manifest.json`", e))?;
        for image in listed {
            let manifest = self.docker_manifest(&image)?.to_bytes()?;
            let names: Result<Vec<_>, _> =
                image.repo_tags.unwrap_or_default().iter().map(|tag| Reference::parse(tag)).collect();
            found.insert(Digest::of(&manifest), (manifest, names?));
        }
        Ok(())
    }

    fn docker_manifest(&mut self, image: &DockerImage) -> Result<Manifest, Error> {
        let (config, size) = match self.documents.get(&clean(image.config.as_bytes())?) {
            Some(content) => {
                self.pins.add(&Digest::of(content));
                (self.images.put_blob(content)?, content.len() as u64)
            }
            None => self.blob(&image.config)?,
        };
        let layers: Result<Vec<Descriptor>, Error> = image
            .layers
            .iter()
            .map(|path| self.blob(path).map(|(digest, size)| Descriptor::new(OCI_LAYER, digest, size)))
            .collect();
        let mut layers = layers?;
        for layer in &mut layers {
            let media_type = self.images.layer_media_type(&layer.digest)?;
            layer.media_type = media_type.to_owned();
        }
        Ok(Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.into()),
            config: Descriptor::new(OCI_CONFIG, config, size),
            layers,
            annotations: BTreeMap::new(),
        })
    }

    fn blob(&self, path: &str) -> Result<(Digest, u64), Error> {
        let mut path = clean(path.as_bytes())?;
        // Docker once wrote layers that repeat as links to each other.
        for _ in 0..self.links.len() {
            match self.links.get(&path) {
                Some(target) => path = target.clone(),
                None => break,
            }
        }
        self.blobs.get(&path).cloned().ok_or_else(|| {
            Error::malformed(
                "the archive",
                format!("`{}`, which its index names, is missing", path.display()),
            )
        })
    }
}

impl Platform {
    /// Whether this machine runs it.
    pub(crate) fn is_here(&self) -> bool {
        self.os == "linux" && self.architecture == crate::store::platform_architecture()
    }
}

/// Tables of contents have names of their own; blobs are named by digest.
fn is_document(path: &Path) -> bool {
    let is_json = path.extension().is_some_and(|ext| ext == "json");
    let known = ["oci-layout", "repositories", "VERSION", "json"];
    is_json || path.file_name().and_then(OsStr::to_str).is_some_and(|name| known.contains(&name))
}

fn parse_index(bytes: &[u8]) -> Result<OciIndex, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::malformed("the archive's `index.json`", e))
}

/// The name that tools leave in annotations. A bare tag is no name.
fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let full = descriptor.annotations.get(NAME_ANNOTATION);
    let short = descriptor.annotations.get(TAG_ANNOTATION).filter(|name| name.contains(['/', ':']));
    full.or(short).and_then(|name| Reference::parse(name).ok())
}

fn unreadable(error: io::Error) -> Error {
    Error::malformed("the archive", error)
}

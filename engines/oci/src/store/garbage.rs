//! Removing what nothing needs any more.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::blobs::remove_file;
use super::image::{LayerRecord, diff_ids, parse_config};
use super::layers::layer_name;
use super::{CachedStep, Images};
use crate::Error;
use crate::digest::Digest;

/// What a removal gave back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freed {
    /// The images that are gone, by their first name or digest.
    pub images: Vec<String>,
    /// Disk space, in bytes.
    pub bytes: u64,
}

/// File names that must stay.
#[derive(Default)]
struct Needed {
    blobs: BTreeSet<String>,
    layers: BTreeSet<String>,
}

impl Images {
    /// Removes images without a name, the build cache, and everything no image needs. `in_use` has the
    /// digests, ids or names of images that something runs from.
    pub fn prune(&self, in_use: &HashSet<String>) -> Result<Freed, Error> {
        self.prune_images(in_use, |image| image.names.is_empty())
    }

    /// Removes every image that nothing runs from, named or not, and the build cache.
    pub fn prune_unused(&self, in_use: &HashSet<String>) -> Result<Freed, Error> {
        self.prune_images(in_use, |_| true)
    }

    fn prune_images(
        &self,
        in_use: &HashSet<String>,
        wanted: impl Fn(&crate::Image) -> bool,
    ) -> Result<Freed, Error> {
        let gone: Vec<_> =
            self.list().into_iter().filter(|image| wanted(image) && !image.is_in_use(in_use)).collect();
        for image in &gone {
            let digest: Digest = image.digest.parse()?;
            self.update_index(|index| index.drop_image(&digest))?;
        }
        let mut bytes = 0;
        for (path, step) in self.cached_steps()? {
            let layer = step.and_then(|step| step.layer);
            if !layer.is_some_and(|layer| self.is_pinned(&layer)) {
                bytes += remove_file(&path)?;
            }
        }
        let mut freed = self.collect(in_use)?;
        freed.bytes += bytes;
        freed.images =
            gone.iter().map(|image| image.names.first().unwrap_or(&image.digest).clone()).collect();
        Ok(freed)
    }

    /// Removes blobs and layers that no image, no cached step and no operation under way needs.
    pub(super) fn collect(&self, in_use: &HashSet<String>) -> Result<Freed, Error> {
        let needed = self.needed(in_use)?;
        // Pinning waits meanwhile: what is pinned afterwards is looked for afterwards.
        let pins = self.inner.pins.lock();
        let pinned_blobs: HashSet<&str> = pins.keys().map(Digest::hex).collect();
        let pinned_layers: HashSet<&str> = pins.keys().map(layer_name).collect();
        let mut bytes = 0;
        for path in names_in(&self.inner.dir.join("blobs/sha256"))? {
            let name = file_name(&path);
            if !needed.blobs.contains(name) && !pinned_blobs.contains(name) {
                bytes += remove_file(&path)?;
            }
        }
        let trash = self.workspace()?;
        for path in names_in(&self.inner.dir.join("layers"))? {
            let name = file_name(&path);
            if !needed.layers.contains(name) && !pinned_layers.contains(name) {
                fs::rename(&path, trash.path().join(name)).map_err(Error::io("remove", &path))?;
            }
        }
        drop(pins);
        self.inner.loaded.lock().clear();
        bytes += disk_usage(trash.path());
        trash.close().map_err(Error::io("empty", self.inner.dir.join("tmp")))?;
        Ok(Freed { images: Vec::new(), bytes })
    }

    fn needed(&self, in_use: &HashSet<String>) -> Result<Needed, Error> {
        let mut needed = Needed::default();
        let digests: Vec<Digest> = self.inner.index.lock().images.keys().cloned().collect();
        let running = in_use.iter().filter_map(|name| name.parse::<Digest>().ok());
        for digest in digests.into_iter().chain(running) {
            // An image that cannot be read keeps nothing but its manifest.
            needed.blobs.insert(digest.hex().to_owned());
            let Ok(manifest) = self.manifest(&digest) else { continue };
            needed.blobs.insert(manifest.config.digest.hex().to_owned());
            needed.blobs.extend(manifest.layers.iter().map(|layer| layer.digest.hex().to_owned()));
            let config = self.read_document(&manifest.config.digest).and_then(|bytes| parse_config(&bytes));
            let Ok(ids) = config.and_then(|config| diff_ids(&config, &manifest)) else { continue };
            needed.layers.extend(ids.iter().map(|id| layer_name(id).to_owned()));
        }
        for layer in self.cached_steps()?.into_iter().filter_map(|(_, step)| step?.layer) {
            needed.blobs.insert(layer.digest.hex().to_owned());
            needed.layers.insert(layer_name(&layer.diff_id).to_owned());
        }
        Ok(needed)
    }

    fn cached_steps(&self) -> Result<Vec<(PathBuf, Option<CachedStep>)>, Error> {
        let steps = names_in(&self.inner.dir.join("cache"))?.into_iter().map(|path| {
            let step = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            (path, step)
        });
        Ok(steps.collect())
    }

    fn is_pinned(&self, layer: &LayerRecord) -> bool {
        self.inner.pins.lock().contains_key(&layer.diff_id)
    }
}

fn names_in(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(dir).map_err(Error::io("read", dir))?;
    entries.map(|entry| entry.map(|e| e.path()).map_err(Error::io("read", dir))).collect()
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

/// Bytes of all files below; an estimate, for a message.
fn disk_usage(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let own = fs::symlink_metadata(path).map_or(0, |m| m.blocks() * 512);
    let Ok(entries) = fs::read_dir(path) else { return own };
    let is_real_dir = fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    if !is_real_dir {
        return own;
    }
    own + entries.flatten().map(|entry| disk_usage(&entry.path())).sum::<u64>()
}

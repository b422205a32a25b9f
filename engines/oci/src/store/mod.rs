//! The images of one cloud, in one directory.
//!
//! ```text
//! index.json           names and where each image came from
//! blobs/sha256/<hex>   manifests, configurations and compressed layers, by their digest
//! layers/<hex>         unpacked layers, by the digest of their uncompressed archive
//! cache/<hex>.json     what a build step produced last time
//! tmp/                 work in progress; emptied at start
//! ```
//!
//! Whatever appears under its final name is whole and flushed: files and directories are made in
//! `tmp`, synced, then renamed. A crash leaves garbage in `tmp` and nothing else.

mod blobs;
mod cache;
mod garbage;
mod image;
mod index;
mod layers;
mod names;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

pub(crate) use blobs::Pins;
pub(crate) use cache::CachedStep;
pub use garbage::Freed;
pub(crate) use image::{
    Descriptor, LayerRecord, Manifest, OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST, Platform,
    diff_ids, parse_config, platform_architecture,
};
pub use image::{Image, Source};
use index::Index;
pub(crate) use layers::decompressed;

use crate::digest::Digest;
use crate::{Error, Reference};

/// The store. Clones share it.
#[derive(Clone)]
pub struct Images {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    index: Mutex<Index>,
    loaded: Mutex<HashMap<Digest, Image>>,
    /// Blobs and layers that operations under way rely on, with how often.
    pins: Mutex<HashMap<Digest, usize>>,
    busy: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Images").field(&self.inner.dir).finish()
    }
}

impl Images {
    /// Opens the store in `dir`, making it if needed. One process at a time.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let dir = dir.as_ref();
        for sub in ["blobs/sha256", "layers", "cache", "tmp"] {
            let sub = dir.join(sub);
            fs::create_dir_all(&sub).map_err(Error::io("make", &sub))?;
        }
        // Layers may hold set-user-id programs and secrets: only root may look inside.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(dir, private).map_err(Error::io("protect", dir))?;
        let dir = dir.canonicalize().map_err(Error::io("resolve", dir))?;
        empty(&dir.join("tmp"))?;
        let index = Index::load(&dir.join("index.json"))?;
        let inner = Inner {
            dir,
            index: Mutex::new(index),
            loaded: Mutex::default(),
            pins: Mutex::default(),
            busy: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The image of that name, if it is complete on disk.
    pub fn find(&self, reference: &Reference) -> Option<Image> {
        let digest = {
            let index = self.inner.index.lock();
            let by_content = reference.parsed_digest().filter(|digest| index.images.contains_key(*digest));
            index.names.get(&reference.key()).or(by_content).cloned()
        };
        self.get(&digest?)
    }

    /// The image with that digest or image id; an unambiguous beginning of the hexadecimal digits is
    /// enough.
    pub fn find_id(&self, id: &str) -> Option<Image> {
        let wanted = id.strip_prefix("sha256:").unwrap_or(id);
        let matches =
            |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(wanted));
        let mut found = self.list().into_iter().filter(|image| matches(&image.digest) || matches(&image.id));
        match (found.next(), found.next()) {
            (Some(image), None) if !wanted.is_empty() => Some(image),
            _ => None,
        }
    }

    /// All images, by digest.
    pub fn list(&self) -> Vec<Image> {
        let digests: Vec<Digest> = self.inner.index.lock().images.keys().cloned().collect();
        digests.iter().filter_map(|digest| self.get(digest)).collect()
    }

    /// The directory the store lives in.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    fn get(&self, digest: &Digest) -> Option<Image> {
        let known = self.inner.loaded.lock().get(digest).cloned();
        let mut image = match known {
            Some(image) => image,
            None => {
                let image = self.read_image(digest)?;
                self.inner.loaded.lock().insert(digest.clone(), image.clone());
                image
            }
        };
        let index = self.inner.index.lock();
        image.names = index.names_of(digest, false);
        image.repo_digests = index.names_of(digest, true);
        image.source = index.images.get(digest)?.source;
        Some(image)
    }

    /// Waits until nobody else in this process works on `what`.
    pub(crate) async fn exclusive(&self, what: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut busy = self.inner.busy.lock();
            busy.retain(|_, lock| lock.strong_count() > 0);
            match busy.get(what).and_then(Weak::upgrade) {
                Some(lock) => lock,
                None => {
                    let lock = Arc::default();
                    busy.insert(what.to_owned(), Arc::downgrade(&lock));
                    lock
                }
            }
        };
        lock.lock_owned().await
    }

    /// A new empty directory for work in progress, removed when the guard goes.
    pub(crate) fn workspace(&self) -> Result<tempfile::TempDir, Error> {
        let tmp = self.inner.dir.join("tmp");
        tempfile::tempdir_in(&tmp).map_err(Error::io("make a directory in", &tmp))
    }

    fn update_index<T>(&self, change: impl FnOnce(&mut Index) -> T) -> Result<T, Error> {
        let mut index = self.inner.index.lock();
        let mut next = index.clone();
        let result = change(&mut next);
        next.save(&self.inner.dir.join("index.json"))?;
        *index = next;
        Ok(result)
    }
}

/// Runs blocking work on a thread made for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(Error::malformed("an internal task", e)),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(Error::io("flush", dir))
}

fn empty(dir: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let path = entry.map_err(Error::io("read", dir))?.path();
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        removed.map_err(Error::io("remove", &path))?;
    }
    Ok(())
}

//! The names of images, and the file that keeps them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::image::Source;
use super::sync_dir;
use crate::Error;
use crate::digest::Digest;

const VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    version: u32,
    /// Full references (`repo:tag` or `repo@digest`) to manifests.
    pub(super) names: BTreeMap<String, Digest>,
    pub(super) images: BTreeMap<Digest, Known>,
}

/// What is known of an image beyond its own files.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) source: Source,
}

impl Default for Index {
    fn default() -> Self {
        Self { version: VERSION, names: BTreeMap::new(), images: BTreeMap::new() }
    }
}

impl Index {
    pub(super) fn load(path: &Path) -> Result<Self, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        let malformed = |reason: String| {
            let reason = format!("{reason}; move it away to start with an empty image store");
            Error::malformed(format!("the image index {}", path.display()), reason)
        };
        let index: Self = serde_json::from_slice(&bytes).map_err(|e| malformed(e.to_string()))?;
        if index.version == VERSION {
            Ok(index)
        } else {
            Err(malformed(format!("it has version {}, this program knows {VERSION}", index.version)))
        }
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::malformed("the image index", e))?;
        write_atomically(path, &bytes)
    }

    /// The tags of an image, or the names by digest.
    pub(super) fn names_of(&self, digest: &Digest, by_digest: bool) -> Vec<String> {
        self.names
            .iter()
            .filter(|(name, at)| *at == digest && name.contains('@') == by_digest)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Forgets images that have no name; returns their digests.
    pub(super) fn drop_image(&mut self, digest: &Digest) {
        self.names.retain(|_, at| at != digest);
        self.images.remove(digest);
    }
}

/// Replaces a file so that a crash leaves the old or the new one.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(Error::io("write in", dir))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(Error::io("write", path))?;
    file.persist(path).map_err(|e| Error::io("replace", path)(e.error))?;
    sync_dir(dir)
}

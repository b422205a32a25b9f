//! What build steps produced, so that an unchanged step need not run again.

use std::fs;

use serde::{Deserialize, Serialize};

use super::image::LayerRecord;
use super::index::write_atomically;
use super::{Images, blobs::Pins};
use crate::Error;
use crate::digest::Digest;

/// The outcome of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CachedStep {
    /// None if the step changed nothing.
    pub(crate) layer: Option<LayerRecord>,
    /// When it ran, in the form that images have: a step that need not run again keeps its time, so
    /// that an unchanged build gives the very same image.
    pub(crate) created: String,
}

impl Images {
    /// The outcome remembered for a step, if its layer is still there; it is pinned then.
    pub(crate) fn cached_step(&self, key: &Digest, pins: &mut Pins) -> Option<CachedStep> {
        let bytes = fs::read(self.cache_path(key)).ok()?;
        let step: CachedStep = serde_json::from_slice(&bytes).ok()?;
        if let Some(layer) = &step.layer {
            pins.add(&layer.digest);
            pins.add(&layer.diff_id);
            if !self.has_blob(&layer.digest) || !self.has_layer(&layer.diff_id) {
                return None;
            }
        }
        Some(step)
    }

    pub(crate) fn remember_step(&self, key: &Digest, step: &CachedStep) -> Result<(), Error> {
        let bytes = serde_json::to_vec(step).map_err(|e| Error::malformed("a build step", e))?;
        write_atomically(&self.cache_path(key), &bytes)
    }

    fn cache_path(&self, key: &Digest) -> std::path::PathBuf {
        self.inner.dir.join("cache").join(format!("{}.json", key.hex()))
    }
}

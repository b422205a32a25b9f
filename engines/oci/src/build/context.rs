//! What a build is asked to do.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{PullOptions, Reference};

/// A directory to build from, and how.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The directory that `COPY` and `ADD` read from.
    pub dir: PathBuf,
    /// The Dockerfile, relative to `dir`; `Dockerfile` if absent.
    pub dockerfile: Option<PathBuf>,
    /// Values for `ARG`.
    pub args: BTreeMap<String, String>,
    /// The stage to stop at; the last one if absent.
    pub target: Option<String>,
    /// The name that the image gets; without it, it is only known by its digest.
    pub tag: Option<Reference>,
    /// Run every step again.
    pub no_cache: bool,
    /// How base images are fetched. Its `progress` is not used: the build's own is.
    pub pull: PullOptions,
}

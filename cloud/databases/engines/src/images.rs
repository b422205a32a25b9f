//! Where an engine's image can be had, and who finds that out.

use async_trait::async_trait;

/// One way to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// From a registry.
    Registry {
        /// The name, as in `docker.io/library/postgres:16`.
        image: String,
    },
    /// Built from the distribution's packages on the machine itself.
    Packages {
        /// The local name it gets, as in `sealos.local/postgresql:15`.
        image: String,
        /// The Debian release, as in `bookworm`.
        suite: &'static str,
        /// The packages.
        packages: &'static [&'static str],
        /// Bash run as root inside the new root, after the packages; may be empty.
        finish: &'static str,
        /// What it gives if that is not what was asked for, as in `PostgreSQL 15 instead of 14.8`.
        instead: Option<String>,
    },
}

/// The image to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The name for the pod.
    pub image: String,
    /// What the user must know, if it is not exactly what was asked for.
    pub note: Option<String>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the ways led to an image.
    #[error("no image: {0}")]
    Unavailable(String),
}

/// Finds images. The embedded cloud pulls or builds them; elsewhere the first registry name is taken.
#[async_trait]
pub trait ImageSource: Send + Sync + std::fmt::Debug {
    /// The first of the candidates that can be had; it is present, or will be pulled, under that name.
    /// May take minutes when an image is built; calls for the same image share the work.
    async fn resolve(&self, candidates: &[Candidate]) -> Result<Resolved, Error>;
}

/// Takes the first registry name: for clusters whose nodes pull by themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Upstream;

#[async_trait]
impl ImageSource for Upstream {
    async fn resolve(&self, candidates: &[Candidate]) -> Result<Resolved, Error> {
        let named = candidates.iter().find_map(|candidate| match candidate {
            Candidate::Registry { image } => Some(image.clone()),
            Candidate::Packages { .. } => None,
        });
        let image = named.ok_or_else(|| Error::Unavailable("no registry has this engine".into()))?;
        Ok(Resolved { image, note: None })
    }
}

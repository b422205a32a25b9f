//! What can go wrong with an image, in words for the person who asked for it.

use std::io;
use std::path::{Path, PathBuf};

/// Why an operation on images failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("`{reference}` is not an image name: {reason}")]
    InvalidReference { reference: String, reason: String },
    #[error("image `{reference}` does not exist{}: check the name and the tag", at(.registry))]
    NotFound { reference: String, registry: Option<String> },
    #[error(
        "image `{reference}` is local to this cloud and is not there (any more): \
         build it again with `sealos build`, or load it with `sealos image load`"
    )]
    NotFoundLocally { reference: String },
    #[error(
        "registry `{registry}` refused access to `{reference}`: {reason}. \
         Check that the image exists, and the user name and password"
    )]
    Unauthorized { registry: String, reference: String, reason: String },
    #[error(
        "registry `{registry}` cannot be reached: {reason}. Check the network and the registry's name, \
         or configure a mirror"
    )]
    Unreachable { registry: String, reason: String },
    #[error("registry `{registry}` answered with an error for `{reference}`: {reason}")]
    Registry { registry: String, reference: String, reason: String },
    #[error(
        "{what} is damaged or was tampered with: its digest is {actual}, but {expected} was expected. \
         Nothing of it was kept"
    )]
    DigestMismatch { what: String, expected: String, actual: String },
    #[error("the archive was refused: entry `{path}` {reason}")]
    UnsafePath { path: String, reason: String },
    #[error("image `{reference}` has no variant for {wanted}: it is made for {available}")]
    Platform { reference: String, wanted: String, available: String },
    #[error("{what} cannot be used: {reason}")]
    Malformed { what: String, reason: String },
    #[error("image `{reference}` is in use and was kept: stop what runs from it first")]
    InUse { reference: String },
    #[error("base image `{image}` cannot be built from packages: {reason}")]
    Base { image: String, reason: String },
    #[error("{file}:{line}: {reason}")]
    Dockerfile { file: String, line: usize, reason: String },
    #[error("{file}:{line}: `{command}` ended with exit code {code}{}", tail(.last_lines))]
    Step { file: String, line: usize, command: String, code: i32, last_lines: Vec<String> },
    #[error("{attempt} {}: {source}{}", .path.display(), hint(.source))]
    Io { attempt: &'static str, path: PathBuf, source: io::Error },
    /// For implementations of [`crate::build::Run`]: the step could not be started at all.
    #[error("the step could not be run: {0}")]
    Run(String),
}

impl Error {
    pub(crate) fn io(attempt: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { attempt, path, source }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Malformed { what: what.into(), reason: reason.to_string() }
    }

    pub(crate) fn unsafe_path(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::UnsafePath { path: path.as_ref().display().to_string(), reason: reason.into() }
    }

    /// Whether the image itself is at fault, so that asking again changes nothing by itself.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::InvalidReference { .. }
                | Self::NotFoundLocally { .. }
                | Self::UnsafePath { .. }
                | Self::Platform { .. }
                | Self::Malformed { .. }
        )
    }
}

fn at(registry: &Option<String>) -> String {
    registry.as_ref().map(|r| format!(" in registry `{r}`")).unwrap_or_default()
}

fn tail(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    format!("; its last lines were:\n    {}", lines.join("\n    "))
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => " (free some disk space, for example with `sealos image prune`)",
        io::ErrorKind::PermissionDenied => " (this needs root)",
        _ => "",
    }
}

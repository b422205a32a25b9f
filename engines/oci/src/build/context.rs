//! What a build is asked to do, and the files it is given.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ignore::Ignore;
use crate::{Error, PullOptions, Reference};

/// A directory to build from, and how.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The directory that `COPY` and `ADD` read from.
    pub dir: PathBuf,
    /// The Dockerfile, relative to `dir` unless absolute; `Dockerfile` if absent.
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

/// A Dockerfile and how messages name it.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) text: String,
}

impl Context {
    pub(super) fn dockerfile(&self) -> Result<Source, Error> {
        let name = self.dockerfile.clone().unwrap_or_else(|| PathBuf::from("Dockerfile"));
        let path = self.dir.join(&name);
        let what = || format!("the directory {}", self.dir.display());
        if !self.dir.is_dir() {
            return Err(Error::malformed(what(), "it does not exist, or is no directory"));
        }
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let reason =
                    format!("it has no `{}`: write one that says how to build the image", name.display());
                return Err(Error::malformed(what(), reason));
            }
            other => other.map_err(Error::io("read", &path))?,
        };
        let name = name.display().to_string();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source { name, text }),
            Err(_) => Err(Error::malformed(format!("`{name}`"), "it is not text")),
        }
    }

    /// The rules of `<Dockerfile>.dockerignore`, else of `.dockerignore`.
    pub(super) fn ignore(&self) -> Result<Ignore, Error> {
        let own = self.dockerfile.as_deref().unwrap_or(Path::new("Dockerfile")).display().to_string();
        for name in [format!("{own}.dockerignore"), ".dockerignore".to_owned()] {
            match fs::read_to_string(self.dir.join(&name)) {
                Ok(text) => {
                    let fault = |(line, reason)| Error::Dockerfile { file: name.clone(), line, reason };
                    return Ignore::parse(&text).map_err(fault);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("read", self.dir.join(&name))(e)),
            }
        }
        Ok(Ignore::default())
    }
}

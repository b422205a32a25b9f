//! Writing copied files into a layer that lies on top of others.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use super::tree::Item;
use crate::Stack;

/// A layer being filled.
pub(super) struct Layer {
    upper: PathBuf,
    /// What the container will see: this layer over all below.
    view: Stack,
    style: Style,
}

/// How written files are to look.
#[derive(Debug, Clone, Default)]
pub(super) struct Style {
    /// Everybody's owner; without it, files of the context are root's and others keep theirs.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mode: Option<u32>,
    pub(super) keeps_owner: bool,
}

impl Layer {
    pub(super) fn new(upper: &Path, below: &[PathBuf], style: Style) -> Self {
        let mut layers = vec![upper.to_owned()];
        layers.extend_from_slice(below);
        Self { upper: upper.to_owned(), view: Stack::new(layers), style }
    }

    /// Whether the path is a directory by now.
    pub(super) fn is_dir(&self, path: &Path) -> io::Result<bool> {
        Ok(self.view.find(path)?.is_dir())
    }

    pub(super) fn put(&self, item: &Item, destination: &Path) -> io::Result<()> {
        let kind = item.metadata.file_type();
        if kind.is_dir() {
            return self.put_dir(item, destination);
        }
        let (Some(parent), Some(name)) = (destination.parent(), destination.file_name()) else {
            return Err(invalid("a file cannot replace the root directory"));
        };
        let target = self.free_name(parent, name)?;
        if kind.is_symlink() {
            symlink(fs::read_link(&item.host)?, &target)?;
            return self.own(&target, Some(&item.metadata));
        }
        if !kind.is_file() {
            return Err(invalid("only files, directories and links can be copied"));
        }
        fs::copy(&item.host, &target)?;
        self.finish_file(&target, &item.metadata)
    }

    /// A file that stands in the Dockerfile itself.
    pub(super) fn put_text(&self, text: &str, destination: &Path) -> io::Result<()> {
        let (Some(parent), Some(name)) = (destination.parent(), destination.file_name()) else {
            return Err(invalid("a file cannot replace the root directory"));
        };
        let target = self.free_name(parent, name)?;
        fs::write(&target, text)?;
        self.own(&target, None)?;
        fs::set_permissions(&target, Permissions::from_mode(self.style.mode.unwrap_or(0o644)))
    }

    /// Makes the directory and what is missing above it; returns its place in this layer.
    pub(super) fn make_dir(&self, path: &Path) -> io::Result<PathBuf> {
        let found = self.view.find(path)?;
        let mut inside = PathBuf::from("/");
        for part in found.path.components().skip(1) {
            inside.push(part);
            let host = self.host(&inside);
            if host.symlink_metadata().is_ok_and(|m| m.is_dir()) {
                continue;
            }
            let below = self.view.find_link(&inside)?;
            match below.host() {
                Some(existing) if below.is_dir() => copy_up(existing, &host)?,
                Some(_) => return Err(invalid(&format!("`{}` is not a directory", inside.display()))),
                None => {
                    fs::create_dir(&host)?;
                    fs::set_permissions(&host, Permissions::from_mode(0o755))?;
                    self.own(&host, None)?;
                }
            }
        }
        Ok(self.host(&found.path))
    }

    fn put_dir(&self, item: &Item, destination: &Path) -> io::Result<()> {
        let existed = self.is_dir(destination)?;
        let target = self.make_dir(destination)?;
        if existed && item.is_top {
            return Ok(());
        }
        self.own(&target, Some(&item.metadata))?;
        let mode = self.style.mode.unwrap_or(item.metadata.mode()) & 0o7777;
        fs::set_permissions(&target, Permissions::from_mode(mode))
    }

    /// The place for a file in this layer, with nothing in the way.
    fn free_name(&self, parent: &Path, name: &OsStr) -> io::Result<PathBuf> {
        let dir = self.make_dir(parent)?;
        let target = dir.join(name);
        let inside = Path::new("/").join(target.strip_prefix(&self.upper).unwrap_or(&target));
        if self.view.find_link(&inside)?.is_dir() {
            return Err(invalid(&format!(
                "`{}` is a directory and cannot be replaced by a file",
                inside.display()
            )));
        }
        match fs::remove_file(&target) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(target),
        }
    }

    fn finish_file(&self, target: &Path, metadata: &Metadata) -> io::Result<()> {
        self.own(target, Some(metadata))?;
        let mode = self.style.mode.unwrap_or(metadata.mode()) & 0o7777;
        fs::set_permissions(target, Permissions::from_mode(mode))?;
        let times = FileTimes::new().set_modified(metadata.modified()?);
        File::options().write(true).open(target)?.set_times(times)
    }

    fn own(&self, target: &Path, source: Option<&Metadata>) -> io::Result<()> {
        let kept = source.filter(|_| self.style.keeps_owner).map(|m| (m.uid(), m.gid()));
        let (uid, gid) = self.style.owner.or(kept).unwrap_or((0, 0));
        lchown(target, Some(uid), Some(gid))
    }

    fn host(&self, inside: &Path) -> PathBuf {
        self.upper.join(inside.strip_prefix("/").unwrap_or(inside))
    }
}

/// A directory of a lower layer, repeated in this one so that something can be put into it.
fn copy_up(existing: &Path, host: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(existing)?;
    fs::create_dir(host)?;
    lchown(host, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(host, Permissions::from_mode(metadata.mode() & 0o7777))
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason.to_owned())
}

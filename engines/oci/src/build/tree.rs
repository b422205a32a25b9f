//! Where `COPY` and `ADD` take files from, and which ones a source means.

use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::glob::{Glob, is_pattern};
use super::ignore::Ignore;
use crate::Stack;
use crate::stack::Found;

/// A directory or a stage to copy from.
pub(super) struct Tree {
    stack: Stack,
    ignore: Ignore,
    /// Files of a stage keep their owner; those of the context become root's.
    keeps_owner: bool,
}

/// A file, link or directory and where it goes, relative to the destination.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) host: PathBuf,
    pub(super) to: PathBuf,
    pub(super) metadata: Metadata,
    /// The directory that was named itself: its contents are meant, so an existing one stays as it is.
    pub(super) is_top: bool,
}

/// What one source gave.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) path: PathBuf,
    pub(super) found: Found,
}

impl Tree {
    pub(super) fn context(dir: &Path, ignore: Ignore) -> Self {
        Self { stack: Stack::new(vec![dir.to_owned()]), ignore, keeps_owner: false }
    }

    pub(super) fn stage(layers: Vec<PathBuf>) -> Self {
        Self { stack: Stack::new(layers), ignore: Ignore::default(), keeps_owner: true }
    }

    pub(super) fn keeps_owner(&self) -> bool {
        self.keeps_owner
    }

    /// Everything a source means: itself, or all that its pattern matches.
    pub(super) fn select(&self, source: &str) -> Result<Vec<Selected>, String> {
        let path = clean(source)?;
        let selected = if is_pattern(source) { self.matching(&path)? } else { self.named(&path)? };
        if !selected.is_empty() {
            return Ok(selected);
        }
        let place = if self.keeps_owner { "the stage" } else { "the build context" };
        let hidden = !is_pattern(source) && self.ignore.excludes(&path);
        let why = if hidden { " (.dockerignore leaves it out)" } else { "" };
        Err(format!("`{source}` is not in {place}{why}"))
    }

    fn named(&self, path: &Path) -> Result<Vec<Selected>, String> {
        let found = self.find(path)?;
        // What is excluded as a whole may still have parts that are not.
        let hidden = self.ignore.excludes(path) && (self.ignore.prunes() || !found.is_dir());
        let exists = found.host().is_some() && !hidden;
        Ok(exists.then(|| Selected { path: path.to_owned(), found }).into_iter().collect())
    }

    fn find(&self, path: &Path) -> Result<Found, String> {
        self.stack.find(path).map_err(|e| format!("`{}`: {e}", path.display()))
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<Selected>, String> {
        let text = pattern.to_string_lossy();
        let glob = Glob::new(&text)?;
        let depth = if text.contains("**") { usize::MAX } else { pattern.components().count() };
        let mut selected = Vec::new();
        let mut todo = vec![PathBuf::new()];
        while let Some(dir) = todo.pop() {
            let found = self.find(&dir)?;
            for name in self.stack.list(&found).map_err(|e| e.to_string())?.into_keys() {
                let path = dir.join(name);
                let excluded = self.ignore.excludes(&path);
                let is_match = !excluded && glob.matches(&path.to_string_lossy());
                let found = self.find(&path)?;
                let goes_deeper = found.is_dir() && path.components().count() < depth;
                if is_match {
                    selected.push(Selected { path, found });
                } else if goes_deeper && !(excluded && self.ignore.prunes()) {
                    todo.push(path);
                }
            }
        }
        selected.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(selected)
    }

    /// A selected file, or a selected directory with all that is in it, in a stable order.
    pub(super) fn items(&self, selected: &Selected, to: &Path, exclude: &Ignore) -> io::Result<Vec<Item>> {
        let mut items = Vec::new();
        let Some(host) = selected.found.host() else { return Ok(items) };
        let metadata = fs::symlink_metadata(host)?;
        let is_dir = metadata.is_dir();
        items.push(Item { host: host.to_owned(), to: to.to_owned(), metadata, is_top: is_dir });
        if is_dir {
            self.below(&selected.path, &selected.found, to, exclude, &mut items)?;
        }
        Ok(items)
    }

    fn below(
        &self,
        path: &Path,
        dir: &Found,
        to: &Path,
        exclude: &Ignore,
        items: &mut Vec<Item>,
    ) -> io::Result<()> {
        for (name, host) in self.stack.list(dir)? {
            let (path, to) = (path.join(&name), to.join(&name));
            let metadata = fs::symlink_metadata(&host)?;
            let excluded = self.ignore.excludes(&path) || exclude.excludes(&path);
            let comes_back = !self.ignore.prunes() || !exclude.prunes();
            let is_dir = metadata.is_dir();
            if excluded && !(is_dir && comes_back) {
                continue;
            }
            let at = items.len();
            items.push(Item { host, to: to.clone(), metadata, is_top: false });
            if is_dir {
                self.below(&path, &self.stack.find_link(&dir.path.join(&name))?, &to, exclude, items)?;
                // An excluded directory is only there for what came back in it.
                if excluded && items.len() == at + 1 {
                    items.pop();
                }
            }
        }
        Ok(())
    }
}

/// A source as a path inside the tree. `..` may not climb out of it.
fn clean(source: &str) -> Result<PathBuf, String> {
    let mut path = PathBuf::new();
    for part in Path::new(source).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if !path.pop() => {
                return Err(format!(
                    "`{source}` is outside of the build context: only files below it can be copied"
                ));
            }
            _ => {}
        }
    }
    Ok(path)
}

/// Feeds all that makes the result of a copy into the hash; times are left out on purpose.
pub(super) fn hash_items(items: &[Item], hasher: &mut Sha256) -> io::Result<()> {
    for item in items {
        let metadata = &item.metadata;
        hasher.update(item.to.as_os_str().as_bytes());
        hasher.update([0]);
        hasher.update(metadata.permissions().mode().to_le_bytes());
        hasher.update(metadata.uid().to_le_bytes());
        hasher.update(metadata.gid().to_le_bytes());
        if metadata.is_symlink() {
            hasher.update(fs::read_link(&item.host)?.as_os_str().as_bytes());
        } else if metadata.is_file() {
            hasher.update(metadata.len().to_le_bytes());
            let mut file = fs::File::open(&item.host)?;
            let mut buffer = vec![0; 1 << 16];
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    n => hasher.update(buffer.get(..n).unwrap_or_default()),
                }
            }
        }
        hasher.update([0]);
    }
    Ok(())
}

//! What a container would see of stacked layers, without mounting them.
//!
//! Follows overlayfs's rules: the top-most layer wins, directories merge until an opaque one, a
//! character device 0:0 hides a name. Links are followed inside the stack, never on the host.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

const MOST_LINKS: usize = 40;

/// Layers on top of each other, the top one first.
#[derive(Debug, Clone)]
pub struct Stack {
    layers: Vec<PathBuf>,
}

/// Where a path leads.
#[derive(Debug, Clone)]
pub struct Found {
    /// The path inside the stack, absolute and free of links.
    pub path: PathBuf,
    /// The same on the host: the visible file first, then the directories it merges with. Empty if
    /// nothing is there.
    pub hosts: Vec<PathBuf>,
}

impl Found {
    /// The visible file on the host.
    pub fn host(&self) -> Option<&Path> {
        self.hosts.first().map(PathBuf::as_path)
    }

    pub fn is_dir(&self) -> bool {
        self.host().is_some_and(|host| fs::symlink_metadata(host).is_ok_and(|m| m.is_dir()))
    }
}

impl Stack {
    pub fn new(layers: Vec<PathBuf>) -> Self {
        Self { layers }
    }

    /// Follows every link, the last part included.
    pub fn find(&self, path: &Path) -> io::Result<Found> {
        self.walk(path, true)
    }

    /// Follows links on the way, but not the last part.
    pub fn find_link(&self, path: &Path) -> io::Result<Found> {
        self.walk(path, false)
    }

    /// The content of a file, if there is one.
    pub fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self.find(path)?.host() {
            Some(host) if fs::symlink_metadata(host)?.is_file() => fs::read(host).map(Some),
            _ => Ok(None),
        }
    }

    /// The names in a directory that [`Stack::find`] found, each with its place on the host.
    pub fn list(&self, dir: &Found) -> io::Result<BTreeMap<OsString, PathBuf>> {
        let mut names = BTreeMap::new();
        for host in &dir.hosts {
            for entry in fs::read_dir(host)? {
                let entry = entry?;
                names.entry(entry.file_name()).or_insert_with(|| entry.path());
            }
        }
        names.retain(|_, host| fs::symlink_metadata(host).is_ok_and(|m| !is_whiteout(&m)));
        Ok(names)
    }

    fn walk(&self, path: &Path, follow_last: bool) -> io::Result<Found> {
        let mut todo: VecDeque<OsString> = parts(path);
        let mut at = Found { path: PathBuf::from("/"), hosts: self.layers.clone() };
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            if part == ".." {
                at.path.pop();
                at = self.plain(&at.path);
                continue;
            }
            let next = step(&at, &part);
            let target = next.host().and_then(|host| fs::read_link(host).ok());
            match target {
                Some(target) if follow_last || !todo.is_empty() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many symbolic links"));
                    }
                    if target.is_absolute() {
                        at = Found { path: PathBuf::from("/"), hosts: self.layers.clone() };
                    }
                    for part in parts(&target).into_iter().rev() {
                        todo.push_front(part);
                    }
                }
                _ => at = next,
            }
        }
        Ok(at)
    }

    /// A path that is known to be free of links.
    fn plain(&self, path: &Path) -> Found {
        let root = Found { path: PathBuf::from("/"), hosts: self.layers.clone() };
        parts(path).iter().fold(root, |at, part| step(&at, part))
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            _ => None,
        })
        .collect()
}

/// One name below a directory, in all layers that have a say.
fn step(at: &Found, name: &OsStr) -> Found {
    let mut hosts = Vec::new();
    for dir in &at.hosts {
        let host = dir.join(name);
        let Ok(metadata) = fs::symlink_metadata(&host) else {
            if fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir()) {
                continue;
            } else {
                break;
            };
        };
        if is_whiteout(&metadata) || (!metadata.is_dir() && !hosts.is_empty()) {
            break;
        }
        let ends_here = !metadata.is_dir() || is_opaque(&host);
        hosts.push(host);
        if ends_here {
            break;
        }
    }
    Found { path: at.path.join(name), hosts }
}

pub(crate) fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

pub(crate) fn is_opaque(dir: &Path) -> bool {
    xattr::get(dir, "trusted.overlay.opaque").is_ok_and(|value| value.as_deref() == Some(b"y"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn layers() -> (tempfile::TempDir, Stack) {
        let dir = tempfile::tempdir().unwrap();
        let (low, top) = (dir.path().join("low"), dir.path().join("top"));
        for sub in ["low/usr/bin", "low/etc/a", "low/old", "top/etc/a", "top/old"] {
            fs::create_dir_all(dir.path().join(sub)).unwrap();
        }
        fs::write(low.join("usr/bin/sh"), "sh").unwrap();
        fs::write(low.join("etc/passwd"), "low").unwrap();
        fs::write(low.join("etc/a/1"), "1").unwrap();
        fs::write(low.join("old/x"), "x").unwrap();
        symlink("usr/bin", low.join("bin")).unwrap();
        symlink("/../../etc/passwd", low.join("escape")).unwrap();
        symlink("loop", low.join("loop")).unwrap();
        fs::write(top.join("etc/passwd"), "top").unwrap();
        fs::write(top.join("etc/a/2"), "2").unwrap();
        nix::sys::stat::mknod(
            &top.join("usr"),
            nix::sys::stat::SFlag::S_IFCHR,
            nix::sys::stat::Mode::empty(),
            0,
        )
        .unwrap();
        xattr::set(top.join("old"), "trusted.overlay.opaque", b"y").unwrap();
        (dir, Stack::new(vec![top, low]))
    }

    #[test]
    fn the_top_layer_wins_and_directories_merge() {
        let (_dir, stack) = layers();
        assert_eq!(stack.read(Path::new("/etc/passwd")).unwrap().unwrap(), b"top");
        let merged = stack.find(Path::new("/etc/a")).unwrap();
        assert_eq!(stack.list(&merged).unwrap().keys().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn removed_and_hidden_names_are_gone() {
        let (_dir, stack) = layers();
        assert!(stack.find(Path::new("/usr/bin/sh")).unwrap().host().is_none());
        assert!(stack.find(Path::new("/old/x")).unwrap().host().is_none());
        assert!(stack.list(&stack.find(Path::new("/")).unwrap()).unwrap().keys().all(|name| name != "usr"));
    }

    #[test]
    fn links_stay_inside() {
        let (_dir, stack) = layers();
        assert_eq!(stack.read(Path::new("/escape")).unwrap().unwrap(), b"top");
        assert_eq!(stack.find(Path::new("/bin/x")).unwrap().path, Path::new("/usr/bin/x"));
        assert_eq!(stack.find_link(Path::new("/bin")).unwrap().path, Path::new("/bin"));
        assert!(stack.find(Path::new("/loop")).is_err());
    }
}

//! Applies a layer's entries to an empty directory.
//!
//! Removals become overlayfs's own marks: `.wh.name` a character device 0:0, `.wh..wh..opq` the
//! attribute `trusted.overlay.opaque`. Attributes that overlayfs itself would obey are never taken
//! from an archive.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, fchownat};

use super::reader::{Entries, Entry, Kind};
use super::root::{Dir, OPAQUE, Root, clean, is_dir};
use crate::Error;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_MARK: &[u8] = b".wh..wh..opq";
const RESERVED: &[u8] = b".wh..wh.";

/// Unpacks a tar stream into the empty directory `into` and flushes it to disk. Returns the stream,
/// read to its end, so that a digest computed in passing covers all of it.
pub(crate) fn unpack<R: Read>(stream: R, into: &Path) -> Result<R, Error> {
    let mut layer = Layer {
        root: Root::open(into)?,
        entries: Entries::new(stream),
        times: Vec::new(),
        removed: HashSet::new(),
    };
    while let Some(entry) = layer.entries.next_entry().map_err(broken)? {
        layer.apply(&entry)?;
    }
    layer.set_directory_times()?;
    layer.root.sync().map_err(Error::io("flush", into))?;
    layer.entries.drain().map_err(broken)
}

struct Layer<R> {
    root: Root,
    entries: Entries<R>,
    /// Directories change while they are filled, so their times come last.
    times: Vec<(PathBuf, (i64, i64))>,
    /// What the layer removed from those below; a directory put there again must hide them.
    removed: HashSet<PathBuf>,
}

impl<R: Read> Layer<R> {
    fn apply(&mut self, entry: &Entry) -> Result<(), Error> {
        let path = clean(&entry.path)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return self.apply_root(entry);
        };
        let at = |e: io::Error| entry_error(&entry.path, e);
        let dir = self.root.make_dirs(parent).map_err(|e| parent_error(&entry.path, e))?;
        if let Some(gone) = name.as_bytes().strip_prefix(WHITEOUT) {
            return self.remove_below(&dir, parent, gone, entry);
        }
        match entry.kind {
            Kind::Directory => self.directory(&dir, &path, name).map_err(at)?,
            Kind::File => return self.file(&dir, name, entry),
            Kind::Hardlink => return self.hardlink(&dir, name, entry),
            Kind::Symlink => {
                self.replacing(&dir, name, |dir| dir.symlink(OsStr::from_bytes(&entry.link), name))
                    .map_err(at)?;
            }
            Kind::Fifo => {
                self.replacing(&dir, name, |dir| dir.mknod(name, SFlag::S_IFIFO, (0, 0))).map_err(at)?
            }
            Kind::Char => {
                self.replacing(&dir, name, |dir| dir.mknod(name, SFlag::S_IFCHR, entry.device))
                    .map_err(at)?;
            }
            Kind::Block => {
                self.replacing(&dir, name, |dir| dir.mknod(name, SFlag::S_IFBLK, entry.device))
                    .map_err(at)?;
            }
        }
        set_metadata(&dir, name, entry).map_err(at)?;
        if entry.kind == Kind::Directory {
            self.times.push((path, entry.mtime));
        }
        Ok(())
    }

    /// `./` itself: the mode and owner of the root directory.
    fn apply_root(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.kind != Kind::Directory {
            return Err(Error::unsafe_path(
                String::from_utf8_lossy(&entry.path).as_ref(),
                "would replace the root",
            ));
        }
        let dir = self.root.dir(Path::new("")).map_err(|e| entry_error(&entry.path, e))?;
        set_metadata(&dir, OsStr::new("."), entry).map_err(|e| entry_error(&entry.path, e))?;
        self.times.push((PathBuf::new(), entry.mtime));
        Ok(())
    }

    fn directory(&mut self, dir: &Dir, path: &Path, name: &OsStr) -> io::Result<()> {
        match dir.stat(name)? {
            Some(stat) if is_dir(&stat) => return Ok(()),
            Some(_) => {
                self.root.forget();
                dir.remove(name)?;
            }
            None => {}
        }
        dir.mkdir(name, Mode::from_bits_truncate(0o700))?;
        if self.removed.contains(path) {
            dir.set_xattr(name, OsStr::new(OPAQUE), b"y")?;
        }
        Ok(())
    }

    fn file(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<(), Error> {
        let at = |e: io::Error| entry_error(&entry.path, e);
        let mut file = self.replacing(dir, name, |dir| dir.create(name)).map_err(at)?;
        let copied = io::copy(&mut self.entries, &mut file).map_err(at)?;
        if copied < entry.size {
            return Err(broken(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it ends in the middle of a file",
            )));
        }
        set_metadata(dir, name, entry).map_err(at)
    }

    fn hardlink(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<(), Error> {
        let shown = String::from_utf8_lossy(&entry.path).into_owned();
        let target =
            clean(&entry.link).map_err(|_| Error::unsafe_path(&shown, "links out of the archive's root"))?;
        let (Some(parent), Some(target_name)) = (target.parent(), target.file_name()) else {
            return Err(Error::unsafe_path(&shown, "is a hard link to a directory"));
        };
        let dangling = |e: io::Error| {
            Error::unsafe_path(&shown, format!("is a hard link to `{}`: {e}", target.display()))
        };
        let source = self.root.dir(parent).map_err(dangling)?;
        if parent == clean(&entry.path)?.parent().unwrap_or(Path::new("")) && target_name == name {
            return Ok(());
        }
        self.replacing(dir, name, |dir| dir.link(&source, target_name, name)).map_err(dangling)
    }

    fn remove_below(&mut self, dir: &Dir, parent: &Path, gone: &[u8], entry: &Entry) -> Result<(), Error> {
        let at = |e: io::Error| entry_error(&entry.path, e);
        let full = [WHITEOUT, gone].concat();
        if full == OPAQUE_MARK {
            return dir.set_xattr(OsStr::new("."), OsStr::new(OPAQUE), b"y").map_err(at);
        }
        if full.starts_with(RESERVED) {
            return Ok(());
        }
        if matches!(gone, b"" | b"." | b"..") {
            return Err(Error::unsafe_path(
                String::from_utf8_lossy(&entry.path).as_ref(),
                "removes something that is no name",
            ));
        }
        let gone = OsStr::from_bytes(gone);
        self.removed.insert(parent.join(gone));
        match dir.stat(gone).map_err(at)? {
            // The same layer puts something there: that wins, and hides what is below.
            Some(stat) if is_dir(&stat) => dir.set_xattr(gone, OsStr::new(OPAQUE), b"y").map_err(at),
            Some(_) => Ok(()),
            None => dir.mknod(gone, SFlag::S_IFCHR, (0, 0)).map_err(at),
        }
    }

    /// Makes something, in the place of what an earlier entry of the layer put there.
    fn replacing<T>(
        &mut self,
        dir: &Dir,
        name: &OsStr,
        make: impl Fn(&Dir) -> io::Result<T>,
    ) -> io::Result<T> {
        match make(dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.root.forget();
                dir.remove(name)?;
                make(dir)
            }
            other => other,
        }
    }

    fn set_directory_times(&mut self) -> Result<(), Error> {
        for (path, mtime) in std::mem::take(&mut self.times).into_iter().rev() {
            // A later entry may have replaced the directory.
            let Ok(dir) = self.root.dir(&path) else { continue };
            set_time(&dir, OsStr::new("."), mtime).map_err(Error::io("set the time of", &path))?;
        }
        Ok(())
    }
}

/// Owner first: changing it clears the set-user-id bit and capabilities.
fn set_metadata(dir: &Dir, name: &OsStr, entry: &Entry) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)));
    fchownat(dir.fd(), name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    if entry.kind != Kind::Symlink {
        fchmodat(dir.fd(), name, Mode::from_bits_truncate(entry.mode), FchmodatFlags::FollowSymlink)?;
    }
    for (key, value) in &entry.xattrs {
        set_attribute(dir, name, key, value)?;
    }
    if entry.kind == Kind::Directory { Ok(()) } else { set_time(dir, name, entry.mtime) }
}

fn set_attribute(dir: &Dir, name: &OsStr, key: &[u8], value: &[u8]) -> io::Result<()> {
    let wanted = key.starts_with(b"user.") || key == b"security.capability";
    if !wanted {
        return Ok(());
    }
    match dir.set_xattr(name, OsStr::from_bytes(key), value) {
        // Links and devices cannot carry user attributes, nor can some file systems.
        Err(e)
            if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EPERM))
                && key.starts_with(b"user.") =>
        {
            Ok(())
        }
        other => other,
    }
}

fn set_time(dir: &Dir, name: &OsStr, (seconds, nanos): (i64, i64)) -> io::Result<()> {
    let time = TimeSpec::new(seconds, nanos);
    match utimensat(dir.fd(), name, &time, &time, UtimensatFlags::NoFollowSymlink) {
        // A time the file system cannot hold is no reason to refuse an image.
        Err(Errno::EINVAL) => Ok(()),
        other => Ok(other?),
    }
}

fn parent_error(path: &[u8], error: io::Error) -> Error {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => not_inside(path),
        _ if error.kind() == io::ErrorKind::NotADirectory => not_inside(path),
        _ => entry_error(path, error),
    }
}

fn not_inside(path: &[u8]) -> Error {
    Error::unsafe_path(
        String::from_utf8_lossy(path).as_ref(),
        "goes through a link that leads nowhere inside the archive, or through a file",
    )
}

fn entry_error(path: &[u8], error: io::Error) -> Error {
    Error::io("unpack", Path::new(OsStr::from_bytes(path)))(error)
}

fn broken(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
            Error::malformed("the archive", error)
        }
        _ => Error::io("read", "the archive")(error),
    }
}

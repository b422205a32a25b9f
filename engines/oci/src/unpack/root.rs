//! File operations that cannot leave a directory.
//!
//! Every path is resolved by the kernel with the directory as its root (`openat2`, `RESOLVE_IN_ROOT`),
//! and the last part is always used without following links. A link planted by one entry can
//! therefore never carry a later entry outside.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, makedev, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use crate::Error;

pub(super) const OPAQUE: &str = "trusted.overlay.opaque";

/// A directory that stands for `/`.
pub(super) struct Root {
    fd: OwnedFd,
    /// The directory resolved last: archives list siblings together.
    last: Option<(PathBuf, Dir)>,
}

/// An open directory inside the root.
#[derive(Clone)]
pub(super) struct Dir(std::rc::Rc<OwnedFd>);

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        // Opened for real, because a path-only descriptor cannot be flushed.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd =
            nix::fcntl::open(path, flags, Mode::empty()).map_err(|e| Error::io("open", path)(e.into()))?;
        Ok(Self { fd, last: None })
    }

    /// The directory at `path`, which must exist.
    pub(super) fn dir(&mut self, path: &Path) -> io::Result<Dir> {
        if let Some((_, dir)) = self.last.as_ref().filter(|(last, _)| last == path) {
            return Ok(dir.clone());
        }
        let fd = self.resolve(path)?;
        Ok(self.remember(path, fd))
    }

    /// The directory at `path`; what is missing is made.
    pub(super) fn make_dirs(&mut self, path: &Path) -> io::Result<Dir> {
        match self.dir(path) {
            Err(e) if missing(&e) => {}
            other => return other,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return self.dir(path) };
        let parent = self.make_dirs(parent)?;
        match parent.stat(name)? {
            None => parent.mkdir(name, Mode::from_bits_truncate(0o755))?,
            // The layer first removes something and then puts a directory there.
            Some(stat) if is_whiteout(&stat) => {
                parent.unlink(name)?;
                parent.mkdir(name, Mode::from_bits_truncate(0o755))?;
                parent.set_xattr(name, OsStr::new(OPAQUE), b"y")?;
            }
            Some(_) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
        }
        self.dir(path)
    }

    /// Forgets what is cached, after something at that name was replaced.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(nix::unistd::syncfs(&self.fd)?)
    }

    fn resolve(&self, path: &Path) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let how = OpenHow::new()
            .flags(dir_flags())
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        loop {
            match openat2(&self.fd, path, how) {
                // The kernel asks to try again when something was renamed meanwhile.
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                other => return Ok(other?),
            }
        }
    }

    fn remember(&mut self, path: &Path, fd: OwnedFd) -> Dir {
        let dir = Dir(std::rc::Rc::new(fd));
        self.last = Some((path.to_owned(), dir.clone()));
        dir
    }
}

impl Dir {
    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    pub(super) fn stat(&self, name: &OsStr) -> io::Result<Option<FileStat>> {
        match fstatat(self.fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(File::from(openat(self.fd(), name, flags, Mode::from_bits_truncate(0o600))?))
    }

    pub(super) fn mkdir(&self, name: &OsStr, mode: Mode) -> io::Result<()> {
        Ok(mkdirat(self.fd(), name, mode)?)
    }

    pub(super) fn symlink(&self, target: &OsStr, name: &OsStr) -> io::Result<()> {
        Ok(symlinkat(target, self.fd(), name)?)
    }

    pub(super) fn link(&self, source: &Self, source_name: &OsStr, name: &OsStr) -> io::Result<()> {
        Ok(linkat(source.fd(), source_name, self.fd(), name, AtFlags::empty())?)
    }

    pub(super) fn mknod(&self, name: &OsStr, kind: SFlag, device: (u32, u32)) -> io::Result<()> {
        let device = makedev(device.0.into(), device.1.into());
        Ok(mknodat(self.fd(), name, kind, Mode::from_bits_truncate(0o600), device)?)
    }

    pub(super) fn unlink(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(self.fd(), name, UnlinkatFlags::NoRemoveDir)?)
    }

    /// Removes whatever is there, trees included.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match self.unlink(name) {
            Err(e) if e.raw_os_error() == Some(Errno::EISDIR as i32) => {
                std::fs::remove_dir_all(self.path_of(name))
            }
            other => other,
        }
    }

    /// Sets an attribute without following a link.
    pub(super) fn set_xattr(&self, name: &OsStr, key: &OsStr, value: &[u8]) -> io::Result<()> {
        xattr::set(self.path_of(name), key, value)
    }

    /// A path to `name` that goes through this very directory, whatever its name is by now.
    fn path_of(&self, name: &OsStr) -> PathBuf {
        let mut path = OsString::from(format!("/proc/self/fd/{}/", self.0.as_fd().as_raw_fd()));
        path.push(name);
        PathBuf::from(path)
    }
}

/// A character device 0:0 is how overlayfs writes that a name is gone.
pub(super) fn is_whiteout(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR && stat.st_rdev == 0
}

pub(super) fn is_dir(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFDIR
}

/// An entry's name as a path below the root, or why it must be refused.
pub(crate) fn clean(name: &[u8]) -> Result<PathBuf, Error> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    if name.contains(&0) {
        return Err(Error::unsafe_path(shown(), "has a NUL byte in its name"));
    }
    let mut path = PathBuf::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if !path.pop() {
                    return Err(Error::unsafe_path(shown(), "climbs out of the archive's root"));
                }
            }
            part => path.push(OsStr::from_bytes(part)),
        }
    }
    Ok(path)
}

fn dir_flags() -> OFlag {
    OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

//! Copies of directory trees: shared blocks where the file system can (`FICLONE`,
//! ioctl_ficlonerange(2)), else bytes, holes left out.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{
    FileExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown, symlink,
};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, SeekFrom, Timespec, Timestamps, XattrFlags, ioctl_ficlone, lgetxattr,
    llistxattr, lsetxattr, mknodat, seek, utimensat,
};
use rustix::io::Errno;

use crate::Error;

/// Names and values of extended attributes fit into this, by the kernel's own limits.
const MAX_ATTRIBUTES: usize = 64 * 1024;

/// Tries to clone a file.
pub(crate) fn can_share_blocks(root: &Path) -> Result<bool, Error> {
    let (from, to) = (root.join(".probe-from"), root.join(".probe-to"));
    let probe = || {
        fs::write(&from, [1; 4096])?;
        let cloned = ioctl_ficlone(&File::create(&to)?, &File::open(&from)?).is_ok();
        fs::remove_file(&to)?;
        fs::remove_file(&from)?;
        io::Result::Ok(cloned)
    };
    probe().map_err(Error::io("try the file system of", root))
}

/// Copies a directory with all that is in it to a path that does not exist yet: owners, modes,
/// times, links among the files and extended attributes included.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(from).map_err(Error::io("inspect", from))?;
    Copy { links: HashMap::new() }.directory(from, to, &metadata)
}

struct Copy {
    /// Files with more than one name, by device and number, and the first copy of each.
    links: HashMap<(u64, u64), PathBuf>,
}

impl Copy {
    fn directory(&mut self, from: &Path, to: &Path, metadata: &Metadata) -> Result<(), Error> {
        fs::create_dir(to).map_err(Error::io("create", to))?;
        for entry in fs::read_dir(from).map_err(Error::io("list", from))? {
            let entry = entry.map_err(Error::io("list", from))?;
            self.entry(&entry.path(), &to.join(entry.file_name()))?;
        }
        // Last: what is put into a directory changes its time, and its mode may forbid it.
        attributes(from, to, metadata)
    }

    fn entry(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        let metadata = match fs::symlink_metadata(from) {
            Ok(metadata) => metadata,
            // A program that goes on working removes files while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("inspect", from)(error)),
        };
        let kind = metadata.file_type();
        if kind.is_dir() {
            return self.directory(from, to, &metadata);
        }
        if metadata.nlink() > 1 {
            let first = self.links.entry((metadata.dev(), metadata.ino())).or_insert_with(|| to.to_owned());
            if first != to {
                return fs::hard_link(&*first, to).map_err(Error::io("link", to));
            }
        }
        if kind.is_symlink() {
            let target = fs::read_link(from).map_err(Error::io("read link", from))?;
            symlink(target, to).map_err(Error::io("link", to))?;
        } else if kind.is_file() {
            file(from, to).map_err(Error::io("copy", from))?;
        } else if kind.is_fifo() {
            mknodat(CWD, to, FileType::Fifo, Mode::RUSR, 0)
                .map_err(|errno| Error::io("create", to)(errno.into()))?;
        } else {
            // Sockets and devices mean nothing in a copy.
            return Ok(());
        }
        attributes(from, to, &metadata)
    }
}

/// Copies the content of one file, and sees it on disk.
fn file(from: &Path, to: &Path) -> io::Result<()> {
    let source = File::open(from)?;
    let target = OpenOptions::new().write(true).create_new(true).open(to)?;
    if ioctl_ficlone(&target, &source).is_err() {
        copy_data(&source, &target)?;
    }
    target.sync_data()
}

/// Copies the parts that hold data; the rest stays a hole.
fn copy_data(source: &File, target: &File) -> io::Result<()> {
    let length = source.metadata()?.len();
    target.set_len(length)?;
    let mut at = 0;
    while at < length {
        let start = match seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = seek(source, SeekFrom::Hole(start))?.min(length);
        copy_range(source, target, start, end)?;
        at = end.max(start + 1);
    }
    Ok(())
}

fn copy_range(source: &File, target: &File, mut at: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let length = source.read_at(buffer.get_mut(..want).unwrap_or_default(), at)?;
        if length == 0 {
            // The file was cut short meanwhile.
            return Ok(());
        }
        target.write_all_at(buffer.get(..length).unwrap_or_default(), at)?;
        at += length as u64;
    }
    Ok(())
}

/// Owner, mode, extended attributes and times, in the order in which they do not undo each other.
fn attributes(from: &Path, to: &Path, metadata: &Metadata) -> Result<(), Error> {
    lchown(to, Some(metadata.uid()), Some(metadata.gid())).map_err(Error::io("set the owner of", to))?;
    if !metadata.is_symlink() {
        fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777))
            .map_err(Error::io("set the mode of", to))?;
        extended(from, to).map_err(Error::io("set attributes of", to))?;
    }
    times(to, metadata).map_err(Error::io("set the time of", to))
}

/// A file system without extended attributes has none to copy.
fn extended(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0_u8; MAX_ATTRIBUTES];
    let Ok(length) = llistxattr(from, names.as_mut_slice()) else { return Ok(()) };
    let mut value = vec![0_u8; MAX_ATTRIBUTES];
    let names = names.get(..length).unwrap_or_default().split(|byte| *byte == 0);
    for name in names.filter(|name| !name.is_empty()) {
        let Ok(size) = lgetxattr(from, name, value.as_mut_slice()) else { continue };
        lsetxattr(to, name, value.get(..size).unwrap_or_default(), XattrFlags::empty())?;
    }
    Ok(())
}

fn times(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: time(metadata.atime(), metadata.atime_nsec()),
        last_modification: time(metadata.mtime(), metadata.mtime_nsec()),
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Bytes on disk below a directory; what vanishes while this looks counts as nothing.
pub(crate) fn used(dir: &Path) -> Result<u64, Error> {
    let mut total = 0;
    let mut counted = HashSet::new();
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("measure", &path)(error)),
        };
        for entry in entries.flatten() {
            let Ok(about) = entry.metadata() else { continue };
            if about.is_dir() {
                open.push(entry.path());
            } else if about.nlink() > 1 && !counted.insert((about.dev(), about.ino())) {
                continue;
            }
            total += about.blocks() * 512;
        }
    }
    Ok(total)
}

//! Copying a tree, sharing blocks where the file system can (`FICLONE`, ioctl_ficlonerange(2)).

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;

use rustix::fs::{FileType, Mode, Timespec, Timestamps, ioctl_ficlone};

use crate::Error;

/// Tries to clone a file.
pub(crate) fn can_share_blocks(root: &Path) -> Result<bool, Error> {
    let (from, to) = (root.join(".probe-from"), root.join(".probe-to"));
    let probe = || {
        fs::write(&from, [1; 4096])?;
        let cloned = clone_file(&File::open(&from)?, &File::create(&to)?);
        fs::remove_file(&to)?;
        fs::remove_file(&from)?;
        io::Result::Ok(cloned)
    };
    probe().map_err(Error::io("try the file system of", root))
}

fn clone_file(from: &File, to: &File) -> bool {
    ioctl_ficlone(to, from).is_ok()
}

/// Copies everything below `from` to `to`: owners, modes, times, links and special files too.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    copy_entry(from, to).map_err(Error::io("copy", from))
}

fn copy_entry(from: &Path, to: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(from)?;
    let kind = about.file_type();
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        return lchown(to, Some(about.uid()), Some(about.gid()));
    }
    if kind.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_entry(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if kind.is_file() {
        let (source, target) = (File::open(from)?, File::create(to)?);
        if !clone_file(&source, &target) {
            io::copy(&mut &source, &mut &target)?;
        }
        target.sync_data()?;
    } else {
        let mode = Mode::from_raw_mode(about.mode() & 0o7777);
        rustix::fs::mknodat(rustix::fs::CWD, to, FileType::from_raw_mode(about.mode()), mode, about.rdev())?;
    }
    keep(&about, to)
}

/// Gives a copy the owner, mode and times of its origin.
fn keep(about: &Metadata, to: &Path) -> io::Result<()> {
    chown(to, Some(about.uid()), Some(about.gid()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(about.mode() & 0o7777))?;
    let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: time(about.atime(), about.atime_nsec()),
        last_modification: time(about.mtime(), about.mtime_nsec()),
    };
    Ok(rustix::fs::utimensat(rustix::fs::CWD, to, &times, rustix::fs::AtFlags::empty())?)
}

/// Bytes on disk below a directory; what vanishes while this looks counts as nothing.
pub(crate) fn used(dir: &Path) -> Result<u64, Error> {
    let mut total = 0;
    let mut open = vec![dir.to_owned()];
    while let Some(path) = open.pop() {
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("measure", &path)(error)),
        };
        for entry in entries.flatten() {
            let Ok(about) = entry.metadata() else { continue };
            total += about.blocks() * 512;
            if about.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(total)
}

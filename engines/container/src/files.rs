//! Small files: JSON written in one piece, locks, sockets with long names.

#![expect(unsafe_code, reason = "flock(2) has no safe form for a borrowed file")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// The value in a file, `None` when there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { attempt: "read", path: path.to_owned(), source }),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| Error::Damaged { path: path.to_owned(), source })
}

/// Readers see the old file or the new one, never half of it.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let attempt = |attempt| {
        let path = path.to_owned();
        move |source| Error::File { attempt, path, source }
    };
    let bytes = serde_json::to_vec(value).map_err(io::Error::other).map_err(attempt("encode"))?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(attempt("create"))?;
    file.write_all(&bytes).map_err(attempt("write"))?;
    fs::rename(&temporary, path).map_err(attempt("rename to"))
}

/// Takes the lock for as long as the file stays open; children that inherit it hold it too.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    flock(&file, libc::LOCK_EX)?;
    Ok(file)
}

pub(crate) fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    flock(&file, libc::LOCK_SH | libc::LOCK_NB).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

fn flock(file: &File, operation: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed.
    match unsafe { libc::flock(file.as_raw_fd(), operation) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A socket's name may have 107 bytes, a directory's far more: so the directory is opened and the
/// socket named relative to it. The returned file must outlive the use of the path.
pub(crate) fn socket_path(dir: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let dir = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()));
    Ok((dir, path))
}

/// Removes a tree that may be absent.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::File { attempt: "remove", path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

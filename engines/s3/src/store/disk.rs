//! The directory of a store: its files, how they are synced, and errors that name them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::record::Name;

/// Kept free, so that a full store can still delete.
const RESERVE: u64 = 32 << 20;

/// The paths under the store's directory.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    root: PathBuf,
}

impl Disk {
    /// Makes the folders that are missing.
    pub(super) fn prepare(root: &Path) -> Result<Self> {
        let disk = Self { root: root.to_owned() };
        for dir in [disk.root.clone(), disk.blobs(), disk.packs()] {
            make(&dir)?;
        }
        for fan in 0..=u8::MAX {
            make(&disk.blobs().join(format!("{fan:02x}")))?;
        }
        sync_dir(&disk.blobs())?;
        sync_dir(&disk.root)?;
        Ok(disk)
    }

    pub(super) fn meta(&self) -> PathBuf {
        self.root.join("meta.redb")
    }

    /// Says that `meta.redb` must exist.
    pub(super) fn format(&self) -> PathBuf {
        self.root.join("FORMAT")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(super) fn packs(&self) -> PathBuf {
        self.root.join("packs")
    }

    pub(super) fn blob(&self, name: &Name) -> PathBuf {
        self.blobs().join(format!("{:02x}", name[0])).join(hex(name))
    }

    pub(super) fn pack(&self, pack: u64) -> PathBuf {
        self.packs().join(format!("{pack:016x}"))
    }

    /// Refuses `more` bytes that would leave too little room.
    pub(super) fn room(&self, more: u64) -> Result<()> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|errno| failed("ask for free space in", &self.root)(errno.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        // On a small disk a smaller share is kept.
        let reserve = RESERVE.min(stat.f_blocks.saturating_mul(stat.f_frsize) / 10);
        if free < more.saturating_add(reserve) {
            let text = format!("{free} bytes are free, {reserve} stay reserved for deleting");
            return Err(Error::Full { source: io::Error::new(io::ErrorKind::StorageFull, text) });
        }
        Ok(())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(out)
}

/// Names the attempt and the path; a full disk is told apart.
pub(super) fn failed<'a>(attempt: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { source },
        _ => Error::Io { attempt, path: path.display().to_string(), source },
    }
}

fn make(dir: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(dir).map_err(failed("create the directory", dir))
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("create the directory", dir)(error))
        }
        _ => Ok(()),
    }
}

pub(super) fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("create", path))
}

pub(super) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("sync the directory", dir))
}

/// Removes a file; one that is gone already is as good.
pub(super) fn remove(path: &Path) -> u64 {
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    match fs::remove_file(path) {
        Ok(()) => size,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "a file nobody needs stays for now");
            }
            0
        }
    }
}

//! Directories that hold data: made, grown, measured, cloned and removed.
//!
//! A volume is `<root>/<name>/` with a record and the directory `data/`, which is what a container
//! mounts; frozen copies are in `snapshots/`. Clones share blocks with their origin where the file system can (btrfs, xfs with reflink);
//! elsewhere they are copies, and [`Capabilities`] says so. Nothing here knows what a claim is.

mod copy;
mod error;
mod snapshots;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use error::Error;

const DATA: &str = "data";
const RECORD: &str = "volume.json";

/// The volumes below one directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Volumes {
    root: Arc<PathBuf>,
    capabilities: Capabilities,
}

/// What the file system below can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Clones share blocks and take milliseconds.
    pub instant_clones: bool,
    /// The size of a volume is enforced by the kernel. Sizes are recorded and usage is measured, but
    /// a volume can take all the room there is.
    pub enforced_sizes: bool,
}

/// What is known of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    bytes: u64,
}

impl Volumes {
    /// Opens the directory, and finds out what its file system can do.
    pub fn open(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(Error::io("make the directory of volumes", root))?;
        let instant_clones = copy::can_share_blocks(root)?;
        let capabilities = Capabilities { instant_clones, enforced_sizes: false };
        Ok(Self { root: Arc::new(root.to_owned()), capabilities })
    }

    /// What the file system below can do.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Makes a volume of `bytes`; the same name again gives the same directory.
    pub async fn create(&self, name: &str, bytes: u64) -> Result<PathBuf, Error> {
        let dir = self.dir(name)?;
        blocking(move || make(&dir, bytes, make_dir)).await
    }

    /// Makes a volume with what is in another one now.
    pub async fn clone_from(&self, origin: &str, name: &str) -> Result<PathBuf, Error> {
        let (from, dir) = (self.dir(origin)?, self.dir(name)?);
        let bytes = read(&from)?.bytes;
        blocking(move || make(&dir, bytes, |data| copy::copy_tree(&from.join(DATA), data))).await
    }

    /// Records a larger size. A volume never shrinks.
    pub async fn resize(&self, name: &str, bytes: u64) -> Result<(), Error> {
        let dir = self.dir(name)?;
        blocking(move || {
            let before = read(&dir)?.bytes;
            if bytes < before {
                return Err(Error::Shrink { volume: dir, from: before, to: bytes });
            }
            write(&dir, &Record { bytes })
        })
        .await
    }

    /// The bytes that a volume may hold, and those on disk for it now.
    pub async fn usage(&self, name: &str) -> Result<(u64, u64), Error> {
        let dir = self.dir(name)?;
        blocking(move || Ok((read(&dir)?.bytes, copy::used(&dir.join(DATA))?))).await
    }

    /// Removes a volume with what is in it; one that is gone already is no error.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        let dir = self.dir(name)?;
        blocking(move || {
            let doomed = dir.with_extension("removing");
            // Renamed first, so that a removal that is cut short never leaves half a volume.
            match fs::rename(&dir, &doomed) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("remove the volume", &dir)(error)),
            }
            remove_tree(&doomed)
        })
        .await
    }

    /// The directory of a volume; a name is one path component.
    fn dir(&self, name: &str) -> Result<PathBuf, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 253 || !name.chars().all(plain) {
            return Err(Error::Name(name.to_owned()));
        }
        Ok(self.root.join(name))
    }
}

/// Makes a volume whole or not at all.
fn make(dir: &Path, bytes: u64, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<PathBuf, Error> {
    if dir.join(RECORD).exists() {
        return Ok(dir.join(DATA));
    }
    let part = dir.with_extension("making");
    remove_tree(&part)?;
    make_dir(&part)?;
    fill(&part.join(DATA))?;
    // Pods run as any user; who may do what inside is theirs to say.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(part.join(DATA), open).map_err(Error::io("open the volume to its pods", dir))?;
    write(&part, &Record { bytes })?;
    fs::rename(&part, dir).map_err(Error::io("make the volume", dir))?;
    sync_dir(dir.parent().unwrap_or(dir))?;
    Ok(dir.join(DATA))
}

fn make_dir(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(Error::io("make the volume", dir))
}

fn remove_tree(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", dir)(error)),
        _ => Ok(()),
    }
}

fn read(dir: &Path) -> Result<Record, Error> {
    let path = dir.join(RECORD);
    let text = fs::read(&path).map_err(Error::io("read the record of the volume", &path))?;
    serde_json::from_slice(&text).map_err(|error| Error::Damaged { path, reason: error.to_string() })
}

fn write(dir: &Path, record: &Record) -> Result<(), Error> {
    let path = dir.join(RECORD);
    let part = dir.join("volume.part");
    let attempt = || Error::io("write the record of the volume", &path);
    let text = serde_json::to_vec(record).unwrap_or_default();
    fs::write(&part, text).map_err(attempt())?;
    fs::File::open(&part).and_then(|file| file.sync_all()).map_err(attempt())?;
    fs::rename(&part, &path).map_err(attempt())?;
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    fs::File::open(dir).and_then(|d| d.sync_all()).map_err(Error::io("write the directory", dir))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?
}

#[cfg(test)]
mod tests {
    use super::{Error, Volumes};

    fn volumes() -> (tempfile::TempDir, Volumes) {
        let dir = tempfile::tempdir().expect("a directory");
        let volumes = Volumes::open(dir.path()).expect("volumes");
        (dir, volumes)
    }

    #[tokio::test]
    async fn a_volume_is_made_once_and_removed() {
        let (_dir, volumes) = volumes();
        let path = volumes.create("pv-1", 1 << 20).await.expect("made");
        std::fs::write(path.join("x"), "data").expect("written");
        assert_eq!(volumes.create("pv-1", 1 << 20).await.expect("the same"), path);
        assert_eq!(std::fs::read_to_string(path.join("x")).expect("kept"), "data");
        let (limit, used) = volumes.usage("pv-1").await.expect("usage");
        assert_eq!(limit, 1 << 20);
        assert!(used >= 4, "{used}");
        volumes.remove("pv-1").await.expect("removed");
        volumes.remove("pv-1").await.expect("gone already");
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_volume_grows_and_never_shrinks() {
        let (_dir, volumes) = volumes();
        volumes.create("v", 10).await.expect("made");
        volumes.resize("v", 20).await.expect("grown");
        assert!(matches!(volumes.resize("v", 5).await, Err(Error::Shrink { from: 20, to: 5, .. })));
    }

    #[tokio::test]
    async fn a_clone_has_the_data_and_a_life_of_its_own() {
        let (_dir, volumes) = volumes();
        let origin = volumes.create("a", 10).await.expect("made");
        std::fs::create_dir(origin.join("sub")).expect("a directory");
        std::fs::write(origin.join("sub/x"), "one").expect("written");
        std::os::unix::fs::symlink("sub/x", origin.join("link")).expect("a link");
        let copy = volumes.clone_from("a", "b").await.expect("cloned");
        std::fs::write(origin.join("sub/x"), "two").expect("written");
        assert_eq!(std::fs::read_to_string(copy.join("link")).expect("read"), "one");
    }

    #[tokio::test]
    async fn a_name_stays_below_the_root() {
        let (_dir, volumes) = volumes();
        for bad in ["", "..", "a/b", "a.b"] {
            assert!(matches!(volumes.create(bad, 1).await, Err(Error::Name(_))), "{bad}");
        }
    }
}

//! Frozen copies of volumes, and volumes made from them.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::{DATA, Error, Volumes, blocking, copy, make, make_dir, read, remove_tree, sync_dir};

const SNAPSHOTS: &str = "snapshots";

impl Volumes {
    /// Freezes a volume under a name. Programs may go on writing meanwhile: whether files fit each
    /// other is up to who writes them.
    pub async fn snapshot(&self, volume: &str, snapshot: &str) -> Result<(), Error> {
        let from = self.existing(volume)?.join(DATA);
        let to = self.snapshot_dir(volume, snapshot)?;
        if to.exists() {
            return Err(Error::SnapshotExists { volume: volume.into(), snapshot: snapshot.into() });
        }
        blocking(move || {
            let part = to.with_extension("making");
            remove_tree(&part)?;
            make_dir(to.parent().unwrap_or(&to))?;
            copy::copy_tree(&from, &part)?;
            fs::rename(&part, &to).map_err(Error::io("make the snapshot", &to))?;
            sync_dir(to.parent().unwrap_or(&to))
        })
        .await
    }

    /// The names of a volume's snapshots.
    pub async fn snapshots(&self, volume: &str) -> Result<Vec<String>, Error> {
        let dir = self.existing(volume)?.join(SNAPSHOTS);
        blocking(move || {
            let entries = match fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(Error::io("list", &dir)(error)),
            };
            let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            // A dot is in no name: what has one is a copy that was cut short.
            let mut names: Vec<String> = names.filter(|name| !name.contains('.')).collect();
            names.sort();
            Ok(names)
        })
        .await
    }

    /// Makes a volume with what was in another one when it was frozen.
    pub async fn clone_snapshot(&self, volume: &str, snapshot: &str, name: &str) -> Result<PathBuf, Error> {
        let (origin, dir) = (self.existing(volume)?, self.dir(name)?);
        let from = self.existing_snapshot(volume, snapshot)?;
        blocking(move || {
            let bytes = read(&origin)?.bytes;
            make(&dir, bytes, |data| copy::copy_tree(&from, data))
        })
        .await
    }

    /// Puts a volume back to a snapshot. No program may use it meanwhile: its directory is exchanged
    /// for another.
    pub async fn restore(&self, volume: &str, snapshot: &str) -> Result<(), Error> {
        let data = self.existing(volume)?.join(DATA);
        let from = self.existing_snapshot(volume, snapshot)?;
        blocking(move || {
            let (fresh, old) = (data.with_extension("making"), data.with_extension("removing"));
            remove_tree(&fresh)?;
            remove_tree(&old)?;
            copy::copy_tree(&from, &fresh)?;
            fs::rename(&data, &old).map_err(Error::io("put aside", &data))?;
            fs::rename(&fresh, &data).map_err(Error::io("put in place", &data))?;
            sync_dir(data.parent().unwrap_or(&data))?;
            remove_tree(&old)
        })
        .await
    }

    /// Removes a snapshot; one that is gone already is no error.
    pub async fn remove_snapshot(&self, volume: &str, snapshot: &str) -> Result<(), Error> {
        let dir = self.snapshot_dir(volume, snapshot)?;
        blocking(move || remove_tree(&dir)).await
    }

    fn existing(&self, volume: &str) -> Result<PathBuf, Error> {
        let dir = self.dir(volume)?;
        if dir.exists() { Ok(dir) } else { Err(Error::Missing { what: "volume", name: volume.into() }) }
    }

    fn snapshot_dir(&self, volume: &str, snapshot: &str) -> Result<PathBuf, Error> {
        let name = self.dir(snapshot)?;
        let name = name.file_name().unwrap_or_default();
        Ok(self.dir(volume)?.join(SNAPSHOTS).join(name))
    }

    fn existing_snapshot(&self, volume: &str, snapshot: &str) -> Result<PathBuf, Error> {
        let dir = self.snapshot_dir(volume, snapshot)?;
        if dir.exists() { Ok(dir) } else { Err(Error::Missing { what: "snapshot", name: snapshot.into() }) }
    }
}

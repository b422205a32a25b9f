//! What all parts of the store hold in common: the files, and who is using which of them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::disk::{self, Disk};
use super::error::{Error, Result};
use super::meta::{Look, Meta};
use super::model::Config;
use super::pack::Shelf;
use super::record::{self, Name};
use super::tables::{self, At};
use super::tx::Garbage;

pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) disk: Disk,
    pub(super) meta: Meta,
    pub(super) shelf: Shelf,
    /// The pack being written, 0 if none.
    pub(super) writing: Arc<AtomicU64>,
    /// Wakes the upkeep before its time.
    pub(super) wake: Notify,
    /// Blob files whose metadata is not committed yet.
    pending: Mutex<HashSet<Name>>,
    pins: Mutex<HashMap<u64, Pinned>>,
    /// Bytes on their way, by owner.
    reserved: Mutex<HashMap<String, u64>>,
    reaper: mpsc::Sender<PathBuf>,
}

#[derive(Default)]
struct Pinned {
    readers: usize,
    /// To be removed when the last reader has left.
    files: Vec<Name>,
}

impl Shared {
    pub(super) fn open(config: Config, writing: Arc<AtomicU64>) -> Result<Self> {
        let disk = Disk::prepare(&config.dir)?;
        let meta = Meta::open(&disk, config.cache_bytes)?;
        let (reaper, paths) = mpsc::channel::<PathBuf>();
        // Removing a large file takes a while: nobody should wait for it.
        let remove = move || {
            for path in paths {
                disk::remove(&path);
            }
        };
        std::thread::Builder::new().name("s3-reaper".to_owned()).spawn(remove).map_err(|source| {
            Error::Io { attempt: "start the thread", path: "s3-reaper".to_owned(), source }
        })?;
        Ok(Self {
            shelf: Shelf::new(disk.clone()),
            config,
            disk,
            meta,
            writing,
            wake: Notify::new(),
            pending: Mutex::default(),
            pins: Mutex::default(),
            reserved: Mutex::default(),
            reaper,
        })
    }

    /// Removes what a commit left behind, or leaves it to the last who reads it.
    pub(super) fn reap(&self, garbage: Garbage) {
        for name in garbage.files {
            self.remove_later(self.disk.blob(&name));
        }
        for (manifest, files) in garbage.manifests {
            let mut pins = self.pins.lock();
            match pins.get_mut(&manifest) {
                Some(pinned) => pinned.files.extend(files),
                None => files.iter().for_each(|name| self.remove_later(self.disk.blob(name))),
            }
        }
        for pack in garbage.packs {
            self.shelf.forget(pack);
            self.remove_later(self.disk.pack(pack));
        }
    }

    fn remove_later(&self, path: PathBuf) {
        // The reaper lives as long as this sender.
        drop(self.reaper.send(path));
    }

    /// Keeps the files of a manifest for a reader.
    pub(super) fn pin(self: &Arc<Self>, manifest: u64) -> Pin {
        self.pins.lock().entry(manifest).or_default().readers += 1;
        Pin { shared: Arc::clone(self), manifest }
    }

    pub(super) fn is_pending(&self, name: &Name) -> bool {
        self.pending.lock().contains(name)
    }

    /// Whether a reader still needs the file, though nothing refers to it any more.
    pub(super) fn is_pinned(&self, name: &Name) -> bool {
        self.pins.lock().values().any(|pinned| pinned.files.contains(name))
    }

    /// A name for a new blob file, known to be on its way.
    pub(super) fn begin_file(self: &Arc<Self>) -> Pending {
        let name = uuid::Uuid::new_v4().into_bytes();
        self.pending.lock().insert(name);
        Pending { shared: Arc::clone(self), name, remove: true }
    }

    /// Room for `bytes` of an owner, held until dropped. Refused when the quota or the disk has none.
    pub(super) fn reserve(self: &Arc<Self>, owner: &str, bytes: u64) -> Result<Reservation> {
        let mut reservation = Reservation { shared: Arc::clone(self), owner: owner.to_owned(), bytes: 0 };
        reservation.grow(bytes)?;
        Ok(reservation)
    }
}

/// Someone reads the files of a manifest.
pub(super) struct Pin {
    shared: Arc<Shared>,
    manifest: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.shared.pins.lock();
        let Some(pinned) = pins.get_mut(&self.manifest) else { return };
        pinned.readers -= 1;
        if pinned.readers == 0
            && let Some(pinned) = pins.remove(&self.manifest)
        {
            for name in pinned.files {
                self.shared.remove_later(self.shared.disk.blob(&name));
            }
        }
    }
}

/// A blob file that nothing refers to yet. Dropped, it is removed.
pub(super) struct Pending {
    shared: Arc<Shared>,
    pub(super) name: Name,
    remove: bool,
}

impl Pending {
    /// It has been committed; or nobody knows whether, and the upkeep will see.
    pub(super) fn keep(mut self) {
        self.remove = false;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.remove {
            self.shared.remove_later(self.shared.disk.blob(&self.name));
        }
        self.shared.pending.lock().remove(&self.name);
    }
}

/// Bytes on their way that count towards the quota already.
pub(super) struct Reservation {
    shared: Arc<Shared>,
    owner: String,
    bytes: u64,
}

impl Reservation {
    pub(super) fn grow(&mut self, bytes: u64) -> Result<()> {
        self.shared.disk.room(bytes)?;
        let view = self.shared.meta.view()?;
        let user: Option<record::User> = view.record(At::Users, self.owner.as_bytes())?;
        let limit = user.as_ref().and_then(|user| user.bytes);
        if user.is_some_and(|user| user.deny_write) {
            return Err(denied(&self.owner));
        }
        let mut reserved = self.shared.reserved.lock();
        let on_the_way = reserved.get(&self.owner).copied().unwrap_or(0);
        if let Some(limit) = limit {
            let usage: record::Usage =
                view.record(At::Usage, &tables::user_usage(&self.owner))?.unwrap_or_default();
            let used = usage.bytes + usage.upload_bytes;
            if bytes > 0 && used.saturating_add(on_the_way).saturating_add(bytes) > limit {
                return Err(over("a write", &self.owner, "bytes", (limit, used)));
            }
        }
        reserved.insert(self.owner.clone(), on_the_way.saturating_add(bytes));
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut reserved = self.shared.reserved.lock();
        if let Some(bytes) = reserved.get_mut(&self.owner) {
            *bytes = bytes.saturating_sub(self.bytes);
            if *bytes == 0 {
                reserved.remove(&self.owner);
            }
        }
    }
}

pub(super) fn denied(user: &str) -> Error {
    let reason = "writing is switched off for this user: free space or raise the quota, then switch it on";
    Error::DenyWrite { user: user.to_owned(), reason }
}

pub(super) fn over(
    attempt: &'static str,
    owner: &str,
    what: &'static str,
    (limit, used): (u64, u64),
) -> Error {
    Error::Quota { attempt, owner: owner.to_owned(), what, limit, used }
}

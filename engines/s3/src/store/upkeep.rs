//! The background's work: contents of deleted buckets, expired uploads, orphaned files, packs that are
//! mostly dead. All in small steps, so that callers hardly notice.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::error::Result;
use super::listing::blocking;
use super::meta::{self, Look};
use super::model::Upkeep;
use super::pack::{self, Small};
use super::record::{self, Name};
use super::stage::Freight;
use super::tables::{self, At};
use super::tx::{self, Tx};
use super::{Inner, Store, buckets, disk, multipart};

/// Rows removed in one transaction.
const STEP: usize = 500;
/// Bytes moved between packs in one transaction.
const MOVE: usize = 1 << 20;
/// How long a completed upload is remembered for clients that ask again.
const REMEMBER: Duration = Duration::from_secs(24 * 3600);
/// So many small finished packs are put together.
const CRUMBS: usize = 4;

/// Runs until the store is gone.
pub(super) async fn run(store: Weak<Inner>, every: Duration) {
    loop {
        let Some(inner) = store.upgrade() else { return };
        let store = Store { inner };
        if let Err(error) = store.upkeep().await {
            tracing::warn!(%error, "upkeep of the store stopped half way; it tries again later");
        }
        let shared = std::sync::Arc::clone(store.shared());
        drop(store);
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = shared.wake.notified() => {}
        }
    }
}

/// Rows of a deleted bucket: a table, and up to so many keys.
fn doomed_rows(tx: &Tx<'_>, at: At, bucket: u32) -> Result<Vec<Vec<u8>>> {
    let mut rows = tx.under(at, &tables::of_bucket(bucket))?;
    let mut out = Vec::new();
    while out.len() < STEP
        && let Some((key, _)) = meta::next(&mut rows)?
    {
        out.push(key.value().to_vec());
    }
    Ok(out)
}

/// Removes some rows of a deleted bucket; 0 when it is done. Its usage is off the books already.
fn demolish(tx: &mut Tx<'_>, bucket: u32) -> Result<(u64, bool)> {
    for at in [At::Latest, At::Older, At::Nulls, At::Uploads, At::Documents] {
        let rows = doomed_rows(tx, at, bucket)?;
        for row in &rows {
            match at {
                At::Latest | At::Older => {
                    if let Some(head) = tx.record::<record::Head>(at, row)? {
                        tx.release(head.body)?;
                    }
                }
                At::Uploads => demolish_parts(tx, row)?,
                _ => {}
            }
            tx.remove(at, row)?;
        }
        if !rows.is_empty() {
            let versions = if matches!(at, At::Latest | At::Older) { rows.len() as u64 } else { 0 };
            return Ok((versions, false));
        }
    }
    tx.remove(At::Doomed, &tables::of_bucket(bucket))?;
    Ok((0, true))
}

fn demolish_parts(tx: &mut Tx<'_>, upload: &[u8]) -> Result<()> {
    let id = upload.last_chunk::<16>().copied().unwrap_or_default();
    let mut found = Vec::new();
    let mut rows = tx.under(At::Parts, &id)?;
    while let Some((key, value)) = meta::next(&mut rows)? {
        found.push((key.value().to_vec(), record::decode::<record::Part>(value.value())?.body));
    }
    drop(rows);
    for (row, body) in found {
        tx.release(body)?;
        tx.remove(At::Parts, &row)?;
    }
    Ok(())
}

impl Store {
    /// One round of the background's work, now.
    pub async fn upkeep(&self) -> Result<Upkeep> {
        let mut done = Upkeep::default();
        self.demolish_buckets(&mut done).await?;
        self.expire_uploads(&mut done).await?;
        self.forget_completed().await?;
        self.collect_blobs(&mut done).await?;
        self.compact_packs(&mut done).await?;
        self.collect_packs(&mut done).await?;
        Ok(done)
    }

    async fn demolish_buckets(&self, done: &mut Upkeep) -> Result<()> {
        for row in self.rows_of(At::Doomed)? {
            let bucket = row.as_slice().try_into().map_or(0, u32::from_be_bytes);
            loop {
                let (versions, finished) =
                    self.write(Freight::default(), move |tx, _| demolish(tx, bucket)).await?;
                done.versions_removed += versions;
                if finished {
                    break;
                }
            }
        }
        Ok(())
    }

    fn rows_of(&self, at: At) -> Result<Vec<Vec<u8>>> {
        let view = self.shared().meta.view()?;
        let mut rows = view.under(at, b"")?;
        let mut out = Vec::new();
        while let Some((key, _)) = meta::next(&mut rows)? {
            out.push(key.value().to_vec());
        }
        Ok(out)
    }

    async fn expire_uploads(&self, done: &mut Upkeep) -> Result<()> {
        let Some(age) = self.shared().config.uploads_expire else { return Ok(()) };
        let before = tx::now().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let view = self.shared().meta.view()?;
        for (name, bucket) in buckets::all(&view)? {
            let mut old = Vec::new();
            let mut rows = view.under(At::Uploads, &tables::of_bucket(bucket.id))?;
            while let Some((row, value)) = meta::next(&mut rows)? {
                if record::decode::<record::Upload>(value.value())?.initiated <= before {
                    old.push(row.value().to_vec());
                }
            }
            drop(rows);
            for row in old {
                let name = name.clone();
                done.uploads_expired += self
                    .write(Freight::default(), move |tx, _| {
                        let bucket = buckets::find(tx, &name)?;
                        if tx.get(At::Uploads, &row)?.is_none() {
                            return Ok(0);
                        }
                        multipart::discard(tx, &bucket, &row, &BTreeMap::new()).map(|()| 1)
                    })
                    .await?;
            }
        }
        Ok(())
    }

    async fn forget_completed(&self) -> Result<()> {
        let before = tx::now().saturating_sub(u64::try_from(REMEMBER.as_millis()).unwrap_or(0));
        let mut old = Vec::new();
        {
            let view = self.shared().meta.view()?;
            let mut rows = view.under(At::Completed, b"")?;
            while let Some((row, value)) = meta::next(&mut rows)? {
                if record::decode::<record::Completed>(value.value())?.at <= before {
                    old.push(row.value().to_vec());
                }
            }
        }
        for rows in old.chunks(STEP) {
            let rows = rows.to_vec();
            self.write(Freight::default(), move |tx, _| {
                rows.iter().try_for_each(|row| tx.remove(At::Completed, row))
            })
            .await?;
        }
        Ok(())
    }

    /// Removes blob files that nothing refers to: left by a crash between writing and committing.
    async fn collect_blobs(&self, done: &mut Upkeep) -> Result<()> {
        let shared = std::sync::Arc::clone(self.shared());
        let (orphans, freed) = blocking(move || {
            let (mut orphans, mut freed) = (0, 0);
            for fan in 0..=u8::MAX {
                let dir = shared.disk.blobs().join(format!("{fan:02x}"));
                let files = named::<16>(&dir)?;
                // Listed, then not on its way any more, then not in the metadata: nobody's.
                let idle: Vec<_> = files.into_iter().filter(|(name, _)| !shared.is_pending(name)).collect();
                let view = shared.meta.view()?;
                for (name, path) in idle {
                    let name: Name = name;
                    if view.get(At::Files, &name)?.is_none() && !shared.is_pinned(&name) {
                        freed += disk::remove(&path);
                        orphans += 1;
                    }
                }
            }
            Ok((orphans, freed))
        })
        .await?;
        done.orphans += orphans;
        done.bytes_freed += freed;
        Ok(())
    }

    async fn collect_packs(&self, done: &mut Upkeep) -> Result<()> {
        let shared = std::sync::Arc::clone(self.shared());
        let (orphans, freed) = blocking(move || {
            let (mut orphans, mut freed) = (0, 0);
            let files = named::<8>(&shared.disk.packs())?;
            let writing = shared.writing.load(Ordering::SeqCst);
            let view = shared.meta.view()?;
            for (name, path) in files {
                let pack = u64::from_be_bytes(name);
                // A pack younger than this view's last change may have been begun since.
                let settled = pack <= tx::last_sequence(&view)?;
                if pack != writing && settled && view.get(At::Packs, &name)?.is_none() {
                    freed += disk::remove(&path);
                    shared.shelf.forget(pack);
                    orphans += 1;
                }
            }
            Ok((orphans, freed))
        })
        .await?;
        done.orphans += orphans;
        done.bytes_freed += freed;
        Ok(())
    }

    /// Moves what lives in packs that are mostly dead, or small and many.
    async fn compact_packs(&self, done: &mut Upkeep) -> Result<()> {
        let writing = self.shared().writing.load(Ordering::SeqCst);
        let (mut worn, mut crumbs) = (Vec::new(), Vec::new());
        {
            let view = self.shared().meta.view()?;
            let mut rows = view.under(At::Packs, b"")?;
            while let Some((key, value)) = meta::next(&mut rows)? {
                let pack = key.value().try_into().map_or(0, u64::from_be_bytes);
                let live: u64 = record::decode(value.value())?;
                let size = std::fs::metadata(self.shared().disk.pack(pack)).map_or(0, |file| file.len());
                if pack == writing {
                    continue;
                }
                if live < size / 2 || live == 0 {
                    worn.push((pack, size, live));
                } else if size < self.shared().config.pack_bytes / 16 {
                    crumbs.push((pack, size, live));
                }
            }
        }
        if crumbs.len() >= CRUMBS {
            worn.extend(crumbs);
        }
        for (pack, size, live) in worn {
            if self.compact(pack).await? {
                done.packs_compacted += 1;
                done.bytes_freed += size.saturating_sub(live);
            }
        }
        Ok(())
    }

    /// Whether the pack is gone afterwards.
    async fn compact(&self, pack: u64) -> Result<bool> {
        let mut places = Vec::new();
        if let Ok(file) = self.shared().shelf.file(pack) {
            let walked = blocking(move || {
                let walked = pack::walk(&file, pack);
                walked.map_err(disk::failed("read the pack", &PathBuf::from(format!("{pack:016x}"))))
            });
            places = walked.await?;
        }
        let mut moving: Vec<(u64, u32, Bytes)> = Vec::new();
        let mut bytes = 0;
        for place in places {
            let here = {
                let view = self.shared().meta.view()?;
                let row: Option<record::Packed> = view.record(At::Packed, &place.id.to_be_bytes())?;
                row.is_some_and(|row| row.pack == pack && row.offset == place.offset)
            };
            if !here {
                continue;
            }
            // What is damaged stays where it is, for the scrub to name.
            let Ok(body) = self.shared().shelf.read(place) else { continue };
            bytes += body.len();
            moving.push((place.id, place.offset, body));
            if bytes >= MOVE || moving.len() >= STEP {
                self.move_bodies(pack, std::mem::take(&mut moving)).await?;
                bytes = 0;
            }
        }
        self.move_bodies(pack, moving).await?;
        self.write(Freight::default(), move |tx, _| {
            let live: Option<u64> = tx.record(At::Packs, &pack.to_be_bytes())?;
            if live == Some(0) {
                tx.remove(At::Packs, &pack.to_be_bytes())?;
                tx.garbage.packs.push(pack);
            }
            Ok(live.is_none_or(|live| live == 0))
        })
        .await
    }

    async fn move_bodies(&self, from: u64, moving: Vec<(u64, u32, Bytes)>) -> Result<()> {
        if moving.is_empty() {
            return Ok(());
        }
        let bodies =
            moving.iter().map(|(id, _, bytes)| Small { id: Some(*id), bytes: bytes.clone() }).collect();
        let freight = Freight { bodies, ..Freight::default() };
        let offsets: Vec<u32> = moving.into_iter().map(|(_, offset, _)| offset).collect();
        self.write(freight, move |tx, places| {
            for (place, offset) in places.iter().zip(offsets) {
                let row: Option<record::Packed> = tx.record(At::Packed, &place.id.to_be_bytes())?;
                if let Some(row) = row
                    && row.pack == from
                    && row.offset == offset
                {
                    tx.move_packed(&row, *place)?;
                }
            }
            Ok(())
        })
        .await
    }
}

/// Files whose name is `N` bytes in hex.
fn named<const N: usize>(dir: &std::path::Path) -> Result<Vec<([u8; N], PathBuf)>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(disk::failed("list", dir))? {
        let path = entry.map_err(disk::failed("list", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(disk::unhex);
        out.extend(name.map(|name| (name, path)));
    }
    Ok(out)
}

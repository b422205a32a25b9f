//! The store as its callers see it.

mod accounts;
mod damage;
mod model;
mod multipart;
mod objects;
mod power;
mod upkeep;
mod versions;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;

use super::*;

/// A store in a directory of its own, with user `ann` and bucket `box`.
pub(super) struct Room {
    pub(super) store: Store,
    pub(super) dir: TempDir,
}

pub(super) fn config(dir: &TempDir) -> Config {
    Config { upkeep_every: None, minimum_part: 10, ..Config::at(dir.path()) }
}

pub(super) async fn room() -> Room {
    let dir = TempDir::new().unwrap();
    let store = Store::open(config(&dir)).await.unwrap();
    store.put_user(User { name: "ann".to_owned(), ..User::default() }).await.unwrap();
    store.create_bucket("box", "ann", false).await.unwrap();
    Room { store, dir }
}

impl Room {
    /// The same directory, opened anew.
    pub(super) async fn again(self) -> Self {
        self.store.close().await;
        let store = Store::open(config(&self.dir)).await.unwrap();
        Self { store, dir: self.dir }
    }

    pub(super) async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Object {
        self.try_put(key, bytes, Condition::default()).await.unwrap()
    }

    pub(super) async fn try_put(
        &self,
        key: &str,
        bytes: impl Into<Bytes>,
        condition: Condition,
    ) -> Result<Object> {
        let staged = self.stage(bytes).await?;
        let attributes = Attributes::default();
        self.store.put("box", Put { key: key.to_owned(), staged, attributes, condition }).await
    }

    pub(super) async fn stage(&self, bytes: impl Into<Bytes>) -> Result<Staged> {
        let pieces: Vec<_> = bytes.into().chunks(10_000).map(Bytes::copy_from_slice).collect();
        let body = stream::iter(pieces.into_iter().map(Ok::<_, BoxError>));
        Ok(self.store.stage("box", Stage::default(), body, ()).await?.0)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Vec<u8>> {
        self.get_version(key, None).await
    }

    pub(super) async fn get_version(&self, key: &str, version: Option<VersionId>) -> Result<Vec<u8>> {
        let opened = self.store.open_object("box", key, version).await?;
        collect(opened.read(0..u64::MAX)).await
    }

    pub(super) async fn delete(&self, key: &str, version: Option<VersionId>) -> Result<Deleted> {
        self.store.delete("box", Delete { key: key.to_owned(), version, ..Delete::default() }).await
    }

    pub(super) async fn bytes(&self) -> u64 {
        self.store.bucket_usage("box").await.unwrap().bytes
    }

    /// Files under a folder of the store.
    pub(super) fn files(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let mut out = Vec::new();
        for entry in std::fs::read_dir(self.dir.path().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => out.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path())),
                false => out.push(path),
            }
        }
        out
    }

    /// Waits until as many files are there: removing happens on a thread of its own.
    pub(super) async fn files_become(&self, folder: &str, count: usize) {
        for _ in 0..500 {
            if self.files(folder).len() == count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{folder} has {:?}, not {count} files", self.files(folder));
    }
}

pub(super) async fn collect(mut reader: Reader) -> Result<Vec<u8>> {
    let (mut out, expected) = (Vec::new(), reader.remaining());
    while let Some(piece) = reader.next().await {
        out.extend_from_slice(&piece?);
    }
    assert_eq!(out.len() as u64, expected, "the reader said how much would come");
    Ok(out)
}

/// Bytes that differ everywhere.
pub(super) fn noise(size: usize, seed: u64) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut out = vec![0; size];
    rand::rngs::StdRng::seed_from_u64(seed).fill_bytes(&mut out);
    out
}

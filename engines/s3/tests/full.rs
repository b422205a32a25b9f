//! A disk that fills: writes stop with a clear error, nothing is lost, deleting works and helps.

use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use futures::{StreamExt, stream};
use sealos_s3::store::*;

/// A small disk of its own, in memory.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// `None` where this process may not mount.
    fn mount(path: &'a Path) -> Option<Self> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=40m", "none"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0).status());
    }
}

fn bytes(size: usize, seed: u8) -> Vec<u8> {
    (0..size).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

async fn put(store: &Store, key: &str, bytes: Vec<u8>, known: bool) -> Result<Object> {
    let size = known.then_some(bytes.len() as u64);
    let pieces: Vec<_> = bytes.chunks(65_536).map(Bytes::copy_from_slice).collect();
    let body = stream::iter(pieces.into_iter().map(Ok::<_, BoxError>));
    let (staged, ()) = store.stage("box", Stage { size, limit: None }, body, ()).await?;
    let (attributes, condition) = Default::default();
    store.put("box", Put { key: key.to_owned(), staged, attributes, condition }).await
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let dir = tempfile::TempDir::new().unwrap();
    let Some(_small) = Small::mount(dir.path()) else {
        eprintln!("not tried: this process may not mount a small disk");
        return;
    };
    let store = Store::open(Config { upkeep_every: None, ..Config::at(dir.path()) }).await.unwrap();
    store.put_user(User { name: "ann".to_owned(), ..User::default() }).await.unwrap();
    store.create_bucket("box", "ann", false).await.unwrap();
    let mut kept = Vec::new();
    // Large ones, told beforehand or not, until neither fits.
    for (size, known) in [(3 << 20, true), (3 << 20, false), (40_000, true)] {
        let error = loop {
            let key = format!("{}", kept.len());
            match put(&store, &key, bytes(size, kept.len() as u8), known).await {
                Ok(_) => kept.push(size),
                Err(error) => break error,
            }
            assert!(kept.len() < 5000, "the disk never fills");
        };
        assert!(matches!(error, Error::Full { .. }), "{error}");
    }
    // What fills the rest of the disk is not ours: even then, deleting works.
    let filler = dir.path().join("filler");
    let filled = std::fs::write(&filler, vec![1; 40 << 20]);
    assert!(filled.is_err(), "the disk is full to the last byte");
    let error = put(&store, "late", bytes(10, 1), true).await.unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    std::fs::remove_file(filler).unwrap();
    store.delete("box", Delete { key: "0".to_owned(), ..Delete::default() }).await.unwrap();
    store.delete("box", Delete { key: "1".to_owned(), ..Delete::default() }).await.unwrap();
    let mut tries = 0;
    while let Err(error) = put(&store, "1", bytes(3 << 20, 1), true).await {
        // The file is removed beside the answer.
        assert!(matches!(error, Error::Full { .. }) && tries < 500, "{error}");
        tries += 1;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for (at, size) in kept.iter().enumerate().skip(1) {
        let opened = store.open_object("box", &at.to_string(), None).await.unwrap();
        let (mut reader, mut got) = (opened.read(0..u64::MAX), Vec::new());
        while let Some(piece) = reader.next().await {
            got.extend_from_slice(&piece.unwrap());
        }
        assert!(got == bytes(*size, at as u8), "object {at}");
    }
    store.close().await;
}

//! Streams go into a store and come back; damage is named; nothing half-done is visible.

use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::{Moved, Repo};
use crate::Error;
use crate::format::Key;

fn repo() -> (Arc<InMemory>, Repo) {
    let store = Arc::new(InMemory::new());
    (store.clone(), Repo::new(store, Key::random()))
}

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    (0..size).map(|_| next()).collect()
}

#[tokio::test]
async fn a_stream_of_several_parts_comes_back() {
    let (_, repo) = repo();
    let data = noise(19 << 20);
    let moved = Moved::default();
    let pending = repo.write("ns/a/data", data.as_slice(), &moved).await.expect("it is written");
    assert!(repo.get("ns/a/data").await.expect("the store answers").is_none(), "it is not visible yet");
    let written = pending.finish().await.expect("it is finished");
    assert_eq!((written.size, moved.bytes()), (data.len() as u64, data.len() as u64));
    assert_eq!(repo.get("ns/a/data").await.expect("it is whole").as_deref(), Some(data.as_slice()));
    repo.remove_all("ns").await.expect("it is removed");
    assert!(repo.list("ns").await.expect("the store answers").is_empty());
}

#[tokio::test]
async fn what_compresses_is_stored_small_and_nothing_is_a_stream_too() {
    let (_, repo) = repo();
    let written = repo.put("zeros", &vec![0; 4 << 20]).await.expect("it is written");
    assert!(written.stored < 10_000, "{written:?}");
    repo.put("nothing", b"").await.expect("it is written");
    assert_eq!(repo.get("nothing").await.expect("it is whole").as_deref(), Some(b"".as_slice()));
}

#[tokio::test]
async fn a_flipped_bit_in_the_store_names_object_and_chunk_and_passes_nothing_damaged_on() {
    let (store, repo) = repo();
    let data = noise(5 << 20);
    repo.put("ns/a/data", &data).await.expect("it is written");
    let path = Path::from("ns/a/data");
    let stored = store.get(&path).await.expect("it is there").bytes().await.expect("it is read");
    let mut flipped = stored.to_vec();
    flipped[3 << 20] ^= 4;
    store.put(&path, Bytes::from(flipped).into()).await.expect("it is written");
    let mut out = Vec::new();
    let error = repo.read("ns/a/data", &mut out, &Moved::default()).await.expect_err("it is damaged");
    assert!(matches!(&error, Error::Damaged { object, chunk: 3, .. } if object == "ns/a/data"), "{error}");
    assert!(data.starts_with(&out), "only good bytes were passed on");
    store.put(&path, stored.slice(..4 << 20).into()).await.expect("it is written");
    let error = repo.get("ns/a/data").await.expect_err("it is cut");
    assert!(matches!(error, Error::Damaged { .. } | Error::Cut { .. }), "{error}");
}

#[tokio::test]
async fn an_aborted_stream_leaves_nothing() {
    let (store, repo) = repo();
    let pending = repo.write("a", noise(9 << 20).as_slice(), &Moved::default()).await.expect("it is read");
    pending.abort().await;
    let left = store.list_with_delimiter(None).await.expect("the store answers");
    assert!(left.objects.is_empty());
}

//! How fast the store is, beside plain files and MD5 on the same disk, in one run.
//! `cargo bench -p sealos-s3 --bench store -- [DIR]`

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, stream};
use md5::{Digest, Md5};
use sealos_s3::store::*;

const WRITERS: usize = 32;
const SMALL: usize = 20_000;
const LISTED: usize = 100_000;
const LARGE: usize = 1 << 30;

fn main() {
    let base = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::TempDir::new_in(base).expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(dir.path()));
}

fn say(what: &str, value: f64, unit: &str) {
    drop(writeln!(std::io::stdout(), "{what:<44} {value:>12.1} {unit}"));
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

async fn put(store: &Store, key: String, pieces: Vec<Bytes>) {
    let size = Some(pieces.iter().map(|piece| piece.len() as u64).sum());
    let body = stream::iter(pieces.into_iter().map(Ok::<_, BoxError>));
    let (staged, ()) =
        store.stage("box", Stage { size, limit: None }, body, ()).await.expect("a body is taken");
    let (attributes, condition) = Default::default();
    store.put("box", Put { key, staged, attributes, condition }).await.expect("an object is put");
}

/// `work` for each number, by so many at once.
async fn many<F, W>(count: usize, work: W) -> Duration
where
    W: Fn(usize) -> F,
    F: Future<Output = ()>,
{
    let started = Instant::now();
    stream::iter(0..count).for_each_concurrent(WRITERS, work).await;
    started.elapsed()
}

async fn run(dir: &Path) {
    let store = Store::open(Config { upkeep_every: None, ..Config::at(dir.join("store")) }).await;
    let store = store.expect("the store opens");
    store.put_user(User { name: "ann".to_owned(), ..User::default() }).await.expect("a user");
    store.create_bucket("box", "ann", false).await.expect("a bucket");
    small(&store).await;
    listing(&store).await;
    large(&store, dir).await;
    store.close().await;
}

async fn small(store: &Store) {
    let body = Bytes::from(vec![7; 1024]);
    let one = many(SMALL, |at| put(store, format!("k/{at:08}"), vec![body.clone()])).await;
    say("put 1 KiB, 32 writers", rate(SMALL, one), "/s");
    let started = Instant::now();
    for at in 0..500 {
        put(store, format!("lone/{at:08}"), vec![body.clone()]).await;
    }
    say("put 1 KiB, 1 writer", rate(500, started.elapsed()), "/s");
    let get = many(SMALL, |at| async move {
        let opened = store.open_object("box", &format!("k/{at:08}"), None).await.expect("it is there");
        let mut reader = opened.read(0..u64::MAX);
        while let Some(piece) = reader.next().await {
            piece.expect("its bytes");
        }
    });
    say("get 1 KiB, 32 readers", rate(SMALL, get.await), "/s");
}

async fn listing(store: &Store) {
    let body = Bytes::from(vec![7; 16]);
    many(LISTED, |at| put(store, format!("list/{:03}/{at:08}", at % 100), vec![body.clone()])).await;
    let started = Instant::now();
    let (mut after, mut keys) = (String::new(), 0);
    loop {
        let list = List { prefix: "list/".to_owned(), after, limit: 1000, ..List::default() };
        let page = store.list("box", list).await.expect("a page");
        keys += page.objects.len();
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    say("list 100k keys, pages of 1000", rate(keys, started.elapsed()), "keys/s");
    let started = Instant::now();
    let list = List { delimiter: "/".to_owned(), prefix: "list/".to_owned(), limit: 1000, ..List::default() };
    let page = store.list("box", list).await.expect("a page");
    assert_eq!(page.common_prefixes.len(), 100);
    say("list 100 prefixes over 100k keys", started.elapsed().as_secs_f64() * 1e3, "ms");
}

async fn large(store: &Store, dir: &Path) {
    let piece = Bytes::from(
        (0..1 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>(),
    );
    let pieces = vec![piece.clone(); LARGE >> 20];
    let megabytes = LARGE >> 20;

    let started = Instant::now();
    let mut md5 = Md5::new();
    pieces.iter().for_each(|piece| md5.update(piece));
    std::hint::black_box(md5.finalize());
    say("MD5 alone", rate(megabytes, started.elapsed()), "MiB/s");

    let started = Instant::now();
    let path = dir.join("plain");
    let mut file = File::create(&path).expect("a file");
    pieces.iter().for_each(|piece| file.write_all(piece).expect("it is written"));
    file.sync_all().expect("it is synced");
    let plain = started.elapsed();
    say("write a plain file, synced", rate(megabytes, plain), "MiB/s");

    let started = Instant::now();
    put(store, "large".to_owned(), pieces).await;
    let ours = started.elapsed();
    say("put 1 GiB", rate(megabytes, ours), "MiB/s");

    let started = Instant::now();
    let (mut file, mut buffer) = (File::open(&path).expect("a file"), vec![0; 1 << 20]);
    while file.read(&mut buffer).expect("it is read") > 0 {}
    say("read a plain file", rate(megabytes, started.elapsed()), "MiB/s");

    let started = Instant::now();
    let opened = store.open_object("box", "large", None).await.expect("it is there");
    let mut reader = opened.read(0..u64::MAX);
    while let Some(piece) = reader.next().await {
        piece.expect("its bytes");
    }
    say("get 1 GiB", rate(megabytes, started.elapsed()), "MiB/s");
}

//! What the background collects, and what it leaves alone.

use std::collections::BTreeMap;
use std::fs;

use super::*;

async fn with(change: impl FnOnce(&mut Config)) -> Room {
    let room = room().await;
    room.store.close().await;
    let mut config = config(&room.dir);
    change(&mut config);
    let store = Store::open(config).await.unwrap();
    Room { store, dir: room.dir }
}

#[tokio::test]
async fn orphans_go_and_what_is_on_its_way_stays() {
    let room = room().await;
    room.put("kept", noise(100_000, 1)).await;
    let orphan = room.dir.path().join("blobs/ab").join("ab".repeat(16));
    fs::write(&orphan, "left by a crash").unwrap();
    let pack = room.dir.path().join("packs/0000000000000001");
    fs::write(&pack, "left by a crash").unwrap();
    let staged = room.stage(noise(100_000, 2)).await.unwrap();
    let done = room.store.upkeep().await.unwrap();
    assert_eq!((done.orphans, done.bytes_freed), (2, 30));
    assert!(!orphan.exists() && !pack.exists());
    let put = Put {
        key: "late".to_owned(),
        staged,
        attributes: Attributes::default(),
        condition: Condition::default(),
    };
    room.store.put("box", put).await.unwrap();
    assert_eq!(room.store.upkeep().await.unwrap().orphans, 0);
    assert_eq!(room.get("late").await.unwrap(), noise(100_000, 2));
    assert_eq!(room.get("kept").await.unwrap(), noise(100_000, 1));
}

#[tokio::test]
async fn packs_that_are_mostly_dead_are_compacted() {
    let room = with(|config| config.pack_bytes = 20_000).await;
    for at in 0..100 {
        room.put(&format!("{at:03}"), noise(1000, at)).await;
    }
    let before = room.files("packs").len();
    assert!(before >= 5, "{before}");
    for at in (0..100).filter(|at| at % 5 != 0) {
        room.delete(&format!("{at:03}"), None).await.unwrap();
    }
    let done = room.store.upkeep().await.unwrap();
    assert!(done.packs_compacted >= 4, "{done:?}");
    room.files_become("packs", before - done.packs_compacted as usize + 1).await;
    let room = room.again().await;
    for at in (0..100).step_by(5) {
        assert_eq!(room.get(&format!("{at:03}")).await.unwrap(), noise(1000, at));
    }
    let report = room.store.scrub(Scrub::default()).await.unwrap();
    assert_eq!((report.objects, report.damaged.len(), report.recounted.len()), (20, 0, 0));
}

#[tokio::test]
async fn readers_do_not_notice_compaction() {
    let room = std::sync::Arc::new(with(|config| config.pack_bytes = 5000).await);
    room.put("kept", noise(1000, 1)).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = tokio::spawn({
        let (room, stop) = (std::sync::Arc::clone(&room), std::sync::Arc::clone(&stop));
        async move {
            let mut reads = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                assert_eq!(room.get("kept").await.unwrap(), noise(1000, 1));
                reads += 1;
                tokio::task::yield_now().await;
            }
            reads
        }
    });
    let mut compacted = 0;
    for at in 0..60 {
        room.put("churn", noise(1000, at)).await;
        compacted += room.store.upkeep().await.unwrap().packs_compacted;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(reader.await.unwrap() > 0 && compacted > 5, "{compacted}");
}

#[tokio::test]
async fn old_uploads_expire() {
    let room = with(|config| config.uploads_expire = Some(std::time::Duration::ZERO)).await;
    let id = room.store.create_upload("box", "a", Attributes::default(), BTreeMap::new()).await.unwrap();
    let upload = UploadRef { bucket: "box".to_owned(), key: "a".to_owned(), id };
    let staged = room.stage(noise(100_000, 1)).await.unwrap();
    room.store.put_part(&upload, 1, staged, None).await.unwrap();
    assert_eq!(room.store.upkeep().await.unwrap().uploads_expired, 1);
    assert!(matches!(room.store.upload(&upload).await, Err(Error::NoSuchUpload { .. })));
    room.files_become("blobs", 0).await;
    assert_eq!(room.store.user_usage("ann").await.unwrap().upload_bytes, 0);
}

#[tokio::test]
async fn a_purged_bucket_is_gone_at_once_and_its_contents_soon() {
    let room = room().await;
    room.store.set_versioning("box", Versioning::Enabled).await.unwrap();
    futures::future::join_all((0..1200).map(|at| room.put_at(at))).await;
    room.put("0", noise(100_000, 1)).await;
    let id = room.store.create_upload("box", "a", Attributes::default(), BTreeMap::new()).await.unwrap();
    let upload = UploadRef { bucket: "box".to_owned(), key: "a".to_owned(), id };
    let staged = room.stage(noise(100_000, 1)).await.unwrap();
    room.store.put_part(&upload, 1, staged, None).await.unwrap();
    room.store.change("box", "1", None, Change::LegalHold(true)).await.unwrap();
    room.store.purge_bucket("box").await.unwrap();
    assert!(matches!(room.get("0").await, Err(Error::NoSuchBucket { .. })));
    assert_eq!(room.store.user_usage("ann").await.unwrap(), Usage::default());
    room.store.create_bucket("box", "ann", false).await.unwrap();
    room.put("0", "fresh").await;
    let room = room.again().await;
    assert_eq!(room.store.upkeep().await.unwrap().versions_removed, 1201);
    room.files_become("blobs", 0).await;
    assert_eq!(room.get("0").await.unwrap(), b"fresh");
    let usage = Usage { buckets: 1, objects: 1, versions: 1, bytes: 5, upload_bytes: 0 };
    assert_eq!(room.store.user_usage("ann").await.unwrap(), usage);
}

impl Room {
    async fn put_at(&self, at: usize) {
        self.put(&at.to_string(), "x").await;
    }
}

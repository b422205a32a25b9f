//! A power cut: what was not synced is lost. Tables and packs fall back to their last sync, the journal and
//! the files of large objects stay.

use std::fs;
use std::path::Path;

use super::*;

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

/// What the disk holds after a cut: `synced` for what is synced from time to time, the rest as it is now.
async fn cut(room: &Room, synced: &Path, journal: bool) -> Room {
    let dir = TempDir::new().unwrap();
    copy(room.dir.path(), dir.path());
    fs::remove_dir_all(dir.path().join("packs")).unwrap();
    copy(synced, dir.path());
    if !journal {
        fs::remove_file(dir.path().join("journal")).unwrap();
        fs::copy(synced.join("journal"), dir.path().join("journal")).unwrap();
    } else {
        fs::copy(room.dir.path().join("journal"), dir.path().join("journal")).unwrap();
    }
    Room { store: Store::open(config(&dir)).await.unwrap(), dir }
}

#[tokio::test]
async fn acknowledged_writes_survive_a_power_cut() {
    let room = room().await;
    room.put("before", noise(900, 0)).await;
    let room = room.again().await;
    let synced = TempDir::new().unwrap();
    copy(room.dir.path(), synced.path());
    for at in 0..40 {
        room.put(&format!("small/{at}"), noise(at * 10, at as u64)).await;
    }
    room.put("large", noise(150_000, 1)).await;
    room.delete("before", None).await.unwrap();
    room.put("small/3", noise(77, 7)).await;

    let after = cut(&room, synced.path(), true).await;
    assert!(matches!(after.get("before").await, Err(Error::NoSuchKey { .. })));
    assert_eq!(after.get("small/3").await.unwrap(), noise(77, 7));
    assert_eq!(after.get("small/39").await.unwrap(), noise(390, 39));
    assert_eq!(after.get("large").await.unwrap(), noise(150_000, 1));
    let usage = room.store.bucket_usage("box").await.unwrap();
    assert_eq!(after.store.bucket_usage("box").await.unwrap(), usage);
    let report = after.store.scrub(Scrub::default()).await.unwrap();
    assert_eq!((report.objects, report.damaged.len(), report.recounted.len()), (41, 0, 0), "{report:?}");
    after.put("later", "x").await;
    let after = after.again().await;
    assert_eq!(after.get("later").await.unwrap(), b"x");
    assert_eq!(after.get("small/39").await.unwrap(), noise(390, 39));

    // The cut is a real one: without the journal, what was written since is gone.
    let without = cut(&room, synced.path(), false).await;
    assert_eq!(without.get("before").await.unwrap(), noise(900, 0));
    assert!(without.get("small/39").await.is_err());
}

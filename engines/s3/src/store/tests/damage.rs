//! Flipped bits and lost files are errors that name the object, never wrong bytes.

use std::fs;

use super::*;

fn flip(path: &std::path::Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_is_named_and_never_served() {
    let room = room().await;
    let bytes = noise(200_000, 1);
    room.put("dir/large", bytes.clone()).await;
    room.put("small", noise(3000, 2)).await;
    room.put("whole", noise(3000, 3)).await;
    let (blob, pack) = (room.files("blobs")[0].clone(), room.files("packs")[0].clone());
    for (path, key, positions) in [
        (&blob, "dir/large", vec![0, 65_536, 199_999, 200_003]),
        (&pack, "small", vec![0, 5, 9, 17, 21, 24, 3000]),
    ] {
        for at in positions {
            flip(path, at);
            let error = room.get(key).await.unwrap_err();
            assert!(
                matches!(&error, Error::Damaged { bucket, key: named, .. } if bucket == "box" && named == key),
                "{key} {at}: {error}"
            );
            let report = room.store.scrub(Scrub::default()).await.unwrap();
            assert_eq!(report.damaged.len(), 1, "{key} {at}: {report:?}");
            assert_eq!((report.damaged[0].key.as_str(), report.objects), (key, 2));
            flip(path, at);
        }
    }
    flip(&blob, 199_999);
    let opened = room.store.open_object("box", "dir/large", None).await.unwrap();
    assert_eq!(collect(opened.read(0..65_536)).await.unwrap(), bytes[..65_536], "the other blocks are whole");
    flip(&blob, 199_999);
    let report =
        room.store.scrub(Scrub { bucket: Some("box".to_owned()), ..Scrub::default() }).await.unwrap();
    assert_eq!((report.objects, report.bytes, report.damaged.len()), (3, 206_000, 0));
}

#[tokio::test]
async fn lost_cut_and_swapped_files_are_noticed() {
    let room = room().await;
    room.put("a", noise(100_000, 1)).await;
    let a = room.files("blobs")[0].clone();
    room.put("b", noise(100_000, 2)).await;
    let b = room.files("blobs").into_iter().find(|path| *path != a).unwrap();
    let (in_a, in_b) = (fs::read(&a).unwrap(), fs::read(&b).unwrap());
    fs::write(&a, &in_b).unwrap();
    assert!(matches!(room.get("a").await, Err(Error::Damaged { .. })), "another object's bytes");
    fs::write(&a, &in_a[..in_a.len() - 1]).unwrap();
    assert!(matches!(room.get("a").await, Err(Error::Damaged { .. })));
    fs::remove_file(&a).unwrap();
    let error = room.get("a").await.unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
    assert_eq!(room.store.scrub(Scrub::default()).await.unwrap().damaged.len(), 1);
    assert_eq!(room.get("b").await.unwrap(), noise(100_000, 2));
}

#[tokio::test]
async fn a_store_whose_metadata_is_gone_does_not_start_anew() {
    let room = room().await;
    room.put("a", "x").await;
    let second = Store::open(config(&room.dir)).await.err().unwrap().to_string();
    assert!(second.contains("in use by another process"), "{second}");
    room.store.close().await;
    assert!(matches!(room.get("a").await, Err(Error::Closed)));
    let meta = room.dir.path().join("meta.redb");
    fs::rename(&meta, room.dir.path().join("kept")).unwrap();
    let error = Store::open(config(&room.dir)).await.err().unwrap().to_string();
    assert!(error.contains("restore the directory from a backup"), "{error}");
    fs::write(&meta, "").unwrap();
    assert!(Store::open(config(&room.dir)).await.is_err(), "an empty file is no store either");
    fs::rename(room.dir.path().join("kept"), &meta).unwrap();
    let store = Store::open(config(&room.dir)).await.unwrap();
    assert_eq!(store.head("box", "a", None).await.unwrap().size, 1);
}

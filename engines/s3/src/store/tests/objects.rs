//! Putting, getting, copying, conditions.

use super::*;

#[tokio::test]
async fn bytes_come_back_as_they_were_whatever_their_size() {
    let room = room().await;
    for size in [0, 1, 1024, 65_535, 65_536, 65_537, 131_072, 3_000_001] {
        let bytes = noise(size, size as u64);
        let put = room.put("it", bytes.clone()).await;
        assert_eq!(put.size, size as u64);
        assert_eq!(room.get("it").await.unwrap(), bytes, "{size}");
    }
    assert_eq!(room.bytes().await, 3_000_001);
    let room = room.again().await;
    assert_eq!(room.get("it").await.unwrap(), noise(3_000_001, 3_000_001));
    room.files_become("blobs", 1).await;
}

#[tokio::test]
async fn ranges_are_cut_exactly() {
    let room = room().await;
    for size in [1000, 300_000] {
        let bytes = noise(size, 1);
        room.put("it", bytes.clone()).await;
        for (start, end) in [(0, 1), (1, 999), (999, 5000), (65_535, 65_537), (131_072, 200_000), (9, 9)] {
            let opened = room.store.open_object("box", "it", None).await.unwrap();
            let got = collect(opened.read(start as u64..end as u64)).await.unwrap();
            assert_eq!(got, &bytes[start.min(size)..end.min(size)], "{start}..{end} of {size}");
        }
    }
}

#[tokio::test]
async fn the_etag_is_the_md5_and_attributes_return() {
    let room = room().await;
    let attributes = Attributes {
        content_type: Some("text/plain".to_owned()),
        headers: [("cache-control".to_owned(), "no-store".to_owned())].into(),
        metadata: [("colour".to_owned(), "grün".to_owned())].into(),
        tags: vec![("k".to_owned(), "v".to_owned())],
        checksum: Some(Checksum { algorithm: "CRC32".to_owned(), value: "x".to_owned(), composite: false }),
        retention: None,
        legal_hold: false,
    };
    let staged = room.stage("hello").await.unwrap();
    assert_eq!(staged.etag(), "5d41402abc4b2a76b9719d911017c592");
    let put =
        Put { key: "a".to_owned(), staged, attributes: attributes.clone(), condition: Condition::default() };
    room.store.put("box", put).await.unwrap();
    let head = room.store.head("box", "a", None).await.unwrap();
    assert_eq!((head.attributes, head.latest), (attributes, true));
    let change = Change::Tags(vec![("other".to_owned(), String::new())]);
    room.store.change("box", "a", None, change).await.unwrap();
    let head = room.store.head("box", "a", None).await.unwrap();
    assert_eq!(head.attributes.tags, [("other".to_owned(), String::new())]);
    assert_eq!(head.attributes.metadata["colour"], "grün");
}

#[tokio::test]
async fn conditions_decide_at_the_moment_of_the_change() {
    let room = room().await;
    let absent = Condition { if_none_match: Some(Match::Any), ..Condition::default() };
    let same = |etag: &str| Condition {
        if_match: Some(Match::Etags(vec![format!("\"{etag}\"")])),
        ..Condition::default()
    };
    let missing = room.try_put("a", "x", same("1")).await;
    assert!(matches!(missing, Err(Error::NoSuchKey { .. })), "{missing:?}");
    let first = room.try_put("a", "1", absent.clone()).await.unwrap();
    let second = room.try_put("a", "2", absent.clone()).await;
    assert!(matches!(second, Err(Error::PreconditionFailed { .. })), "{second:?}");
    room.try_put("a", "3", same(&first.etag)).await.unwrap();
    assert!(room.try_put("a", "4", same(&first.etag)).await.is_err());
    assert_eq!(room.get("a").await.unwrap(), b"3");
    // Of many at once, one wins.
    let tries = (0..20).map(|at| room.try_put("b", vec![at], absent.clone()));
    let won = futures::future::join_all(tries).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_refused_large_body_leaves_no_file() {
    let room = room().await;
    room.put("a", "1").await;
    let absent = Condition { if_none_match: Some(Match::Any), ..Condition::default() };
    assert!(room.try_put("a", noise(100_000, 1), absent).await.is_err());
    room.files_become("blobs", 0).await;
    drop(room.stage(noise(100_000, 2)).await.unwrap());
    room.files_become("blobs", 0).await;
    let broken = stream::iter([Ok(Bytes::from(noise(100_000, 3))), Err("the line went dead".into())]);
    let staged = room.store.stage("box", Stage::default(), broken, ()).await;
    assert!(matches!(staged.err(), Some(Error::Body { .. })));
    room.files_become("blobs", 0).await;
    let short = stream::iter([Ok(Bytes::from_static(b"abc"))]);
    let staged = room.store.stage("box", Stage { size: Some(4), limit: None }, short, ()).await;
    assert!(matches!(staged.err(), Some(Error::Incomplete { got: 3, expected: 4 })));
}

#[tokio::test]
async fn copies_share_bytes_and_outlive_their_source() {
    let room = room().await;
    for size in [5, 200_000] {
        let bytes = noise(size, 1);
        room.put("from", bytes.clone()).await;
        let copy = Copy {
            source_bucket: "box".to_owned(),
            source_key: "from".to_owned(),
            source_version: None,
            source_etag: None,
            bucket: "box".to_owned(),
            key: "to".to_owned(),
            attributes: None,
            condition: Condition::default(),
        };
        room.store.copy(copy.clone()).await.unwrap();
        // Onto itself, as clients do to change metadata.
        room.store.copy(Copy { key: "from".to_owned(), ..copy.clone() }).await.unwrap();
        assert_eq!(room.bytes().await, 2 * size as u64);
        room.delete("from", None).await.unwrap();
        assert_eq!(room.get("to").await.unwrap(), bytes);
        let stale = Copy { source_key: "to".to_owned(), source_etag: Some("x".to_owned()), ..copy };
        assert!(matches!(room.store.copy(stale).await, Err(Error::PreconditionFailed { .. })));
    }
    assert_eq!(room.files("blobs").len(), 1);
    room.delete("to", None).await.unwrap();
    room.files_become("blobs", 0).await;
    assert_eq!(room.bytes().await, 0);
}

#[tokio::test]
async fn a_reader_finishes_what_is_deleted_meanwhile() {
    let room = room().await;
    let bytes = noise(5_000_000, 1);
    room.put("it", bytes.clone()).await;
    let mut reader = room.store.open_object("box", "it", None).await.unwrap().read(0..u64::MAX);
    let first = reader.next().await.unwrap().unwrap();
    room.delete("it", None).await.unwrap();
    room.files_become("blobs", 0).await;
    let rest = collect(reader).await.unwrap();
    assert_eq!([first.to_vec(), rest].concat(), bytes);
}

#[tokio::test]
async fn impossible_keys_are_refused() {
    let room = room().await;
    for key in ["", "a\0b", &"x".repeat(1025)] {
        let put = room.try_put(key, "x", Condition::default()).await;
        assert!(matches!(put, Err(Error::InvalidKey { .. })), "{key}");
    }
    room.put(&"x".repeat(1024), "x").await;
}

//! Multipart uploads.

use std::collections::BTreeMap;

use super::*;

impl Room {
    async fn begin(&self, key: &str) -> UploadRef {
        let id = self.store.create_upload("box", key, Attributes::default(), BTreeMap::new()).await.unwrap();
        UploadRef { bucket: "box".to_owned(), key: key.to_owned(), id }
    }

    async fn part(&self, upload: &UploadRef, number: u16, bytes: Vec<u8>) -> CompletePart {
        let staged = self.stage(bytes).await.unwrap();
        let part = self.store.put_part(upload, number, staged, None).await.unwrap();
        CompletePart { number, etag: part.etag, checksum: None }
    }

    async fn complete(&self, upload: &UploadRef, parts: &[CompletePart]) -> Result<Object> {
        self.store.complete_upload(upload, parts.to_vec(), None, Condition::default()).await
    }
}

#[tokio::test]
async fn parts_become_an_object() {
    let room = room().await;
    let upload = room.begin("it").await;
    let pieces = [noise(200_000, 1), noise(100, 2), noise(70_000, 3)];
    let mut parts = Vec::new();
    for (at, bytes) in pieces.iter().enumerate() {
        parts.push(room.part(&upload, at as u16 * 5 + 1, bytes.clone()).await);
    }
    // Replaced, and left out.
    room.part(&upload, 1, noise(90_000, 9)).await;
    parts[0] = room.part(&upload, 1, pieces[0].clone()).await;
    room.part(&upload, 100, noise(80_000, 4)).await;
    assert_eq!(room.store.bucket_usage("box").await.unwrap().upload_bytes, 350_100);
    assert!(matches!(room.get("it").await, Err(Error::NoSuchKey { .. })));
    let room = room.again().await;
    let object = room.complete(&upload, &parts).await.unwrap();
    assert!(object.etag.ends_with("-3"), "{}", object.etag);
    assert_eq!(room.get("it").await.unwrap(), pieces.concat());
    let usage = room.store.bucket_usage("box").await.unwrap();
    assert_eq!((usage.bytes, usage.upload_bytes, usage.objects), (270_100, 0, 1));
    room.files_become("blobs", 2).await;
    let opened = room.store.open_object("box", "it", None).await.unwrap();
    assert_eq!(collect(opened.read(199_990..200_110)).await.unwrap(), pieces.concat()[199_990..200_110]);
    let facts: Vec<_> = room.store.object_parts("box", "it", None).await.unwrap();
    let facts: Vec<_> = facts.into_iter().map(|part| (part.number, part.offset, part.size)).collect();
    assert_eq!(facts, [(1, 0, 200_000), (6, 200_000, 100), (11, 200_100, 70_000)]);
    // The answer was lost, the client asks again.
    assert_eq!(room.complete(&upload, &parts).await.unwrap(), object);
    assert!(matches!(room.complete(&upload, &parts[1..]).await, Err(Error::NoSuchUpload { .. })));
    let mut reader = room.store.open_object("box", "it", None).await.unwrap().read(0..u64::MAX);
    let first = reader.next().await.unwrap().unwrap();
    room.delete("it", None).await.unwrap();
    assert_eq!(room.files("blobs").len(), 2, "the reader still needs them");
    assert_eq!([first.to_vec(), collect(reader).await.unwrap()].concat(), pieces.concat());
    room.files_become("blobs", 0).await;
}

#[tokio::test]
async fn wrong_lists_of_parts_are_refused_and_change_nothing() {
    let room = room().await;
    let upload = room.begin("it").await;
    let one = room.part(&upload, 1, noise(5, 1)).await;
    let two = room.part(&upload, 2, noise(20, 2)).await;
    let three = CompletePart { number: 3, ..one.clone() };
    let other = CompletePart { etag: two.etag.clone(), ..one.clone() };
    let tries = [
        (vec![], "empty"),
        (vec![two.clone(), one.clone()], "out of order"),
        (vec![two.clone(), two.clone()], "out of order"),
        (vec![one.clone(), three], "was not uploaded"),
        (vec![other], "ETag is another"),
        (vec![one.clone(), two.clone()], "need at least 10"),
    ];
    for (parts, reason) in tries {
        let error = room.complete(&upload, &parts).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let number = room.store.put_part(&upload, 0, room.stage("x").await.unwrap(), None).await;
    assert!(matches!(number, Err(Error::InvalidPart { number: 0, .. })));
    let page = room.store.list_parts(&upload, 0, 1).await.unwrap();
    assert_eq!((page.parts[0].number, page.next), (1, Some(1)));
    let page = room.store.list_parts(&upload, 1, 1).await.unwrap();
    assert_eq!((page.parts[0].size, page.next), (20, None));
    room.store.abort_upload(&upload).await.unwrap();
    assert!(matches!(room.store.upload(&upload).await, Err(Error::NoSuchUpload { .. })));
    assert_eq!(room.store.bucket_usage("box").await.unwrap(), Usage { buckets: 1, ..Usage::default() });
}

#[tokio::test]
async fn uploads_list_by_key_and_page() {
    let room = room().await;
    let mut all = Vec::new();
    for key in ["a", "b/1", "b/2", "c", "c", "c"] {
        all.push(room.begin(key).await);
    }
    for limit in 1..8 {
        let mut ask = ListUploads { delimiter: "/".to_owned(), limit, ..ListUploads::default() };
        let (mut ids, mut prefixes) = (Vec::new(), Vec::new());
        loop {
            let page = room.store.list_uploads("box", ask.clone()).await.unwrap();
            ids.extend(page.uploads.into_iter().map(|upload| (upload.key, upload.id)));
            prefixes.extend(page.common_prefixes);
            match page.next {
                Some((key, id)) => (ask.after, ask.after_upload) = (key, id),
                None => break,
            }
        }
        assert_eq!(prefixes, ["b/"]);
        let mut expected: Vec<_> = [0, 3, 4, 5].map(|at| (all[at].key.clone(), all[at].id.clone())).into();
        expected.sort();
        assert_eq!(ids, expected, "limit {limit}");
    }
    let ask = ListUploads { after: "b/2".to_owned(), limit: 9, ..ListUploads::default() };
    assert_eq!(room.store.list_uploads("box", ask).await.unwrap().uploads.len(), 3);
}

#[tokio::test]
async fn a_part_is_copied_inside() {
    let room = room().await;
    let source = noise(300_000, 1);
    room.put("from", source.clone()).await;
    let upload = room.begin("to").await;
    let opened = room.store.open_object("box", "from", None).await.unwrap();
    let (staged, ()) = room.store.stage_copy("box", opened, 1000..250_000, ()).await.unwrap();
    let part = room.store.put_part(&upload, 1, staged, None).await.unwrap();
    let part = CompletePart { number: 1, etag: part.etag, checksum: None };
    room.complete(&upload, &[part]).await.unwrap();
    assert_eq!(room.get("to").await.unwrap(), source[1000..250_000]);
}

//! Users, keys, quotas, documents.

use super::*;

fn key(name: &str, user: &str) -> AccessKey {
    AccessKey {
        access_key: name.to_owned(),
        secret: "s".to_owned(),
        user: user.to_owned(),
        scope: Scope::Bucket("box".to_owned()),
    }
}

#[tokio::test]
async fn keys_belong_to_users_and_go_with_them() {
    let room = room().await;
    room.store.put_user(User { name: "bob".to_owned(), ..User::default() }).await.unwrap();
    room.store.put_key(key("K1", "ann")).await.unwrap();
    room.store.put_key(key("K2", "bob")).await.unwrap();
    let taken = room.store.put_key(key("K1", "bob")).await;
    assert!(matches!(taken, Err(Error::AccessKeyTaken { .. })));
    assert!(matches!(room.store.put_key(key("K3", "eve")).await, Err(Error::NoSuchUser { .. })));
    let room = room.again().await;
    let (found, user) = room.store.key("K1").await.unwrap();
    assert_eq!((found, user.name.as_str()), (key("K1", "ann"), "ann"));
    assert_eq!(room.store.keys("bob").await.unwrap(), [key("K2", "bob")]);
    assert!(matches!(room.store.delete_user("ann").await, Err(Error::UserOwnsBuckets { buckets: 1, .. })));
    room.store.delete_bucket("box").await.unwrap();
    room.store.delete_user("ann").await.unwrap();
    assert!(matches!(room.store.key("K1").await, Err(Error::NoSuchAccessKey { .. })));
    assert_eq!(room.store.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn bucket_names_are_one_space() {
    let room = room().await;
    room.store.put_user(User { name: "bob".to_owned(), ..User::default() }).await.unwrap();
    let taken = room.store.create_bucket("box", "bob", false).await;
    assert!(matches!(taken, Err(Error::BucketExists { owner, .. }) if owner == "ann"));
    room.store.create_bucket("bin", "bob", false).await.unwrap();
    let names = |all: Vec<Bucket>| all.into_iter().map(|bucket| bucket.name).collect::<Vec<_>>();
    assert_eq!(names(room.store.buckets(None).await.unwrap()), ["bin", "box"]);
    assert_eq!(names(room.store.buckets(Some("ann")).await.unwrap()), ["box"]);
    let before = room.store.bucket("box").await.unwrap().generation;
    room.store.set_document("box", "cors", Some(Bytes::from_static(b"<xml/>"))).await.unwrap();
    assert_eq!(room.store.bucket("box").await.unwrap().generation, before + 1);
    assert_eq!(room.store.document("box", "cors").await.unwrap().unwrap(), "<xml/>");
    assert_eq!(room.store.document("box", "policy").await.unwrap(), None);
    room.store.delete_bucket("box").await.unwrap();
    // A new bucket of the name knows nothing of the old one.
    room.store.create_bucket("box", "ann", false).await.unwrap();
    assert_eq!(room.store.document("box", "cors").await.unwrap(), None);
}

#[tokio::test]
async fn quotas_are_refused_before_while_and_after_writing() {
    let room = room().await;
    let quota = Quota { bytes: Some(100_000), objects: Some(2), buckets: Some(1) };
    let user = User { name: "ann".to_owned(), quota, ..User::default() };
    room.store.put_user(user.clone()).await.unwrap();
    let over = |result: Result<()>| matches!(result, Err(Error::Quota { .. }));
    assert!(over(room.store.create_bucket("more", "ann", false).await.map(drop)));
    let never = stream::pending();
    let stage = Stage { size: Some(100_001), limit: None };
    assert!(over(room.store.stage("box", stage, never, ()).await.map(drop)), "before the first byte");
    assert!(over(room.stage(noise(200_000, 1)).await.map(drop)), "as soon as it shows");
    room.files_become("blobs", 0).await;
    room.put("a", noise(60_000, 1)).await;
    // What is on its way counts.
    let held = room.stage(noise(30_000, 2)).await.unwrap();
    assert!(over(room.stage(noise(20_000, 3)).await.map(drop)));
    drop(held);
    room.put("b", noise(20_000, 3)).await;
    assert!(over(room.try_put("c", "", Condition::default()).await.map(drop)), "a third object");
    room.delete("b", None).await.unwrap();
    room.put("c", "").await;
    room.store.put_user(User { deny_write: true, ..user }).await.unwrap();
    let denied = room.try_put("a", "x", Condition::default()).await;
    assert!(matches!(denied, Err(Error::DenyWrite { .. })));
    assert_eq!(room.get("a").await.unwrap().len(), 60_000);
    room.delete("a", None).await.unwrap();
}

//! Versions, markers and locks.

use std::time::{Duration, SystemTime};

use super::*;

async fn versioned() -> Room {
    let room = room().await;
    room.store.set_versioning("box", Versioning::Enabled).await.unwrap();
    room
}

#[tokio::test]
async fn old_versions_stay_and_come_back() {
    let room = room().await;
    room.put("a", "null").await;
    room.store.set_versioning("box", Versioning::Enabled).await.unwrap();
    let one = room.put("a", "one").await.version;
    let two = room.put("a", "two").await.version;
    assert_eq!(room.get_version("a", Some(VersionId::Null)).await.unwrap(), b"null");
    assert_eq!(room.get_version("a", Some(one)).await.unwrap(), b"one");
    let marker = room.delete("a", None).await.unwrap();
    assert!(marker.existed && marker.version.is_none());
    let hidden = room.get("a").await;
    assert!(matches!(hidden, Err(Error::DeleteMarker { version, .. }) if Some(version) == marker.marker));
    assert_eq!(room.store.bucket_usage("box").await.unwrap().objects, 0);
    let undeleted = room.delete("a", marker.marker).await.unwrap();
    assert_eq!(undeleted.marker, marker.marker);
    assert_eq!(room.get("a").await.unwrap(), b"two");
    room.delete("a", Some(two)).await.unwrap();
    room.delete("a", Some(one)).await.unwrap();
    assert_eq!(room.get("a").await.unwrap(), b"null");
    let gone = room.get_version("a", Some(one)).await;
    assert!(matches!(gone, Err(Error::NoSuchVersion { .. })));
    let not_empty = room.store.delete_bucket("box").await;
    assert!(matches!(not_empty, Err(Error::BucketNotEmpty { .. })));
    room.delete("a", Some(VersionId::Null)).await.unwrap();
    assert_eq!(room.store.bucket_usage("box").await.unwrap(), Usage { buckets: 1, ..Usage::default() });
    room.store.delete_bucket("box").await.unwrap();
}

#[tokio::test]
async fn suspended_buckets_replace_the_null_version_only() {
    let room = versioned().await;
    let kept = room.put("a", "kept").await.version;
    room.store.set_versioning("box", Versioning::Suspended).await.unwrap();
    room.put("a", "null 1").await;
    room.put("a", "null 2").await;
    room.store.set_versioning("box", Versioning::Enabled).await.unwrap();
    let top = room.put("a", "top").await.version;
    room.store.set_versioning("box", Versioning::Suspended).await.unwrap();
    assert_eq!(room.get_version("a", Some(VersionId::Null)).await.unwrap(), b"null 2");
    room.put("a", "null 3").await;
    let all = room.store.list_versions("box", ListVersions { limit: 9, ..Default::default() }).await.unwrap();
    let found: Vec<_> = all.versions.iter().map(|v| v.version).collect();
    assert_eq!(found, [VersionId::Null, top, kept]);
    let marker = room.delete("a", None).await.unwrap();
    assert_eq!(marker.marker, Some(VersionId::Null));
    assert_eq!(room.bytes().await, "top".len() as u64 + "kept".len() as u64);
}

#[tokio::test]
async fn locks_hold_until_they_end() {
    let room = room().await;
    room.store.create_bucket("vault", "ann", true).await.unwrap();
    let vault = room.store.bucket("vault").await.unwrap();
    assert_eq!((vault.object_lock, vault.versioning), (true, Versioning::Enabled));
    room.store.set_versioning("box", Versioning::Enabled).await.unwrap();
    let version = room.put("a", "x").await.version;
    let retain = |mode, seconds: u64, bypass| Change::Retention {
        retention: Some(Retention { mode, until: SystemTime::now() + Duration::from_secs(seconds) }),
        bypass,
    };
    let change = |change| room.store.change("box", "a", None, change);
    change(retain(RetentionMode::Governance, 1000, false)).await.unwrap();
    let locked = room.delete("a", Some(version)).await;
    assert!(matches!(locked, Err(Error::Locked { .. })), "{locked:?}");
    assert!(change(retain(RetentionMode::Governance, 500, false)).await.is_err());
    change(retain(RetentionMode::Governance, 500, true)).await.unwrap();
    change(retain(RetentionMode::Compliance, 900, false)).await.unwrap();
    assert!(change(retain(RetentionMode::Compliance, 800, true)).await.is_err());
    assert!(change(Change::Retention { retention: None, bypass: true }).await.is_err());
    let bypass = Delete { key: "a".to_owned(), version: Some(version), bypass: true, ..Delete::default() };
    assert!(room.store.delete("box", bypass.clone()).await.is_err());
    // A marker hides it all the same.
    room.delete("a", None).await.unwrap();
    let held = room.put("b", "y").await.version;
    room.store.change("box", "b", None, Change::LegalHold(true)).await.unwrap();
    let many = [bypass, Delete { key: "b".to_owned(), version: Some(held), ..Delete::default() }];
    let answers = room.store.delete_many("box", many.to_vec()).await.unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Locked { .. }))), "{answers:?}");
    room.store.change("box", "b", None, Change::LegalHold(false)).await.unwrap();
    assert!(room.delete("b", Some(held)).await.unwrap().existed);
}

#[tokio::test]
async fn the_lifecycle_sees_when_versions_became_old() {
    let room = versioned().await;
    let one = room.put("a", "1").await;
    let two = room.put("a", "2").await;
    room.delete("a", None).await.unwrap();
    room.put("b", "1").await;
    let (page, next) = room.store.scan("box", None, 1).await.unwrap();
    let facts: Vec<_> = page.iter().map(|c| (c.object.delete_marker, c.newer_noncurrent, c.only)).collect();
    assert_eq!(facts, [(true, 0, false), (false, 0, false), (false, 1, false)]);
    assert_eq!(page[2].object.version, one.version);
    assert_eq!(page[2].noncurrent_since, Some(two.modified));
    assert!(page[0].noncurrent_since.is_none());
    let (page, next) = room.store.scan("box", next, 1).await.unwrap();
    assert!(page[0].only && page[0].object.key == "b");
    assert_eq!(room.store.scan("box", next, 1).await.unwrap(), (vec![], None));
}

//! What the store promises, through its public door.

use std::path::Path;
use std::time::Duration;

use sealos_store::{Change, Config, Encoded, Error, Expect, Store};

fn open(dir: &Path) -> Store {
    Store::open(config(dir)).expect("the store opens")
}

fn config(dir: &Path) -> Config {
    Config::new(dir.join("objects.redb"))
}

fn plain(text: &str) -> Encoded {
    Encoded::plain(text.as_bytes().to_vec())
}

#[tokio::test]
async fn writes_the_revision_into_the_value() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let json = br#"{"rv":"","x":1}"#.to_vec();
    let entry = store.put("a/one", Expect::Absent, Encoded::new(json, 7)).await.expect("stored");
    assert_eq!(entry.value, format!(r#"{{"rv":"{}","x":1}}"#, entry.revision));
    assert_eq!(store.revision(), entry.revision);
    assert_eq!(store.get("a/one").map(|found| found.value), Some(entry.value));
}

#[tokio::test]
async fn compares_before_it_writes() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let first = store.put("a/k", Expect::Absent, plain("1")).await.expect("stored");
    assert!(matches!(store.put("a/k", Expect::Absent, plain("2")).await, Err(Error::Exists { .. })));
    let second = store.put("a/k", Expect::Revision(first.revision), plain("2")).await.expect("stored");
    let stale = store.put("a/k", Expect::Revision(first.revision), plain("3")).await;
    assert!(matches!(stale, Err(Error::Conflict { current, .. }) if current == second.revision));
    assert!(matches!(store.delete("a/none", Expect::Any, None).await, Err(Error::Missing { .. })));
    assert!(matches!(store.put("nobucket", Expect::Any, plain("x")).await, Err(Error::Key { .. })));
    store.delete("a/k", Expect::Revision(second.revision), None).await.expect("deleted");
    assert!(store.get("a/k").is_none());
}

#[tokio::test]
async fn only_one_of_many_racing_writers_wins() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let writes = (0..64).map(|_| store.put("a/k", Expect::Absent, plain("x")));
    let mut won = 0;
    let mut pending: Vec<_> = writes.map(Box::pin).collect();
    for write in &mut pending {
        won += usize::from(write.await.is_ok());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn lists_pages_of_one_prefix() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    for key in ["a/x/1", "a/x/2", "a/x/3", "a/y/1", "ab/x/1"] {
        store.put(key, Expect::Absent, plain(key)).await.expect("stored");
    }
    let keys = |list: &sealos_store::List| list.entries.iter().map(|e| e.key.to_string()).collect::<Vec<_>>();
    let page = store.list("a/x/", None, 2);
    assert_eq!((keys(&page), page.remaining), (vec!["a/x/1".to_owned(), "a/x/2".to_owned()], 1));
    let rest = store.list("a/x/", Some("a/x/2"), 2);
    assert_eq!((keys(&rest), rest.remaining), (vec!["a/x/3".to_owned()], 0));
    assert_eq!(store.list("a/", None, 0).entries.len(), 4);
    assert!(store.list("none/", None, 0).entries.is_empty());
}

#[tokio::test]
async fn watches_from_the_past_and_on() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let start = store.revision();
    store.put("a/1", Expect::Absent, plain("1")).await.expect("stored");
    store.put("b/1", Expect::Absent, plain("other bucket")).await.expect("stored");
    let mut watch = store.watch("a/", start).expect("history is there");
    let past = watch.next().await.expect("events");
    assert_eq!((past.len(), past[0].change), (1, Change::Created));
    assert_eq!(watch.progress(), store.revision());
    store.put("a/1", Expect::Any, plain("2")).await.expect("stored");
    store.delete("a/1", Expect::Any, Some(plain("last"))).await.expect("deleted");
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(watch.next().await.expect("events"));
    }
    assert_eq!(seen[0].change, Change::Updated);
    assert_eq!(seen[0].previous.as_deref(), Some(b"1".as_slice()));
    assert_eq!((seen[1].change, &seen[1].entry.value[..]), (Change::Deleted, b"last".as_slice()));
    assert!(watch.ready().expect("nothing new").is_empty());
}

#[tokio::test]
async fn forgotten_history_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(Config { history: 4, ..config(dir.path()) }).expect("the store opens");
    let start = store.revision();
    let mut slow = store.watch("a/", start).expect("history is there");
    for number in 0..10 {
        store.put(&format!("a/{number}"), Expect::Absent, plain("x")).await.expect("stored");
    }
    assert!(matches!(store.watch("a/", start), Err(Error::Compacted { .. })));
    assert!(matches!(slow.next().await, Err(Error::Compacted { .. })));
    assert!(store.watch("quiet/", start).is_ok(), "what has not changed has all of its history");
    let now = store.revision();
    assert!(store.watch("a/", now).is_ok());
    store.put("a/x", Expect::Absent, plain("x")).await.expect("stored");
    store.compact(store.revision());
    assert!(matches!(store.watch("a/", now), Err(Error::Compacted { .. })));
}

#[tokio::test]
async fn a_restart_keeps_everything_but_the_history() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let before = store.put("a/1", Expect::Absent, plain("1")).await.expect("stored");
    store.put("a/2", Expect::Absent, plain("2")).await.expect("stored");
    store.delete("a/2", Expect::Any, None).await.expect("deleted");
    let revision = store.revision();
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.revision(), revision, "a delete counts as a change after a restart, too");
    assert_eq!(store.get("a/1").map(|e| (e.value, e.revision)), Some((before.value, before.revision)));
    assert!(store.get("a/2").is_none());
    assert!(store.watch("a/", revision).is_ok());
    assert!(matches!(store.watch("a/", before.revision), Err(Error::Compacted { .. })));
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let _store = open(dir.path());
    assert!(matches!(Store::open(config(dir.path())), Err(Error::InUse { .. })));
}

#[tokio::test]
async fn a_lost_file_is_not_taken_for_a_new_one() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    store.put("a/1", Expect::Absent, plain("1")).await.expect("stored");
    drop(store);
    let file = dir.path().join("objects.redb");
    std::fs::write(&file, b"").expect("emptied");
    assert!(matches!(Store::open(config(dir.path())), Err(Error::Lost { .. })));
    std::fs::remove_file(&file).expect("removed");
    let error = Store::open(config(dir.path())).err().expect("refused");
    assert!(error.to_string().contains("is missing or empty although"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_named() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    for number in 0..200 {
        store.put(&format!("a/{number}"), Expect::Absent, plain(&"x".repeat(500))).await.expect("stored");
    }
    drop(store);
    let file = dir.path().join("objects.redb");
    let good = std::fs::read(&file).expect("read");
    let mut damaged = vec![b"not a database at all".repeat(100)];
    damaged.push(good[..good.len() / 3].to_vec());
    damaged.push(good[..100].to_vec());
    // Overwrites values where they are.
    let mut flipped = good.clone();
    let at = flipped.windows(50).position(|window| window == [b'x'; 50]).expect("a value");
    flipped[at + 20] = b'y';
    damaged.push(flipped);
    for bytes in damaged {
        std::fs::write(&file, bytes).expect("written");
        let error = Store::open(config(dir.path())).err().expect("refused");
        assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("is damaged"), "{error}");
    }
    std::fs::write(&file, good).expect("written");
    assert_eq!(open(dir.path()).list("a/", None, 0).entries.len(), 200);
}

#[tokio::test]
async fn watchers_share_one_encoding() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = open(dir.path());
    let start = store.revision();
    store.put("a/1", Expect::Absent, plain("1")).await.expect("stored");
    let mut watches = [store.watch("a/", start).expect("open"), store.watch("a/", start).expect("open")];
    let mut frames = Vec::new();
    for watch in &mut watches {
        let events = tokio::time::timeout(Duration::from_secs(5), watch.next())
            .await
            .expect("in time")
            .expect("events");
        frames.push(events[0].frame(|event| event.entry.value.clone()));
    }
    assert_eq!(frames[0].as_ptr(), frames[1].as_ptr());
}

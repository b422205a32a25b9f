//! A full disk: writes fail with a clear message, reads go on, and writes resume when there is room.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sealos_store::{Config, Encoded, Error, Expect, Store};

/// A small file system of its own, gone when dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path) -> Self {
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(at).status();
        assert!(done.expect("mount runs").success(), "this test needs root to mount a small file system");
        Self(at)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "umount");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_survived() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let small = Small::mount(dir.path());
    let store = Store::open(Config::new(dir.path().join("objects.redb"))).expect("the store opens");
    let ballast = dir.path().join("ballast");
    std::fs::write(&ballast, vec![0; 3 << 20]).expect("there is room for ballast");

    let mut stored = 0;
    let error = loop {
        let value = Encoded::plain(vec![b'x'; 64 << 10]);
        match store.put(&format!("a/{stored}"), Expect::Absent, value).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 200, "8 MB cannot hold this much");
    };
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    assert!(error.to_string().contains("no space left"), "{error}");
    assert_eq!(store.list("a/", None, 0).entries.len(), stored, "reads go on, and show no failed write");

    std::fs::remove_file(&ballast).expect("room is made");
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = store.put("a/after", Expect::Any, Encoded::plain(b"y".to_vec())).await {
        assert!(Instant::now() < deadline, "still refused: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let revision = store.revision();
    drop(store);
    let store = Store::open(Config::new(dir.path().join("objects.redb"))).expect("the store opens again");
    assert_eq!((store.list("a/", None, 0).entries.len(), store.revision()), (stored + 1, revision));
    drop(store);
    drop(small);
}

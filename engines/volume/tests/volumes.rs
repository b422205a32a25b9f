//! Volumes on whatever file system the temporary directory is on, and on btrfs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use sealos_volume::{Error, Volumes};

const MIB: u64 = 1 << 20;

fn run(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|done| done.status.success())
}

/// A small btrfs in a file, unmounted when dropped.
struct Btrfs {
    dir: tempfile::TempDir,
}

impl Btrfs {
    fn new() -> Self {
        if !run("mkfs.btrfs", &["--version"]) {
            let wait = ["-o", "DPkg::Lock::Timeout=120"];
            let install = [&wait[..], &["install", "-y", "--no-install-recommends", "btrfs-progs"]].concat();
            let installed =
                run("apt-get", &install) || (run("apt-get", &["update"]) && run("apt-get", &install));
            assert!(installed, "install btrfs-progs");
        }
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        fs::File::create(&image).unwrap().set_len(300 * MIB).unwrap();
        let mounted = Self { dir };
        fs::create_dir(mounted.path()).unwrap();
        assert!(run("mkfs.btrfs", &["-q", image.to_str().unwrap()]));
        assert!(run("mount", &["-o", "loop", image.to_str().unwrap(), mounted.path().to_str().unwrap()]));
        mounted
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mount")
    }
}

impl Drop for Btrfs {
    fn drop(&mut self) {
        assert!(run("umount", &[self.path().to_str().unwrap()]));
    }
}

async fn fill(volumes: &Volumes) -> PathBuf {
    let path = volumes.create("data", 100 * MIB).await.unwrap();
    fs::create_dir(path.join("sub")).unwrap();
    fs::write(path.join("sub/file"), vec![7; 2 * MIB as usize]).unwrap();
    fs::set_permissions(path.join("sub/file"), fs::Permissions::from_mode(0o4750)).unwrap();
    std::os::unix::fs::chown(path.join("sub/file"), Some(33), Some(44)).unwrap();
    fs::hard_link(path.join("sub/file"), path.join("same")).unwrap();
    symlink("sub/file", path.join("link")).unwrap();
    let sparse = fs::File::create(path.join("sparse")).unwrap();
    sparse.set_len(50 * MIB).unwrap();
    path
}

fn check_copy(original: &Path, copy: &Path) {
    let (one, two) =
        (fs::metadata(original.join("sub/file")).unwrap(), fs::metadata(copy.join("sub/file")).unwrap());
    assert_eq!((two.mode(), two.uid(), two.gid(), two.mtime()), (one.mode(), 33, 44, one.mtime()));
    assert_eq!(fs::metadata(copy.join("same")).unwrap().ino(), two.ino());
    assert_ne!(one.ino(), two.ino());
    assert_eq!(fs::read(copy.join("link")).unwrap(), vec![7; 2 * MIB as usize]);
    let sparse = fs::metadata(copy.join("sparse")).unwrap();
    assert!(sparse.len() == 50 * MIB && sparse.blocks() * 512 < MIB, "{}", sparse.blocks());
}

async fn check_all(dir: &Path) {
    let volumes = Volumes::open(dir).unwrap();
    let path = fill(&volumes).await;
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o777);
    let (size, used) = volumes.usage("data").await.unwrap();
    assert!((2 * MIB..3 * MIB).contains(&used) && size == 100 * MIB, "{used}");
    volumes.snapshot("data", "monday").await.unwrap();
    assert!(matches!(volumes.snapshot("data", "monday").await, Err(Error::SnapshotExists { .. })));
    fs::write(path.join("sub/file"), "changed").unwrap();
    let cloned = volumes.clone_snapshot("data", "monday", "copy").await.unwrap();
    fs::write(path.join("later"), "x").unwrap();
    volumes.restore("data", "monday").await.unwrap();
    check_copy(&path, &cloned);
    assert!(!path.join("later").exists());
    assert_eq!(volumes.snapshots("data").await.unwrap(), ["monday"]);
    volumes.remove_snapshot("data", "monday").await.unwrap();
    assert!(matches!(volumes.restore("data", "monday").await, Err(Error::Missing { .. })));
    volumes.remove("data").await.unwrap();
    assert!(matches!(volumes.snapshots("data").await, Err(Error::Missing { .. })));
    assert!(cloned.join("sub/file").exists());
}

#[tokio::test]
async fn volumes_are_frozen_copied_and_put_back() {
    let dir = tempfile::tempdir().unwrap();
    check_all(dir.path()).await;
}

#[tokio::test]
async fn btrfs_shares_blocks() {
    let btrfs = Btrfs::new();
    let dir = btrfs.path().join("volumes");
    assert!(Volumes::open(&dir).unwrap().capabilities().instant_clones);
    check_all(&dir).await;
}

//! Network namespaces pinned to files. Nothing needs to run inside for one to stay.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::Error;
use crate::links::Links;

/// Makes `dir` a shared mount of its own, so that what is pinned below is seen by, and can be
/// released for, every process that has its own view of the mounts.
pub(crate) fn prepare(dir: &Path) -> Result<(), Error> {
    let attempt = || format!("prepare {} for network namespaces", dir.display());
    fs::create_dir_all(dir).map_err(Error::io(attempt()))?;
    if !is_mount(dir).map_err(Error::io(attempt()))? {
        mount(Some(dir), dir, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(|e| Error::io(attempt())(e.into()))?;
    }
    mount(None::<&str>, dir, None::<&str>, MsFlags::MS_SHARED, None::<&str>)
        .map_err(|e| Error::io(attempt())(e.into()))
}

/// Undoes [`prepare`]: the mount goes, and the directory with it when it is empty.
pub(crate) fn unprepare(dir: &Path) -> Result<(), Error> {
    while dir.exists() && is_mount(dir).map_err(Error::io("read the mounts"))? {
        umount2(dir, MntFlags::MNT_DETACH)
            .map_err(|e| Error::io(format!("unmount {}", dir.display()))(e.into()))?;
    }
    match fs::remove_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound && e.kind() != io::ErrorKind::DirectoryNotEmpty => {
            Err(Error::io(format!("remove {}", dir.display()))(e))
        }
        _ => Ok(()),
    }
}

/// Creates a namespace pinned at `path`, and returns a route connection into it.
pub(crate) async fn create(path: &Path) -> Result<Links, Error> {
    let attempt = format!("create the network namespace {}", path.display());
    let target = path.to_owned();
    inside_new_thread(&attempt, move || {
        File::create(&target)?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let own = Path::new("/proc/thread-self/ns/net");
        mount(Some(own), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
        Ok(())
    })
    .await
}

/// Whether a namespace is pinned at `path`, or only the file is left (after a reboot).
pub(crate) fn is_pinned(path: &Path) -> bool {
    const NSFS_MAGIC: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x6e73_6673);
    nix::sys::statfs::statfs(path).is_ok_and(|fs| fs.filesystem_type() == NSFS_MAGIC)
}

/// Lets go of the namespace at `path`. What still runs inside keeps it alive, out of sight.
pub(crate) fn release(path: &Path) -> Result<(), Error> {
    while is_pinned(path) {
        umount2(path, MntFlags::MNT_DETACH)
            .map_err(|e| Error::io(format!("release the network namespace {}", path.display()))(e.into()))?;
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("remove {}", path.display()))(e))
        }
        _ => Ok(()),
    }
}

/// Runs `change` on a thread of its own, whose namespace it may change, and opens the connection there:
/// a netlink socket belongs to the namespace it was made in, wherever it is used.
async fn inside_new_thread(
    attempt: &str,
    change: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<Links, Error> {
    let (done, result) = tokio::sync::oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new()
        .name("netns".to_owned())
        .spawn(move || {
            let _entered = runtime.enter();
            let links = change().map_err(Error::io("change the namespace")).and_then(|()| Links::open());
            // The receiver is gone only when the caller gave up: then nobody needs the connection.
            drop(done.send(links));
        })
        .map_err(Error::io(attempt))?;
    match result.await {
        Ok(Err(Error::Io { source, .. })) => Err(Error::io(attempt)(source)),
        Ok(result) => result,
        Err(_) => Err(Error::io(attempt)(io::Error::other("the thread ended early"))),
    }
}

fn is_mount(dir: &Path) -> io::Result<bool> {
    let dir = dir.canonicalize()?;
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(text.lines().filter_map(|line| line.split(' ').nth(4)).any(|point| Path::new(&unescape(point)) == dir))
}

/// Mount points with blanks are written with octal escapes.
fn unescape(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

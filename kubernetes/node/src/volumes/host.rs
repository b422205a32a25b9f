//! Directories and files of the machine, and memory, as volumes.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use nix::mount::{MntFlags, MsFlags};
use nix::unistd::{Gid, Uid};

use super::Error;

/// Checks a `hostPath`, making it first where its type says so.
pub(crate) fn host_path(path: &Path, kind: &str) -> Result<(), Error> {
    let failed = |source| Error::Io { attempt: "prepare hostPath", path: path.to_owned(), source };
    match kind {
        "DirectoryOrCreate" if !path.exists() => {
            fs::create_dir_all(path).map_err(failed)?;
        }
        "FileOrCreate" if !path.exists() => {
            fs::File::create(path).map_err(failed)?;
        }
        // Without a type nothing is checked; what is missing becomes a directory.
        "" if !path.exists() => fs::create_dir_all(path).map_err(failed)?,
        _ => {}
    }
    let wanted = |what: &'static str| Error::HostPath { path: path.to_owned(), what };
    let Ok(meta) = path.metadata() else { return Err(wanted("does not exist")) };
    let file_type = meta.file_type();
    let (fits, what) = match kind {
        "Directory" | "DirectoryOrCreate" => (meta.is_dir(), "is not a directory"),
        "File" | "FileOrCreate" => (meta.is_file(), "is not a file"),
        "Socket" => (file_type.is_socket(), "is not a socket file"),
        "CharDevice" => (file_type.is_char_device(), "is not a character device"),
        "BlockDevice" => (file_type.is_block_device(), "is not a block device"),
        _ => (true, ""),
    };
    if fits { Ok(()) } else { Err(wanted(what)) }
}

/// A directory that everybody may write to, as `emptyDir` promises; in memory if asked for.
pub(crate) fn empty_dir(path: &Path, memory: Option<Option<u64>>) -> Result<(), Error> {
    let failed = |source| Error::Io { attempt: "make emptyDir", path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(failed)?;
    if let Some(size) = memory
        && !is_mount_point(path).map_err(failed)?
    {
        let size = size.map_or_else(|| "mode=1777".to_owned(), |bytes| format!("mode=1777,size={bytes}"));
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        nix::mount::mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(size.as_str()))
            .map_err(|errno| failed(errno.into()))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).map_err(failed)
}

/// Unmounts whatever is mounted below `dir`, deepest first.
pub(crate) fn unmount_below(dir: &Path) -> io::Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let mut points: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(point.replace("\\040", " ")))
        .filter(|point| point.starts_with(dir))
        .collect();
    points.sort();
    for point in points.iter().rev() {
        nix::mount::umount2(point, MntFlags::MNT_DETACH)?;
    }
    Ok(())
}

fn is_mount_point(path: &Path) -> io::Result<bool> {
    let parent = path.parent().unwrap_or(path);
    Ok(path.metadata()?.dev() != parent.metadata()?.dev())
}

/// Gives a volume to a group: readable and writable, and new files inherit the group.
pub(crate) fn give_to_group(root: &Path, group: u32, only_if_wrong: bool) -> Result<(), Error> {
    let failed = |source| Error::Io { attempt: "set the group of", path: root.to_owned(), source };
    let meta = root.metadata().map_err(failed)?;
    if only_if_wrong && meta.gid() == group && meta.mode() & 0o2070 == 0o2070 {
        return Ok(());
    }
    own(root, group).map_err(failed)
}

fn own(path: &Path, group: u32) -> io::Result<()> {
    let meta = path.symlink_metadata()?;
    nix::unistd::fchownat(
        nix::fcntl::AT_FDCWD,
        path,
        None::<Uid>,
        Some(Gid::from_raw(group)),
        nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
    )?;
    if meta.is_symlink() {
        return Ok(());
    }
    let extra = if meta.is_dir() { 0o2770 } else { 0o660 };
    fs::set_permissions(path, fs::Permissions::from_mode(meta.mode() & 0o7777 | extra))?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), group)?;
        }
    }
    Ok(())
}

/// A path below a volume, made if it is missing, that no link can lead out of the volume.
pub(crate) fn sub_path(root: &Path, sub: &str) -> Result<PathBuf, Error> {
    let failed = |source| Error::Io { attempt: "find subPath in", path: root.to_owned(), source };
    let outside = || Error::SubPath { sub: sub.to_owned() };
    let relative = Path::new(sub);
    if relative.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let root = root.canonicalize().map_err(failed)?;
    let mut at = root.clone();
    for part in relative.components() {
        let next = at.join(part);
        if next.symlink_metadata().is_err() {
            let meta = at.metadata().map_err(failed)?;
            fs::create_dir(&next).map_err(failed)?;
            fs::set_permissions(&next, meta.permissions()).map_err(failed)?;
            nix::unistd::chown(&next, Some(meta.uid().into()), Some(meta.gid().into()))
                .map_err(|errno| failed(errno.into()))?;
        }
        at = next.canonicalize().map_err(failed)?;
        if !at.starts_with(&root) {
            return Err(outside());
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_paths_stay_in_the_volume() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("v");
        fs::create_dir(&root).unwrap();
        assert!(sub_path(&root, "a/b").unwrap().ends_with("v/a/b"));
        std::os::unix::fs::symlink("/etc", root.join("evil")).unwrap();
        for bad in ["../x", "/etc", "evil", "evil/passwd", "a/../../x"] {
            assert!(sub_path(&root, bad).is_err(), "{bad}");
        }
        std::os::unix::fs::symlink("a", root.join("good")).unwrap();
        assert!(sub_path(&root, "good/b").unwrap().ends_with("v/a/b"));
    }

    #[test]
    fn host_paths_are_checked_by_type() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        host_path(&at("dir"), "DirectoryOrCreate").unwrap();
        host_path(&at("file"), "FileOrCreate").unwrap();
        let message = |path: PathBuf, kind| host_path(&path, kind).unwrap_err().to_string();
        assert!(message(at("file"), "Directory").ends_with("is not a directory"));
        assert!(message(at("none"), "File").ends_with("does not exist"));
        host_path(&at("dir"), "").unwrap();
    }

    #[test]
    fn memory_is_mounted_once_and_unmounted() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("m");
        empty_dir(&dir, Some(Some(1 << 20))).unwrap();
        empty_dir(&dir, Some(Some(1 << 20))).unwrap();
        assert!(is_mount_point(&dir).unwrap());
        unmount_below(temp.path()).unwrap();
        assert!(!is_mount_point(&dir).unwrap());
    }

    #[test]
    fn groups_get_volumes() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("g");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("f"), "x").unwrap();
        give_to_group(&dir, 4321, false).unwrap();
        let meta = fs::metadata(dir.join("f")).unwrap();
        assert_eq!((meta.gid(), meta.mode() & 0o660), (4321, 0o660));
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o2070, 0o2070);
    }
}

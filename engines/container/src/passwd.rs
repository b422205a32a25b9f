//! Who a user is, by the image's own `/etc/passwd` and `/etc/group`.
//!
//! The files are read as data. No library of the image is ever loaded to ask it.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::{Error, User};

/// Files larger than this are not user lists.
const MAX_BYTES: u64 = 1 << 20;

/// The numbers behind `name`, `uid`, `name:group` or `uid:gid`, looked up in the layers of an
/// image (top first) or in one directory. An empty string is root.
pub fn resolve_user(layers: &[PathBuf], user: &str) -> Result<User, Error> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let fail = |reason: String| Error::User { user: user.to_owned(), reason };
    let passwd = read_layered(layers, "etc/passwd");
    let groups = read_layered(layers, "etc/group");
    let name = if name.is_empty() { "0" } else { name };
    let entry = entries(&passwd).find(|e| e[0] == name || e.get(2) == Some(&name));
    let uid = match (&entry, name.parse::<u32>()) {
        (Some(entry), _) => parse(entry.get(2).copied()),
        (None, Ok(uid)) => Some(uid),
        (None, Err(_)) => return Err(fail(format!("the image's /etc/passwd has no user `{name}`"))),
    };
    let uid = uid.ok_or_else(|| fail("its line in the image's /etc/passwd is broken".into()))?;
    let gid = match group {
        None => entry.as_ref().and_then(|entry| parse(entry.get(3).copied())).unwrap_or(0),
        Some(group) => {
            let found = entries(&groups).find(|e| e[0] == group).and_then(|e| parse(e.get(2).copied()));
            found
                .or_else(|| group.parse().ok())
                .ok_or_else(|| fail(format!("the image's /etc/group has no group `{group}`")))?
        }
    };
    let login = entry.as_ref().map(|entry| entry[0]);
    let additional_gids = if group.is_none() { memberships(&groups, login, gid) } else { Vec::new() };
    Ok(User { uid, gid, additional_gids, umask: None })
}

/// The home directory of a user in a mounted root.
pub(crate) fn home(rootfs: &Path, uid: u32) -> Option<String> {
    let passwd = read_layered(&[rootfs.to_owned()], "etc/passwd");
    let uid = uid.to_string();
    let entry = entries(&passwd).find(|entry| entry.get(2) == Some(&uid.as_str()))?;
    entry.get(5).filter(|home| home.starts_with('/')).map(|home| (*home).to_owned())
}

fn memberships(groups: &str, login: Option<&str>, gid: u32) -> Vec<u32> {
    let Some(login) = login else { return Vec::new() };
    entries(groups)
        .filter(|entry| entry.get(3).is_some_and(|members| members.split(',').any(|m| m == login)))
        .filter_map(|entry| parse(entry.get(2).copied()))
        .filter(|found| *found != gid)
        .collect()
}

fn entries(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.trim().split(':').collect::<Vec<_>>()).filter(|e| !e[0].is_empty())
}

fn parse(number: Option<&str>) -> Option<u32> {
    number?.parse().ok()
}

/// The file's text from the uppermost layer that has it, following links inside the layers only.
fn read_layered(layers: &[PathBuf], path: &str) -> String {
    let mut path = PathBuf::from(path);
    for _ in 0..8 {
        let Some((full, metadata)) = layers.iter().find_map(|layer| {
            let full = layer.join(&path);
            let metadata = fs::symlink_metadata(&full).ok()?;
            plain_parents(layer, &path).then_some((full, metadata))
        }) else {
            return String::new();
        };
        if metadata.is_file() && metadata.len() <= MAX_BYTES {
            return read_plain(&full).unwrap_or_default();
        }
        let Ok(target) = fs::read_link(&full) else { return String::new() };
        path = inside(path.parent().unwrap_or(Path::new("")), &target);
    }
    String::new()
}

/// Whether every directory on the way is one, and no link out of the layer.
fn plain_parents(layer: &Path, path: &Path) -> bool {
    let parents = path.ancestors().skip(1).filter(|part| !part.as_os_str().is_empty());
    parents.into_iter().all(|part| fs::symlink_metadata(layer.join(part)).is_ok_and(|m| m.is_dir()))
}

/// Reads without following a link that was put there meanwhile.
fn read_plain(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Where a link leads, never above the root.
fn inside(dir: &Path, target: &Path) -> PathBuf {
    let mut path = if target.is_absolute() { PathBuf::new() } else { dir.to_owned() };
    for part in target.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(
            dir.path().join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/srv/web:/bin/false\n",
        )
        .unwrap();
        fs::write(dir.path().join("etc/group"), "root:x:0:\nweb:x:44:\nssl:x:99:web,other\n").unwrap();
        dir
    }

    fn check(user: &str, uid: u32, gid: u32, more: &[u32]) {
        let dir = image();
        let found = resolve_user(&[dir.path().to_owned()], user).unwrap();
        assert_eq!((found.uid, found.gid, found.additional_gids.as_slice()), (uid, gid, more), "{user}");
    }

    #[test]
    fn names_and_numbers() {
        check("", 0, 0, &[]);
        check("web", 33, 44, &[99]);
        check("33", 33, 44, &[99]);
        check("1000", 1000, 0, &[]);
        check("web:ssl", 33, 99, &[]);
        check("1000:1000", 1000, 1000, &[]);
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let dir = image();
        let error = resolve_user(&[dir.path().to_owned()], "nobody").unwrap_err();
        assert!(error.to_string().contains("no user `nobody`"), "{error}");
    }

    #[test]
    fn a_link_cannot_leave_the_image() {
        assert_eq!(inside(Path::new("etc"), Path::new("../../../etc/shadow")), Path::new("etc/shadow"));
        assert_eq!(inside(Path::new("etc"), Path::new("/etc/shadow")), Path::new("etc/shadow"));
    }

    #[test]
    fn home_comes_from_the_image() {
        let dir = image();
        assert_eq!(home(dir.path(), 33).as_deref(), Some("/srv/web"));
        assert_eq!(home(dir.path(), 7), None);
    }
}

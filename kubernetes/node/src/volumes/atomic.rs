//! Files that change together: readers see all of the old ones or all of the new ones.
//!
//! The real files lie in a directory of their own; `..data` points to it and every visible name points
//! through `..data`. Replacing that one link replaces everything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use nix::unistd::{Gid, Uid};

const DATA: &str = "..data";
const NEXT: &str = "..data_tmp";

/// A file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub bytes: Vec<u8>,
    pub mode: u32,
}

/// Files by their path below the volume's directory.
pub(crate) type Files = BTreeMap<String, File>;

/// Makes `dir` show exactly `files`, owned by `group` if one is given. True if something changed.
pub(crate) fn write(dir: &Path, files: &Files, group: Option<u32>) -> io::Result<bool> {
    if let Some(bad) = files.keys().find(|path| !is_inside(path)) {
        let text = format!("the path `{bad}` does not stay inside the volume");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    fs::create_dir_all(dir)?;
    let current = fs::read_link(dir.join(DATA)).ok();
    if let Some(current) = &current
        && holds(&dir.join(current), files)?
    {
        return Ok(false);
    }
    let name = fresh_name();
    let home = dir.join(&name);
    fs::create_dir(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755))?;
    fill(&home, files, group)?;
    match fs::remove_file(dir.join(NEXT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(&name, dir.join(NEXT))?;
    fs::rename(dir.join(NEXT), dir.join(DATA))?;
    show(dir, files)?;
    if let Some(current) = current {
        fs::remove_dir_all(dir.join(current))?;
    }
    Ok(true)
}

fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    !path.is_empty() && !path.starts_with("..") && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// `..2026_11_24_02_15_59.123456789`, sorted by time for whoever looks.
fn fresh_name() -> String {
    let now = jiff::Timestamp::now();
    let seconds = now.strftime("%Y_%m_%d_%H_%M_%S").to_string();
    format!("..{seconds}.{:09}", now.subsec_nanosecond())
}

fn fill(home: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    use std::io::Write;
    let gid = group.map(Gid::from_raw);
    let owned = |path: &Path| nix::unistd::chown(path, None::<Uid>, gid).map_err(io::Error::from);
    for (path, file) in files {
        let path = home.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        out.write_all(&file.bytes)?;
        let shared = if gid.is_some() { 0o440 } else { 0 };
        out.set_permissions(fs::Permissions::from_mode(file.mode & 0o777 | shared))?;
        if gid.is_some() {
            owned(&path)?;
        }
    }
    if gid.is_some() { owned(home) } else { Ok(()) }
}

/// Links every top-level name through `..data` and removes links that lead nowhere any more.
fn show(dir: &Path, files: &Files) -> io::Result<()> {
    let wanted: BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &wanted {
        let link = dir.join(name);
        if link.symlink_metadata().is_err() {
            symlink(PathBuf::from(DATA).join(name), link)?;
        }
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let stale = name.to_str().is_none_or(|name| !name.starts_with("..") && !wanted.contains(name));
        if stale && entry.file_type()?.is_symlink() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether the files below `home` are exactly `files`.
fn holds(home: &Path, files: &Files) -> io::Result<bool> {
    for (path, file) in files {
        match fs::read(home.join(path)) {
            Ok(bytes) if bytes == file.bytes => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(count(home)? == files.len())
}

fn count(dir: &Path) -> io::Result<usize> {
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        total += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> Files {
        let file = |text: &str| File { bytes: text.into(), mode: 0o640 };
        list.iter().map(|(path, text)| ((*path).to_owned(), file(text))).collect()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_replaced_together() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("v");
        assert!(write(&dir, &files(&[("a", "1"), ("sub/b", "2")]), None).unwrap());
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "1");
        assert_eq!(fs::read_to_string(dir.join("sub/b")).unwrap(), "2");
        assert_eq!(fs::metadata(dir.join("a")).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(!write(&dir, &files(&[("a", "1"), ("sub/b", "2")]), None).unwrap());

        assert!(write(&dir, &files(&[("a", "3"), ("c", "4")]), Some(1234)).unwrap());
        assert_eq!(fs::read_to_string(dir.join("a")).unwrap(), "3");
        let names = names(&dir);
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(names[1..], ["..data", "a", "c"]);
        use std::os::unix::fs::MetadataExt;
        assert_eq!(fs::metadata(dir.join("c")).unwrap().gid(), 1234);
    }

    #[test]
    fn paths_stay_inside() {
        let temp = tempfile::tempdir().unwrap();
        for bad in ["../x", "/etc/passwd", "a/../../b", "..data", ""] {
            assert!(write(temp.path(), &files(&[(bad, "x")]), None).is_err(), "{bad}");
        }
    }
}

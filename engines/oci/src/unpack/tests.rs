//! What layers may do to a directory, and what they may not.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use expect_test::{Expect, expect};
use tar::{Builder, EntryType, Header};

use super::unpack;
use crate::stack::{is_opaque, is_whiteout};

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(1_000_000_000);
    header
}

/// An archive with names that the `tar` crate would rather not write.
struct Layer(Builder<Vec<u8>>);

impl Layer {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn add(mut self, kind: EntryType, name: &str, link: &str, content: &str) -> Self {
        let mut header = header(kind, content.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_link_name_literal(link).unwrap();
        if kind == EntryType::Directory {
            header.set_mode(0o755);
        }
        header.set_cksum();
        self.0.append(&header, content.as_bytes()).unwrap();
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.add(EntryType::Regular, name, "", content)
    }

    fn dir(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, "", "")
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, target, "")
    }

    fn hardlink(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Link, name, target, "")
    }

    fn unpack(self, into: &Path) -> Result<(), String> {
        let bytes = self.0.into_inner().unwrap();
        unpack(bytes.as_slice(), into).map(|_| ()).map_err(|e| e.to_string())
    }
}

fn refused(layer: Layer, expected: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(dir.path().join("secret"), "untouched").unwrap();
    expected.assert_eq(&layer.unpack(&root).unwrap_err());
    assert_eq!(fs::read(dir.path().join("secret")).unwrap(), b"untouched");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn archives_that_climb_out_are_refused() {
    refused(
        Layer::new().file("../secret", "x"),
        expect!["the archive was refused: entry `../secret` climbs out of the archive's root"],
    );
    refused(
        Layer::new().dir("a").file("a/../../secret", "x"),
        expect!["the archive was refused: entry `a/../../secret` climbs out of the archive's root"],
    );
    refused(
        Layer::new().hardlink("a", "../secret"),
        expect!["the archive was refused: entry `a` links out of the archive's root"],
    );
    refused(
        Layer::new().hardlink("a", "/etc/passwd"),
        expect![
            "the archive was refused: entry `a` is a hard link to `etc/passwd`: No such file or directory (os error 2)"
        ],
    );
    refused(
        Layer::new()
            .symlink("up", "..")
            .file("up/secret/x", "x")
            .symlink("out", "/nowhere")
            .file("out/secret", "x"),
        expect![
            "the archive was refused: entry `out/secret` goes through a link that leads nowhere inside the archive, or through a file"
        ],
    );
    refused(
        Layer::new().file("a", "x").file("a/b", "x"),
        expect![
            "the archive was refused: entry `a/b` goes through a link that leads nowhere inside the archive, or through a file"
        ],
    );
    refused(
        Layer::new().file("d/.wh...", ""),
        expect!["the archive was refused: entry `d/.wh...` removes something that is no name"],
    );
    refused(
        Layer::new().symlink("./", "/etc"),
        expect!["the archive was refused: entry `./` would replace the root"],
    );
}

#[test]
fn links_never_lead_outside() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let outside = dir.path().to_str().unwrap().to_owned();
    let layer = Layer::new()
        .symlink("abs", "/")
        .symlink("up", "../../../../..")
        .file("abs/one", "1")
        .file("up/two", "2")
        .file("/three", "3")
        .symlink("victim", &format!("{outside}/four"))
        .file("victim", "4");
    layer.unpack(&root).unwrap();
    for (name, content) in [("one", "1"), ("two", "2"), ("three", "3"), ("victim", "4")] {
        assert_eq!(fs::read_to_string(root.join(name)).unwrap(), content);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn removals_become_overlay_marks() {
    let dir = tempfile::tempdir().unwrap();
    let layer = Layer::new()
        .dir("etc/")
        .file("etc/.wh.gone", "")
        .dir("data/")
        .file("data/.wh..wh..opq", "")
        .file(".wh.swapped", "")
        .dir("swapped/")
        .file("kept/x", "")
        .file(".wh.kept", "")
        .file(".wh.deep", "")
        .file("deep/er/x", "");
    layer.unpack(dir.path()).unwrap();
    assert!(is_whiteout(&fs::symlink_metadata(dir.path().join("etc/gone")).unwrap()));
    for name in ["data", "swapped", "kept", "deep"] {
        assert!(is_opaque(&dir.path().join(name)), "{name}");
    }
    assert!(!is_opaque(&dir.path().join("etc")));
}

#[test]
fn metadata_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Builder::new(Vec::new());
    let mut suid = header(EntryType::Regular, 1);
    suid.set_mode(0o4755);
    suid.set_uid(1000);
    suid.set_gid(50);
    builder
        .append_pax_extensions([
            ("SCHILY.xattr.user.note", &b"a\nb"[..]),
            ("SCHILY.xattr.trusted.overlay.redirect", &b"/etc"[..]),
            ("mtime", &b"1234567890.5"[..]),
        ])
        .unwrap();
    builder.append_data(&mut suid, "bin/su", &b"x"[..]).unwrap();
    let mut fifo = header(EntryType::Fifo, 0);
    builder.append_data(&mut fifo, "run/pipe", &b""[..]).unwrap();
    let mut folder = header(EntryType::Directory, 0);
    folder.set_mode(0o1777);
    builder.append_data(&mut folder, "run", &b""[..]).unwrap();
    let bytes = builder.into_inner().unwrap();
    unpack(bytes.as_slice(), dir.path()).unwrap();
    let su = dir.path().join("bin/su");
    let metadata = fs::metadata(&su).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o4755, 1000, 50));
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_234_567_890, 500_000_000));
    assert_eq!(xattr::get(&su, "user.note").unwrap().unwrap(), b"a\nb");
    assert_eq!(xattr::get(&su, "trusted.overlay.redirect").unwrap(), None);
    let run = fs::metadata(dir.path().join("run")).unwrap();
    assert_eq!((run.mode() & 0o7777, run.mtime()), (0o1777, 1_000_000_000));
}

#[test]
fn later_entries_replace_earlier_ones() {
    let dir = tempfile::tempdir().unwrap();
    let layer = Layer::new()
        .file("a", "old")
        .hardlink("b", "a")
        .file("a", "new")
        .dir("c/")
        .file("c/x", "x")
        .symlink("c", "a")
        .file("d", "x")
        .dir("d/");
    layer.unpack(dir.path()).unwrap();
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"new");
    assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"old");
    assert_eq!(fs::read_link(dir.path().join("c")).unwrap(), Path::new("a"));
    assert!(dir.path().join("d").is_dir());
}

#[test]
fn packing_reverses_unpacking() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("1"), dir.path().join("2"));
    fs::create_dir_all(first.join("d/deep")).unwrap();
    fs::create_dir(&second).unwrap();
    fs::write(first.join("d/file"), "content").unwrap();
    fs::set_permissions(first.join("d/file"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::hard_link(first.join("d/file"), first.join("same")).unwrap();
    symlink("..//odd/./target", first.join("link")).unwrap();
    let long = "x".repeat(180);
    fs::write(first.join(&long), "").unwrap();
    symlink(&long, first.join("long-link")).unwrap();
    xattr::set(first.join("d"), "trusted.overlay.opaque", b"y").unwrap();
    xattr::set(first.join("d/file"), "user.x", b"\n").unwrap();
    let whiteout = first.join("gone");
    nix::sys::stat::mknod(&whiteout, nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::empty(), 0)
        .unwrap();
    let archive = crate::pack::pack(&first, Vec::new()).unwrap();
    unpack(archive.as_slice(), &second).unwrap();
    assert_eq!(crate::pack::pack(&second, Vec::new()).unwrap(), archive);
    assert_eq!(fs::read_link(second.join("link")).unwrap(), Path::new("..//odd/./target"));
    assert_eq!(fs::metadata(second.join("same")).unwrap().nlink(), 2);
    assert!(is_whiteout(&fs::symlink_metadata(second.join("gone")).unwrap()));
}

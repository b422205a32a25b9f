//! Turning what overlayfs wrote into a layer's archive: the way back of [`crate::unpack`].
//!
//! Names are sorted and times are whole seconds, so the same directory always gives the same bytes.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use tar::{Builder, EntryType, Header};

use crate::Error;
use crate::stack::{is_opaque, is_whiteout};

/// Writes the archive of a directory and returns the writer, flushed.
pub(crate) fn pack<W: Write>(dir: &Path, out: W) -> Result<W, Error> {
    let mut packer = Packer { tar: Builder::new(out), links: HashMap::new() };
    packer.children(dir, Path::new(""))?;
    let mut out = packer.tar.into_inner().map_err(Error::io("pack", dir))?;
    out.flush().map_err(Error::io("pack", dir))?;
    Ok(out)
}

struct Packer<W: Write> {
    tar: Builder<W>,
    /// Files with several names: the first one is the file, the others link to it.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<W> {
    fn children(&mut self, host: &Path, inside: &Path) -> Result<(), Error> {
        let entries = fs::read_dir(host).map_err(Error::io("read", host))?;
        let names: Result<Vec<OsString>, io::Error> = entries.map(|e| e.map(|e| e.file_name())).collect();
        let mut names = names.map_err(Error::io("read", host))?;
        names.sort();
        for name in names {
            self.entry(&host.join(&name), &inside.join(&name))?;
        }
        Ok(())
    }

    fn entry(&mut self, host: &Path, inside: &Path) -> Result<(), Error> {
        let io = |e: io::Error| Error::io("pack", host)(e);
        let metadata = fs::symlink_metadata(host).map_err(io)?;
        let kind = metadata.file_type();
        if kind.is_socket() {
            return Ok(());
        }
        if is_whiteout(&metadata) {
            return self
                .mark(inside.parent().unwrap_or(Path::new("")), ".wh.", inside.file_name())
                .map_err(io);
        }
        let first = (metadata.dev(), metadata.ino());
        if !kind.is_dir() && metadata.nlink() > 1 {
            if let Some(target) = self.links.get(&first).cloned() {
                return self.link(&metadata, inside, EntryType::Link, &target).map_err(io);
            }
            self.links.insert(first, inside.to_owned());
        }
        self.attributes(host)?;
        if kind.is_dir() {
            self.plain(&metadata, inside, EntryType::Directory).map_err(io)?;
            if is_opaque(host) {
                self.mark(inside, ".wh..wh..opq", None).map_err(io)?;
            }
            self.children(host, inside)
        } else if kind.is_symlink() {
            let target = fs::read_link(host).map_err(io)?;
            self.link(&metadata, inside, EntryType::Symlink, &target).map_err(io)
        } else if kind.is_file() {
            self.file(&metadata, host, inside).map_err(io)
        } else {
            self.special(&metadata, inside).map_err(io)
        }
    }

    fn file(&mut self, metadata: &Metadata, host: &Path, inside: &Path) -> io::Result<()> {
        let mut header = header(metadata, EntryType::Regular);
        header.set_size(metadata.len());
        // A file that grows meanwhile must not spoil the archive.
        let content = io::Read::take(File::open(host)?, metadata.len());
        self.tar.append_data(&mut header, inside, content)
    }

    fn plain(&mut self, metadata: &Metadata, inside: &Path, kind: EntryType) -> io::Result<()> {
        self.tar.append_data(&mut header(metadata, kind), inside, io::empty())
    }

    fn special(&mut self, metadata: &Metadata, inside: &Path) -> io::Result<()> {
        let file_type = metadata.file_type();
        let kind = if file_type.is_char_device() {
            EntryType::Char
        } else if file_type.is_block_device() {
            EntryType::Block
        } else {
            EntryType::Fifo
        };
        let mut header = header(metadata, kind);
        header.set_device_major(u32::try_from(major(metadata.rdev())).unwrap_or(0))?;
        header.set_device_minor(u32::try_from(minor(metadata.rdev())).unwrap_or(0))?;
        self.tar.append_data(&mut header, inside, io::empty())
    }

    fn link(&mut self, metadata: &Metadata, inside: &Path, kind: EntryType, target: &Path) -> io::Result<()> {
        let mut header = header(metadata, kind);
        // Word for word where it fits: links are text, and `a//b` must stay so.
        match header.set_link_name_literal(target.as_os_str().as_bytes()) {
            Ok(()) => self.tar.append_data(&mut header, inside, io::empty()),
            Err(_) => self.tar.append_link(&mut header, inside, target),
        }
    }

    /// An empty file whose name is the message.
    fn mark(&mut self, dir: &Path, prefix: &str, name: Option<&OsStr>) -> io::Result<()> {
        let mut file = OsString::from(prefix);
        file.push(name.unwrap_or_default());
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(0);
        header.set_mode(0o600);
        self.tar.append_data(&mut header, dir.join(file), io::empty())
    }

    fn attributes(&mut self, host: &Path) -> Result<(), Error> {
        let io = |e: io::Error| Error::io("read the attributes of", host)(e);
        let mut kept: Vec<(String, Vec<u8>)> = Vec::new();
        for name in xattr::list(host).map_err(io)? {
            match name.as_bytes() {
                b"trusted.overlay.redirect" | b"trusted.overlay.metacopy" => {
                    let reason =
                        "it was renamed by overlayfs itself; mount with redirect_dir=off,metacopy=off";
                    return Err(Error::malformed(format!("{}", host.display()), reason));
                }
                name if name.starts_with(b"user.") || name == b"security.capability" => {}
                _ => continue,
            }
            if let (Some(name), Ok(Some(value))) = (name.to_str(), xattr::get(host, &name)) {
                kept.push((format!("SCHILY.xattr.{name}"), value));
            }
        }
        kept.sort();
        if kept.is_empty() {
            return Ok(());
        }
        self.tar.append_pax_extensions(kept.iter().map(|(k, v)| (k.as_str(), v.as_slice()))).map_err(io)
    }
}

fn header(metadata: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(metadata.mode() & 0o7777);
    header.set_uid(metadata.uid().into());
    header.set_gid(metadata.gid().into());
    header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
    header
}

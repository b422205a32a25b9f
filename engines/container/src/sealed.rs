//! The program that shims run, out of reach of what runs in containers.
//!
//! A container's first process is for a moment this very program, and root in a container owns the
//! file: it could try to keep the program open and overwrite it later. So shims run it from a mount
//! of its own that is read-only and attached nowhere, where nobody can make it writable again.

#![expect(unsafe_code, reason = "open_tree(2) and mount_setattr(2)")]

use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The program, and what keeps its mount.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    mount: Option<OwnedFd>,
}

impl Program {
    /// Kernels before 5.12 know no such mounts; there the program runs from where it is.
    pub(crate) fn new(path: &Path) -> Self {
        let mount = match mount_read_only(path) {
            Ok(mount) => Some(mount),
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "run shims without a mount of their own");
                None
            }
        };
        Self { path: path.to_owned(), mount }
    }

    /// What to execute.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.mount {
            Some(mount) => format!("/proc/self/fd/{}", mount.as_raw_fd()).into(),
            None => self.path.clone(),
        }
    }
}

fn mount_read_only(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = libc::OPEN_TREE_CLONE | libc::O_CLOEXEC as u32;
    // SAFETY: the path ends with NUL; the call returns a new descriptor or -1.
    let mount = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let mount = c_int::try_from(mount).map_err(io::Error::other)?;
    if mount < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned this descriptor to us alone.
    let mount = unsafe { OwnedFd::from_raw_fd(mount) };
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: an empty path with this flag means the descriptor itself; the struct is as long as said.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(mount) } else { Err(io::Error::last_os_error()) }
}

//! The last step before a process of a container becomes its program: giving up what it must not
//! have. The container's first process and every command entering later pass through here.

#![expect(unsafe_code, reason = "prctl(2) and seccomp(2)")]

use std::fs;

use libcontainer::syscall::syscall::create_syscall;
use oci_spec::runtime::LinuxCapabilities;
use serde_json::json;

use crate::record::{CONFINEMENT, Confinement as Record, FILTER, Home};
use crate::{Error, files};

#[derive(Clone)]
pub(super) struct Confinement {
    capabilities: LinuxCapabilities,
    no_new_privileges: bool,
    filter: Option<Vec<u8>>,
}

impl Confinement {
    pub(super) fn load(home: &Home) -> Result<Self, Error> {
        let path = home.path(CONFINEMENT);
        let missing = || Error::NotFound { id: home.dir().display().to_string() };
        let record: Record = files::read_json(&path)?.ok_or_else(missing)?;
        let sets = json!({
            "bounding": record.capabilities, "effective": record.capabilities,
            "permitted": record.capabilities, "inheritable": [], "ambient": [],
        });
        let capabilities = serde_json::from_value(sets).map_err(|source| Error::Damaged { path, source })?;
        let path = home.path(FILTER);
        let filter = if record.filtered {
            Some(fs::read(&path).map_err(|source| Error::File { attempt: "read", path, source })?)
        } else {
            None
        };
        Ok(Self { capabilities, no_new_privileges: record.no_new_privileges, filter })
    }

    /// Installing the filter takes a privilege unless new ones are renounced; so it comes first or
    /// last. Last is better: a strict filter may forbid what giving up capabilities takes.
    pub(super) fn apply(&self) -> Result<(), String> {
        if self.no_new_privileges {
            // SAFETY: a plain prctl that only takes away.
            unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
            self.drop_capabilities()?;
            self.install_filter()
        } else {
            self.install_filter()?;
            self.drop_capabilities()
        }
    }

    fn drop_capabilities(&self) -> Result<(), String> {
        libcontainer::capabilities::drop_privileges(&self.capabilities, &*create_syscall())
            .map_err(|error| format!("give up capabilities: {error}"))
    }

    fn install_filter(&self) -> Result<(), String> {
        let Some(filter) = &self.filter else { return Ok(()) };
        let instructions: Vec<libc::sock_filter> = filter.chunks_exact(8).map(instruction).collect();
        let program = libc::sock_fprog {
            len: u16::try_from(instructions.len()).map_err(|_| "the system call filter is too long")?,
            filter: instructions.as_ptr().cast_mut(),
        };
        // SAFETY: the kernel copies the program, which lives until the call returns.
        let result =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
        match result {
            0 => Ok(()),
            _ => Err(format!("filter system calls: {}", std::io::Error::last_os_error())),
        }
    }
}

/// One instruction of eight bytes, as the library lays it out for this machine.
fn instruction(bytes: &[u8]) -> libc::sock_filter {
    let byte = |index: usize| bytes.get(index).copied().unwrap_or_default();
    libc::sock_filter {
        code: u16::from_ne_bytes([byte(0), byte(1)]),
        jt: byte(2),
        jf: byte(3),
        k: u32::from_ne_bytes([byte(4), byte(5), byte(6), byte(7)]),
    }
}

//! What the machine must offer, checked before anything is written.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use nix::sys::statvfs::statvfs;
use nix::unistd::{Uid, geteuid};

/// Below this much room nothing useful would run.
const MIN_FREE: u64 = 512 << 20;

/// Refuses with what to do if this machine cannot run a cloud; `is_known` one was up here before.
pub(crate) fn check(data_dir: &Path, is_known: bool) -> Result<()> {
    check_root("`sealos up` makes containers and networks")?;
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("make the data directory {}", data_dir.display()))?;
    check_disk(data_dir, is_known)?;
    for (path, what) in
        [("/proc/self/ns/net", "network namespaces"), ("/proc/self/ns/pid", "process namespaces")]
    {
        if !Path::new(path).exists() {
            bail!("this kernel has no {what}; containers need them");
        }
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").context("read /proc/filesystems")?;
    if !filesystems.contains("overlay") && !Path::new("/sys/module/overlay").exists() {
        load_overlay()?;
    }
    Ok(())
}

fn check_disk(data_dir: &Path, is_known: bool) -> Result<()> {
    let stat = statvfs(data_dir).with_context(|| format!("look at the disk of {}", data_dir.display()))?;
    let free = stat.blocks_available() * stat.fragment_size();
    if free < MIN_FREE {
        let (free, least) = (crate::output::size(free), crate::output::size(MIN_FREE));
        if is_known {
            // Its apps run already, and making room (`sealos image prune`) takes a cloud that is up.
            crate::output::line_err(&format!(
                "the disk of {} has only {free} left; writes fail once it is full",
                data_dir.display()
            ));
            return Ok(());
        }
        bail!(
            "the disk of {} has {free} left and {least} are needed; free some, or choose another --data-dir",
            data_dir.display()
        );
    }
    Ok(())
}

/// Refuses anybody but root; `because` says what root is needed for.
pub(crate) fn check_root(because: &str) -> Result<()> {
    if geteuid() != Uid::from_raw(0) {
        bail!("{because} and must run as root; run it with sudo");
    }
    Ok(())
}

fn load_overlay() -> Result<()> {
    let done = std::process::Command::new("modprobe").arg("overlay").status();
    if done.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bail!("this kernel has no overlayfs, which containers need; load it with `modprobe overlay`")
}

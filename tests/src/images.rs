//! A small image without any network: a static busybox, from Debian's package.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::packages::need;

const BUSYBOX: &str = "/bin/busybox";

/// Writes a directory that `sealos build` makes a busybox image of; `extra` ends its Dockerfile.
pub fn busybox_context(dir: &Path, extra: &str) -> Result<PathBuf> {
    need(BUSYBOX, "busybox-static")?;
    let context = dir.join("busybox");
    std::fs::create_dir_all(&context).context("make a directory")?;
    std::fs::copy(BUSYBOX, context.join("busybox")).context("copy busybox")?;
    let dockerfile = format!(
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
         RUN mkdir -p /etc /tmp /www && echo root:x:0:0:root:/:/bin/sh > /etc/passwd\nENV PATH=/bin\n{extra}\n"
    );
    std::fs::write(context.join("Dockerfile"), dockerfile).context("write a Dockerfile")?;
    Ok(context)
}

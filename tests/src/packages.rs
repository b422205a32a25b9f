//! Programs that the suites use, installed from the distribution where they are missing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::run;

/// Makes sure that a file of a package is there.
pub fn need(file: &str, package: &str) -> Result<()> {
    let on_path = |dir: &str| Path::new(dir).join(file).exists();
    let path = std::env::var("PATH").unwrap_or_default();
    if Path::new(file).is_absolute() && Path::new(file).exists() || path.split(':').any(on_path) {
        return Ok(());
    }
    let install = || {
        let flags = ["install", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", package];
        run(Command::new("apt-get").args(flags).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    if install()?.code != 0 {
        run(Command::new("apt-get").arg("update"))?.ok().context("refresh the package lists")?;
        install()?.ok().with_context(|| format!("install {package}"))?;
    }
    Ok(())
}

//! A small image without any network: a static busybox, from Debian's package.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::run;
use crate::packages::need;

const BUSYBOX: &str = "/bin/busybox";

/// Writes a directory that `sealos build` makes a busybox image of; `extra` ends its Dockerfile.
pub fn busybox_context(dir: &Path, extra: &str) -> Result<PathBuf> {
    need(BUSYBOX, "busybox-static")?;
    let context = dir.join("busybox");
    std::fs::create_dir_all(&context).context("make a directory")?;
    std::fs::copy(BUSYBOX, context.join("busybox")).context("copy busybox")?;
    copy_shell(&context.join("shell"))?;
    let dockerfile = format!(
        "FROM scratch\nCOPY shell /\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
         RUN mkdir -p /etc /tmp /www && echo root:x:0:0:root:/:/bin/sh > /etc/passwd\nENV PATH=/bin\n{extra}\n"
    );
    std::fs::write(context.join("Dockerfile"), dockerfile).context("write a Dockerfile")?;
    Ok(context)
}

/// Writes a directory that `sealos build` makes an image of `program` of, an app of our own.
pub fn app_context(dir: &Path, program: &Path) -> Result<PathBuf> {
    let context = dir.join("test-app");
    copy_libraries(&context.join("root"), program)?;
    std::fs::copy(program, context.join("root/app")).context("copy the app")?;
    let dockerfile = "FROM scratch\nCOPY root /\nEXPOSE 8080\nENTRYPOINT [\"/app\"]\n";
    std::fs::write(context.join("Dockerfile"), dockerfile).context("write a Dockerfile")?;
    Ok(context)
}

/// Copies bash with its libraries: unlike a static busybox it can look names up (`/dev/tcp/<name>/<port>`).
fn copy_shell(root: &Path) -> Result<()> {
    let bash = Path::new("/bin/bash");
    copy_libraries(root, bash)?;
    copy_to(root, bash)
}

fn copy_libraries(root: &Path, program: &Path) -> Result<()> {
    let listed = run(Command::new("ldd").arg(program))?.ok()?;
    let mut libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
    libraries.try_for_each(|library| copy_to(root, Path::new(library)))
}

fn copy_to(root: &Path, file: &Path) -> Result<()> {
    let to = root.join(file.strip_prefix("/").context("an absolute path")?);
    std::fs::create_dir_all(to.parent().context("a file in a directory")?).context("make a directory")?;
    std::fs::copy(file, &to).with_context(|| format!("copy {}", file.display())).map(drop)
}

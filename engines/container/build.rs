//! Makes sure that libseccomp can be linked, statically where the static library is installed.
//!
//! The default seccomp profile is compiled by libseccomp, the only system library of the project.
//! On Debian and its relatives a build as root installs the development files by itself;
//! elsewhere it stops with the command to type.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

const PACKAGE: &str = "libseccomp-dev";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBSECCOMP_LIB_PATH");
    let target = env::var("TARGET")?;
    let mut found = find(&target);
    if found.is_none() {
        install()?;
        found = find(&target);
    }
    let library = found.ok_or_else(missing)?;
    if library.extension().is_some_and(|ext| ext == "a") {
        prefer_static(&library)?;
    } else if let Some(dir) = library.parent() {
        println!("cargo:rustc-link-search=native={}", dir.display());
    }
    Ok(())
}

/// The static library if there is one, else the shared one.
fn find(target: &str) -> Option<PathBuf> {
    let arch = target.split('-').next().unwrap_or(target);
    let mut dirs: Vec<PathBuf> = env::var_os("LIBSECCOMP_LIB_PATH").map(PathBuf::from).into_iter().collect();
    dirs.push(format!("/usr/lib/{arch}-linux-gnu").into());
    dirs.extend(["/usr/local/lib", "/usr/lib64", "/usr/lib"].map(PathBuf::from));
    let named = |name: &str| dirs.iter().map(|dir| dir.join(name)).find(|path| path.exists());
    named("libseccomp.a").or_else(|| named("libseccomp.so"))
}

/// A directory that holds nothing but the static library is searched first, so the linker has no
/// shared one to prefer. This works for every architecture and needs no environment.
fn prefer_static(library: &Path) -> Result<(), Box<dyn Error>> {
    let dir = PathBuf::from(env::var("OUT_DIR")?).join("static");
    fs::create_dir_all(&dir)?;
    let link = dir.join("libseccomp.a");
    if let Err(error) = fs::remove_file(&link)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error.into());
    }
    std::os::unix::fs::symlink(library, &link)?;
    println!("cargo:rustc-link-search=native={}", dir.display());
    Ok(())
}

fn install() -> Result<(), Box<dyn Error>> {
    let root = fs::read_to_string("/proc/self/status")?
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root || !Path::new("/usr/bin/apt-get").exists() {
        return Err(missing());
    }
    println!("cargo:warning=installing {PACKAGE} with apt-get");
    if apt(&["install", "-y", "--no-install-recommends", PACKAGE])? {
        return Ok(());
    }
    if apt(&["update"])? && apt(&["install", "-y", "--no-install-recommends", PACKAGE])? {
        return Ok(());
    }
    Err(missing())
}

fn apt(args: &[&str]) -> io::Result<bool> {
    let done = Command::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=120"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()?;
    Ok(done.status.success())
}

fn missing() -> Box<dyn Error> {
    format!(
        "libseccomp's development files are missing. Install them and build again: \
         `sudo apt-get update && sudo apt-get install -y {PACKAGE}` \
         (Fedora: `sudo dnf install libseccomp-devel libseccomp-static`)"
    )
    .into()
}

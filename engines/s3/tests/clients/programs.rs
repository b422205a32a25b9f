//! Finding, installing and running the clients.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::service::Service;

/// No client needs longer.
const LIMIT: Duration = Duration::from_secs(100);

pub(crate) struct Tools;

impl Tools {
    /// A program of a Debian package of the same name.
    pub(crate) fn debian(name: &str) -> String {
        // One at a time: package managers lock.
        let _lock = lock();
        if !found(name) {
            must(
                Command::new("apt-get")
                    .args(["install", "-y", "-q", name])
                    .env("DEBIAN_FRONTEND", "noninteractive"),
            );
        }
        name.to_owned()
    }

    /// A Python with a package in it.
    pub(crate) fn python(package: &str) -> String {
        let _lock = lock();
        let dir = cache().join("python");
        let python = dir.join("bin/python");
        let works = || Command::new(&python).args(["-c", &format!("import {package}")]).status();
        if !works().is_ok_and(|status| status.success()) {
            must(Command::new("python3").args(["-m", "venv"]).arg(&dir));
            must(Command::new(&python).args(["-m", "pip", "install", "-q", package]));
        }
        text(&python)
    }

    /// A folder of npm packages.
    pub(crate) fn node(packages: &[&str]) -> String {
        let _lock = lock();
        let dir = cache().join("node");
        if !packages
            .iter()
            .all(|package| dir.join("node_modules").join(package).join("package.json").exists())
        {
            std::fs::create_dir_all(&dir).expect("a folder");
            must(
                Command::new("npm")
                    .args(["install", "--no-audit", "--no-fund", "--prefix"])
                    .arg(&dir)
                    .args(packages),
            );
        }
        text(&dir.join("node_modules"))
    }
}

/// Runs a client's script; the service's address and keys are in its environment.
pub(crate) async fn run(
    service: &Service,
    program: &str,
    arguments: &[String],
    environment: &[(&str, String)],
) {
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .current_dir(service.work.path())
        .env("HOME", service.work.path())
        .env("ADDRESS", service.address.to_string())
        .env("PORT", service.address.port().to_string())
        .env("AWS_ACCESS_KEY_ID", "client")
        .env("AWS_SECRET_ACCESS_KEY", "client-secret")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
        .kill_on_drop(true);
    let output =
        tokio::time::timeout(LIMIT, command.output()).await.expect("an end in time").expect("to run");
    let said =
        format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
}

fn found(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .is_ok_and(|out| out.status.success())
}

fn must(command: &mut Command) {
    let output = command.output().expect("to run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Below the build directory, so that the clients are installed once.
fn cache() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3-clients");
    std::fs::create_dir_all(&dir).expect("a folder for clients");
    dir
}

fn lock() -> File {
    let file = File::create(cache().join("lock")).expect("a lock file");
    file.lock().expect("the lock");
    file
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

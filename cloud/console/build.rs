//! Builds the page with npm and Vite, so that `cargo build` alone gives a console.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What Vite needs.
const NODE: (u32, u32) = (20, 19);
const SOURCES: [&str; 7] = [
    "web/src",
    "web/public",
    "web/index.html",
    "web/package.json",
    "web/package-lock.json",
    "web/vite.config.ts",
    "web/tsconfig.json",
];

fn main() -> ExitCode {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let web = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("web");
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("web");
    let node = node()?;
    if !is_installed(&web) {
        run(&web, &["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], &out)?;
    }
    let vite = ["node", "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"];
    match node {
        Node::Own => run(&web, &vite, &out),
        Node::Borrowed => run(&web, &[&BORROW[..], &vite[..]].concat(), &out),
    }
}

/// Which Node.js builds the page.
enum Node {
    /// The machine's.
    Own,
    /// One from the npm registry, since the machine's is too old.
    Borrowed,
}

/// Runs what follows with a Node.js of npm's.
const BORROW: [&str; 5] = ["npm", "exec", "--yes", "--package=node@22", "--"];

/// Whether `node_modules` holds what the lock file says.
fn is_installed(web: &Path) -> bool {
    let changed = |path: &str| fs::metadata(web.join(path)).and_then(|m| m.modified()).ok();
    match (changed("node_modules/.package-lock.json"), changed("package-lock.json")) {
        (Some(installed), Some(locked)) => installed >= locked,
        _ => false,
    }
}

fn node() -> Result<Node, Box<dyn Error>> {
    if (node_version().is_none() || !has("npm")) && is_root() && has("apt-get") {
        println!("cargo::warning=installing Node.js and npm, which build the console's page");
        let install = ["install", "--yes", "--no-install-recommends", "nodejs", "npm"];
        // Package lists may be old or missing; the install says so itself if this does not help.
        let _updated = Command::new("apt-get").args(["update", "-qq"]).output();
        let _installed =
            Command::new("apt-get").args(install).env("DEBIAN_FRONTEND", "noninteractive").output();
    }
    match node_version() {
        Some(found) if found >= NODE && has("npm") => Ok(Node::Own),
        Some(_) if has("npm") => Ok(Node::Borrowed),
        _ => Err("Node.js with npm builds the console's page, and is missing; install it and build again:\n\
                  apt-get install nodejs npm"
            .into()),
    }
}

fn node_version() -> Option<(u32, u32)> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut parts = text.trim().trim_start_matches('v').split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

fn run(web: &Path, command: &[&str], out: &Path) -> Result<(), Box<dyn Error>> {
    let (program, args) = command.split_first().ok_or("a command has a program")?;
    let output = Command::new(program)
        .args(args)
        .current_dir(web)
        .env("SEALOS_WEB_OUT", out)
        .env("CI", "1")
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Err(format!("`{}` failed in {}:\n{said}", command.join(" "), web.display()).into())
}

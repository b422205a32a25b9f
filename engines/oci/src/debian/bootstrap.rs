//! Running `mmdebstrap` and taking what it makes into the store.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStderr, Command};
use tokio_util::io::SyncIoBridge;

use super::sources::{self, Sources};
use crate::progress::Reporter;
use crate::store::{LayerRecord, blocking};
use crate::{Error, Images};

const CUSTOMIZE: &str = include_str!("customize.sh");
/// Lines of a failed run worth showing.
const LAST_LINES: usize = 12;
/// With this much memory free, the tree is put together in memory: package installation waits for the
/// disk at every step otherwise. It takes some 300 MB for a moment.
const ROOMY: u64 = 1536 << 20;
/// What slim images do without, now and when packages are installed later.
const SLIM: [&str; 7] = [
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/groff/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-include=/usr/share/locale/locale.alias",
];

/// What goes into a root file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe<'a> {
    /// The image's name, for people.
    pub(super) name: &'a str,
    /// The Debian release.
    pub(super) suite: &'a str,
    /// Without documentation and translations.
    pub(super) slim: bool,
    /// Packages beside the minimal base.
    pub(super) packages: &'a [&'a str],
    /// Bash that runs in the new root at the end.
    pub(super) finish: &'a str,
}

/// Makes the root file system of an image.
pub(super) async fn bootstrap(
    images: &Images,
    recipe: Recipe<'_>,
    reporter: &Reporter,
) -> Result<LayerRecord, Error> {
    let fail = |reason: String| Error::Base { image: recipe.name.to_owned(), reason };
    if !nix::unistd::geteuid().is_root() {
        return Err(fail("this needs root".into()));
    }
    ensure_tool(images, reporter).await.map_err(fail)?;
    let Some(sources) = sources::of_this_machine(recipe.suite) else {
        let reason =
            "apt's sources (/etc/apt/sources.list and /etc/apt/sources.list.d) name no Debian archive";
        return Err(fail(reason.into()));
    };
    let options = apt_options().await;
    match run(images, recipe, &sources, true, &options, reporter).await? {
        Ok(layer) => return Ok(layer),
        // A mirror may have the release but neither its updates nor its security archive.
        Err(_) if !sources.extra.is_empty() => {
            reporter.note("trying again without updates and security fixes");
        }
        Err(lines) => return Err(fail(lines)),
    }
    run(images, recipe, &sources, false, &options, reporter).await?.map_err(fail)
}

/// One attempt. The inner error has the last lines of what `mmdebstrap` said.
async fn run(
    images: &Images,
    recipe: Recipe<'_>,
    sources: &Sources,
    with_extra: bool,
    apt_options: &[String],
    reporter: &Reporter,
) -> Result<Result<LayerRecord, String>, Error> {
    let work = images.workspace()?;
    let mut command = command(recipe, sources, with_extra, apt_options, work.path())?;
    let mut child = command.spawn().map_err(Error::io("run", "mmdebstrap"))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Ok(Err("mmdebstrap has no output".into()));
    };
    let listener = listen(stderr, recipe.name.to_owned(), reporter.clone());
    let store = images.clone();
    let taking = blocking(move || store.ingest_tar(SyncIoBridge::new(stdout)));
    let (layer, lines, status) = tokio::join!(taking, listener, child.wait());
    let status = status.map_err(Error::io("wait for", "mmdebstrap"))?;
    if status.success() { layer.map(Ok) } else { Ok(Err(lines)) }
}

fn command(
    recipe: Recipe<'_>,
    sources: &Sources,
    with_extra: bool,
    apt_options: &[String],
    work: &Path,
) -> Result<Command, Error> {
    let tmp = work.join("tmp");
    fs::create_dir(&tmp).map_err(Error::io("make", &tmp))?;
    let write = |name: &str, content: &str| -> Result<PathBuf, Error> {
        let path = work.join(name);
        fs::write(&path, content).map_err(Error::io("write", &path))?;
        Ok(path)
    };
    let extra = if with_extra { sources.extra.as_slice() } else { &[] };
    let lines: Vec<&str> = std::iter::once(&sources.main).chain(extra).map(String::as_str).collect();
    let list = write("debian.list", &(lines.join("\n") + "\n"))?;
    let customize = write("customize.sh", CUSTOMIZE)?;
    // Mounts and processes live in namespaces of their own: whatever happens, nothing stays behind.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"]);
    if available_memory() > ROOMY {
        command.args(["sh", "-c", "mount -t tmpfs -o mode=1777 tmpfs \"$TMPDIR\" && exec \"$@\"", "sh"]);
    }
    command.arg("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase", "--format=tar", "--skip=output/dev"]);
    command.arg("--dpkgopt=force-unsafe-io");
    command.args(apt_options.iter().map(|option| format!("--aptopt={option}")));
    if recipe.slim {
        command.args(SLIM.map(|option| format!("--dpkgopt={option}")));
    }
    if let Some(keyring) = &sources.foreign_keyring {
        let keyring = keyring.display();
        command.arg(format!("--customize-hook=upload {keyring} {keyring}"));
    }
    command.arg(format!("--customize-hook=sh {} \"$1\"", customize.display()));
    if !recipe.packages.is_empty() {
        command.arg(format!("--include={}", recipe.packages.join(",")));
    }
    if !recipe.finish.is_empty() {
        let finish = write("finish.sh", recipe.finish)?;
        command.arg(format!("--customize-hook=chroot \"$1\" bash -eu < {}", finish.display()));
    }
    command.args([recipe.suite.as_ref(), "-".as_ref(), list.as_os_str()]);
    // Times no later than today's midnight: the same packages give the same image all day.
    let midnight = jiff::Timestamp::now().as_second() / 86_400 * 86_400;
    command.env("SOURCE_DATE_EPOCH", midnight.to_string()).env("TMPDIR", &tmp).env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// Bytes that programs may still take.
fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib =
        line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Passes progress on and keeps the last lines.
async fn listen(stderr: ChildStderr, name: String, reporter: Reporter) -> String {
    let mut last = VecDeque::new();
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let phase =
            line.strip_prefix("I: ").filter(|text| text.ends_with("...") && !text.contains("tempdir"));
        if let Some(text) = phase {
            reporter.note(format!("{name}: {}", text.trim_end_matches('.')));
        }
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    let lines: Vec<String> = last.into_iter().filter(|line| !line.starts_with("I: ")).collect();
    format!("mmdebstrap failed:\n    {}", lines.join("\n    "))
}

/// Installs `mmdebstrap` where apt can.
async fn ensure_tool(images: &Images, reporter: &Reporter) -> Result<(), String> {
    let _alone = images.exclusive("apt").await;
    if on_path("mmdebstrap") {
        return Ok(());
    }
    if !on_path("apt-get") {
        return Err("the program `mmdebstrap` is missing; install it with your package manager".into());
    }
    reporter.note("installing `mmdebstrap` with apt-get");
    let install = ["install", "--yes", "--no-install-recommends", "mmdebstrap", "debian-archive-keyring"];
    if apt_get(&install).await.is_ok() {
        return Ok(());
    }
    apt_get(&["update"]).await?;
    apt_get(&install).await
}

async fn apt_get(args: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|e| format!("apt-get cannot be run: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`apt-get {}` failed: {}. Run it by hand to see more", args.join(" "), said.trim()))
}

/// How this machine reaches its mirror: proxies, retries and clock checks also hold for the image.
async fn apt_options() -> Vec<String> {
    let Ok(output) = Command::new("apt-config").args(["dump", "Acquire"]).output().await else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| is_about_reaching(line))
        .map(str::to_owned)
        .collect()
}

fn is_about_reaching(line: &str) -> bool {
    let Some((key, value)) = line.split_once(' ') else { return false };
    let wanted =
        ["Acquire::Retries", "Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::ForceIPv4"];
    let is_proxy = ["Acquire::http::Proxy", "Acquire::https::Proxy"].iter().any(|name| key.starts_with(name));
    let has_value = !matches!(value.trim_end_matches(';'), "" | "\"\"");
    has_value && (wanted.contains(&key) || (is_proxy && !key.contains("Auto-Detect")))
}

fn on_path(program: &str) -> bool {
    let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let path = std::env::var("PATH").unwrap_or_else(|_| usual.to_owned());
    path.split(':').any(|dir| Path::new(dir).join(program).is_file())
}

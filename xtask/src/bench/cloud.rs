//! The cloud under test: a release build in a temporary directory.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

/// A running cloud; taken down when dropped.
pub(crate) struct BenchCloud {
    dir: TempDir,
    program: PathBuf,
    daemon: Child,
    /// From the start of the process to `ready`.
    pub(crate) ready_after: Duration,
}

impl BenchCloud {
    /// Starts the second time, so that keys and settings exist, and measures that.
    pub(crate) fn start(program: &Path) -> Result<Self> {
        let program =
            program.canonicalize().context("find the sealos binary; run `cargo build --release` first")?;
        let dir = TempDir::with_prefix("sealos-bench-")?;
        let (mut first, _) = spawn(&program, dir.path())?;
        run(&program, dir.path(), &["down"])?;
        first.wait()?;
        let (daemon, ready_after) = spawn(&program, dir.path())?;
        Ok(Self { dir, program, daemon, ready_after })
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("data/kubeconfig")
    }

    /// A place for files.
    pub(crate) fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// Runs the program against this cloud.
    pub(crate) fn sealos(&self, args: &[&str]) -> Result<String> {
        run(&self.program, self.dir.path(), args)
    }

    /// Runs kubectl against this cloud.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new("kubectl");
        text(&command.args(args).env("KUBECONFIG", self.kubeconfig()).output().context("run kubectl")?)
    }

    /// The daemon's resident memory in MiB (proc(5), `VmRSS`).
    pub(crate) fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.id()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// The memory once it has not changed for a second.
    pub(crate) fn settled_memory(&self) -> Result<f64> {
        let mut last = self.memory()?;
        for _ in 0..20 {
            std::thread::sleep(Duration::from_secs(1));
            let now = self.memory()?;
            if (now - last).abs() < 0.1 {
                return Ok(now);
            }
            last = now;
        }
        Ok(last)
    }
}

impl Drop for BenchCloud {
    fn drop(&mut self) {
        drop(self.sealos(&["down", "--purge", "--yes"]));
        drop(self.daemon.wait());
    }
}

fn spawn(program: &Path, dir: &Path) -> Result<(Child, Duration)> {
    let begun = Instant::now();
    let mut command = Command::new(program);
    let daemon = command.arg("up").env("SEALOS_DATA_DIR", dir.join("data")).stdin(Stdio::null());
    let mut daemon = daemon.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("start the cloud")?;
    while run(program, dir, &["status", "-o", "json"]).is_err() {
        ensure!(begun.elapsed() < Duration::from_secs(60), "the cloud is not ready after a minute");
        if let Some(code) = daemon.try_wait()? {
            bail!("the cloud ended with {code}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok((daemon, begun.elapsed()))
}

fn run(program: &Path, dir: &Path, args: &[&str]) -> Result<String> {
    text(&Command::new(program).args(args).env("SEALOS_DATA_DIR", dir.join("data")).output()?)
}

fn text(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

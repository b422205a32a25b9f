//! A cloud of one suite, in a temporary directory, on free ports.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Outcome, run, run_with_input};
use crate::packages::need;
use crate::suite::{free_port, until};

/// A cloud that runs; taken down when dropped.
pub struct Cloud {
    dir: TempDir,
    ports: [u16; 3],
    daemon: std::sync::Mutex<Option<Child>>,
}

/// Where the program under test is: beside the test binaries, as cargo builds it.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find the test binary")?;
    let dir = own.ancestors().find(|d| d.join("sealos").is_file());
    Ok(dir.context("the sealos binary is not built; run `cargo build` first")?.join("sealos"))
}

impl Cloud {
    /// Starts a cloud and waits until it is ready.
    pub fn start() -> Result<Self> {
        let cloud = Self::new()?;
        cloud.up(&[])?;
        Ok(cloud)
    }

    /// A cloud that is not up yet.
    pub fn new() -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "these suites start real clouds and must run as root");
        let dir = TempDir::with_prefix("sealos-test-").context("make a data directory")?;
        for (program, package) in
            [("kubectl", "kubernetes-client"), ("ip", "iproute2"), ("nft", "nftables"), ("curl", "curl")]
        {
            need(program, package)?;
        }
        let ports = [free_port()?, free_port()?, free_port()?];
        Ok(Self { dir, ports, daemon: std::sync::Mutex::new(None) })
    }

    /// Starts the daemon and waits until it is ready.
    pub fn up(&self, flags: &[&str]) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.log_path()).context("open a log")?;
        let [api, http, https] = self.ports.map(|p| p.to_string());
        let ports = ["--api-port", &api, "--http-port", &http, "--https-port", &https];
        let mut command = self.sealos_command(&["up"])?;
        let child = command.args(ports).args(flags).stdin(std::process::Stdio::null());
        let child = child.stdout(log.try_clone()?).stderr(log).spawn().context("start the daemon")?;
        *self.daemon.lock().map_err(|_| anyhow::anyhow!("a check panicked"))? = Some(child);
        until(Duration::from_secs(60), || {
            if let Some(code) = self.daemon_exit()? {
                bail!("the daemon ended with {code}:\n{}", self.log());
            }
            self.sealos(&["status", "-o", "json"])?.ok()
        })
        .with_context(|| format!("start a cloud; its log:\n{}", self.log()))?;
        Ok(())
    }

    fn daemon_exit(&self) -> Result<Option<std::process::ExitStatus>> {
        let mut daemon = self.daemon.lock().map_err(|_| anyhow::anyhow!("a check panicked"))?;
        daemon.as_mut().map_or(Ok(None), |child| child.try_wait().context("look at the daemon"))
    }

    /// The daemon's process id.
    pub fn pid(&self) -> Result<u32> {
        let daemon = self.daemon.lock().map_err(|_| anyhow::anyhow!("a check panicked"))?;
        Ok(daemon.as_ref().context("the cloud is not up")?.id())
    }

    /// Sends the daemon a signal and waits until it is gone.
    pub fn end(&self, signal: Signal) -> Result<()> {
        let mut daemon = self.daemon.lock().map_err(|_| anyhow::anyhow!("a check panicked"))?;
        let mut child = daemon.take().context("the cloud is not up")?;
        let pid = i32::try_from(child.id()).context("a process id")?;
        kill(Pid::from_raw(pid), signal).context("signal the daemon")?;
        child.wait().context("wait for the daemon").map(drop)
    }

    /// What the daemon printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("daemon.log")
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A place for files of a check.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// The HTTP port.
    pub fn http_port(&self) -> u16 {
        self.ports[1]
    }

    /// The HTTPS port.
    pub fn https_port(&self) -> u16 {
        self.ports[2]
    }

    /// The API's port.
    pub fn api_port(&self) -> u16 {
        self.ports[0]
    }

    fn sealos_command(&self, args: &[&str]) -> Result<Command> {
        let mut command = Command::new(program()?);
        command.args(args).env("SEALOS_DATA_DIR", self.data_dir()).current_dir(self.dir.path());
        Ok(command)
    }

    /// Runs `sealos` against this cloud.
    pub fn sealos(&self, args: &[&str]) -> Result<Outcome> {
        run(&mut self.sealos_command(args)?)
    }

    /// Runs `sealos` against this cloud and reads the JSON it prints.
    pub fn sealos_json(&self, args: &[&str]) -> Result<Value> {
        serde_json::from_str(&self.sealos(args)?.ok()?)
            .with_context(|| format!("read the output of {args:?}"))
    }

    /// Runs the stock `kubectl` against this cloud.
    pub fn kubectl(&self, args: &[&str]) -> Result<Outcome> {
        self.kubectl_with(args, "")
    }

    /// Runs `kubectl` with a text to read (`-f -`).
    pub fn kubectl_with(&self, args: &[&str], input: &str) -> Result<Outcome> {
        run_with_input(&mut self.kubectl_command(args), input)
    }

    /// A `kubectl` that can be started in the background.
    pub fn kubectl_command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(args).env("KUBECONFIG", self.data_dir().join("kubeconfig")).env("HOME", self.dir.path());
        command
    }

    /// Applies a manifest.
    pub fn apply(&self, manifest: &str) -> Result<String> {
        self.kubectl_with(&["apply", "-f", "-"], manifest)?.ok()
    }

    /// Stops everything; the data goes too.
    pub fn purge(&self) -> Result<String> {
        let done = self.sealos(&["down", "--purge", "--yes"])?.ok();
        let mut daemon = self.daemon.lock().map_err(|_| anyhow::anyhow!("a check panicked"))?;
        if let Some(mut child) = daemon.take() {
            child.wait().context("wait for the daemon")?;
        }
        done
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if self.data_dir().exists()
            && let Err(error) = self.purge()
        {
            // Dropping cannot fail a check; what is left shows in the check that counts traces.
            drop(std::fs::write("/tmp/sealos-test-purge-failed", format!("{error:#}\n{}", self.log())));
        }
        if let Ok(mut daemon) = self.daemon.lock()
            && let Some(mut child) = daemon.take()
        {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

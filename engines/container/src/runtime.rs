//! The daemon's side: containers are directories, and shims are asked over their sockets.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::record::Confinement;
use crate::record::{CONFINEMENT, EXIT, FILTER, Home, Outcome, RECORD, ROOTFS, Record, SHIM_LOG};
use crate::sealed::Program;
use crate::seccomp::Filters;
use crate::session::{self, Peer};
use crate::wire::{Reply, Request};
use crate::{ContainerSpec, ContainerState, Error, Exec, ExecSpec, Exit, Started, Stats, Status};
use crate::{StartFailure, bundle, cgroup, files, stats};

/// How long the kernel may take to let go of what a killed container held.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Config {
    /// One directory per container; private to root.
    pub state_dir: PathBuf,
    /// The control group that all containers are below, such as `/sealos-0a1b2c3d`.
    pub cgroup_parent: String,
    /// The program to run as `<shim> shim <dir>`; `/proc/self/exe` survives its replacement.
    pub shim: PathBuf,
}

/// All containers of one state directory. Cheap to clone; what it knows about them is on disk.
#[derive(Debug, Clone)]
pub struct Runtime {
    config: Arc<Config>,
    filters: Arc<Filters>,
    program: Arc<Program>,
}

impl Runtime {
    /// Opens a state directory and forgets containers whose start was cut short.
    pub fn new(config: Config) -> Result<Self, Error> {
        private_dir(&config.state_dir)?;
        let program = Arc::new(Program::new(&config.shim));
        let runtime = Self { config: Arc::new(config), filters: Arc::default(), program };
        for home in runtime.homes()? {
            if !home.shim_alive() && home.started()?.is_none() {
                runtime.erase(&home)?;
            }
        }
        runtime.filters.warm();
        Ok(runtime)
    }

    /// Creates and starts a container. When this fails nothing of it is left.
    pub async fn start(&self, spec: &ContainerSpec) -> Result<Started, Error> {
        let home = self.prepare(spec)?;
        let outcome = self.spawn_shim(&home, &spec.id).await;
        match outcome {
            Ok(Outcome::Ready(started)) => Ok(started),
            Ok(Outcome::Failed { failure, reason }) => {
                self.erase_soon(home).await?;
                Err(Error::Start { id: spec.id.clone(), failure, reason })
            }
            Err(error) => {
                self.erase_soon(home).await?;
                Err(error)
            }
        }
    }

    fn prepare(&self, spec: &ContainerSpec) -> Result<Home, Error> {
        let id = &spec.id;
        let home = self.home(id)?;
        let mut builder = DirBuilder::new();
        match builder.mode(0o700).create(home.dir()) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists { id: id.clone() });
            }
            Err(source) => {
                return Err(Error::File { attempt: "create", path: home.dir().to_owned(), source });
            }
        }
        private_dir(&home.path(ROOTFS))?;
        let record = Record { spec: spec.clone(), cgroup_parent: self.config.cgroup_parent.clone() };
        files::write_json(&home.path(RECORD), &record)?;
        self.confine(&home, spec)?;
        Ok(home)
    }

    /// Writes down what the container's processes give up.
    fn confine(&self, home: &Home, spec: &ContainerSpec) -> Result<(), Error> {
        let capabilities = bundle::capabilities(spec);
        let profile = bundle::seccomp(spec, &capabilities);
        let confinement = Confinement {
            capabilities,
            no_new_privileges: spec.no_new_privileges,
            filtered: profile.is_some(),
        };
        files::write_json(&home.path(CONFINEMENT), &confinement)?;
        let Some(profile) = profile else { return Ok(()) };
        let path = home.path(FILTER);
        fs::write(&path, &*self.filters.get(&profile)?).map_err(|source| Error::File {
            attempt: "write",
            path,
            source,
        })
    }

    async fn spawn_shim(&self, home: &Home, id: &str) -> Result<Outcome, Error> {
        let log = home.path(SHIM_LOG);
        let stderr = fs::File::create(&log).map_err(|source| Error::File {
            attempt: "create",
            path: log.clone(),
            source,
        })?;
        let mut child = Command::new(self.program.path())
            .arg0("sealos")
            .arg("shim")
            .arg(home.dir())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|source| Error::File { attempt: "run", path: self.config.shim.clone(), source })?;
        let mut line = Vec::new();
        if let Some(mut stdout) = child.stdout.take() {
            // A shim that dies closes the pipe; what it had to say is in its log.
            let _closed = stdout.read_to_end(&mut line).await;
        }
        serde_json::from_slice(&line).map_err(|_| Error::Shim {
            id: id.to_owned(),
            what: format!("ended before the container started: {}", tail(&log)),
        })
    }

    /// Runs a command inside a running container.
    pub async fn exec(&self, id: &str, command: ExecSpec) -> Result<Exec, Error> {
        let peer = self.peer(id).await?;
        session::exec(id, peer, command).await
    }

    /// Joins the standard streams of the container's own process.
    pub async fn attach(&self, id: &str) -> Result<Exec, Error> {
        let peer = self.peer(id).await?;
        session::attach(id, peer, self.home(id)?).await
    }

    /// Sends a signal to the container's first process.
    pub async fn kill(&self, id: &str, signal: i32) -> Result<(), Error> {
        let mut peer = self.peer(id).await?;
        match peer.ask(id, &Request::Kill { signal }).await? {
            Reply::Failed { .. } => Err(Error::NotRunning { id: id.to_owned() }),
            _ => Ok(()),
        }
    }

    /// Sets the size of the container's own terminal.
    pub async fn resize(&self, id: &str, width: u16, height: u16) -> Result<(), Error> {
        let mut peer = self.peer(id).await?;
        peer.ask(id, &Request::Resize { width, height }).await.map(drop)
    }

    /// Makes the container's log start anew, after its file was moved.
    pub async fn reopen_log(&self, id: &str) -> Result<(), Error> {
        let mut peer = self.peer(id).await?;
        peer.ask(id, &Request::ReopenLog).await.map(drop)
    }

    /// Returns when the container has ended, at once if it has. Works across daemon restarts, and
    /// survives being dropped.
    pub async fn wait(&self, id: &str) -> Result<Exit, Error> {
        let home = self.home(id)?;
        if let Some(exit) = home.exit()? {
            return Ok(exit);
        }
        if let Ok(mut peer) = self.peer(id).await {
            // A shim that goes away at this very moment is what is being waited for.
            if let Err(error) = peer.wait_for_end().await {
                tracing::debug!(%id, %error, "a shim ended before it was asked to tell");
            }
        }
        self.ended(&home, id).await
    }

    /// The exit on disk, or one made up for a container that lost its shim.
    async fn ended(&self, home: &Home, id: &str) -> Result<Exit, Error> {
        let started = home.started()?.ok_or_else(|| Error::NotFound { id: id.to_owned() })?;
        let home = home.clone();
        let group = self.group(id);
        blocking(move || {
            if let Some(exit) = home.exit()? {
                return Ok(exit);
            }
            tracing::warn!(dir = %home.dir().display(), "a container lost its shim and was ended");
            cgroup::kill_all(&group);
            let exit = Exit {
                code: 128 + libc::SIGKILL,
                signal: Some(libc::SIGKILL),
                oom_killed: false,
                started_at: started.started_at,
                finished_at: Timestamp::now(),
            };
            files::write_json(&home.path(EXIT), &exit)?;
            Ok(exit)
        })
        .await
    }

    /// Removes a container, killing it first if it runs. Nothing of it is left: no process, no
    /// mount, no control group, no file. Removing what is not there is no error.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        let home = self.home(id)?;
        if !home.dir().exists() {
            return Ok(());
        }
        if home.exit()?.is_none() && home.started()?.is_some() {
            match self.kill(id, libc::SIGKILL).await {
                Ok(()) => self.wait(id).await.map(drop)?,
                Err(Error::NotRunning { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.erase_soon(home).await
    }

    /// Every container that was started and not removed.
    pub fn list(&self) -> Vec<ContainerState> {
        let homes = self.homes().unwrap_or_default();
        homes.iter().filter_map(|home| self.state(home).ok().flatten()).collect()
    }

    fn state(&self, home: &Home) -> Result<Option<ContainerState>, Error> {
        let (Some(record), Some(started)) = (home.record()?, home.started()?) else { return Ok(None) };
        let alive = home.shim_alive();
        let status = match home.exit()? {
            Some(exit) => Status::Exited(exit),
            None if alive => Status::Running,
            None => Status::Exited(Exit {
                code: 128 + libc::SIGKILL,
                signal: Some(libc::SIGKILL),
                oom_killed: false,
                started_at: started.started_at,
                finished_at: Timestamp::now(),
            }),
        };
        Ok(Some(ContainerState {
            id: record.spec.id,
            pid: started.pid,
            started_at: started.started_at,
            labels: record.spec.labels,
            status,
        }))
    }

    pub fn stats(&self, id: &str) -> Result<Stats, Error> {
        if !self.home(id)?.dir().exists() {
            return Err(Error::NotFound { id: id.to_owned() });
        }
        stats::read(&self.group(id))
    }

    /// Ends and removes all containers, and the control group above them.
    pub async fn destroy_all(&self) -> Result<(), Error> {
        let mut first = None;
        for home in self.homes()? {
            let id = home.dir().file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Err(error) = self.remove(&id).await {
                tracing::error!(%id, error = &error as &dyn std::error::Error, "remove a container");
                first.get_or_insert(error);
            }
        }
        let parent = self.config.cgroup_parent.clone();
        blocking(move || cgroup::remove(&parent, RELEASE_LIMIT)).await?;
        first.map_or(Ok(()), Err)
    }

    async fn erase_soon(&self, home: Home) -> Result<(), Error> {
        let runtime = self.clone();
        blocking(move || runtime.erase(&home)).await
    }

    fn erase(&self, home: &Home) -> Result<(), Error> {
        let id = home.dir().file_name().unwrap_or_default().to_string_lossy();
        cgroup::remove(&self.group(&id), RELEASE_LIMIT)?;
        home.wait_for_shim(RELEASE_LIMIT);
        files::remove_tree(home.dir())
    }

    async fn peer(&self, id: &str) -> Result<Peer, Error> {
        let home = self.home(id)?;
        if !home.dir().exists() {
            return Err(Error::NotFound { id: id.to_owned() });
        }
        Peer::connect(&home).await.map_err(|_| Error::NotRunning { id: id.to_owned() })
    }

    fn group(&self, id: &str) -> String {
        format!("{}/{id}", self.config.cgroup_parent)
    }

    fn home(&self, id: &str) -> Result<Home, Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if id.is_empty() || id.len() > 200 || id.starts_with('.') || id == "shims" || !id.bytes().all(plain) {
            return Err(Error::InvalidId { id: id.to_owned() });
        }
        Ok(Home(self.config.state_dir.join(id)))
    }

    fn homes(&self) -> Result<Vec<Home>, Error> {
        let dir = &self.config.state_dir;
        let entries =
            fs::read_dir(dir).map_err(|source| Error::File { attempt: "list", path: dir.clone(), source })?;
        let dirs = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(dirs.map(|entry| Home(entry.path())).collect())
    }
}

fn private_dir(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(path).map_err(|source| Error::File {
        attempt: "create",
        path: path.to_owned(),
        source,
    })
}

/// The last words of a shim.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    let words = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
    if words.is_empty() { "it left no message".into() } else { words }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Io { attempt: "finish a task", source: std::io::Error::other(error) })?
}

impl From<StartFailure> for i32 {
    /// The exit code that shells give to a command that could not be started.
    fn from(failure: StartFailure) -> Self {
        match failure {
            StartFailure::NotFound => 127,
            StartFailure::NotExecutable => 126,
            StartFailure::Other => 128,
        }
    }
}

//! From a record on disk to a running container.
//!
//! The overlay is mounted in a mount namespace that only lives until the container has its own
//! copy of it: the host never sees the mount, and nothing has to be unmounted, ever.

#![expect(unsafe_code, reason = "the namespace work has no safe form")]

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use libcontainer::workload::{Executor, ExecutorError, ExecutorValidationError};
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use oci_spec::runtime::Spec;

use super::chain;
use super::confine::Confinement;
use super::program;
use crate::record::{Home, OCI_STATE, ROOTFS, Record, SOCKET};
use crate::{ContainerSpec, Error, MountKind, Rootfs, StartFailure, bundle, files, wire};

/// Where libcontainer hands over the terminal.
const CONSOLE: &str = "console.sock";

/// A container that runs.
pub(super) struct Launched {
    pub(super) pid: i32,
    pub(super) started_at: Timestamp,
    pub(super) listener: UnixListener,
    pub(super) io: Io,
}

/// The shim's ends of the container's standard streams.
pub(super) enum Io {
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd },
    Terminal(OwnedFd),
}

pub(super) type Failure = (StartFailure, String);

/// Starts the container. The inner error is the container's fault, the outer one ours.
pub(super) fn launch(home: &Home, record: &Record) -> Result<Result<Launched, Failure>, Error> {
    let host = File::open("/proc/self/ns/mnt")
        .map_err(|source| Error::Io { attempt: "open the host's mount namespace", source })?;
    let score = fs::read_to_string("/proc/self/oom_score_adj").unwrap_or_default();
    let listener = listen(home)?;
    kernel("leave the host's mount namespace", unshare(CloneFlags::CLONE_NEWNS))?;
    let nothing = None::<&str>;
    let private = mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing);
    kernel("keep mounts from the host", private)?;
    let launched = launch_inside(home, record, listener);
    kernel("return to the host's mount namespace", setns(host, CloneFlags::CLONE_NEWNS))?;
    // libcontainer set the container's score on this process too.
    if fs::write("/proc/self/oom_score_adj", score.trim()).is_err() {
        tracing::debug!("keep the container's out-of-memory score");
    }
    Ok(launched)
}

fn listen(home: &Home) -> Result<UnixListener, Error> {
    let attempt = |source| Error::File { attempt: "listen on", path: home.path(SOCKET), source };
    let (_dir, path) = files::socket_path(home.dir(), SOCKET).map_err(attempt)?;
    let listener = UnixListener::bind(path).map_err(attempt)?;
    listener.set_nonblocking(true).map_err(attempt)?;
    Ok(listener)
}

fn launch_inside(home: &Home, record: &Record, listener: UnixListener) -> Result<Launched, Failure> {
    let spec = &record.spec;
    let other = |error: Error| (StartFailure::Other, chain(&error));
    let rootfs = mount_rootfs(home, &spec.rootfs).map_err(other)?;
    make_cwd(spec, &rootfs);
    let config = bundle::config(record, &rootfs).map_err(other)?;
    files::write_json(&home.path("config.json"), &config).map_err(other)?;
    let state = home.path(OCI_STATE);
    fs::create_dir_all(&state)
        .map_err(|source| other(Error::File { attempt: "create", path: state.clone(), source }))?;
    let stdio = Stdio::open(home, spec).map_err(other)?;
    let (errors, report) =
        nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| (StartFailure::Other, e.to_string()))?;
    let program =
        Program { report: report.as_raw_fd(), confinement: Confinement::load(home).map_err(other)? };
    let (mut container, io) = build(home, spec, stdio, program)?;
    let pid = container.pid().map_or(0, |pid| pid.as_raw());
    container.start().map_err(|error| (StartFailure::Other, chain(&error)))?;
    drop(report);
    let mut reason = String::new();
    // The pipe closes when the container's program takes over; until then it tells what failed.
    if File::from(errors).read_to_string(&mut reason).is_ok() && !reason.is_empty() {
        let failure = program::classify(&reason);
        return Err((failure, reason));
    }
    Ok(Launched { pid, started_at: Timestamp::now(), listener, io })
}

fn build(
    home: &Home,
    spec: &ContainerSpec,
    stdio: Stdio,
    program: Program,
) -> Result<(Container, Io), Failure> {
    let other = |reason: String| (StartFailure::Other, reason);
    let mut builder = ContainerBuilder::new(spec.id.clone(), SyscallType::default())
        .with_root_path(home.path(OCI_STATE))
        .and_then(ContainerBuilder::validate_id)
        .map_err(|error| other(chain(&error)))?
        .with_executor(program);
    let Stdio { theirs, ours, console } = stdio;
    match theirs {
        Some([stdin, stdout, stderr]) => {
            builder = builder.with_stdin(stdin).with_stdout(stdout).with_stderr(stderr);
        }
        None => builder = builder.with_console_socket(Some(home.path(CONSOLE))),
    }
    let container = builder
        .as_init(home.dir())
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(|error| refused(spec, &chain(&error)))?;
    let io = match (ours, console) {
        (Some(io), _) => io,
        (None, Some(console)) => Io::Terminal(take_terminal(&console).map_err(|e| other(e.to_string()))?),
        (None, None) => return Err(other("the container has no standard streams".into())),
    };
    Ok((container, io))
}

/// What libcontainer puts between why it failed and why its own cleaning up did not end at once, as
/// when a busy kernel still holds the cgroup. Removing the container cleans up in any case.
const CLEANUP: &str = ". error during cleanup";

/// libcontainer's words, without the layers they passed through.
fn refused(spec: &ContainerSpec, text: &str) -> Failure {
    let text = text.split(CLEANUP).next().unwrap_or(text);
    if let Some(start) = text.find(program::MARK) {
        let reason = text.get(start..).unwrap_or(text);
        return (program::classify(reason), reason.to_owned());
    }
    let cwd = spec.cwd.display();
    if text.contains("ENOENT") && !text.contains("mount") && spec.cwd != Path::new("/") {
        return (StartFailure::Other, format!("start the container in `{cwd}`: {text}"));
    }
    (StartFailure::Other, format!("create the container: {text}"))
}

/// The container's first program, as our own code starts it: so that we know what went wrong.
#[derive(Clone)]
struct Program {
    report: RawFd,
    confinement: Confinement,
}

impl Executor for Program {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let process = spec.process().as_ref();
        let args = process.and_then(|p| p.args().clone()).unwrap_or_default();
        let env = process.and_then(|p| p.env().clone()).unwrap_or_default();
        let path = env.iter().find_map(|pair| pair.strip_prefix("PATH=")).unwrap_or_default();
        program::find(&args, path).map(drop).map_err(ExecutorValidationError::ArgValidationError)
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        // The shim is the container's lifeline: nobody else would read its output or its end.
        // SAFETY: this process has one thread and is about to become another program.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let args = spec.process().as_ref().and_then(|p| p.args().clone()).unwrap_or_default();
        let path = std::env::var("PATH").unwrap_or_default();
        let env: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
        let found = program::find(&args, &path);
        let reason = match found.and_then(|path| self.confinement.apply().map(|()| path)) {
            Ok(executable) => program::run(&executable, &args, &env),
            Err(reason) => reason,
        };
        // SAFETY: the shim opened this descriptor for this purpose and only copies of it exist here.
        unsafe { libc::write(self.report, reason.as_ptr().cast(), reason.len()) };
        Err(ExecutorError::Other(reason))
    }
}

/// The container's ends of its streams, and ours.
struct Stdio {
    theirs: Option<[OwnedFd; 3]>,
    ours: Option<Io>,
    console: Option<UnixListener>,
}

impl Stdio {
    fn open(home: &Home, spec: &ContainerSpec) -> Result<Self, Error> {
        let attempt = |source| Error::Io { attempt: "open the container's standard streams", source };
        if spec.tty {
            let (_dir, path) = files::socket_path(home.dir(), CONSOLE).map_err(attempt)?;
            let console = UnixListener::bind(path).map_err(attempt)?;
            return Ok(Self { theirs: None, ours: None, console: Some(console) });
        }
        let pipe = || nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| attempt(errno.into()));
        let (stdin, input) = if spec.stdin {
            let (read, write) = pipe()?;
            (read, Some(write))
        } else {
            (File::open("/dev/null").map_err(attempt)?.into(), None)
        };
        let (stdout, their_stdout) = pipe()?;
        let (stderr, their_stderr) = pipe()?;
        // A program that reopens /dev/stdout needs to own it.
        for end in [&stdin, &their_stdout, &their_stderr].iter().skip(usize::from(!spec.stdin)) {
            let (uid, gid) = (spec.user.uid.into(), spec.user.gid.into());
            nix::unistd::fchown(end, Some(uid), Some(gid)).map_err(|errno| attempt(errno.into()))?;
        }
        let ours = Io::Pipes { stdin: input, stdout, stderr };
        Ok(Self { theirs: Some([stdin, their_stdout, their_stderr]), ours: Some(ours), console: None })
    }
}

/// libcontainer connected and sent the terminal while it built the container.
fn take_terminal(console: &UnixListener) -> std::io::Result<OwnedFd> {
    let (stream, _) = console.accept()?;
    let (mut buffer, mut descriptors) = (Vec::new(), Vec::new());
    wire::receive(stream.as_raw_fd(), &mut buffer, &mut descriptors)?;
    descriptors.pop().ok_or_else(|| std::io::Error::other("the container sent no terminal"))
}

fn mount_rootfs(home: &Home, rootfs: &Rootfs) -> Result<PathBuf, Error> {
    let (lower, upper, work) = match rootfs {
        Rootfs::Directory(path) => {
            let file =
                |source| Error::File { attempt: "find the root directory", path: path.clone(), source };
            return fs::canonicalize(path).map_err(file);
        }
        Rootfs::Overlay { lower, upper, work } => (lower, upper, work),
    };
    let open = |path: &PathBuf| {
        File::open(path).map_err(|source| Error::File { attempt: "open layer", path: path.clone(), source })
    };
    for dir in [upper, work] {
        fs::create_dir_all(dir).map_err(|source| Error::File {
            attempt: "create",
            path: dir.clone(),
            source,
        })?;
    }
    let layers = lower.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let (upper, work) = (open(upper)?, open(work)?);
    // Options fit one page: descriptors are shorter than paths and hold no colons or commas.
    let name = |file: &File| format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let lower = layers.iter().map(name).collect::<Vec<_>>().join(":");
    let options = format!("lowerdir={lower},upperdir={},workdir={}", name(&upper), name(&work));
    let target = home.path(ROOTFS);
    let mounted = mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
    kernel("mount the container's root", mounted)?;
    Ok(target)
}

/// Images may name a working directory that they do not contain. One below a mount is the
/// mount's business.
fn make_cwd(spec: &ContainerSpec, rootfs: &Path) {
    let mounted = |mount: &crate::Mount| {
        matches!(mount.kind, MountKind::Bind { .. } | MountKind::Tmpfs { .. })
            && spec.cwd.starts_with(&mount.destination)
    };
    if spec.mounts.iter().any(mounted) {
        return;
    }
    let mut path = rootfs.to_owned();
    for part in spec.cwd.components() {
        let Component::Normal(name) = part else { continue };
        path.push(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return,
            // What cannot be made is reported when the container fails to enter it.
            Err(_) if fs::create_dir(&path).is_err() => return,
            Err(_) => {}
        }
    }
}

fn kernel<T>(attempt: &'static str, result: nix::Result<T>) -> Result<T, Error> {
    result.map_err(|errno| Error::Io { attempt, source: errno.into() })
}

//! A command inside a running container.
//!
//! The shim forks a keeper, which joins the container's namespaces and forks the command: a
//! process only enters a pid namespace by being born there. The keeper reports the command's start
//! and end on the daemon's connection and kills the command when the connection closes.

#![expect(unsafe_code, reason = "fork, namespaces and credentials")]

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;

use libcontainer::syscall::syscall::create_syscall;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgroups, setresgid, setresuid, setsid};
use oci_spec::runtime::Spec;

use super::confine::Confinement;
use super::launch::Failure;
use super::program;
use crate::record::{Home, Record};
use crate::session::set_size;
use crate::wire::{self, Reply, Request};
use crate::{ExecSpec, StartFailure, bundle, cgroup};

/// What a command needs to come to life.
pub(super) struct Visit<'a> {
    pub(super) home: &'a Home,
    pub(super) record: &'a Record,
    /// The container's first process.
    pub(super) init: i32,
    pub(super) command: ExecSpec,
    /// Its standard streams, unless it has a terminal.
    pub(super) streams: Vec<OwnedFd>,
    /// Where to report.
    pub(super) connection: RawFd,
}

/// Forks the keeper and returns. The connection belongs to the keeper from here on.
pub(super) fn enter(visit: Visit<'_>) -> nix::Result<()> {
    // SAFETY: the shim has one thread, so the child may do whatever the shim may.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => Ok(()),
        ForkResult::Child => {
            let connection = visit.connection;
            if let Err((failure, reason)) = keep(visit) {
                tell(connection, &Reply::Failed { failure, reason }, None);
            }
            // SAFETY: ends the keeper without running the shim's destructors.
            unsafe { libc::_exit(0) }
        }
    }
}

fn tell(connection: RawFd, reply: &Reply, descriptor: Option<&OwnedFd>) {
    let Ok(bytes) = wire::message(reply) else { return };
    let borrowed: Vec<_> = descriptor.iter().map(|fd| fd.as_fd()).collect();
    // A daemon that went away has no use for the answer.
    let _gone = wire::send(connection, &bytes, &borrowed);
}

fn keep(visit: Visit<'_>) -> Result<(), Failure> {
    let Visit { home, record, init, command, streams, connection } = visit;
    let mut kept: Vec<RawFd> = streams.iter().map(AsRawFd::as_raw_fd).collect();
    kept.push(connection);
    close_all_but(&kept);
    // SAFETY: makes this process, which holds host descriptors, invisible to the container's ptrace.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    let spec = Spec::load(home.path("config.json"))
        .map_err(|error| other("read the container's configuration", error))?;
    let confinement =
        Confinement::load(home).map_err(|error| other("read the container's confinement", error))?;
    let groups =
        cgroup::join_files(&record.cgroup()).map_err(|error| other("find the control groups", error))?;
    join_namespaces(init)?;
    let terminal = if command.tty { Some(Terminal::open(&command, &spec)?) } else { None };
    let (mut errors, report) = pipe()?;
    // SAFETY: this process has one thread.
    let child = match unsafe { fork() }.map_err(|errno| other("fork", errno))? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let reason = become_command(&spec, &confinement, &command, groups, streams, terminal);
            let mut report = File::from(report);
            // The keeper reads this; if it is gone nobody can be told.
            let _gone = report.write_all(reason.as_bytes());
            // SAFETY: ends the failed child without running the shim's destructors.
            unsafe { libc::_exit(127) }
        }
    };
    drop((report, streams, groups));
    let mut reason = String::new();
    if errors.read_to_string(&mut reason).is_ok() && !reason.is_empty() {
        let _reaped = waitpid(child, None);
        return Err((program::classify(&reason), reason));
    }
    let master = terminal.map(|terminal| terminal.master);
    tell(connection, &Reply::Started { pid: child.as_raw() }, master.as_ref());
    drop(master);
    let (code, signal) = watch(connection, child);
    tell(connection, &Reply::Exited { code, signal }, None);
    Ok(())
}

/// Closes what the shim had open: its listener, its log, the container's own streams.
fn close_all_but(kept: &[RawFd]) {
    let mut kept: Vec<RawFd> = kept.to_vec();
    kept.sort_unstable();
    let mut first: RawFd = 3;
    for next in kept.into_iter().chain([RawFd::MAX]) {
        if next > first {
            // SAFETY: none of these descriptors is used again in this process.
            unsafe { libc::syscall(libc::SYS_close_range, first, next - 1, 0) };
        }
        first = next.saturating_add(1);
    }
}

/// Joins every namespace of the container's first process. The pid namespace takes effect for
/// children; the mount namespace comes last, because it takes `/proc` away.
fn join_namespaces(init: i32) -> Result<(), Failure> {
    let gone = || (StartFailure::Other, "the container is not running".to_owned());
    let kinds = [
        ("ipc", CloneFlags::CLONE_NEWIPC),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("net", CloneFlags::CLONE_NEWNET),
        ("pid", CloneFlags::CLONE_NEWPID),
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    let mut files = Vec::new();
    for (name, flag) in kinds {
        files.push((File::open(format!("/proc/{init}/ns/{name}")).map_err(|_| gone())?, flag));
    }
    for (file, flag) in files {
        setns(file, flag).map_err(|errno| other("join the container's namespaces", errno))?;
    }
    Ok(())
}

struct Terminal {
    master: OwnedFd,
    slave: OwnedFd,
}

impl Terminal {
    /// A new terminal of the container's own.
    fn open(command: &ExecSpec, spec: &Spec) -> Result<Self, Failure> {
        let attempt = |errno: nix::Error| other("open a terminal", errno);
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = open("/dev/ptmx", flags, Mode::empty()).map_err(attempt)?;
        let unlocked: c_int = 0;
        // SAFETY: the kernel reads one int, and returns a new descriptor or an error.
        let slave = unsafe {
            libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked);
            libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags.bits())
        };
        if slave < 0 {
            return Err(attempt(nix::Error::last()));
        }
        // SAFETY: the kernel just returned this descriptor to us alone.
        let slave = unsafe { OwnedFd::from_raw_fd(slave) };
        let (width, height) = command.size.unwrap_or((80, 24));
        set_size(master.as_fd(), width, height);
        let (uid, _, _) = identity(command, spec);
        nix::unistd::fchown(&slave, Some(Uid::from_raw(uid)), None).map_err(attempt)?;
        Ok(Self { master, slave })
    }
}

/// Who the command runs as.
fn identity(command: &ExecSpec, spec: &Spec) -> (u32, u32, Vec<u32>) {
    if let Some(user) = &command.user {
        return (user.uid, user.gid, user.additional_gids.clone());
    }
    let Some(user) = spec.process().as_ref().map(|process| process.user().clone()) else {
        return (0, 0, vec![]);
    };
    (user.uid(), user.gid(), user.additional_gids().clone().unwrap_or_default())
}

/// Turns this process into the command; returns only with the reason why it could not.
fn become_command(
    spec: &Spec,
    confinement: &Confinement,
    command: &ExecSpec,
    groups: Vec<File>,
    streams: Vec<OwnedFd>,
    terminal: Option<Terminal>,
) -> String {
    match prepare(spec, confinement, command, groups, streams, terminal) {
        Ok((executable, env)) => program::run(&executable, &command.args, &env),
        Err(reason) => reason,
    }
}

fn prepare(
    spec: &Spec,
    confinement: &Confinement,
    command: &ExecSpec,
    groups: Vec<File>,
    streams: Vec<OwnedFd>,
    terminal: Option<Terminal>,
) -> Result<(std::path::PathBuf, Vec<String>), String> {
    for mut group in groups {
        group.write_all(b"0").map_err(|error| format!("join a control group: {error}"))?;
    }
    setsid().map_err(|errno| format!("start a session: {errno}"))?;
    connect(streams, terminal)?;
    let process = spec.process().as_ref().ok_or("the container's configuration names no process")?;
    if let Some(score) = process.oom_score_adj() {
        // A score that may not be set is not worth failing for.
        let _kept = fs::write("/proc/self/oom_score_adj", bundle::oom_score(score).to_string());
    }
    let syscall = create_syscall();
    for limit in process.rlimits().iter().flatten() {
        syscall.set_rlimit(limit).map_err(|error| format!("set a resource limit: {error}"))?;
    }
    let env = environment(spec, command);
    let path = env.get("PATH").cloned().unwrap_or_default();
    let env = env.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cwd = command.cwd.as_deref().unwrap_or_else(|| Path::new(process.cwd()));
    std::env::set_current_dir(cwd)
        .map_err(|error| format!("enter directory `{}`: {error}", cwd.display()))?;
    become_user(spec, command)?;
    let executable = program::find(&command.args, &path)?;
    confinement.apply()?;
    Ok((executable, env))
}

/// Puts the command's streams at their places.
fn connect(streams: Vec<OwnedFd>, terminal: Option<Terminal>) -> Result<(), String> {
    let streams = match terminal {
        None => streams,
        Some(Terminal { slave, .. }) => {
            // SAFETY: a session leader without terminal takes this one; the argument is a flag.
            if unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) } < 0 {
                return Err(format!("take the terminal: {}", std::io::Error::last_os_error()));
            }
            let copy = || slave.try_clone().map_err(|error| error.to_string());
            vec![copy()?, copy()?, slave]
        }
    };
    if streams.len() != 3 {
        return Err(format!("a command needs three streams, not {}", streams.len()));
    }
    for (place, stream) in (0..).zip(streams) {
        // SAFETY: both are descriptors; the copy at its new place survives execve.
        if unsafe { libc::dup2(stream.into_raw_fd(), place) } < 0 {
            return Err(format!("connect a stream: {}", std::io::Error::last_os_error()));
        }
    }
    // SAFETY: closes nothing now; a program must not inherit anything of ours.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_int::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

fn environment(spec: &Spec, command: &ExecSpec) -> BTreeMap<String, String> {
    let own = spec.process().as_ref().and_then(|process| process.env().clone()).unwrap_or_default();
    let mut env: BTreeMap<String, String> =
        own.iter().filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
    if command.tty {
        env.entry("TERM".into()).or_insert_with(|| "xterm".into());
    }
    env.extend(command.env.iter().cloned());
    env
}

/// Becomes the user, keeping all capabilities for what comes next: giving them up.
fn become_user(spec: &Spec, command: &ExecSpec) -> Result<(), String> {
    let (uid, gid, groups) = identity(command, spec);
    let own = spec.process().as_ref().and_then(|process| process.user().umask());
    if let Some(mask) = command.user.as_ref().map_or(own, |user| user.umask) {
        nix::sys::stat::umask(Mode::from_bits_truncate(mask));
    }
    let groups: Vec<Gid> = groups.into_iter().map(Gid::from_raw).collect();
    setgroups(&groups).map_err(|errno| format!("set groups: {errno}"))?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let keep = |flag: libc::c_ulong| {
        // SAFETY: a plain prctl: whether changing the user empties the capability sets.
        unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, flag, 0, 0, 0) };
    };
    keep(1);
    setresgid(gid, gid, gid).map_err(|errno| format!("take on group {gid}: {errno}"))?;
    setresuid(uid, uid, uid).map_err(|errno| format!("take on user {uid}: {errno}"))?;
    keep(0);
    libcontainer::capabilities::reset_effective(&*create_syscall())
        .map_err(|error| format!("keep capabilities: {error}"))
}

/// Waits for the command's end, passing on what the daemon asks for meanwhile.
fn watch(connection: RawFd, child: Pid) -> (i32, Option<i32>) {
    let mut buffer = Vec::new();
    // SAFETY: a plain system call that returns a new descriptor or -1.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0) };
    if let Ok(pidfd) = RawFd::try_from(pidfd)
        && pidfd >= 0
    {
        // SAFETY: the kernel just returned this descriptor to us alone.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        while !ended(connection, &pidfd, child, &mut buffer) {}
    }
    match waitpid(child, None) {
        Ok(WaitStatus::Exited(_, code)) => (code, None),
        Ok(WaitStatus::Signaled(_, signal, _)) => (128 + signal as i32, Some(signal as i32)),
        _ => (255, None),
    }
}

/// Waits for one event; true when the command has ended or must end.
fn ended(connection: RawFd, pidfd: &OwnedFd, child: Pid, buffer: &mut Vec<u8>) -> bool {
    // SAFETY: the connection stays open for the keeper's whole life.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(connection) };
    let mut ready = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN), PollFd::new(socket, PollFlags::POLLIN)];
    if poll(&mut ready, PollTimeout::NONE).is_err() {
        return false;
    }
    if ready[0].any().unwrap_or(false) {
        return true;
    }
    let got = wire::receive(connection, buffer, &mut Vec::new());
    if matches!(&got, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock) {
        return false;
    }
    if !matches!(got, Ok(length) if length > 0) {
        // Nobody is left who wants this command.
        signal(child, libc::SIGKILL);
        return true;
    }
    while let Ok(Some(frame)) = wire::decode(buffer) {
        if let Ok(Request::Kill { signal: number }) = serde_json::from_slice(&frame.payload) {
            signal(child, number);
        }
    }
    false
}

fn signal(pid: Pid, number: i32) {
    // SAFETY: the child is not reaped yet, so its number is its own.
    unsafe { libc::kill(pid.as_raw(), number) };
}

fn pipe() -> Result<(File, OwnedFd), Failure> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| other("make a pipe", errno))?;
    Ok((read.into(), write))
}

fn other(attempt: &str, error: impl std::fmt::Display) -> Failure {
    (StartFailure::Other, format!("{attempt}: {error}"))
}

//! The shim's life while its container runs: one loop over everything that can happen.

#![expect(unsafe_code, reason = "returning free memory and signalling a child have no safe form")]

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::client::Client;
use super::enter::{Visit, enter};
use super::launch::Launched;
use super::log::{Log, Origin};
use super::streams::Streams;
use crate::record::{EXIT, Exit, Home, Outcome, Record, STARTED, Started};
use crate::wire::{self, Frame, Reply, Request};
use crate::{Error, Namespace, StartFailure, cgroup, files};

/// How long output may still come after the container has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long held output waits for its reader after the container has ended.
const HELD_WORDS: Duration = Duration::from_secs(30);
/// How long clients may take to read the rest.
const GOODBYE: Duration = Duration::from_secs(5);
const CHUNK: usize = 32 * 1024;

pub(super) fn serve(home: &Home, record: &Record, launched: Launched) -> Result<(), Error> {
    let attempt = |source| Error::Io { attempt: "watch the container", source };
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    signals.thread_block().map_err(|errno| attempt(errno.into()))?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let signals = SignalFd::with_flags(&signals, flags).map_err(|errno| attempt(errno.into()))?;
    let started = Started { pid: launched.pid, started_at: launched.started_at };
    files::write_json(&home.path(STARTED), &started)?;
    if !super::report(&Outcome::Ready(started)) {
        return abandon(home, launched.pid);
    }
    // Making the container took memory that is never needed again.
    // SAFETY: only returns free pages.
    unsafe { libc::malloc_trim(0) };
    let mut shim = Shim {
        home,
        record,
        pid: launched.pid,
        started_at: launched.started_at,
        listener: launched.listener,
        signals,
        streams: Streams::new(launched.io).map_err(attempt)?,
        log: Log::open(record.spec.log.as_ref()),
        clients: Vec::new(),
        held: record.spec.hold_output,
        end: None,
        buffer: vec![0; CHUNK],
    };
    shim.reap();
    while !shim.finished() {
        shim.turn();
    }
    shim.say_goodbye()
}

/// The daemon died before it learned of the container: then there is none.
fn abandon(home: &Home, pid: i32) -> Result<(), Error> {
    send_signal(pid, libc::SIGKILL);
    let path = home.path(STARTED);
    std::fs::remove_file(&path).map_err(|source| Error::File { attempt: "remove", path, source })
}

fn send_signal(pid: i32, signal: i32) {
    // SAFETY: the container's process is our child and not reaped yet, so the number is its own.
    unsafe { libc::kill(pid, signal) };
}

struct Shim<'a> {
    home: &'a Home,
    record: &'a Record,
    pid: i32,
    started_at: Timestamp,
    listener: UnixListener,
    signals: SignalFd,
    streams: Streams,
    log: Log,
    clients: Vec<Client>,
    /// Output stays in the pipes until somebody attaches.
    held: bool,
    end: Option<End>,
    buffer: Vec<u8>,
}

struct End {
    code: i32,
    signal: Option<i32>,
    finished_at: Timestamp,
    since: Instant,
}

/// What became ready.
#[derive(Clone, Copy)]
enum Event {
    Signal,
    Connection,
    Output(Origin),
    Input,
    ClientReads(usize),
    ClientWrites(usize),
}

impl Shim<'_> {
    fn finished(&self) -> bool {
        let Some(end) = &self.end else { return false };
        let waited = end.since.elapsed();
        if self.held { waited > HELD_WORDS } else { self.streams.all_read() || waited > LAST_WORDS }
    }

    /// Waits for something to happen and handles it.
    fn turn(&mut self) {
        for event in self.wait() {
            match event {
                Event::Signal => self.signalled(),
                Event::Connection => self.accept(),
                Event::Output(origin) => self.output(origin),
                Event::Input => self.streams.write_input(),
                Event::ClientReads(index) => {
                    if let Some(client) = self.clients.get_mut(index) {
                        client.flush();
                    }
                }
                Event::ClientWrites(index) => self.hear(index),
            }
        }
        let once = self.record.spec.stdin_once;
        if once && self.clients.iter().any(|client| client.gone && client.typed) {
            self.streams.end_input();
        }
        self.clients.retain(|client| !client.gone);
    }

    fn wait(&self) -> Vec<Event> {
        let mut polled = vec![
            (PollFd::new(self.signals.as_fd(), PollFlags::POLLIN), Event::Signal),
            (PollFd::new(self.listener.as_fd(), PollFlags::POLLIN), Event::Connection),
        ];
        if !self.held {
            let outputs = self.streams.outputs();
            polled.extend(outputs.map(|(o, fd)| (PollFd::new(fd, PollFlags::POLLIN), Event::Output(o))));
        }
        if let Some(input) = self.streams.input() {
            polled.push((PollFd::new(input, PollFlags::POLLOUT), Event::Input));
        }
        for (index, client) in self.clients.iter().enumerate() {
            if !client.attached || self.streams.takes_input() {
                polled.push((PollFd::new(client.socket(), PollFlags::POLLIN), Event::ClientWrites(index)));
            }
            if client.has_output() {
                polled.push((PollFd::new(client.socket(), PollFlags::POLLOUT), Event::ClientReads(index)));
            }
        }
        let (mut fds, events): (Vec<PollFd<'_>>, Vec<Event>) = polled.into_iter().unzip();
        // The end comes by signal; afterwards the clock matters too.
        let timeout = if self.end.is_some() { PollTimeout::from(50_u8) } else { PollTimeout::NONE };
        match poll(&mut fds, timeout) {
            Ok(_) => {
                fds.iter().zip(events).filter(|(fd, _)| fd.any().unwrap_or(false)).map(|(_, e)| e).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    fn signalled(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            if signal.ssi_signo == Signal::SIGTERM as u32 && self.end.is_none() {
                send_signal(self.pid, libc::SIGTERM);
            }
        }
        self.reap();
    }

    /// Takes leave of every child that has ended: the container, and keepers of commands.
    fn reap(&mut self) {
        loop {
            let (pid, code, signal) = match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code, None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32, Some(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
                Ok(_) | Err(_) => continue,
            };
            if pid.as_raw() == self.pid && self.end.is_none() {
                self.end = Some(End { code, signal, finished_at: Timestamp::now(), since: Instant::now() });
                if self.record.spec.pid != Namespace::Own {
                    // No pid namespace died with it: what it left behind keeps running otherwise.
                    cgroup::kill_all(&self.record.cgroup());
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            self.clients.extend(Client::new(socket));
        }
    }

    fn output(&mut self, origin: Origin) {
        let Some(length) = self.streams.read(origin, &mut self.buffer) else { return };
        let bytes = self.buffer.get(..length).unwrap_or_default();
        self.log.write(origin, bytes);
        if self.clients.iter().all(|client| !client.attached) {
            return;
        }
        let kind = match origin {
            Origin::Stdout => wire::STDOUT,
            Origin::Stderr => wire::STDERR,
        };
        let frame = wire::encode(kind, bytes);
        for client in self.clients.iter_mut().filter(|client| client.attached) {
            client.push(&frame);
        }
    }

    fn hear(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        for frame in client.receive() {
            self.handle(index, frame);
        }
    }

    fn handle(&mut self, index: usize, frame: Frame) {
        let Some(client) = self.clients.get_mut(index) else { return };
        match frame.kind {
            wire::STDIN if client.attached && self.record.spec.stdin => {
                client.typed = true;
                self.streams.push_input(&frame.payload);
            }
            wire::STDIN_END if client.attached && self.record.spec.stdin_once => self.streams.end_input(),
            wire::MESSAGE => match serde_json::from_slice(&frame.payload) {
                Ok(request) => self.request(index, request),
                Err(error) => {
                    let reason = format!("not understood: {error}");
                    client.reply(&Reply::Failed { failure: StartFailure::Other, reason });
                }
            },
            _ => {}
        }
    }

    fn request(&mut self, index: usize, request: Request) {
        let Some(client) = self.clients.get_mut(index) else { return };
        match request {
            Request::Wait => {}
            Request::Kill { .. } if self.end.is_some() => {
                let reason = "the container has ended".into();
                client.reply(&Reply::Failed { failure: StartFailure::Other, reason });
            }
            Request::Kill { signal } => {
                send_signal(self.pid, signal);
                client.reply(&Reply::Done);
            }
            Request::Attach => {
                let spec = &self.record.spec;
                client.reply(&Reply::Attached { tty: spec.tty, stdin: spec.stdin });
                client.attached = true;
                self.held = false;
            }
            Request::Resize { width, height } => {
                self.streams.resize(width, height);
                if !client.attached {
                    client.reply(&Reply::Done);
                }
            }
            Request::ReopenLog => {
                self.log.reopen();
                client.reply(&Reply::Done);
            }
            Request::Exec(command) => {
                use std::os::fd::AsRawFd as _;
                let visit = Visit {
                    home: self.home,
                    record: self.record,
                    init: self.pid,
                    command,
                    streams: std::mem::take(&mut client.descriptors),
                    connection: client.socket().as_raw_fd(),
                };
                match enter(visit) {
                    // The keeper has its own copy of the connection.
                    Ok(()) => client.gone = true,
                    Err(errno) => {
                        let reason = format!("fork: {errno}");
                        client.reply(&Reply::Failed { failure: StartFailure::Other, reason });
                    }
                }
            }
        }
    }

    /// Records the end, lets clients read what waits for them, and leaves.
    fn say_goodbye(mut self) -> Result<(), Error> {
        self.log.finish();
        let Some(end) = self.end.take() else { return Ok(()) };
        let group = self.record.cgroup();
        let exit = Exit {
            code: end.code,
            signal: end.signal,
            oom_killed: end.code != 0 && cgroup::oom_kills(&group) > 0,
            started_at: self.started_at,
            finished_at: end.finished_at,
        };
        files::write_json(&self.home.path(EXIT), &exit)?;
        if let Err(error) = cgroup::remove(&group, Duration::from_secs(1)) {
            tracing::debug!(%error, "leave the control group to the daemon");
        }
        let deadline = Instant::now() + GOODBYE;
        while Instant::now() < deadline && self.clients.iter().any(Client::has_output) {
            let mut fds: Vec<PollFd<'_>> = self
                .clients
                .iter()
                .filter(|client| client.has_output())
                .map(|client| PollFd::new(client.socket(), PollFlags::POLLOUT))
                .collect();
            let waited = poll(&mut fds, PollTimeout::from(100_u8));
            waited
                .map_err(|errno| Error::Io { attempt: "let clients go", source: io::Error::from(errno) })?;
            self.clients.iter_mut().for_each(Client::flush);
        }
        Ok(())
    }
}

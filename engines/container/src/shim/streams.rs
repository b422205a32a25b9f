//! The shim's ends of the container's standard streams.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{read, write};

use super::launch::Io;
use super::log::Origin;
use crate::session::set_size;

/// Input that the container does not read waits up to here; then clients wait.
const MAX_WAITING_INPUT: usize = 1 << 20;

pub(super) struct Streams {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// Output and input at once.
    terminal: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    close_when_written: bool,
}

impl Streams {
    pub(super) fn new(io: Io) -> io::Result<Self> {
        let mut streams = Self {
            stdin: None,
            stdout: None,
            stderr: None,
            terminal: None,
            waiting: VecDeque::new(),
            close_when_written: false,
        };
        match io {
            Io::Pipes { stdin, stdout, stderr } => {
                streams.stdin = stdin;
                streams.stdout = Some(stdout);
                streams.stderr = Some(stderr);
            }
            Io::Terminal(master) => streams.terminal = Some(master),
        }
        for end in [&streams.stdin, &streams.stdout, &streams.stderr, &streams.terminal].into_iter().flatten()
        {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(streams)
    }

    /// What output can be read from.
    pub(super) fn outputs(&self) -> impl Iterator<Item = (Origin, BorrowedFd<'_>)> {
        let ends = [
            (Origin::Stdout, &self.stdout),
            (Origin::Stderr, &self.stderr),
            (Origin::Stdout, &self.terminal),
        ];
        ends.into_iter().filter_map(|(origin, end)| Some((origin, end.as_ref()?.as_fd())))
    }

    pub(super) fn all_read(&self) -> bool {
        self.outputs().next().is_none()
    }

    /// Where waiting input goes, if there is any.
    pub(super) fn input(&self) -> Option<BorrowedFd<'_>> {
        if self.waiting.is_empty() {
            return None;
        }
        self.stdin.as_ref().or(self.terminal.as_ref()).map(AsFd::as_fd)
    }

    pub(super) fn takes_input(&self) -> bool {
        self.waiting.len() < MAX_WAITING_INPUT
    }

    /// Reads once; `None` when nothing is there. A stream that has ended is dropped.
    pub(super) fn read(&mut self, origin: Origin, buffer: &mut [u8]) -> Option<usize> {
        let end = match origin {
            Origin::Stdout if self.terminal.is_some() => &mut self.terminal,
            Origin::Stdout => &mut self.stdout,
            Origin::Stderr => &mut self.stderr,
        };
        match read(end.as_ref()?, buffer) {
            Ok(0) => *end = None,
            Ok(length) => return Some(length),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // A terminal that nobody holds open any more says EIO.
            Err(_) => *end = None,
        }
        None
    }

    pub(super) fn push_input(&mut self, bytes: &[u8]) {
        if self.stdin.is_some() || self.terminal.is_some() {
            self.waiting.extend(bytes);
            self.write_input();
        }
    }

    /// No more input will come: the container reads what waits and then the end.
    pub(super) fn end_input(&mut self) {
        self.close_when_written = true;
        self.write_input();
    }

    pub(super) fn write_input(&mut self) {
        let Some(end) = self.stdin.as_ref().or(self.terminal.as_ref()) else { return };
        while !self.waiting.is_empty() {
            match write(end, self.waiting.as_slices().0) {
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => {
                    self.waiting.clear();
                    self.stdin = None;
                    return;
                }
            }
        }
        if self.close_when_written {
            self.stdin = None;
        }
    }

    pub(super) fn resize(&self, width: u16, height: u16) {
        if let Some(terminal) = &self.terminal {
            set_size(terminal.as_fd(), width, height);
        }
    }
}

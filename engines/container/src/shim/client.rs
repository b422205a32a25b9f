//! A daemon's connection to the shim.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use crate::wire::{self, Frame, Reply};

/// A client that does not read its output is dropped when this much waits for it.
const MAX_WAITING_OUTPUT: usize = 8 << 20;

pub(super) struct Client {
    socket: UnixStream,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) attached: bool,
    /// Whether it wrote to the container's standard input.
    pub(super) typed: bool,
    pub(super) gone: bool,
}

impl Client {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            descriptors: Vec::new(),
            attached: false,
            typed: false,
            gone: false,
        })
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn has_output(&self) -> bool {
        !self.outgoing.is_empty() && !self.gone
    }

    /// Reads what is there and returns whole frames.
    pub(super) fn receive(&mut self) -> Vec<Frame> {
        match wire::receive(self.socket.as_raw_fd(), &mut self.incoming, &mut self.descriptors) {
            Ok(0) => self.gone = true,
            Ok(_) => {}
            Err(error) if would_block(&error) => {}
            Err(_) => self.gone = true,
        }
        let mut frames = Vec::new();
        loop {
            match wire::decode(&mut self.incoming) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return frames,
                Err(_) => {
                    self.gone = true;
                    return frames;
                }
            }
        }
    }

    pub(super) fn reply(&mut self, reply: &Reply) {
        match wire::message(reply) {
            Ok(bytes) => self.push(&bytes),
            Err(_) => self.gone = true,
        }
    }

    /// Queues bytes and sends what the socket takes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
        self.flush();
        if self.outgoing.len() > MAX_WAITING_OUTPUT {
            self.gone = true;
        }
    }

    pub(super) fn flush(&mut self) {
        while self.has_output() {
            match wire::send(self.socket.as_raw_fd(), &self.outgoing, &[]) {
                Ok(length) => drop(self.outgoing.drain(..length)),
                Err(error) if would_block(&error) => return,
                Err(_) => self.gone = true,
            }
        }
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

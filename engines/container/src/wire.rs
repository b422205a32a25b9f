//! What the daemon and a shim say to each other on the container's socket.
//!
//! Frames of a kind, a length and a payload go both ways; descriptors travel beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use serde::{Deserialize, Serialize};

use crate::{ExecSpec, StartFailure};

/// A frame's kind.
pub(crate) const STDIN: u8 = 0;
pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
/// No more standard input will come.
pub(crate) const STDIN_END: u8 = 3;
/// A [`Request`] or a [`Reply`].
pub(crate) const MESSAGE: u8 = 4;

const HEADER: usize = 5;
/// A command line may be long; nothing sane is longer than this.
const MAX_PAYLOAD: usize = 8 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Keep the connection until the container has ended.
    Wait,
    Kill {
        signal: i32,
    },
    /// Stream input and output on this connection.
    Attach,
    Resize {
        width: u16,
        height: u16,
    },
    ReopenLog,
    /// Run a command inside. Its standard streams come as descriptors, unless it has a terminal.
    Exec(ExecSpec),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Attached {
        tty: bool,
        stdin: bool,
    },
    /// The command runs; its terminal comes as a descriptor if it has one.
    Started {
        pid: i32,
    },
    Exited {
        code: i32,
        signal: Option<i32>,
    },
    Failed {
        failure: StartFailure,
        reason: String,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn encode(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(kind);
    bytes.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn message<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    Ok(encode(MESSAGE, &serde_json::to_vec(value)?))
}

/// Takes the first whole frame out of a buffer.
pub(crate) fn decode(buffer: &mut Vec<u8>) -> io::Result<Option<Frame>> {
    let Some((kind, rest)) = buffer.split_first() else { return Ok(None) };
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_PAYLOAD {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
    }
    let Some(payload) = rest.get(..length) else { return Ok(None) };
    let frame = Frame { kind: *kind, payload: payload.to_vec() };
    buffer.drain(..HEADER + length);
    Ok(Some(frame))
}

/// Sends what the socket takes at once; descriptors go with the first byte.
pub(crate) fn send(socket: RawFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
    Ok(sendmsg::<UnixAddr>(socket, &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)?)
}

/// Reads what is there, appending to the buffer; zero means the peer has closed.
pub(crate) fn receive(
    socket: RawFd,
    buffer: &mut Vec<u8>,
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut chunk = [0_u8; 16 * 1024];
    let mut control = nix::cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(&mut chunk)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let got = recvmsg::<UnixAddr>(socket, &mut parts, Some(&mut control), flags)?;
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = message {
            descriptors.extend(raw.into_iter().map(own));
        }
    }
    let length = got.bytes;
    buffer.extend(chunk.iter().take(length));
    Ok(length)
}

#[expect(unsafe_code, reason = "a received descriptor is a bare number")]
fn own(descriptor: RawFd) -> OwnedFd {
    // SAFETY: the kernel just put this descriptor in our table for us alone.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_whole_and_in_order() {
        let mut buffer = Vec::new();
        let mut stream = encode(STDOUT, b"one");
        stream.extend(encode(STDIN_END, b""));
        for byte in &stream[..stream.len() - 1] {
            buffer.push(*byte);
        }
        assert_eq!(decode(&mut buffer).unwrap(), Some(Frame { kind: STDOUT, payload: b"one".to_vec() }));
        assert_eq!(decode(&mut buffer).unwrap(), None);
        buffer.push(stream[stream.len() - 1]);
        assert_eq!(decode(&mut buffer).unwrap(), Some(Frame { kind: STDIN_END, payload: Vec::new() }));
    }

    #[test]
    fn an_absurd_length_is_refused() {
        let mut buffer = vec![STDIN, 0xff, 0xff, 0xff, 0xff];
        assert!(decode(&mut buffer).is_err());
    }
}

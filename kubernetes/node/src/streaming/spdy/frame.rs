//! The frames of SPDY/3.1.

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::headers::Headers;

const VERSION: u16 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const FIN: u8 = 1;
/// The reason in a reset: the stream is not wanted.
const CANCEL: u32 = 5;
const HEADER: usize = 8;
/// No client sends frames anywhere near this long.
const MAX_LENGTH: usize = 4 << 20;

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Open {
        id: u32,
        headers: Vec<(String, String)>,
        last: bool,
    },
    Data {
        id: u32,
        bytes: Bytes,
        last: bool,
    },
    Reset {
        id: u32,
    },
    Ping {
        id: u32,
    },
    Leave,
    /// Settings, window updates and what else needs no answer.
    Other,
}

/// What the server sends.
#[derive(Debug)]
pub(super) enum Outgoing {
    Accept { id: u32 },
    Data { id: u32, bytes: Bytes, last: bool },
    Reset { id: u32 },
    Ping { id: u32 },
    GoAway,
}

/// Takes the first whole frame out of a buffer.
pub(super) fn decode(buffer: &mut BytesMut, headers: &mut Headers) -> io::Result<Option<Frame>> {
    let Some((head, _)) = buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
    let mut head = &head[..];
    let (first, second) = (head.get_u32(), head.get_u32());
    let flags = (second >> 24) as u8;
    let length = (second & 0x00ff_ffff) as usize;
    if length > MAX_LENGTH {
        return Err(invalid("a frame is too long"));
    }
    if buffer.len() < HEADER + length {
        return Ok(None);
    }
    buffer.advance(HEADER);
    let payload = buffer.split_to(length).freeze();
    let last = flags & FIN != 0;
    if first & 0x8000_0000 == 0 {
        return Ok(Some(Frame::Data { id: first, bytes: payload, last }));
    }
    if (first >> 16) as u16 & 0x7fff != VERSION {
        return Err(invalid("another version of SPDY than 3"));
    }
    control(first as u16, payload, last, headers).map(Some)
}

fn control(kind: u16, mut payload: Bytes, last: bool, headers: &mut Headers) -> io::Result<Frame> {
    let number = |payload: &mut Bytes| payload.try_get_u32().map_err(|_| invalid("a frame is too short"));
    Ok(match kind {
        SYN_STREAM => {
            let id = number(&mut payload)? & 0x7fff_ffff;
            number(&mut payload)?;
            payload.try_get_u16().map_err(|_| invalid("a frame is too short"))?;
            Frame::Open { id, headers: headers.unpack(&payload)?, last }
        }
        SYN_REPLY => {
            number(&mut payload)?;
            // The compression's state must see every block.
            headers.unpack(&payload)?;
            Frame::Other
        }
        RST_STREAM => Frame::Reset { id: number(&mut payload)? & 0x7fff_ffff },
        PING => Frame::Ping { id: number(&mut payload)? },
        GOAWAY => Frame::Leave,
        8 => {
            number(&mut payload)?;
            headers.unpack(&payload)?;
            Frame::Other
        }
        _ => Frame::Other,
    })
}

pub(super) fn encode(frame: &Outgoing, headers: &mut Headers, buffer: &mut BytesMut) -> io::Result<()> {
    match frame {
        Outgoing::Data { id, bytes, last } => {
            buffer.put_u32(*id);
            put_length(buffer, if *last { FIN } else { 0 }, bytes.len());
            buffer.put_slice(bytes);
        }
        Outgoing::Accept { id } => {
            let block = headers.pack(&[])?;
            put_control(buffer, SYN_REPLY, 0, 4 + block.len());
            buffer.put_u32(*id);
            buffer.put_slice(&block);
        }
        Outgoing::Reset { id } => {
            put_control(buffer, RST_STREAM, 0, 8);
            buffer.put_u32(*id);
            buffer.put_u32(CANCEL);
        }
        Outgoing::Ping { id } => {
            put_control(buffer, PING, 0, 4);
            buffer.put_u32(*id);
        }
        Outgoing::GoAway => {
            put_control(buffer, GOAWAY, 0, 8);
            buffer.put_u64(0);
        }
    }
    Ok(())
}

fn put_control(buffer: &mut BytesMut, kind: u16, flags: u8, length: usize) {
    buffer.put_u16(0x8000 | VERSION);
    buffer.put_u16(kind);
    put_length(buffer, flags, length);
}

fn put_length(buffer: &mut BytesMut, flags: u8, length: usize) {
    buffer.put_u8(flags);
    buffer.put_uint(length as u64, 3);
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What a client sends to open a stream.
#[cfg(test)]
pub(super) fn encode_open(
    id: u32,
    pairs: &[(String, String)],
    headers: &mut Headers,
    buffer: &mut BytesMut,
) -> io::Result<()> {
    let block = headers.pack(pairs)?;
    put_control(buffer, SYN_STREAM, 0, 10 + block.len());
    buffer.put_u32(id);
    buffer.put_u32(0);
    buffer.put_u16(0);
    buffer.put_slice(&block);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_in_pieces() {
        let (mut packer, mut unpacker) = (Headers::new(), Headers::new());
        let mut wire = BytesMut::new();
        encode_open(3, &[("a".into(), "b".into())], &mut packer, &mut wire).unwrap();
        encode(&Outgoing::Ping { id: 9 }, &mut packer, &mut wire).unwrap();
        encode(&Outgoing::Data { id: 3, bytes: Bytes::from("x"), last: true }, &mut packer, &mut wire)
            .unwrap();
        let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
        for byte in wire {
            buffer.put_u8(byte);
            frames.extend(decode(&mut buffer, &mut unpacker).unwrap());
        }
        let want = [
            Frame::Open { id: 3, headers: vec![("a".into(), "b".into())], last: false },
            Frame::Ping { id: 9 },
            Frame::Data { id: 3, bytes: Bytes::from("x"), last: true },
        ];
        assert_eq!(frames, want);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut headers = Headers::new();
        let check =
            |bytes: &[u8], headers: &mut Headers| decode(&mut BytesMut::from(bytes), headers).is_err();
        assert!(check(&[0x80, 2, 0, 1, 0, 0, 0, 0], &mut headers));
        assert!(check(&[0x80, 3, 0, 6, 0, 0, 0, 0], &mut headers));
        assert!(check(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff], &mut headers));
    }
}

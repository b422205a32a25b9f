//! Channels over a WebSocket: the first byte of every message names the channel.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use sealos_container::{Control, Exec, Writer};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::handshake::WebSocket;
use super::session::{self, Job, Output, Sink, Wants};

pub(crate) const V5: &str = "v5.channel.k8s.io";
pub(crate) const V4: &str = "v4.channel.k8s.io";
pub(crate) const V4_BASE64: &str = "v4.base64.channel.k8s.io";

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// In version 5: the client closes the channel that the payload names.
const CLOSE: u8 = 255;

/// How channel messages look on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Binary,
    /// The channel as a digit, the payload in base64, for clients without binary messages.
    Base64,
}

impl Codec {
    pub(crate) fn of(protocol: &str) -> Self {
        if protocol == V4_BASE64 { Self::Base64 } else { Self::Binary }
    }

    pub(crate) fn encode(self, channel: u8, payload: &[u8]) -> Message {
        match self {
            Self::Binary => {
                let mut bytes = BytesMut::with_capacity(payload.len() + 1);
                bytes.put_u8(channel);
                bytes.put_slice(payload);
                Message::Binary(bytes.freeze())
            }
            Self::Base64 => {
                let mut text = String::from(char::from(b'0'.wrapping_add(channel)));
                STANDARD.encode_string(payload, &mut text);
                Message::Text(text.into())
            }
        }
    }

    pub(crate) fn decode(self, message: Message) -> Option<(u8, Bytes)> {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            _ => return None,
        };
        let channel = *bytes.first()?;
        let payload = bytes.slice(1..);
        match self {
            Self::Binary => Some((channel, payload)),
            Self::Base64 => Some((channel.wrapping_sub(b'0'), STANDARD.decode(&payload).ok()?.into())),
        }
    }
}

/// The sending half of channels.
pub(crate) struct Sender {
    sink: SplitSink<WebSocket, Message>,
    codec: Codec,
}

impl Sender {
    pub(crate) fn new(sink: SplitSink<WebSocket, Message>, codec: Codec) -> Self {
        Self { sink, codec }
    }

    pub(crate) async fn send(&mut self, channel: u8, payload: &[u8]) -> io::Result<()> {
        self.sink.send(self.codec.encode(channel, payload)).await.map_err(io::Error::other)
    }

    pub(crate) async fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        // The client may have left first.
        let _left = self.sink.send(Message::Close(Some(frame))).await;
        let _closed = self.sink.close().await;
    }
}

impl Sink for Sender {
    async fn put(&mut self, output: Output, bytes: Bytes) -> io::Result<()> {
        let channel = match output {
            Output::Stdout => STDOUT,
            Output::Stderr => STDERR,
        };
        self.send(channel, &bytes).await
    }
}

/// Connects a client with a command until either ends. A client that leaves ends its command.
pub(crate) async fn carry(socket: WebSocket, codec: Codec, job: Job, wants: Wants) {
    let (sink, mut stream) = socket.split();
    let mut sender = Sender { sink, codec };
    let (size, early) = if wants.tty { first_size(&mut stream, codec).await } else { (None, None) };
    let status = match job.start(wants, size).await {
        Err(status) => status,
        Ok(mut exec) => {
            let stdin = exec.stdin.take().filter(|_| wants.stdin);
            let mut input = Input { codec, stdin, control: exec.control.clone() };
            let output = write_output(&mut exec, wants, &mut sender);
            tokio::select! {
                status = output => match status {
                    Ok(status) => status,
                    Err(_) => return,
                },
                () = input.read(early, stream) => return,
            }
        }
    };
    if sender.send(ERROR, status.to_string().as_bytes()).await.is_ok() {
        sender.close().await;
    }
}

/// The terminal's size if that is what the client sends first; else what it sent instead.
async fn first_size(
    stream: &mut SplitStream<WebSocket>,
    codec: Codec,
) -> (Option<(u16, u16)>, Option<Message>) {
    let Ok(Some(Ok(message))) = tokio::time::timeout(session::FIRST_SIZE, stream.next()).await else {
        return (None, None);
    };
    match codec.decode(message.clone()) {
        Some((RESIZE, payload)) => (session::size(&payload), None),
        _ => (None, Some(message)),
    }
}

async fn write_output(exec: &mut Exec, wants: Wants, sender: &mut Sender) -> io::Result<Value> {
    // An empty message tells the client that it is connected.
    let first = match wants {
        Wants { stdout: true, .. } => STDOUT,
        Wants { stderr: true, .. } => STDERR,
        _ => ERROR,
    };
    sender.send(first, &[]).await?;
    session::carry_output(exec, wants, sender).await
}

/// What a client sends.
struct Input {
    codec: Codec,
    stdin: Option<Writer>,
    control: Control,
}

impl Input {
    /// Returns when the client has left.
    async fn read(&mut self, early: Option<Message>, mut stream: SplitStream<WebSocket>) {
        if let Some(message) = early {
            self.handle(message).await;
        }
        while let Some(Ok(message)) = stream.next().await {
            if message.is_close() {
                return;
            }
            self.handle(message).await;
        }
    }

    async fn handle(&mut self, message: Message) {
        let Some((channel, payload)) = self.codec.decode(message) else { return };
        match channel {
            STDIN => {
                let Some(writer) = &mut self.stdin else { return };
                if !payload.is_empty() && writer.write_all(&payload).await.is_err() {
                    self.stdin = None;
                }
            }
            CLOSE if payload.first() == Some(&STDIN) => {
                if let Some(mut writer) = self.stdin.take() {
                    // Whoever read it may have ended already.
                    let _ended = writer.shutdown().await;
                }
            }
            RESIZE => {
                if let Some((width, height)) = session::size(&payload) {
                    self.control.resize(width, height);
                }
            }
            _ => {}
        }
    }
}

/// A WebSocket as a plain stream of bytes, for protocols tunnelled through it.
pub(crate) fn tunnel(socket: WebSocket) -> tokio::io::DuplexStream {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (mut sink, mut stream) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(far);
    tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            if message.is_close() || writer.write_all(&message.into_data()).await.is_err() {
                break;
            }
        }
        // Tells the protocol inside that nothing more comes.
        let _closed = writer.shutdown().await;
    });
    tokio::spawn(async move {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(16 * 1024);
            match reader.read_buf(&mut buffer).await {
                Ok(length) if length > 0 => {
                    if sink.send(Message::Binary(buffer.split().freeze())).await.is_err() {
                        return;
                    }
                }
                _ => break,
            }
        }
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _left = sink.send(Message::Close(Some(frame))).await;
    });
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_their_channel() {
        for codec in [Codec::Binary, Codec::Base64] {
            let message = codec.encode(STDOUT, b"hello");
            assert_eq!(codec.decode(message), Some((STDOUT, Bytes::from("hello"))));
        }
        assert_eq!(Codec::Base64.encode(STDERR, b"hi"), Message::Text("2aGk=".into()));
        assert_eq!(Codec::Binary.decode(Message::Binary(Bytes::new())), None);
    }
}

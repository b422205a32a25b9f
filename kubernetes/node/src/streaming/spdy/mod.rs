//! SPDY/3.1 as far as `kubectl` speaks it: a server that accepts streams with headers, no flow
//! control.

mod frame;
mod headers;

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};

use frame::{Frame, Outgoing};
use headers::Headers;

/// How many pieces wait for their reader; then the connection waits.
const BACKLOG: usize = 64;
/// How long the last frames may take to go out.
const GOODBYE: Duration = Duration::from_secs(5);
/// Longer data is cut into frames of this size.
const MAX_DATA: usize = 64 * 1024;

pub(crate) type Receiver = mpsc::Receiver<Bytes>;

/// The server's end of a connection.
pub(crate) struct Connection {
    accepted: mpsc::Receiver<Stream>,
    frames: mpsc::Sender<Outgoing>,
    /// Closes when the client has gone.
    alive: watch::Receiver<()>,
    writer: tokio::task::JoinHandle<()>,
    reader: tokio::task::JoinHandle<()>,
}

impl Connection {
    pub(crate) fn serve(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (read, write) = tokio::io::split(io);
        let (frames, outgoing) = mpsc::channel(BACKLOG);
        let (accept, accepted) = mpsc::channel(BACKLOG);
        let (living, alive) = watch::channel(());
        let writer = tokio::spawn(write_frames(write, outgoing));
        let replies = frames.clone();
        let reader = tokio::spawn(async move {
            let mut intake = Intake { streams: HashMap::new(), accept, frames: replies };
            // However the connection ended: it has ended.
            let _ended = intake.read(read).await;
            drop(living);
        });
        Self { accepted, frames, alive, writer, reader }
    }

    /// The next stream that the client opens.
    pub(crate) async fn accept(&mut self) -> Option<Stream> {
        self.accepted.recv().await
    }

    /// Returns when the client has gone.
    pub(crate) async fn closed(&mut self) {
        while self.alive.changed().await.is_ok() {}
    }

    /// Sends what still waits, and ends the connection.
    pub(crate) async fn goodbye(self) {
        let Self { accepted, frames, mut writer, reader, .. } = self;
        let _gone = frames.send(Outgoing::GoAway).await;
        drop((accepted, frames));
        reader.abort();
        if tokio::time::timeout(GOODBYE, &mut writer).await.is_err() {
            writer.abort();
        }
    }
}

/// One stream that the client opened.
pub(crate) struct Stream {
    id: u32,
    headers: Vec<(String, String)>,
    receiver: Option<Receiver>,
    frames: mpsc::Sender<Outgoing>,
}

impl Stream {
    /// A header by its name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What the client sends; ends when it has closed its half. To be taken once.
    pub(crate) fn take_receiver(&mut self) -> Receiver {
        self.receiver.take().unwrap_or_else(|| mpsc::channel(1).1)
    }

    pub(crate) async fn send(&self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(MAX_DATA));
            self.put(Outgoing::Data { id: self.id, bytes: part, last: false }).await?;
        }
        Ok(())
    }

    /// Nothing more will be sent.
    pub(crate) async fn finish(&self) {
        let _gone = self.put(Outgoing::Data { id: self.id, bytes: Bytes::new(), last: true }).await;
    }

    pub(crate) async fn reset(&self) {
        let _gone = self.put(Outgoing::Reset { id: self.id }).await;
    }

    async fn put(&self, frame: Outgoing) -> io::Result<()> {
        self.frames.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

async fn write_frames(mut io: impl AsyncWrite + Unpin, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut headers = Headers::new();
    let mut buffer = BytesMut::new();
    while let Some(frame) = outgoing.recv().await {
        let mut encoded = frame::encode(&frame, &mut headers, &mut buffer);
        // What waits goes out together.
        while encoded.is_ok() && buffer.len() < MAX_DATA {
            let Ok(next) = outgoing.try_recv() else { break };
            encoded = frame::encode(&next, &mut headers, &mut buffer);
        }
        if encoded.is_err() || io.write_all(&buffer.split()).await.is_err() || io.flush().await.is_err() {
            return;
        }
    }
    let _closed = io.shutdown().await;
}

/// What the reading side remembers.
struct Intake {
    streams: HashMap<u32, mpsc::Sender<Bytes>>,
    accept: mpsc::Sender<Stream>,
    frames: mpsc::Sender<Outgoing>,
}

impl Intake {
    async fn read(&mut self, mut io: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut headers = Headers::new();
        let mut buffer = BytesMut::new();
        loop {
            while let Some(frame) = frame::decode(&mut buffer, &mut headers)? {
                self.handle(frame).await?;
            }
            if io.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn handle(&mut self, frame: Frame) -> io::Result<()> {
        match frame {
            Frame::Open { id, headers, last } => self.open(id, headers, last).await?,
            Frame::Data { id, bytes, last } => {
                if let Some(stream) = self.streams.get(&id)
                    && !bytes.is_empty()
                {
                    // Nobody reads a stream that its user has dropped.
                    let _dropped = stream.send(bytes).await;
                }
                if last {
                    self.streams.remove(&id);
                }
            }
            Frame::Reset { id } => drop(self.streams.remove(&id)),
            Frame::Ping { id } => self.reply(Outgoing::Ping { id }).await?,
            Frame::Leave => return Err(io::ErrorKind::ConnectionAborted.into()),
            Frame::Other => {}
        }
        Ok(())
    }

    async fn open(&mut self, id: u32, headers: Vec<(String, String)>, last: bool) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        if !last {
            self.streams.insert(id, sender);
        }
        self.reply(Outgoing::Accept { id }).await?;
        let stream = Stream { id, headers, receiver: Some(receiver), frames: self.frames.clone() };
        // A server that accepts no more streams lets them be.
        let _unwanted = self.accept.send(stream).await;
        Ok(())
    }

    async fn reply(&self, frame: Outgoing) -> io::Result<()> {
        self.frames.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client made of the same parts.
    async fn client(io: tokio::io::DuplexStream) -> (tokio::io::DuplexStream, Headers) {
        (io, Headers::new())
    }

    #[tokio::test]
    async fn a_stream_is_opened_read_and_answered() {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let mut connection = Connection::serve(theirs);
        let (mut io, mut packer) = client(ours).await;
        let mut bytes = BytesMut::new();
        let pairs = vec![("streamtype".to_owned(), "data".to_owned()), ("port".to_owned(), "80".to_owned())];
        frame::encode_open(1, &pairs, &mut packer, &mut bytes).unwrap();
        let data = Outgoing::Data { id: 1, bytes: Bytes::from("ping"), last: true };
        frame::encode(&data, &mut packer, &mut bytes).unwrap();
        io.write_all(&bytes).await.unwrap();
        let mut stream = connection.accept().await.unwrap();
        assert_eq!(stream.header("port"), Some("80"));
        let mut receiver = stream.take_receiver();
        assert_eq!(receiver.recv().await.unwrap(), "ping");
        assert!(receiver.recv().await.is_none());
        stream.send(Bytes::from(vec![7; MAX_DATA + 1])).await.unwrap();
        stream.finish().await;
        drop(stream);
        connection.goodbye().await;
        let mut answer = BytesMut::new();
        while io.read_buf(&mut answer).await.unwrap() > 0 {}
        let mut got = 0;
        let mut unpacker = Headers::new();
        while let Some(frame) = frame::decode(&mut answer, &mut unpacker).unwrap() {
            if let Frame::Data { id: 1, bytes, .. } = frame {
                got += bytes.len();
            }
        }
        assert_eq!(got, MAX_DATA + 1);
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_noticed() {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let mut connection = Connection::serve(theirs);
        drop(ours);
        connection.closed().await;
        assert!(connection.accept().await.is_none());
    }
}

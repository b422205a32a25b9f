//! The daemon's end of a conversation with a shim: commands inside, attached streams.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::unix::AsyncFd;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, Interest, ReadBuf,
};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

use crate::record::{Home, SOCKET};
use crate::wire::{self, Frame, Reply, Request};
use crate::{Error, ExecSpec, StartFailure, files};

pub type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// How much attached output waits in memory for a reader.
const ATTACH_BUFFER: usize = 64 * 1024;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus {
    /// 128 + signal when a signal ended it.
    pub code: i32,
    pub signal: Option<i32>,
}

/// A running command or an attached container. Dropping it ends a command, and detaches.
pub struct Exec {
    pub stdin: Option<Writer>,
    pub stdout: Option<Reader>,
    /// Absent with a terminal: both kinds of output are one there.
    pub stderr: Option<Reader>,
    pub control: Control,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Exec {
    /// Returns when the command has ended; survives being dropped.
    pub async fn wait(&mut self) -> Result<ExitStatus, Error> {
        let lost = || Error::Shim { id: String::new(), what: "went away before the command ended".into() };
        let exit = self.exit.wait_for(Option::is_some).await.map_err(|_| lost())?;
        exit.ok_or_else(lost)
    }
}

/// Steers a command from wherever the control messages arrive.
#[derive(Clone)]
pub struct Control {
    requests: mpsc::UnboundedSender<Request>,
    terminal: Option<Arc<AsyncFd<OwnedFd>>>,
}

impl Control {
    /// Sets the terminal's size; nothing happens without a terminal.
    pub fn resize(&self, width: u16, height: u16) {
        if let Some(terminal) = &self.terminal {
            set_size(terminal.get_ref().as_fd(), width, height);
        } else {
            self.request(Request::Resize { width, height });
        }
    }

    pub fn kill(&self, signal: i32) {
        self.request(Request::Kill { signal });
    }

    fn request(&self, request: Request) {
        // A command that has ended needs no steering.
        let _ended = self.requests.send(request);
    }
}

#[expect(unsafe_code, reason = "ioctl(2)")]
pub(crate) fn set_size(terminal: std::os::fd::BorrowedFd<'_>, width: u16, height: u16) {
    let size = libc::winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open and the kernel only reads the struct. A descriptor that is no
    // terminal any more has no size to set.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}

/// One connection to a shim.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: UnixStream,
    buffer: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Peer {
    pub(crate) async fn connect(home: &Home) -> io::Result<Self> {
        let (_dir, path) = files::socket_path(home.dir(), SOCKET)?;
        let stream = UnixStream::connect(path).await?;
        Ok(Self { stream, buffer: Vec::new(), descriptors: Vec::new() })
    }

    pub(crate) async fn send(&self, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            let borrowed: Vec<_> = descriptors.iter().filter(|_| sent == 0).map(AsFd::as_fd).collect();
            let rest = bytes.get(sent..).unwrap_or_default();
            let write = || wire::send(self.stream.as_raw_fd(), rest, &borrowed);
            sent += self.stream.async_io(Interest::WRITABLE, write).await?;
        }
        Ok(())
    }

    /// The next frame, `None` when the shim has closed. Survives being dropped.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = wire::decode(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            let Self { stream, buffer, descriptors } = self;
            let read = || wire::receive(stream.as_raw_fd(), buffer, descriptors);
            if stream.async_io(Interest::READABLE, read).await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn reply(&mut self, id: &str) -> Result<Reply, Error> {
        let frame =
            self.receive().await.map_err(|source| Error::Io { attempt: "hear from a shim", source })?;
        let frame = frame.ok_or_else(|| Error::NotRunning { id: id.to_owned() })?;
        serde_json::from_slice(&frame.payload)
            .map_err(|error| Error::Shim { id: id.to_owned(), what: format!("answered nonsense: {error}") })
    }

    pub(crate) async fn ask(&mut self, id: &str, request: &Request) -> Result<Reply, Error> {
        self.tell(request, &[]).await?;
        self.reply(id).await
    }

    async fn tell(&self, request: &Request, descriptors: &[OwnedFd]) -> Result<(), Error> {
        let attempt = |source| Error::Io { attempt: "talk to a shim", source };
        let bytes = wire::message(request).map_err(attempt)?;
        self.send(&bytes, descriptors).await.map_err(attempt)
    }

    /// Holds the connection until the shim closes it.
    pub(crate) async fn wait_for_end(&mut self) -> Result<(), Error> {
        self.tell(&Request::Wait, &[]).await?;
        while let Ok(Some(_)) = self.receive().await {}
        Ok(())
    }
}

pub(crate) async fn exec(id: &str, mut peer: Peer, command: ExecSpec) -> Result<Exec, Error> {
    let tty = command.tty;
    let streams = if tty { Streams::default() } else { Streams::pipes(command.stdin)? };
    peer.tell(&Request::Exec(command), &streams.theirs).await?;
    match peer.reply(id).await? {
        Reply::Started { .. } => {}
        Reply::Failed { failure, reason } => return Err(Error::Exec { id: id.to_owned(), failure, reason }),
        other => return Err(Error::Shim { id: id.to_owned(), what: format!("answered {other:?}") }),
    }
    let terminal = if tty { Some(Arc::new(terminal(id, &mut peer)?)) } else { None };
    let (requests, inbox) = mpsc::unbounded_channel();
    let (ended, exit) = watch::channel(None);
    tokio::spawn(steer(peer, inbox, ended));
    let control = Control { requests, terminal: terminal.clone() };
    let Some(terminal) = terminal else {
        let Streams { stdin, stdout, stderr, .. } = streams;
        return Ok(Exec { stdin, stdout, stderr, control, exit });
    };
    let stdin: Writer = Box::new(Terminal(Arc::clone(&terminal)));
    let stdout: Reader = Box::new(Terminal(terminal));
    Ok(Exec { stdin: Some(stdin), stdout: Some(stdout), stderr: None, control, exit })
}

#[expect(unsafe_code, reason = "a promise about the descriptor's life")]
fn terminal(id: &str, peer: &mut Peer) -> Result<AsyncFd<OwnedFd>, Error> {
    let attempt = |source| Error::Io { attempt: "open a terminal", source };
    let master = peer
        .descriptors
        .pop()
        .ok_or_else(|| Error::Shim { id: id.to_owned(), what: "sent no terminal".into() })?;
    fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|errno| attempt(errno.into()))?;
    // SAFETY: the descriptor is owned, and nothing replaces or closes it before the `AsyncFd` goes.
    unsafe { AsyncFd::register(master) }.map_err(|error| attempt(error.into()))
}

/// Passes signals on and waits for the end. When the [`Exec`] is gone the connection closes, and
/// the shim ends the command.
async fn steer(
    mut peer: Peer,
    mut inbox: mpsc::UnboundedReceiver<Request>,
    ended: watch::Sender<Option<ExitStatus>>,
) {
    loop {
        tokio::select! {
            frame = peer.receive() => {
                let Ok(Some(frame)) = frame else { return };
                if let Ok(Reply::Exited { code, signal }) = serde_json::from_slice(&frame.payload) {
                    ended.send_replace(Some(ExitStatus { code, signal }));
                    return;
                }
            }
            request = inbox.recv() => {
                let Some(request) = request else { return };
                if peer.tell(&request, &[]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The pipes between a command without terminal and us.
#[derive(Default)]
struct Streams {
    stdin: Option<Writer>,
    stdout: Option<Reader>,
    stderr: Option<Reader>,
    theirs: Vec<OwnedFd>,
}

impl Streams {
    fn pipes(stdin: bool) -> Result<Self, Error> {
        let attempt = |source| Error::Io { attempt: "make a pipe", source };
        let (input, read_end) = if stdin {
            let (read, write) = pipe_pair().map_err(attempt)?;
            let sender = pipe::Sender::from_owned_fd(write).map_err(attempt)?;
            (Some(Box::new(sender) as Writer), read)
        } else {
            (None, std::fs::File::open("/dev/null").map_err(attempt)?.into())
        };
        let mut theirs = vec![read_end];
        let mut output = || -> io::Result<Reader> {
            let (read, write) = pipe_pair()?;
            theirs.push(write);
            Ok(Box::new(pipe::Receiver::from_owned_fd(read)?))
        };
        let stdout = output().map_err(attempt)?;
        let stderr = output().map_err(attempt)?;
        Ok(Self { stdin: input, stdout: Some(stdout), stderr: Some(stderr), theirs })
    }
}

fn pipe_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// Reads and writes the near end of a pseudo terminal.
struct Terminal(Arc<AsyncFd<OwnedFd>>);

impl AsyncRead for Terminal {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let read = guard.try_io(|fd| Ok(nix::unistd::read(fd.get_ref(), buf.initialize_unfilled())?));
            match read {
                Ok(Ok(length)) => {
                    buf.advance(length);
                    return Poll::Ready(Ok(()));
                }
                // The far end is closed: that is how a terminal says end of file.
                Ok(Err(error)) if error.raw_os_error() == Some(libc::EIO) => return Poll::Ready(Ok(())),
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(result) = guard.try_io(|fd| Ok(nix::unistd::write(fd.get_ref(), buf)?)) {
                return Poll::Ready(result);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

pub(crate) async fn attach(id: &str, mut peer: Peer, home: Home) -> Result<Exec, Error> {
    let (tty, stdin) = match peer.ask(id, &Request::Attach).await? {
        Reply::Attached { tty, stdin } => (tty, stdin),
        Reply::Failed { failure: StartFailure::Other, reason } => {
            return Err(Error::Shim { id: id.to_owned(), what: reason });
        }
        other => return Err(Error::Shim { id: id.to_owned(), what: format!("answered {other:?}") }),
    };
    let (input, their_input) = tokio::io::duplex(ATTACH_BUFFER);
    let (their_output, output) = tokio::io::duplex(ATTACH_BUFFER);
    let (their_errors, errors) = tokio::io::duplex(ATTACH_BUFFER);
    let (requests, inbox) = mpsc::unbounded_channel();
    let (ended, exit) = watch::channel(None);
    let ends = Ends { input: stdin.then_some(their_input), output: their_output, errors: their_errors };
    tokio::spawn(relay(peer, home, ends, inbox, ended));
    Ok(Exec {
        stdin: stdin.then(|| Box::new(input) as Writer),
        stdout: Some(Box::new(output)),
        stderr: (!tty).then(|| Box::new(errors) as Reader),
        control: Control { requests, terminal: None },
        exit,
    })
}

struct Ends {
    input: Option<DuplexStream>,
    output: DuplexStream,
    errors: DuplexStream,
}

/// Carries an attached container's streams until it ends or the client leaves.
async fn relay(
    mut peer: Peer,
    home: Home,
    mut ends: Ends,
    mut inbox: mpsc::UnboundedReceiver<Request>,
    ended: watch::Sender<Option<ExitStatus>>,
) {
    let mut typed = vec![0; 8 * 1024];
    loop {
        tokio::select! {
            frame = peer.receive() => {
                let Ok(Some(frame)) = frame else { break };
                let written = match frame.kind {
                    wire::STDOUT => ends.output.write_all(&frame.payload).await,
                    wire::STDERR => ends.errors.write_all(&frame.payload).await,
                    _ => Ok(()),
                };
                if written.is_err() {
                    return;
                }
            }
            request = inbox.recv() => {
                let Some(request) = request else { return };
                if peer.tell(&request, &[]).await.is_err() {
                    break;
                }
            }
            read = read_some(&mut ends.input, &mut typed) => {
                let length = read.unwrap_or(0);
                let bytes = match typed.get(..length).filter(|bytes| !bytes.is_empty()) {
                    Some(bytes) => wire::encode(wire::STDIN, bytes),
                    None => {
                        ends.input = None;
                        wire::encode(wire::STDIN_END, &[])
                    }
                };
                if peer.send(&bytes, &[]).await.is_err() {
                    break;
                }
            }
        }
    }
    if let Ok(Some(exit)) = home.exit() {
        ended.send_replace(Some(ExitStatus { code: exit.code, signal: exit.signal }));
    }
}

/// Input if there is any to come; otherwise never returns.
async fn read_some(input: &mut Option<DuplexStream>, buffer: &mut [u8]) -> io::Result<usize> {
    match input {
        Some(input) => input.read(buffer).await,
        None => std::future::pending().await,
    }
}

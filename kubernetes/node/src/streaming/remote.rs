//! Commands in containers, and the containers' own streams.

use std::io;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use sealos_container::Writer;
use tokio::io::AsyncWriteExt as _;

use super::handshake::{self, Wanted};
use super::session::{self, Job, Output, Sink, Wants};
use super::spdy::{Connection, Receiver, Stream};
use super::websocket::{self, Codec, V4, V4_BASE64, V5};
use super::{Context, Params, Refusal, Target};

/// How long a client may take to open its streams.
const OPENING: Duration = Duration::from_secs(30);

pub(crate) async fn exec(
    State(context): State<Context>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let params = Params::of(&request)?;
    let command = params.all("command");
    if command.is_empty() {
        return Err(Refusal::bad_request("you must specify at least one command"));
    }
    let target = running(&context, &namespace, &pod, &container).await?;
    connect(Job { context, target, command: Some(command) }, &params, request)
}

pub(crate) async fn attach(
    State(context): State<Context>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let params = Params::of(&request)?;
    let target = running(&context, &namespace, &pod, &container).await?;
    connect(Job { context, target, command: None }, &params, request)
}

async fn running(context: &Context, namespace: &str, pod: &str, container: &str) -> Result<Target, Refusal> {
    let target = context.pods.container(namespace, pod, container).await?;
    if target.running && target.id.is_some() {
        return Ok(target);
    }
    Err(Refusal::bad_request(format!("container {container} of pod {pod} is not running")))
}

fn connect(job: Job, params: &Params, mut request: Request) -> Result<Response, Refusal> {
    let wants = Wants::of(params)?;
    let wanted = handshake::wanted(request.headers())?;
    let promise = handshake::take(&mut request)?;
    match wanted {
        Wanted::WebSocket { key, protocols } => {
            let protocol = handshake::choose(&protocols, &[V5, V4, V4_BASE64])?;
            tokio::spawn(async move {
                let Ok(socket) = handshake::websocket(promise).await else { return };
                websocket::carry(socket, Codec::of(protocol), job, wants).await;
            });
            Ok(handshake::accept_websocket(&key, protocol))
        }
        Wanted::Spdy { protocols } => {
            let protocol = handshake::choose(&protocols, &[V4])?;
            tokio::spawn(async move {
                let Ok(upgraded) = promise.await else { return };
                let mut connection = Connection::serve(hyper_util::rt::TokioIo::new(upgraded));
                let opened = tokio::time::timeout(OPENING, Streams::open(&mut connection, wants)).await;
                if let Ok(Some(streams)) = opened {
                    streams.carry(connection, job, wants).await;
                }
            });
            Ok(handshake::accept_spdy(protocol))
        }
    }
}

/// The client's streams over SPDY, one per purpose.
struct Streams {
    error: Stream,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

impl Streams {
    /// Waits until the client has opened all that it asked for.
    async fn open(connection: &mut Connection, wants: Wants) -> Option<Self> {
        let (mut error, mut stdin, mut stdout, mut stderr, mut resize) = (None, None, None, None, None);
        loop {
            let stream = connection.accept().await?;
            match stream.header("streamtype") {
                Some("error") => error = Some(stream),
                Some("stdin") => stdin = Some(stream),
                Some("stdout") => stdout = Some(stream),
                Some("stderr") => stderr = Some(stream),
                Some("resize") => resize = Some(stream),
                _ => stream.reset().await,
            }
            let complete = stdin.is_some() >= wants.stdin
                && stdout.is_some() >= wants.stdout
                && stderr.is_some() >= wants.stderr
                && resize.is_some() >= wants.tty;
            if let Some(error) = error.take_if(|_| complete) {
                return Some(Self { error, stdin, stdout, stderr, resize });
            }
        }
    }

    async fn carry(mut self, mut connection: Connection, job: Job, wants: Wants) {
        let mut sizes = self.resize.as_mut().map(Stream::take_receiver);
        let size = match &mut sizes {
            Some(sizes) => tokio::time::timeout(session::FIRST_SIZE, sizes.recv()).await.ok().flatten(),
            None => None,
        };
        let size = size.and_then(|bytes| session::size(&bytes));
        let status = match job.start(wants, size).await {
            Err(status) => Ok(status),
            Ok(mut exec) => {
                let stdin = exec.stdin.take();
                let control = exec.control.clone();
                let typed = self.stdin.as_mut().map(Stream::take_receiver);
                let input = async {
                    tokio::join!(type_in(typed, stdin), async {
                        let Some(mut sizes) = sizes else { return };
                        while let Some(bytes) = sizes.recv().await {
                            if let Some((width, height)) = session::size(&bytes) {
                                control.resize(width, height);
                            }
                        }
                    });
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    status = session::carry_output(&mut exec, wants, &mut self) => status,
                    () = input => return,
                    () = connection.closed() => return,
                }
            }
        };
        let Ok(status) = status else { return };
        let _left = self.error.send(Bytes::from(status.to_string())).await;
        for stream in
            [Some(self.error), self.stdout, self.stderr, self.stdin, self.resize].into_iter().flatten()
        {
            stream.finish().await;
        }
        connection.goodbye().await;
    }
}

impl Sink for Streams {
    async fn put(&mut self, output: Output, bytes: Bytes) -> io::Result<()> {
        let stream = match output {
            Output::Stdout => &self.stdout,
            Output::Stderr => &self.stderr,
        };
        match stream {
            Some(stream) => stream.send(bytes).await,
            None => Ok(()),
        }
    }
}

/// Carries what the client types, and the end of it.
async fn type_in(typed: Option<Receiver>, stdin: Option<Writer>) {
    let (Some(mut typed), Some(mut stdin)) = (typed, stdin) else { return };
    while let Some(bytes) = typed.recv().await {
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
    // Whoever read it may have ended already.
    let _ended = stdin.shutdown().await;
}

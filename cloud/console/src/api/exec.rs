//! A terminal in a pod: the browser's socket on one side, Kubernetes' exec on the other.
//!
//! Binary frames are the session's own bytes, both ways. Text frames are words about it: the browser
//! says how large its screen is, the console says how the session ended.

use std::time::Duration;

use axum::extract::Query;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess, TerminalSize};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::interval;

use crate::api::{Name, Workspace};
use crate::failure::Failure;

/// The best shell that the image has.
const SHELL: [&str; 3] = [
    "/bin/sh",
    "-c",
    "export TERM=xterm-256color; if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi",
];
/// The script of every engine that logs in to it.
const CLIENT: &str = "export TERM=xterm-256color; exec /sealos/scripts/client.sh";
const BUFFER: usize = 32 << 10;
/// A silent terminal must not look like a dead connection to what lies between.
const BEAT: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
pub(crate) struct Wanted {
    pod: String,
    container: Option<String>,
    cols: Option<u16>,
    rows: Option<u16>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Asked {
    Resize { cols: u16, rows: u16 },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Say {
    Exit { code: i32 },
    Error { message: String },
}

pub(crate) async fn open(
    workspace: Workspace,
    Name(name): Name,
    Query(wanted): Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let status = workspace.apps.get(&name).await?;
    if !status.pods.iter().any(|pod| pod.name == wanted.pod) {
        return Err(Failure::not_found(format!("app `{name}` has no pod `{}` any more", wanted.pod)));
    }
    let container = wanted.container.clone().unwrap_or(name);
    Ok(terminal(
        workspace,
        Program { container, command: SHELL.map(str::to_owned).to_vec() },
        wanted,
        upgrade,
    ))
}

/// The engine's own client in one of a database's pods, logged in.
pub(crate) async fn open_database(
    workspace: Workspace,
    Name(name): Name,
    Query(wanted): Query<Wanted>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let target = workspace.databases().member(&name, &wanted.pod).await?;
    let command = ["/bin/sh", "-c", CLIENT].map(str::to_owned).to_vec();
    Ok(terminal(workspace, Program { container: target.container, command }, wanted, upgrade))
}

/// What runs in the terminal, and where.
struct Program {
    container: String,
    command: Vec<String>,
}

fn terminal(workspace: Workspace, program: Program, wanted: Wanted, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |mut socket| async move {
        let closing = workspace.parts.closing.clone();
        let last = tokio::select! {
            last = session(&workspace, &program, &wanted, &mut socket) => last,
            () = closing.cancelled() => Some(Say::Error { message: "The console is closing".into() }),
        };
        if let Some(text) = last.and_then(|say| serde_json::to_string(&say).ok()) {
            let _gone = socket.send(Message::Text(text.into())).await;
        }
        let _gone = socket.send(Message::Close(None)).await;
    })
}

/// Runs until either side ends; gives what the browser should be told, if it is still there.
async fn session(
    workspace: &Workspace,
    program: &Program,
    wanted: &Wanted,
    socket: &mut WebSocket,
) -> Option<Say> {
    let pods: Api<Pod> = Api::namespaced(workspace.client.clone(), &workspace.name);
    let mut params = AttachParams::interactive_tty();
    params.container = Some(program.container.clone());
    params.max_stdin_buf_size = Some(BUFFER);
    params.max_stdout_buf_size = Some(BUFFER);
    match pods.exec(&wanted.pod, &program.command, &params).await {
        Ok(process) => carry(process, wanted, socket).await,
        Err(error) => Some(Say::Error { message: format!("No terminal: {}", Failure::api(&error).message) }),
    }
}

async fn carry(mut process: AttachedProcess, wanted: &Wanted, socket: &mut WebSocket) -> Option<Say> {
    let (mut stdin, mut stdout) = (process.stdin()?, process.stdout()?);
    let mut size = process.terminal_size()?;
    let ended = process.take_status()?;
    let _gone = size.try_send(screen(wanted.cols.unwrap_or(80), wanted.rows.unwrap_or(24)));
    let mut buffer = vec![0; BUFFER];
    let mut beat = interval(BEAT);
    loop {
        tokio::select! {
            read = stdout.read(&mut buffer) => match read {
                Ok(0) | Err(_) => break,
                Ok(n) => {
                    let bytes = Bytes::copy_from_slice(buffer.get(..n)?);
                    socket.send(Message::Binary(bytes)).await.ok()?;
                }
            },
            _ = beat.tick() => socket.send(Message::Ping(Bytes::new())).await.ok()?,
            message = socket.recv() => match message {
                Some(Ok(Message::Binary(bytes))) => stdin.write_all(&bytes).await.ok()?,
                Some(Ok(Message::Text(text))) => {
                    if let Ok(Asked::Resize { cols, rows }) = serde_json::from_str(&text) {
                        let _gone = size.try_send(screen(cols, rows));
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            },
        }
    }
    Some(ending(ended.await))
}

fn screen(width: u16, height: u16) -> TerminalSize {
    TerminalSize { width: width.clamp(2, 1_000), height: height.clamp(2, 1_000) }
}

/// How the session ended, from the status that Kubernetes sends last.
fn ending(status: Option<Status>) -> Say {
    let Some(status) = status else { return Say::Exit { code: 0 } };
    if status.status.as_deref() == Some("Success") {
        return Say::Exit { code: 0 };
    }
    let causes = status.details.iter().flat_map(|d| d.causes.iter().flatten());
    let code = causes
        .filter(|c| c.reason.as_deref() == Some("ExitCode"))
        .find_map(|c| c.message.as_ref()?.parse().ok());
    match code {
        Some(126 | 127) => Say::Error { message: "The image has no shell to open a terminal with".into() },
        Some(code) => Say::Exit { code },
        None => Say::Error { message: status.message.unwrap_or_else(|| "The session failed".into()) },
    }
}

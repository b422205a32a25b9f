//! `sealos exec`: a command in a pod, with this terminal if there is one.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use futures::SinkExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Api;
use kube::api::{AttachParams, AttachedProcess, TerminalSize};
use nix::sys::termios::{self, SetArg, Termios};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Exec, Global};
use crate::locate::find;

/// `sealos exec`; the exit code is the command's.
pub(crate) async fn exec(global: &Global, args: &Exec) -> Result<ExitCode> {
    let found = find(global).await?;
    let app = found.apps().await?.get(&args.name).await?;
    let pod = match &args.pod {
        Some(name) => app.pods.iter().find(|p| &p.name == name),
        None => app.pods.iter().find(|p| p.ready).or_else(|| app.pods.first()),
    };
    let Some(pod) = pod else {
        bail!("app `{}` has no such pod now; `sealos status {}` lists its pods", app.name, app.name);
    };
    let command = if args.command.is_empty() { shell() } else { args.command.clone() };
    let pods: Api<Pod> = Api::namespaced(found.client().await?, &app.workspace);
    in_pod(&pods, &pod.name, pod.containers.first().map(String::as_str), command).await
}

/// Runs a command in a pod with this terminal, if there is one; the exit code is the command's.
pub(crate) async fn in_pod(
    pods: &Api<Pod>,
    pod: &str,
    container: Option<&str>,
    command: Vec<String>,
) -> Result<ExitCode> {
    let tty = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let params = AttachParams { container: container.map(str::to_owned), ..AttachParams::default() };
    let params = params.stdin(true).stdout(true).stderr(!tty).tty(tty);
    let attached = pods.exec(pod, command, &params).await;
    let attached = attached.with_context(|| format!("run a command in {pod}"))?;
    let _raw = if tty { Some(RawTerminal::enter()?) } else { None };
    finish(attached, tty).await
}

fn shell() -> Vec<String> {
    ["/bin/sh", "-c", "exec $(command -v bash || echo sh)"].map(str::to_owned).into()
}

async fn finish(mut process: AttachedProcess, tty: bool) -> Result<ExitCode> {
    if let Some(input) = process.stdin() {
        tokio::spawn(copy_input(input));
    }
    if tty && let Some(sizes) = process.terminal_size() {
        tokio::spawn(follow_size(sizes));
    }
    let status = process.take_status();
    let out = copy_output(process.stdout(), tokio::io::stdout());
    let err = copy_output(process.stderr(), tokio::io::stderr());
    let ((), ()) = tokio::join!(out, err);
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    Ok(exit_code(status.as_ref()))
}

async fn copy_input(mut to: impl AsyncWrite + Unpin) {
    // Either end may go first; both are ordinary.
    drop(tokio::io::copy(&mut tokio::io::stdin(), &mut to).await);
    drop(to.shutdown().await);
}

async fn copy_output(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 << 10];
    loop {
        use tokio::io::AsyncReadExt as _;
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                if to.write_all(&buffer[..read]).await.is_err() || to.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn follow_size(mut sizes: impl futures::Sink<TerminalSize> + Unpin) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
    loop {
        if let Some((width, height)) = terminal_size()
            && sizes.send(TerminalSize { width, height }).await.is_err()
        {
            return;
        }
        changes.recv().await;
    }
}

/// Columns and rows of this terminal.
#[expect(unsafe_code, reason = "the window size is only to be had by ioctl")]
fn terminal_size() -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills the `winsize` it is given, which lives on this stack.
    let done = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (done == 0 && size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// The command's exit code, out of the status that ends an exec (`details.causes[ExitCode]`).
fn exit_code(status: Option<&Status>) -> ExitCode {
    let Some(status) = status else {
        crate::output::line_err("sealos: the connection to the pod was lost before the command ended");
        return ExitCode::FAILURE;
    };
    if status.status.as_deref() == Some("Success") {
        return ExitCode::SUCCESS;
    }
    let causes = status.details.iter().flat_map(|d| d.causes.iter().flatten());
    let code = causes
        .filter(|c| c.reason.as_deref() == Some("ExitCode"))
        .find_map(|c| c.message.as_ref()?.parse().ok());
    if code.is_none()
        && let Some(message) = &status.message
    {
        crate::output::line_err(&format!("sealos: {message}"));
    }
    ExitCode::from(code.unwrap_or(1_u8))
}

/// The terminal without line editing; set back when dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Result<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(&stdin).context("read the terminal's settings")?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&stdin, SetArg::TCSANOW, &raw).context("set the terminal")?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        termios::tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0).ok();
    }
}

//! A command or an attached container, and what its end looks like to a client.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sealos_container::{Error, Exec, ExecSpec, Reader};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::{Context, Params, Refusal, Target};

/// How long a stream may stay open, silent, after its command has ended: a child of the command
/// may hold it.
const SILENCE: Duration = Duration::from_millis(500);
/// How long a command with a terminal waits to learn the terminal's size, which clients send first.
pub(crate) const FIRST_SIZE: Duration = Duration::from_millis(150);
const CHUNK: usize = 16 * 1024;

/// Which standard streams the client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wants {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

impl Wants {
    pub(crate) fn of(params: &Params) -> Result<Self, Refusal> {
        let tty = params.flag("tty");
        // A terminal has one output.
        let stderr = params.flag("stderr") && !tty;
        let wants = Self { stdin: params.flag("stdin"), stdout: params.flag("stdout"), stderr, tty };
        if !(wants.stdin || wants.stdout || wants.stderr) {
            return Err(Refusal::bad_request("you must specify at least one of stdin, stdout, stderr"));
        }
        Ok(wants)
    }
}

/// What a client wants to be connected with.
pub(crate) struct Job {
    pub context: Context,
    pub target: Target,
    /// `None` joins the container's own process.
    pub command: Option<Vec<String>>,
}

impl Job {
    /// Starts the command or joins the container. An error goes to the client as the end of the
    /// session, because by then the connection is made.
    pub(crate) async fn start(&self, wants: Wants, size: Option<(u16, u16)>) -> Result<Exec, Value> {
        let Self { context, target, command } = self;
        let id = target.id.as_deref().unwrap_or_default();
        match command {
            Some(command) => {
                let spec =
                    ExecSpec { tty: wants.tty, stdin: wants.stdin, size, ..ExecSpec::new(command.clone()) };
                let words = |error: Error| format!("error executing command in container: {error}");
                context.runtime.exec(id, spec).await.map_err(|error| failure(&words(error)))
            }
            None => {
                let words = |error: Error| format!("error attaching to container: {error}");
                let exec = context.runtime.attach(id).await.map_err(|error| failure(&words(error)))?;
                if let Some((width, height)) = size {
                    exec.control.resize(width, height);
                }
                Ok(exec)
            }
        }
    }
}

pub(crate) fn success() -> Value {
    json!({ "metadata": {}, "status": "Success" })
}

pub(crate) fn failure(message: &str) -> Value {
    json!({
        "metadata": {}, "status": "Failure", "message": message, "reason": "InternalError",
        "details": { "causes": [{ "message": message }] }, "code": 500,
    })
}

/// The end of a command, as `kubectl` takes its own exit code from it.
pub(crate) fn exited(code: i32) -> Value {
    if code == 0 {
        return success();
    }
    json!({
        "metadata": {}, "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit code {code}"),
        "reason": "NonZeroExitCode",
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}

/// One of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// Where a transport puts output. Failing means that the client has gone.
pub(crate) trait Sink {
    async fn put(&mut self, output: Output, bytes: Bytes) -> std::io::Result<()>;
}

/// Carries output until the command has ended and all of it is read. Returns the status for the
/// client; an error when the client has gone.
pub(crate) async fn carry_output(
    exec: &mut Exec,
    wants: Wants,
    sink: &mut impl Sink,
) -> std::io::Result<Value> {
    let mut outputs = Outputs::new(exec.stdout.take(), exec.stderr.take());
    let status = loop {
        tokio::select! {
            biased;
            chunk = outputs.next() => match chunk {
                Some((output, bytes)) => deliver(sink, wants, output, bytes).await?,
                None => break exec.wait().await,
            },
            status = exec.wait() => break status,
        }
    };
    while let Ok(Some((output, bytes))) = tokio::time::timeout(SILENCE, outputs.next()).await {
        deliver(sink, wants, output, bytes).await?;
    }
    Ok(match status {
        Ok(status) => exited(status.code),
        Err(error) => failure(&error.to_string()),
    })
}

async fn deliver(sink: &mut impl Sink, wants: Wants, output: Output, bytes: Bytes) -> std::io::Result<()> {
    let wanted = match output {
        Output::Stdout => wants.stdout,
        Output::Stderr => wants.stderr,
    };
    if wanted { sink.put(output, bytes).await } else { Ok(()) }
}

struct Outputs {
    stdout: Option<Reader>,
    stderr: Option<Reader>,
    out: BytesMut,
    err: BytesMut,
}

impl Outputs {
    fn new(stdout: Option<Reader>, stderr: Option<Reader>) -> Self {
        Self { stdout, stderr, out: BytesMut::new(), err: BytesMut::new() }
    }

    /// The next piece of either, `None` after the end of both. Survives being dropped.
    async fn next(&mut self) -> Option<(Output, Bytes)> {
        loop {
            if self.stdout.is_none() && self.stderr.is_none() {
                return None;
            }
            tokio::select! {
                bytes = read(&mut self.stdout, &mut self.out) => match bytes {
                    Some(bytes) => return Some((Output::Stdout, bytes)),
                    None => self.stdout = None,
                },
                bytes = read(&mut self.stderr, &mut self.err) => match bytes {
                    Some(bytes) => return Some((Output::Stderr, bytes)),
                    None => self.stderr = None,
                },
            }
        }
    }
}

/// Never returns for a stream that has ended before.
async fn read(reader: &mut Option<Reader>, buffer: &mut BytesMut) -> Option<Bytes> {
    let Some(reader) = reader else { return std::future::pending().await };
    buffer.reserve(CHUNK);
    match reader.read_buf(buffer).await {
        Ok(length) if length > 0 => Some(buffer.split().freeze()),
        _ => None,
    }
}

/// A terminal's size as clients send it: `{"Width":80,"Height":24}`.
pub(crate) fn size(message: &[u8]) -> Option<(u16, u16)> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Size {
        width: u16,
        height: u16,
    }
    let size: Size = serde_json::from_slice(message).ok()?;
    Some((size.width, size.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_a_cause() {
        assert_eq!(exited(0)["status"], "Success");
        assert_eq!(exited(7)["details"]["causes"][0], json!({ "reason": "ExitCode", "message": "7" }));
    }

    #[test]
    fn sizes() {
        assert_eq!(size(br#"{"Width":100,"Height":40}"#), Some((100, 40)));
        assert_eq!(size(b"{}"), None);
    }

    #[tokio::test]
    async fn outputs_come_until_both_have_ended() {
        let mut outputs = Outputs::new(Some(Box::new(&b"one"[..])), Some(Box::new(&b"two"[..])));
        let mut got = Vec::new();
        while let Some((output, bytes)) = outputs.next().await {
            got.push((output == Output::Stdout, bytes));
        }
        got.sort();
        assert_eq!(got, [(false, Bytes::from("two")), (true, Bytes::from("one"))]);
    }
}

//! Running programs in pods by the API's exec: captured, or with their streams.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::api::{Api, AttachParams, AttachedProcess};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// The most of stderr that is kept, in bytes.
const MOST_STDERR: u64 = 64 << 10;
/// How much is on its way in a stream, in bytes.
const WINDOW: usize = 256 << 10;

/// Where a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
}

/// What a program left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code.
    pub code: i32,
    /// All it wrote.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: String,
}

/// Why a program did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("run `{program}` in pod `{pod}`: {}", crate::apply::message(source))]
    Start {
        /// the program
        program: String,
        /// the pod
        pod: String,
        /// the API's answer
        #[source]
        source: Box<kube::Error>,
    },
    /// The connection to it broke.
    #[error("talk to `{program}` in pod `{pod}`")]
    Broken {
        /// the program
        program: String,
        /// the pod
        pod: String,
        /// why
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("`{program}` in pod `{pod}` did not end within {limit:?}")]
    TooSlow {
        /// the program
        program: String,
        /// the pod
        pod: String,
        /// how long it had
        limit: Duration,
    },
    /// It ended with an error.
    #[error("`{program}` in pod `{pod}` ended with {code}: {}", stderr.trim())]
    Failed {
        /// the program
        program: String,
        /// the pod
        pod: String,
        /// its exit code
        code: i32,
        /// its complaint
        stderr: String,
    },
}

impl Target {
    /// Starts a program with its stdin, stdout and stderr connected, without a terminal.
    pub async fn start(&self, client: &kube::Client, command: &[&str]) -> Result<AttachedProcess, Error> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
        let params = AttachParams {
            container: Some(self.container.clone()),
            stdin: true,
            stdout: true,
            stderr: true,
            tty: false,
            max_stdin_buf_size: Some(WINDOW),
            max_stdout_buf_size: Some(WINDOW),
            max_stderr_buf_size: None,
        };
        pods.exec(&self.pod, command.iter().copied(), &params).await.map_err(|source| Error::Start {
            program: program(command),
            pod: self.pod.clone(),
            source: Box::new(source),
        })
    }

    /// Runs a program to its end, with `input` as its stdin, and captures what it writes.
    pub async fn run(
        &self,
        client: &kube::Client,
        command: &[&str],
        input: &[u8],
        limit: Duration,
    ) -> Result<Outcome, Error> {
        let all = async {
            let process = self.start(client, command).await?;
            let mut stdout = Vec::new();
            let (code, stderr) = self.carry(command, process, input, &mut stdout).await?;
            Ok(Outcome { code, stdout, stderr })
        };
        tokio::time::timeout(limit, all).await.map_err(|_| Error::TooSlow {
            program: program(command),
            pod: self.pod.clone(),
            limit,
        })?
    }

    /// Like [`Self::run`], and gives only what a successful program wrote.
    pub async fn ok(
        &self,
        client: &kube::Client,
        command: &[&str],
        input: &[u8],
        limit: Duration,
    ) -> Result<Vec<u8>, Error> {
        let outcome = self.run(client, command, input, limit).await?;
        if outcome.code == 0 {
            return Ok(outcome.stdout);
        }
        Err(Error::Failed {
            program: program(command),
            pod: self.pod.clone(),
            code: outcome.code,
            stderr: outcome.stderr,
        })
    }

    /// Feeds `input` to a program and gives its exit code and stderr; `stdout` gets what it writes.
    pub async fn carry<R, W>(
        &self,
        command: &[&str],
        mut process: AttachedProcess,
        mut input: R,
        stdout: &mut W,
    ) -> Result<(i32, String), Error>
    where
        R: AsyncRead + Unpin,
        W: tokio::io::AsyncWrite + Unpin,
    {
        let broken = |source| Error::Broken { program: program(command), pod: self.pod.clone(), source };
        let (stdin, out, err) = (process.stdin(), process.stdout(), process.stderr());
        let ended = process.take_status();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program may end before it has read everything; its exit code then says why.
                let _early = tokio::io::copy(&mut input, &mut stdin).await;
                let _early = stdin.shutdown().await;
            }
            Ok::<_, std::io::Error>(())
        };
        let read = async {
            if let Some(mut out) = out {
                tokio::io::copy(&mut out, stdout).await?;
                stdout.flush().await?;
            }
            Ok(())
        };
        let complain = async {
            let mut text = Vec::new();
            if let Some(mut err) = err {
                (&mut err).take(MOST_STDERR).read_to_end(&mut text).await?;
                tokio::io::copy(&mut err, &mut tokio::io::sink()).await?;
            }
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        let rest = async { tokio::try_join!(read, complain) };
        // Feeding may wait for a program that reads no more; what it writes decides when it is over.
        let stderr = tokio::select! {
            biased;
            done = rest => done.map_err(broken)?.1,
            never = async { feed.await.ok(); std::future::pending::<String>().await } => never,
        };
        let status = match ended {
            Some(ended) => ended.await,
            None => None,
        };
        Ok((exit_code(status.as_ref()), stderr))
    }
}

fn program(command: &[&str]) -> String {
    command.first().map(|p| (*p).to_owned()).unwrap_or_default()
}

/// The exit code in exec's closing status; a lost connection counts as 255.
pub fn exit_code(status: Option<&Status>) -> i32 {
    let Some(status) = status else { return 255 };
    if status.status.as_deref() == Some("Success") {
        return 0;
    }
    let causes = status.details.as_ref().and_then(|d| d.causes.as_ref());
    let code = causes.and_then(|all| all.iter().find(|c| c.reason.as_deref() == Some("ExitCode")));
    code.and_then(|c| c.message.as_ref()?.parse().ok()).unwrap_or(255)
}

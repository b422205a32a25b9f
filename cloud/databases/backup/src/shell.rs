//! The engine's scripts, run in pods. A trait, so that tests bring scripts of their own.

use std::time::Duration;

use async_trait::async_trait;
use kube::Client;
use sealos_db_engines::scripts::SCRIPTS_DIR;
use sealos_kit::exec::{self, Target};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Error;

/// A stream to read.
pub(crate) type Source = Box<dyn AsyncRead + Send + Unpin>;
/// A stream to write.
pub(crate) type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// What runs scripts.
#[async_trait]
pub(crate) trait Shell: Send + Sync {
    /// Runs a script to its end and gives what it wrote.
    async fn run(&self, pod: &Target, script: &[&str], limit: Duration) -> Result<Vec<u8>, Error>;

    /// Runs a script with its streams connected; returns when it has ended well. As long as it takes.
    async fn pour(&self, pod: &Target, script: &[&str], input: Source, output: Sink) -> Result<(), Error>;
}

/// Runs them by the API's exec.
pub(crate) struct Exec(pub(crate) Client);

/// A script's path and its arguments.
fn command(script: &[&str]) -> Vec<String> {
    let name = script.first().copied().unwrap_or_default();
    let path = format!("{SCRIPTS_DIR}/{name}");
    std::iter::once(path).chain(script.iter().skip(1).map(|s| (*s).to_owned())).collect()
}

#[async_trait]
impl Shell for Exec {
    async fn run(&self, pod: &Target, script: &[&str], limit: Duration) -> Result<Vec<u8>, Error> {
        let command = command(script);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        Ok(pod.ok(&self.0, &command, b"", limit).await?)
    }

    async fn pour(&self, pod: &Target, script: &[&str], input: Source, mut output: Sink) -> Result<(), Error> {
        let command = command(script);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let process = pod.start(&self.0, &command).await?;
        let (code, stderr) = pod.carry(&command, process, input, &mut output).await?;
        if code == 0 {
            return Ok(());
        }
        let program = command.first().copied().unwrap_or_default().to_owned();
        Err(exec::Error::Failed { program, pod: pod.pod.clone(), code, stderr }.into())
    }
}

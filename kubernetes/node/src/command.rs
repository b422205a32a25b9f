//! Commands that probes and hooks run inside a container.

use std::time::Duration;

use sealos_container::{ExecSpec, Runtime};
use tokio::io::AsyncReadExt;

/// How much of a command's output is kept for messages.
const OUTPUT_LIMIT: u64 = 10 << 10;

/// Runs commands in one container.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    pub runtime: Runtime,
    pub container: String,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub code: i32,
    /// The beginning of what it wrote, both streams.
    pub output: String,
}

impl Commands {
    /// Runs to the end, or kills after `limit`. The error says why there is no exit code.
    pub(crate) async fn run(&self, argv: &[String], limit: Duration) -> Result<Done, String> {
        let late = |_| Err(format!("command timed out: \"{}\" timed out after {limit:?}", argv.join(" ")));
        tokio::time::timeout(limit, self.finish(argv)).await.unwrap_or_else(late)
    }

    async fn finish(&self, argv: &[String]) -> Result<Done, String> {
        let spec = ExecSpec::new(argv.iter().cloned());
        let mut exec = self.runtime.exec(&self.container, spec).await.map_err(|e| e.to_string())?;
        let (stdout, stderr) = (exec.stdout.take(), exec.stderr.take());
        let (out, err, status) = tokio::join!(read(stdout), read(stderr), exec.wait());
        let status = status.map_err(|e| e.to_string())?;
        Ok(Done { code: status.code, output: format!("{out}{err}") })
    }
}

/// Reads to the end and keeps the beginning.
async fn read(stream: Option<sealos_container::Reader>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut kept = Vec::new();
    let kept_all = (&mut stream).take(OUTPUT_LIMIT).read_to_end(&mut kept).await;
    if kept_all.is_ok() {
        // The rest is read so that the command does not stop on a full pipe.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.ok();
    }
    String::from_utf8_lossy(&kept).into_owned()
}

//! Running a command to its end, with what it printed.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// What a command left.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command, for messages.
    pub command: String,
    /// Its exit code; -1 for a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Outcome {
    /// Standard output of a command that succeeded, without the last line break.
    pub fn ok(self) -> Result<String> {
        if self.code == 0 {
            return Ok(self.stdout.trim_end().to_owned());
        }
        bail!("`{}` ended with {}:\n{}{}", self.command, self.code, self.stdout, self.stderr)
    }

    /// The complaint of a command that failed.
    pub fn err(self) -> Result<String> {
        if self.code != 0 {
            return Ok(self.stderr);
        }
        bail!("`{}` should have failed, but printed:\n{}{}", self.command, self.stdout, self.stderr)
    }
}

/// Runs a command.
pub fn run(command: &mut Command) -> Result<Outcome> {
    run_with_input(command, "")
}

/// Runs a command that reads `input`.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<Outcome> {
    let shown = format!("{command:?}");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().with_context(|| format!("run {shown}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input is none of our business.
        drop(stdin.write_all(input.as_bytes()));
    }
    let output = child.wait_with_output().with_context(|| format!("run {shown}"))?;
    Ok(Outcome {
        command: shown,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

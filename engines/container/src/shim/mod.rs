//! The process between a container and the daemon.
//!
//! It starts one container, copies its output into a log, answers requests on a socket, and
//! records how the container ended. It has one thread, for the sake of the forks that making a
//! container takes, and polls everything it waits for in one place.

mod client;
mod confine;
mod enter;
mod launch;
mod log;
mod program;
mod serve;
mod streams;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use nix::unistd::setsid;

use crate::record::{Home, LOCK, Outcome};
use crate::{Error, StartFailure, cgroup, files};

/// Runs a shim. The program's `main` calls this before it starts any thread, when its first
/// argument is `shim`; the last argument is the container's directory.
#[must_use]
pub fn shim_main(args: Vec<OsString>) -> ExitCode {
    let Some(dir) = args.into_iter().next_back().map(PathBuf::from).filter(|dir| dir.is_absolute()) else {
        return ExitCode::from(2);
    };
    let home = Home(dir);
    // Run from a descriptor, the process would be called by its number.
    let _unnamed = nix::sys::prctl::set_name(c"sealos-shim");
    match run(&home) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&Outcome::Failed { failure: StartFailure::Other, reason: chain(&error) });
            ExitCode::FAILURE
        }
    }
}

fn run(home: &Home) -> Result<(), Error> {
    single_thread()?;
    let _lock = files::lock(&home.path(LOCK)).map_err(|source| Error::File {
        attempt: "lock",
        path: home.path(LOCK),
        source,
    })?;
    // A process that leads a group already is in a session of its own making.
    let _leader = setsid();
    let record = home.record()?.ok_or_else(|| Error::NotFound { id: home.dir().display().to_string() })?;
    cgroup::join(&format!("{}/shims", record.cgroup_parent))?;
    match launch::launch(home, &record)? {
        Ok(container) => serve::serve(home, &record, container),
        Err((failure, reason)) => {
            report(&Outcome::Failed { failure, reason });
            Ok(())
        }
    }
}

/// A fork copies one thread and every lock that the others hold: with a second thread, a child
/// may wait for ever.
fn single_thread() -> Result<(), Error> {
    let tasks = std::fs::read_dir("/proc/self/task")
        .map_err(|source| Error::Io { attempt: "count threads", source })?
        .count();
    if tasks == 1 {
        return Ok(());
    }
    let source = std::io::Error::other(format!("the shim has {tasks} threads; it must be entered first"));
    Err(Error::Io { attempt: "start a shim", source })
}

/// One line to the daemon, which reads until the pipe is closed. False when nobody reads.
fn report(outcome: &Outcome) -> bool {
    let mut stdout = std::io::stdout().lock();
    let written = serde_json::to_writer(&mut stdout, outcome).is_ok() && stdout.flush().is_ok();
    // The daemon takes the closed pipe for the end of the message.
    let closed = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .is_ok_and(|null| nix::unistd::dup2_stdout(&null).is_ok());
    written && closed
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors repeat their cause.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

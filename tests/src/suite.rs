//! A suite: named checks that share a cloud, counted and printed like any Rust test.

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};

/// A name, and what it checks.
pub type Check<C> = (&'static str, fn(&C) -> Result<()>);

/// Checks that share what they test.
pub struct Suite<C> {
    trials: Vec<Check<C>>,
}

impl<C: Send + Sync + 'static> Suite<C> {
    /// A suite of checks.
    pub fn new(trials: Vec<Check<C>>) -> Self {
        Self { trials }
    }

    /// Sets the subject up, runs the checks one after another, and drops the subject.
    pub fn main(self, set_up: impl FnOnce() -> Result<C>) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(1);
        if arguments.list {
            let trials = self.trials.into_iter().map(|(name, _)| Trial::test(name, || Ok(()))).collect();
            return libtest_mimic::run(&arguments, trials).exit_code();
        }
        let subject = match set_up() {
            Ok(subject) => Arc::new(subject),
            Err(error) => return failed_set_up(&arguments, &error),
        };
        let trials = self.trials.into_iter().map(|(name, check)| {
            let subject = subject.clone();
            Trial::test(name, move || check(&subject).map_err(|e| Failed::from(format!("{e:#}"))))
        });
        let conclusion = libtest_mimic::run(&arguments, trials.collect());
        drop(subject);
        conclusion.exit_code()
    }
}

/// A suite that could not begin is one failed test, not none.
fn failed_set_up(arguments: &Arguments, error: &anyhow::Error) -> ExitCode {
    let text = format!("{error:#}");
    let trial = Trial::test("set_up", move || Err(Failed::from(text)));
    libtest_mimic::run(arguments, vec![trial]).exit_code()
}

/// Tries until it succeeds; the last error if it does not within the limit.
pub fn until<T>(limit: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => bail!("not within {limit:?}: {error:#}"),
            Err(_) => std::thread::sleep(Duration::from_millis(30)),
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

//! The `sealos` binary: commands, configuration, wiring. No logic of its own.

mod cli;
mod cloud;
mod commands;
mod failure;
mod locate;
mod output;
mod socket;
mod sources;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // A shim must be asked for before any thread exists: it forks containers.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == "shim") {
        return sealos_container::shim_main(args.collect());
    }
    let cli = cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&anyhow::Error::new(error).context("start the runtime")),
    };
    let code = match runtime.block_on(commands::run(cli)) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    };
    // Blocked reads of the terminal must not hold the process.
    runtime.shutdown_background();
    code
}

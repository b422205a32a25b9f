//! Real containers, as root. The binary is its own shim, so it runs without the test harness,
//! which starts threads before anything else.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and its runner tells so"
)]

mod basics;
mod bench;
mod exec;
mod isolation;
mod lifecycle;
mod limits;
mod machine;

use std::process::ExitCode;
use std::time::Instant;

use machine::Machine;

type Test = (&'static str, fn(&Machine));

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == "shim") {
        return sealos_container::shim_main(args);
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let all = [basics::TESTS, exec::TESTS, isolation::TESTS, limits::TESTS, lifecycle::TESTS, bench::TESTS];
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, test) in all.into_iter().flatten() {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        count += 1;
        let begun = Instant::now();
        let machine = Machine::new();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&machine)));
        let left = machine.close();
        let good = outcome.is_ok() && left.is_ok();
        if let Err(what) = left {
            println!("left behind: {what}");
        }
        println!(
            "test {name} ... {} ({} ms)",
            if good { "ok" } else { "FAILED" },
            begun.elapsed().as_millis()
        );
        if !good {
            failed.push(*name);
        }
    }
    let word = if failed.is_empty() { "ok".to_owned() } else { format!("FAILED {failed:?}") };
    let bad = failed.len();
    println!("\ntest result: {word}. {} passed; {bad} failed; 0 ignored", count - bad);
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

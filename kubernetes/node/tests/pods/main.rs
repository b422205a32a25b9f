//! Pods in real containers, driven through a real API server in this process. The binary is its own
//! shim, so it runs without the test harness, which starts threads before anything else.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says so on its standard output"
)]

mod cloud;
mod config;
mod health;
mod life;
mod network;
mod speed;

use std::pin::Pin;
use std::process::ExitCode;
use std::time::Instant;

use cloud::Cloud;

type Work<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
type Test = (&'static str, for<'a> fn(&'a mut Cloud) -> Work<'a>);

fn main() -> ExitCode {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|arg| arg == "shim") {
        return sealos_container::shim_main(args);
    }
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, test) in
        [life::TESTS, config::TESTS, health::TESTS, network::TESTS, speed::TESTS].into_iter().flatten()
    {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        count += 1;
        let begun = Instant::now();
        let outcome = std::panic::catch_unwind(|| run(*test));
        let good = match outcome {
            Ok(Ok(())) => true,
            Ok(Err(left)) => {
                println!("left behind: {left}");
                false
            }
            Err(_) => false,
        };
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

fn run(test: for<'a> fn(&'a mut Cloud) -> Work<'a>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut cloud = Cloud::start().await;
        let outcome = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(test(&mut cloud))).await;
        let closed = cloud.close().await;
        match outcome {
            Ok(()) => closed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

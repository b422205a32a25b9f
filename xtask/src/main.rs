//! Repository chores: `cargo xtask bench` measures what `docs/benchmarks.md` reports.

mod bench;

use anyhow::Result;
use clap::Parser;

/// Repository chores.
#[derive(Debug, Parser)]
enum Chore {
    /// Measure a cloud, or with --against any Kubernetes API server
    Bench(bench::Args),
}

fn main() -> Result<()> {
    let Chore::Bench(args) = Chore::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(bench::run(&args))
}

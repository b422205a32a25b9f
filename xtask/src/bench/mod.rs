//! The benchmarks: the same load on our API server and on any other, in one run on one machine.

mod api;
mod cloud;
mod connection;
mod pods;
mod report;
mod watch;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};

use cloud::BenchCloud;
use connection::Target;
use report::Report;

/// `cargo xtask bench`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A kubeconfig of another Kubernetes to put under the same API load afterwards
    #[arg(long, value_name = "KUBECONFIG")]
    against: Option<PathBuf>,
    /// The sealos binary
    #[arg(long, default_value = "target/release/sealos")]
    sealos: PathBuf,
    /// How many objects
    #[arg(long, default_value_t = 5000)]
    objects: usize,
    /// How many connections
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// How many watchers
    #[arg(long, default_value_t = 50)]
    watchers: usize,
    /// Leave pods out
    #[arg(long)]
    api_only: bool,
}

/// Runs everything and prints a table.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let mut report = Report::default();
    let cloud = BenchCloud::start(&args.sealos)?;
    report.add("ready after process start", "", format!("{:.0} ms", cloud.ready_after.as_secs_f64() * 1e3));
    report.add("memory idle", "", format!("{:.1} MiB", cloud.settled_memory()?));
    let own = target(&cloud.kubeconfig()).await?;
    if !args.api_only {
        pods::measure(&cloud, &own, &mut report).await?;
    }
    load(&own, args, "", &mut report).await?;
    report.add("memory after the load", "", format!("{:.1} MiB", cloud.memory()?));
    drop(cloud);
    if let Some(other) = &args.against {
        load(&target(other).await?, args, "against", &mut report).await?;
    }
    report.print();
    Ok(())
}

async fn target(kubeconfig: &std::path::Path) -> Result<Target> {
    let file = Kubeconfig::read_from(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Target::new(&config)
}

async fn load(target: &Target, args: &Args, who: &str, report: &mut Report) -> Result<()> {
    let namespace = format!("bench-{}", std::process::id());
    api::namespace(target, &namespace).await?;
    let load =
        api::Load { target, namespace: &namespace, objects: args.objects, connections: args.connections };
    for (name, outcome) in
        [("create", load.create().await?), ("get", load.get().await?), ("merge patch", load.patch().await?)]
    {
        report.add(
            name,
            who,
            format!("{:.0}/s, p50 {:.2} ms, p99 {:.2} ms", outcome.rate, outcome.p50, outcome.p99),
        );
    }
    let (millis, bytes) = load.list().await?;
    #[expect(clippy::cast_precision_loss, reason = "only for display")]
    let megabytes = bytes as f64 / 1e6;
    report.add("list all objects", who, format!("{millis:.1} ms, {megabytes:.1} MB"));
    let fan_out = watch::fan_out(&load, args.watchers).await?;
    report.add("watch fan-out", who, format!("{:.0} events/s, p99 {:.2} ms", fan_out.rate, fan_out.p99));
    load.clean().await
}

//! `sealos logs`: the lines of all pods of an app, with the pod's name where there are several.

use anyhow::{Context as _, Result, bail};
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use crate::cli::{Global, Logs};
use crate::locate::find;
use crate::output;

/// `sealos logs`
pub(crate) async fn logs(global: &Global, args: &Logs) -> Result<()> {
    let found = find(global).await?;
    let app = found.apps().await?.get(&args.name).await?;
    if app.pods.is_empty() {
        bail!("app `{}` has no pods now ({})", app.name, super::apps::phase(app.phase));
    }
    let pods: Api<Pod> = Api::namespaced(found.client().await?, &app.workspace);
    let containers = app.pods.iter().map(|pod| (pod.name.clone(), pod.containers.first().cloned()));
    print_logs(&pods, containers.collect(), args).await
}

/// Prints the lines of several pods, each of the container named beside it.
pub(crate) async fn print_logs(
    pods: &Api<Pod>,
    containers: Vec<(String, Option<String>)>,
    args: &Logs,
) -> Result<()> {
    let several = containers.len() > 1;
    let params = params(args)?;
    let streams = containers.into_iter().map(|(pod, container)| {
        let params = LogParams { container, ..params.clone() };
        async move {
            let lines = pods.log_stream(&pod, &params).await;
            let lines = lines.with_context(|| format!("read the log of {pod}"))?.lines();
            let prefix = if several { format!("[{pod}] ") } else { String::new() };
            anyhow::Ok(lines.map_ok(move |line| format!("{prefix}{line}")).map_err(anyhow::Error::from))
        }
    });
    let opened: Vec<_> = futures::future::join_all(streams).await;
    let mut readable = Vec::new();
    let mut refused = None;
    for stream in opened {
        match stream {
            Ok(stream) => readable.push(stream.boxed()),
            Err(error) => refused = Some(error),
        }
    }
    if readable.is_empty()
        && let Some(error) = refused
    {
        return Err(error);
    }
    let mut all = stream::select_all(readable);
    while let Some(line) = all.next().await {
        if output::try_line(&line.context("read the log")?).is_err() {
            break;
        }
    }
    Ok(())
}

fn params(args: &Logs) -> Result<LogParams> {
    let since_seconds = args.since.as_deref().map(seconds).transpose()?;
    Ok(LogParams {
        follow: args.follow,
        tail_lines: args.tail,
        previous: args.previous,
        timestamps: args.timestamps,
        since_seconds,
        ..LogParams::default()
    })
}

/// `90s`, `10m`, `1h30m` in seconds.
fn seconds(text: &str) -> Result<i64> {
    let span: jiff::SignedDuration =
        text.parse().with_context(|| format!("--since {text}: write for example 10m"))?;
    Ok(span.as_secs().max(1))
}

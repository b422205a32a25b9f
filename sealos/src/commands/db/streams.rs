//! What streams: the engine's own client, dumps, logs, a forwarded port.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use sealos_db_engines::scripts::SCRIPTS_DIR;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Connect, Forward};
use crate::cli::{Global, Logs};
use crate::commands::{exec, logs as pod_logs};
use crate::locate::{Found, find};
use crate::output;

/// `sealos db connect`; the exit code is the client's.
pub(super) async fn connect(global: &Global, args: &Connect) -> Result<ExitCode> {
    let found = find(global).await?;
    let databases = found.databases().await?;
    let target = match &args.pod {
        Some(pod) => databases.member(&args.name, pod).await?,
        None => databases.primary(&args.name).await?,
    };
    let pods = pods(&found).await?;
    let command = script("client.sh", args.database.as_deref());
    exec::in_pod(&pods, &target.pod, Some(&target.container), command).await
}

async fn pods(found: &Found) -> Result<Api<Pod>> {
    Ok(Api::namespaced(found.client().await?, &found.workspace))
}

fn script(name: &str, database: Option<&str>) -> Vec<String> {
    std::iter::once(format!("{SCRIPTS_DIR}/{name}")).chain(database.map(str::to_owned)).collect()
}

/// `sealos db dump`
pub(super) async fn dump(
    global: &Global,
    name: &str,
    database: Option<&str>,
    file: Option<&Path>,
) -> Result<()> {
    let file = file.filter(|file| *file != Path::new("-"));
    let Some(path) = file else {
        return carry(global, name, "dump.sh", database, tokio::io::empty(), &mut tokio::io::stdout()).await;
    };
    let attempt = || format!("write {}", path.display());
    // A dump that breaks off must not look like one.
    let mut half = path.as_os_str().to_owned();
    half.push(".part");
    let mut out = tokio::fs::File::create(&half).await.with_context(attempt)?;
    let done = carry(global, name, "dump.sh", database, tokio::io::empty(), &mut out).await;
    if done.is_ok() {
        out.sync_all().await.with_context(attempt)?;
        return tokio::fs::rename(&half, path).await.with_context(attempt);
    }
    drop(tokio::fs::remove_file(&half).await);
    done
}

/// `sealos db load`
pub(super) async fn load(
    global: &Global,
    name: &str,
    database: Option<&str>,
    file: Option<&Path>,
) -> Result<()> {
    let mut out = tokio::io::stderr();
    match file.filter(|file| *file != Path::new("-")) {
        None => carry(global, name, "load.sh", database, tokio::io::stdin(), &mut out).await?,
        Some(path) => {
            let input = tokio::fs::File::open(path).await;
            let input = input.with_context(|| format!("open {}", path.display()))?;
            carry(global, name, "load.sh", database, input, &mut out).await?;
        }
    }
    output::line_err(&format!("{name} has taken the dump in"));
    Ok(())
}

/// Runs a script of the primary with these streams.
async fn carry<R, W>(
    global: &Global,
    name: &str,
    what: &str,
    database: Option<&str>,
    input: R,
    out: &mut W,
) -> Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let found = find(global).await?;
    let target = found.databases().await?.primary(name).await?;
    let command = script(what, database);
    let command: Vec<_> = command.iter().map(String::as_str).collect();
    let process = target.start(&found.client().await?, &command).await?;
    let (code, complaint) = target.carry(&command, process, input, out).await?;
    out.flush().await.context("write what the database gave")?;
    if code != 0 {
        bail!("{what} of `{name}` ended with {code}: {}", complaint.trim());
    }
    Ok(())
}

/// `sealos db logs`
pub(super) async fn logs(global: &Global, args: &Logs) -> Result<()> {
    let found = find(global).await?;
    let database = found.databases().await?.get(&args.name).await?;
    if database.members.is_empty() {
        bail!("database `{}` has no pods now ({})", database.name, database.phase.to_lowercase());
    }
    let container = || Some(database.component.clone());
    let containers = database.members.iter().map(|member| (member.pod.clone(), container())).collect();
    pod_logs::print_logs(&pods(&found).await?, containers, args).await
}

/// `sealos db forward`
pub(super) async fn forward(global: &Global, args: &Forward) -> Result<()> {
    let found = find(global).await?;
    let databases = found.databases().await?;
    let engine = databases.get(&args.name).await?.engine;
    let connection = databases.connection(&args.name).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await;
    let listener = listener.with_context(|| format!("listen at port {}", args.port))?;
    let port = listener.local_addr().context("listen")?.port();
    output::line(&connection.url_at(&engine, "127.0.0.1", port));
    crate::failure::flush();
    let pods = pods(&found).await?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.context("take a connection")?;
                let (pods, databases, name) = (pods.clone(), databases.clone(), args.name.clone());
                tokio::spawn(async move {
                    // The primary may have changed since the last connection.
                    let passed = match databases.primary(&name).await {
                        Ok(target) => pass(&pods, &target.pod, connection.port, stream).await,
                        Err(error) => Err(error.into()),
                    };
                    if let Err(error) = passed {
                        output::line_err(&format!("sealos: a connection ended: {error:#}"));
                    }
                });
            }
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

async fn pass(pods: &Api<Pod>, pod: &str, port: u16, mut stream: TcpStream) -> Result<()> {
    let mut forwarder = pods.portforward(pod, &[port]).await.with_context(|| format!("reach {pod}"))?;
    let mut inside = forwarder.take_stream(port).with_context(|| format!("reach port {port} of {pod}"))?;
    // Either side may go first; both are ordinary.
    drop(tokio::io::copy_bidirectional(&mut stream, &mut inside).await);
    Ok(())
}

//! `sealos deploy`: build if there is something to build, write the app, wait until it serves.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use http_body_util::BodyExt as _;
use hyper::{Method, Request as HttpRequest};
use hyper_util::rt::TokioIo;
use sealos_apps::{Apps, BuildDetails, Draft, Plan};
use tokio::net::TcpStream;

use super::images::{BuildRequest, build_image};
use super::progress::Display;
use crate::cli::{Deploy, Global};
use crate::locate::{Found, find};
use crate::output;
use crate::sources::{self, Request};

/// `sealos deploy`
pub(crate) async fn deploy(global: &Global, args: &Deploy) -> Result<()> {
    for url in deploy_source(&find(global).await?, args).await? {
        output::line(&url);
    }
    Ok(())
}

/// Deploys everything that a source describes; answers the addresses.
pub(crate) async fn deploy_source(found: &Found, args: &Deploy) -> Result<Vec<String>> {
    let requests = sources::read(args)?;
    let apps = found.apps().await?;
    let mut display = Display::new();
    let mut plans = Vec::new();
    for request in requests {
        request.notes.iter().for_each(|note| display.note(&format!("{}: {note}", request.draft.name)));
        if !args.dry_run {
            provide(&apps, &request).await?;
        }
        let draft = with_image(found, request, args, &mut display).await?;
        if args.dry_run {
            print_objects(&apps.preview(draft)?)?;
            continue;
        }
        if !args.no_wait {
            let limit = Duration::from_secs(args.timeout);
            let report = |state: &str| display.state(&format!("{}: {state}", draft.name));
            apps.wait_services(draft.clone(), limit, report).await?;
        }
        plans.push(apps.deploy(draft).await?);
    }
    let mut urls = Vec::new();
    for plan in &plans {
        if !args.no_wait {
            wait(found, &apps, plan, Duration::from_secs(args.timeout), &mut display).await?;
        }
        urls.extend(plan.hosts.iter().map(|host| found.url(host)));
        let ports = if plan.hosts.is_empty() { apps.get(&plan.name).await?.node_ports } else { Vec::new() };
        urls.extend(ports.iter().map(|port| found.port_url(port)));
        if plan.hosts.is_empty() && ports.is_empty() {
            display.note(&format!("{} runs; it has no public address (give it one with --port)", plan.name));
        }
    }
    Ok(urls)
}

/// Lets the database and the bucket come up while the image is built.
async fn provide(apps: &Apps, request: &Request) -> Result<()> {
    let mut draft = request.draft.clone();
    if draft.database.is_none() && draft.bucket.is_none() {
        return Ok(());
    }
    // The image comes later; all else is checked before anything is made.
    draft.image = draft.image.or_else(|| draft.build.as_ref().map(|_| "sealos.local/coming".to_owned()));
    Ok(apps.provide(draft).await?)
}

fn print_objects(plan: &Plan) -> Result<()> {
    for object in plan.all() {
        output::line("---");
        output::value(output::Format::Yaml, object)?;
    }
    Ok(())
}

/// The request with an image: its own, or one built now. Ports that the image exposes are taken over.
async fn with_image(found: &Found, request: Request, args: &Deploy, display: &mut Display) -> Result<Draft> {
    let Some((dir, details)) = sources::build_of(&request) else { return Ok(request.draft) };
    let mut draft = request.draft;
    draft.build = None;
    if draft.name.is_empty() {
        bail!("the app has no name; give it one with --name");
    }
    let name = format!("sealos.local/{}/{}", found.workspace, draft.name);
    let built = build(found, &dir, details, &name, args.no_cache, display).await?;
    draft.image = Some(built.reference);
    let unnamed = draft.port.is_none() && draft.ports.is_empty();
    if unnamed && let [port] = built.ports.as_slice() {
        draft.port = Some(*port);
        if args.private {
            draft.ports = vec![sealos_apps::Port {
                port: *port,
                protocol: Default::default(),
                public: false,
                host: None,
            }];
        }
    }
    Ok(draft)
}

async fn build(
    found: &Found,
    dir: &Path,
    details: BuildDetails,
    name: &str,
    no_cache: bool,
    display: &mut Display,
) -> Result<super::images::Built> {
    let request = BuildRequest {
        dir: dir.canonicalize().with_context(|| format!("find {}", dir.display()))?,
        tag: name.to_owned(),
        dockerfile: details.dockerfile,
        target: details.target,
        args: details.args,
        no_cache,
    };
    let built = build_image(found, &request, display).await;
    built.with_context(|| format!("build {}", dir.display()))
}

async fn wait(found: &Found, apps: &Apps, plan: &Plan, limit: Duration, display: &mut Display) -> Result<()> {
    let started = Instant::now();
    let ready = apps.wait_ready(&plan.name, limit, |progress| {
        let count = format!("{} of {}", progress.ready, progress.desired);
        let why = match progress.message.as_str() {
            // The count again.
            message if message.starts_with(&count) => "",
            message => message,
        };
        let dash = if why.is_empty() { "" } else { ": " };
        display.state(&format!("{}: {count} ready{dash}{why}", plan.name));
    });
    ready.await?;
    for host in &plan.hosts {
        answers(found, host, limit.saturating_sub(started.elapsed()).max(Duration::from_secs(5))).await?;
    }
    display.clear();
    display.note(&format!("{} is ready after {:.1} s", plan.name, started.elapsed().as_secs_f32()));
    Ok(())
}

/// Waits until the gateway passes a request for the host on to the app.
async fn answers(found: &Found, host: &str, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    let port = found.status.http.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(80);
    loop {
        let tried = tokio::time::timeout(Duration::from_secs(5), is_routed(host, port)).await;
        if matches!(tried, Ok(Ok(true))) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the app is ready, but nothing answers at {}", found.url(host));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether an answer comes from the app and not from the gateway itself.
async fn is_routed(host: &str, port: u16) -> Result<bool> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let body = http_body_util::Empty::<bytes::Bytes>::new();
    let request = HttpRequest::builder().method(Method::HEAD).uri("/").header("host", host).body(body)?;
    let response = sender.send_request(request).await?;
    let own = response.headers().contains_key(sealos_gateway::STATE_HEADER);
    drop(response.into_body().collect().await);
    Ok(!own)
}

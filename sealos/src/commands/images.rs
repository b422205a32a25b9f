//! `sealos image …` and `sealos build`: through the admin socket, since images belong to the machine.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use futures::TryStreamExt as _;
use http_body_util::BodyExt as _;
use hyper::Method;
use sealos_kit::names::AppName;
use sealos_oci::Progress;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::StreamReader;

use super::progress::Display;
use crate::cli::{Build, Global, Image};
use crate::locate::{Found, find};
use crate::output::{self, Format};
use crate::socket::{json_body, stream_body};
use crate::sources::pairs;

/// An image in the list.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImageRow {
    /// Its names; an image may have none.
    pub(crate) names: Vec<String>,
    /// Its manifest's digest.
    pub(crate) digest: String,
    /// The bytes of its layers, unpacked.
    pub(crate) size: u64,
    /// When it was made, RFC 3339.
    pub(crate) created: Option<String>,
}

/// What to pull.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PullRequest {
    /// The image.
    pub(crate) image: String,
    /// A user name and a password.
    pub(crate) credentials: Option<(String, String)>,
}

/// A second name for an image.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TagRequest {
    /// The image.
    pub(crate) image: String,
    /// The new name.
    pub(crate) name: String,
}

/// Names of images.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImageNames {
    /// The names.
    pub(crate) names: Vec<String>,
}

/// What pruning gave.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pruned {
    /// How many images went.
    pub(crate) images: usize,
    /// How many bytes are free again.
    pub(crate) bytes: u64,
}

/// What to build, and how.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BuildRequest {
    /// The directory, absolute: the cloud is on the same machine and reads it in place.
    pub(crate) dir: PathBuf,
    /// The image's name.
    pub(crate) tag: String,
    /// The Dockerfile's path.
    pub(crate) dockerfile: Option<String>,
    /// The stage to stop at.
    pub(crate) target: Option<String>,
    /// Build arguments.
    pub(crate) args: BTreeMap<String, String>,
    /// Whether to pass the layer cache by.
    pub(crate) no_cache: bool,
}

/// A built image.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Built {
    /// A name that stays with this very image.
    pub(crate) reference: String,
    /// TCP ports that it exposes.
    pub(crate) ports: Vec<u16>,
}

/// A line of a build's answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum BuildLine {
    /// Its end.
    Built(Built),
    /// Something on the way.
    Progress(Progress),
}

/// `sealos image …`
pub(crate) async fn image(global: &Global, command: Image) -> Result<()> {
    let found = find(global).await?;
    match command {
        Image::Ls(args) => list(&found, args.output).await,
        Image::Pull { image, username, password_stdin } => {
            pull(&found, image, username, password_stdin).await
        }
        Image::Load { file } => load(&found, file.as_deref()).await,
        Image::Save { images, file } => save(&found, images, file.as_deref()).await,
        Image::Rm { images } => {
            let removed: ImageNames =
                found.socket.json(Method::DELETE, "/images", &ImageNames { names: images }).await?;
            removed.names.iter().for_each(|name| output::line_err(&format!("{name} is removed")));
            Ok(())
        }
        Image::Tag { image, name } => {
            let _: ImageNames =
                found.socket.json(Method::POST, "/images/tag", &TagRequest { image, name }).await?;
            Ok(())
        }
        Image::Prune => {
            let pruned: Pruned = found.socket.json(Method::POST, "/images/prune", &()).await?;
            output::line_err(&format!(
                "{} images removed, {} freed",
                pruned.images,
                output::size(pruned.bytes)
            ));
            Ok(())
        }
    }
}

async fn list(found: &Found, format: Format) -> Result<()> {
    let images: Vec<ImageRow> = found.socket.json(Method::GET, "/images", &()).await?;
    if format != Format::Text {
        return output::value(format, &images);
    }
    let rows: Vec<_> = images.iter().flat_map(rows).collect();
    output::table(&["IMAGE", "DIGEST", "SIZE", "CREATED"], &rows);
    Ok(())
}

fn rows(image: &ImageRow) -> Vec<Vec<String>> {
    let digest: String = image.digest.trim_start_matches("sha256:").chars().take(12).collect();
    let row = |name: &str| {
        vec![name.to_owned(), digest.clone(), output::size(image.size), output::age(image.created.as_deref())]
    };
    if image.names.is_empty() { vec![row("<none>")] } else { image.names.iter().map(|n| row(n)).collect() }
}

async fn pull(found: &Found, image: String, username: Option<String>, password_stdin: bool) -> Result<()> {
    let credentials = match (username, password_stdin) {
        (Some(user), true) => {
            let mut password = String::new();
            std::io::stdin().read_to_string(&mut password).context("read the password from stdin")?;
            Some((user, password.trim_end_matches(['\r', '\n']).to_owned()))
        }
        _ => None,
    };
    let request = PullRequest { image, credentials };
    print_images(found, "/images/pull", json_body(&request)?).await
}

async fn load(found: &Found, file: Option<&Path>) -> Result<()> {
    let body = match file.filter(|f| *f != Path::new("-")) {
        Some(path) => {
            let file = tokio::fs::File::open(path).await;
            stream_body(file.with_context(|| format!("open {}", path.display()))?)
        }
        None => stream_body(tokio::io::stdin()),
    };
    print_images(found, "/images/load", body).await
}

/// Runs an operation that ends with images and prints their names.
async fn print_images(found: &Found, path: &str, body: crate::socket::Body) -> Result<()> {
    let mut display = Display::new();
    let mut done = Vec::new();
    found
        .socket
        .lines(Method::POST, path, body, |event: Progress| {
            if let Progress::Done { names, digest } = &event {
                done.extend(if names.is_empty() { vec![digest.clone()] } else { names.clone() });
            }
            display.image(event);
        })
        .await?;
    done.iter().for_each(|name| output::line(name));
    Ok(())
}

async fn save(found: &Found, images: Vec<String>, file: Option<&Path>) -> Result<()> {
    let file = file.filter(|f| *f != Path::new("-"));
    if file.is_none() && std::io::stdout().is_terminal() {
        bail!("an archive is not for a terminal; name a file with --file, or redirect the output");
    }
    let response =
        found.socket.send(Method::POST, "/images/save", json_body(&ImageNames { names: images })?).await?;
    let body = response.into_body().into_data_stream().map_err(std::io::Error::other);
    let mut reader = StreamReader::new(body);
    let attempt = "receive the archive";
    match file {
        Some(path) => {
            let part = path.with_extension("part");
            let mut out =
                tokio::fs::File::create(&part).await.with_context(|| format!("write {}", part.display()))?;
            tokio::io::copy(&mut reader, &mut out).await.context(attempt)?;
            out.sync_all().await.with_context(|| format!("write {}", part.display()))?;
            tokio::fs::rename(&part, path).await.with_context(|| format!("write {}", path.display()))
        }
        None => {
            let mut out = tokio::io::stdout();
            tokio::io::copy(&mut reader, &mut out).await.context(attempt)?;
            out.flush().await.context(attempt)
        }
    }
}

/// `sealos build`
pub(crate) async fn build(global: &Global, args: &Build) -> Result<()> {
    let found = find(global).await?;
    if !args.dir.is_dir() {
        bail!("`{}` is not a directory", args.dir.display());
    }
    let folder = args.dir.canonicalize().ok().and_then(|d| Some(d.file_name()?.to_str()?.to_owned()));
    let suggested =
        folder.and_then(|f| AppName::suggest(&f)).map(|n| format!("sealos.local/{}/{n}", found.workspace));
    let Some(tag) = args.tag.clone().or(suggested) else { bail!("name the image with --tag") };
    let dir = args.dir.canonicalize().with_context(|| format!("find {}", args.dir.display()))?;
    let request = BuildRequest {
        dir,
        tag,
        dockerfile: args.file.clone(),
        target: args.target.clone(),
        args: pairs(&args.build_arg)?,
        no_cache: args.no_cache,
    };
    let mut display = Display::new();
    let built = build_image(&found, &request, &mut display).await?;
    drop(display);
    output::line(args.tag.as_deref().unwrap_or(&built.reference));
    Ok(())
}

/// Has the cloud build a directory.
pub(crate) async fn build_image(
    found: &Found,
    request: &BuildRequest,
    display: &mut Display,
) -> Result<Built> {
    let mut built = None;
    let lines =
        found.socket.lines(Method::POST, "/build", json_body(request)?, |line: BuildLine| match line {
            BuildLine::Built(done) => built = Some(done),
            BuildLine::Progress(event) => display.image(event),
        });
    lines.await?;
    built.context("the cloud ended the build without an image")
}

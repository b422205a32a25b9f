//! What `sealos deploy` is given: an image, or a directory and what is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sealos_apps::{
    Build, BuildDetails, ConfigFile, Draft, EnvValue, Port, Storage, read_compose, read_manifest,
};
use sealos_kit::names::AppName;
use sealos_kit::quantity::Bytes;

use crate::cli::Deploy;

/// A request, and the directory to which its paths are relative.
pub(crate) struct Request {
    /// The request.
    pub(crate) draft: Draft,
    /// The directory.
    pub(crate) dir: PathBuf,
    /// What could not be taken over.
    pub(crate) notes: Vec<String>,
}

/// The requests that a source and flags stand for.
pub(crate) fn read(args: &Deploy) -> Result<Vec<Request>> {
    let path = Path::new(&args.source);
    let mut requests = match () {
        () if path.is_dir() => from_directory(path)?,
        () if path.is_file() => from_file(path)?,
        () if args.source.starts_with(['.', '/', '~']) => {
            bail!("there is no directory or file `{}`", args.source)
        }
        () => vec![from_image(&args.source)],
    };
    if let [only] = requests.as_mut_slice() {
        apply_flags(&mut only.draft, args)?;
    } else if has_flags(args) {
        bail!("`{}` describes several apps; flags that change an app can be used with one only", args.source);
    }
    Ok(requests)
}

fn from_image(image: &str) -> Request {
    let base = image.split('@').next().unwrap_or(image).rsplit('/').next().unwrap_or(image);
    let base = base.split(':').next().unwrap_or(base);
    let name = AppName::suggest(base).map(String::from).unwrap_or_default();
    let draft = Draft { name, image: Some(image.to_owned()), ..Draft::default() };
    Request { draft, dir: PathBuf::from("."), notes: Vec::new() }
}

fn from_directory(dir: &Path) -> Result<Vec<Request>> {
    for name in [
        "sealos.yaml",
        "sealos.yml",
        "compose.yaml",
        "compose.yml",
        "docker-compose.yaml",
        "docker-compose.yml",
    ] {
        let file = dir.join(name);
        if file.is_file() {
            return from_file(&file);
        }
    }
    if !dir.join("Dockerfile").is_file() {
        bail!("`{}` has no sealos.yaml, no compose.yaml and no Dockerfile; add one of them", dir.display());
    }
    let draft =
        Draft { name: folder_name(dir), build: Some(Build::Directory(".".into())), ..Draft::default() };
    Ok(vec![Request { draft, dir: dir.to_owned(), notes: Vec::new() }])
}

fn from_file(file: &Path) -> Result<Vec<Request>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let shown = file.display().to_string();
    let dir = file.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    let is_compose = file.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.contains("compose"));
    if is_compose {
        let apps = read_compose(&shown, &text)?;
        return Ok(apps
            .into_iter()
            .map(|a| Request { draft: a.draft, dir: dir.clone(), notes: a.notes })
            .collect());
    }
    let mut draft = read_manifest(&shown, &text)?;
    if draft.name.is_empty() {
        draft.name = folder_name(&dir);
    }
    Ok(vec![Request { draft, dir, notes: Vec::new() }])
}

fn folder_name(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = full.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    AppName::suggest(name).map(String::from).unwrap_or_default()
}

fn has_flags(args: &Deploy) -> bool {
    args.name.is_some()
        || !args.port.is_empty()
        || !args.env.is_empty()
        || args.replicas.is_some()
        || args.cpu.is_some()
        || args.memory.is_some()
        || !args.storage.is_empty()
        || !args.file.is_empty()
        || args.host.is_some()
        || args.private
        || !args.args.is_empty()
}

/// Flags win over what a file says.
fn apply_flags(draft: &mut Draft, args: &Deploy) -> Result<()> {
    if let Some(name) = &args.name {
        draft.name.clone_from(name);
    }
    if !args.port.is_empty() {
        draft.port = None;
        draft.ports = args.port.iter().map(port).collect();
    }
    draft.env.extend(pairs(&args.env)?.into_iter().map(|(k, v)| (k, EnvValue::Text(v))));
    draft.replicas = args.replicas.or(draft.replicas);
    draft.cpu = args.cpu.or(draft.cpu);
    draft.memory = args.memory.or(draft.memory);
    for text in &args.storage {
        let (path, size) = text
            .rsplit_once(':')
            .with_context(|| format!("--storage {text}: write PATH:SIZE, as in /data:1Gi"))?;
        draft.storage.push(Storage {
            path: path.into(),
            size: Bytes::parse(size).with_context(|| format!("--storage {text}"))?,
        });
    }
    for text in &args.file {
        let (from, path) = text
            .rsplit_once(':')
            .with_context(|| format!("--file {text}: write FILE:PATH, as in ./my.conf:/etc/my.conf"))?;
        let content = std::fs::read_to_string(from).with_context(|| format!("read {from}"))?;
        draft.files.push(ConfigFile { path: path.into(), content });
    }
    if !args.args.is_empty() {
        draft.args.clone_from(&args.args);
    }
    place_ports(draft, args)
}

fn port(arg: &crate::cli::PortArg) -> Port {
    Port { port: arg.port, protocol: arg.protocol, public: true, host: None }
}

fn place_ports(draft: &mut Draft, args: &Deploy) -> Result<()> {
    if (args.private || args.host.is_some())
        && let Some(port) = draft.port.take()
    {
        draft.ports.insert(0, Port { port, protocol: Default::default(), public: true, host: None });
    }
    if args.private {
        draft.ports.iter_mut().for_each(|p| p.public = false);
    }
    if let Some(host) = &args.host {
        let first = draft.ports.first_mut().context("--host needs a port: add --port")?;
        first.host = Some(host.clone());
    }
    Ok(())
}

/// `KEY=VALUE` texts.
pub(crate) fn pairs(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').with_context(|| format!("`{text}` should be KEY=VALUE"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    texts.iter().map(pair).collect()
}

/// A build's directory and details, the directory resolved.
pub(crate) fn build_of(request: &Request) -> Option<(PathBuf, BuildDetails)> {
    let details = BuildDetails::from(request.draft.build.clone()?);
    Some((request.dir.join(&details.context), details))
}

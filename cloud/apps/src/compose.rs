//! Reading requests from files: our `sealos.yaml`, and `compose.yaml` (compose-spec). Pure: text in,
//! drafts out. What a compose file says and an app cannot do is named in a note, never dropped silently.

use std::collections::BTreeMap;

use sealos_kit::names::AppName;
use sealos_kit::quantity::{Bytes, Cpu};
use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::draft::{Build, BuildDetails, Draft, EnvValue, Port, Protocol, Storage};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {at}{message}")]
pub struct BadFile {
    file: String,
    at: String,
    message: String,
}

/// An app out of a compose file.
#[derive(Debug, Clone, PartialEq)]
pub struct ComposeApp {
    /// The request.
    pub draft: Draft,
    /// What the file asks for and is left out.
    pub notes: Vec<String>,
}

/// Reads a `sealos.yaml`.
pub fn read_manifest(file: &str, text: &str) -> Result<Draft, BadFile> {
    decode(file, text)
}

fn decode<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, BadFile> {
    let document = serde_yaml_ng::Deserializer::from_str(text);
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        let at = if path == "." { String::new() } else { format!("`{path}`: ") };
        BadFile { file: file.to_owned(), at, message: error.into_inner().to_string() }
    })
}

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Service {
    image: Option<String>,
    build: Option<ComposeBuild>,
    ports: Vec<Value>,
    expose: Vec<Value>,
    environment: Environment,
    command: Words,
    entrypoint: Words,
    volumes: Vec<Value>,
    deploy: Deploy,
    cpus: Option<Cpu>,
    mem_limit: Option<Bytes>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ComposeBuild {
    Directory(String),
    Detailed {
        #[serde(default)]
        context: Option<String>,
        #[serde(default)]
        dockerfile: Option<String>,
        #[serde(default)]
        target: Option<String>,
        #[serde(default)]
        args: Environment,
    },
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Environment {
    #[default]
    None,
    List(Vec<String>),
    Map(BTreeMap<String, Option<EnvValue>>),
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Words {
    #[default]
    None,
    List(Vec<String>),
    Line(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Deploy {
    replicas: Option<u32>,
    resources: Resources,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Resources {
    limits: Limits,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Limits {
    cpus: Option<Cpu>,
    memory: Option<Bytes>,
}

/// Keys that need no note: they say nothing that an app lacks.
const HARMLESS: [&str; 8] =
    ["restart", "container_name", "depends_on", "networks", "stdin_open", "tty", "init", "labels"];

/// Reads a `compose.yaml`: an app for each service.
pub fn read_compose(file: &str, text: &str) -> Result<Vec<ComposeApp>, BadFile> {
    let compose: Compose = decode(file, text)?;
    compose.services.into_iter().map(|(name, service)| app(file, &name, service)).collect()
}

fn app(file: &str, name: &str, service: Service) -> Result<ComposeApp, BadFile> {
    let bad = |message: String| BadFile { file: file.into(), at: format!("service `{name}`: "), message };
    let app_name = AppName::suggest(name).ok_or_else(|| bad("no app name can be made of this".into()))?;
    let mut notes: Vec<_> = service
        .rest
        .keys()
        .filter(|k| !HARMLESS.contains(&k.as_str()))
        .map(|k| format!("`{k}` is left out"))
        .collect();
    let mut ports = Vec::new();
    for (list, public) in [(&service.ports, true), (&service.expose, false)] {
        for value in list {
            ports.push(
                port(value, public)
                    .ok_or_else(|| bad(format!("the port `{}` is not understood", show(value))))?,
            );
        }
    }
    let storage = service.volumes.iter().filter_map(|v| volume(v, &mut notes)).collect();
    let draft = Draft {
        name: app_name.as_str().to_owned(),
        image: service.image,
        build: service.build.map(build),
        ports,
        replicas: service.deploy.replicas,
        cpu: service.deploy.resources.limits.cpus.or(service.cpus),
        memory: service.deploy.resources.limits.memory.or(service.mem_limit),
        env: variables(service.environment),
        storage,
        command: words(service.entrypoint),
        args: words(service.command),
        ..Draft::default()
    };
    Ok(ComposeApp { draft, notes })
}

fn build(build: ComposeBuild) -> Build {
    match build {
        ComposeBuild::Directory(directory) => Build::Directory(directory),
        ComposeBuild::Detailed { context, dockerfile, target, args } => Build::Detailed(BuildDetails {
            context: context.unwrap_or_else(|| ".".into()),
            dockerfile,
            target,
            args: variables(args).into_iter().filter_map(|(k, v)| Some((k, plain(v)?))).collect(),
        }),
    }
}

fn plain(value: EnvValue) -> Option<String> {
    match value {
        EnvValue::Text(text) => Some(text),
        EnvValue::Number(number) => Some(number.to_string()),
        EnvValue::Bool(flag) => Some(flag.to_string()),
        EnvValue::Secret { .. } | EnvValue::Config { .. } | EnvValue::Field { .. } => None,
    }
}

fn variables(environment: Environment) -> BTreeMap<String, EnvValue> {
    match environment {
        Environment::None => BTreeMap::new(),
        Environment::Map(map) => {
            map.into_iter().map(|(k, v)| (k, v.unwrap_or_else(|| EnvValue::Text(String::new())))).collect()
        }
        Environment::List(list) => list
            .into_iter()
            .map(|line| match line.split_once('=') {
                Some((name, value)) => (name.to_owned(), EnvValue::Text(value.to_owned())),
                None => (line, EnvValue::Text(String::new())),
            })
            .collect(),
    }
}

fn words(words: Words) -> Vec<String> {
    match words {
        Words::None => Vec::new(),
        Words::List(list) => list,
        Words::Line(line) => vec!["/bin/sh".into(), "-c".into(), line],
    }
}

/// `8080`, `"80:8080"`, `"127.0.0.1:80:8080/udp"` or `{target, protocol}`.
fn port(value: &Value, public: bool) -> Option<Port> {
    let (number, protocol) = match value {
        Value::Mapping(map) => {
            (show(map.get("target")?), map.get("protocol").map_or_else(|| "tcp".to_owned(), show))
        }
        other => {
            let text = show(other);
            let (ports, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
            (ports.rsplit(':').next()?.to_owned(), protocol.to_owned())
        }
    };
    let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Http };
    Some(Port { port: number.parse().ok()?, protocol, public, host: None })
}

/// Named volumes become storage of 1 GiB; directories of the machine are left out with a note.
fn volume(value: &Value, notes: &mut Vec<String>) -> Option<Storage> {
    let (source, target) = match value {
        Value::Mapping(map) => (map.get("source").map(show), show(map.get("target")?)),
        other => {
            let text = show(other);
            let mut parts = text.split(':').map(str::to_owned);
            let first = parts.next()?;
            match parts.next() {
                Some(target) => (Some(first), target),
                None => (None, first),
            }
        }
    };
    if source.as_ref().is_some_and(|s| s.starts_with(['.', '/', '~'])) {
        notes.push(format!("the volume `{}` is a directory of one machine and is left out", show(value)));
        return None;
    }
    Some(Storage { path: target, size: Bytes::new(1 << 30) })
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml_ng::to_string(other).unwrap_or_default().trim().to_owned(),
    }
}

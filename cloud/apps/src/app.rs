//! A checked app. There is no other way to get one than through [`App::check`].

use std::collections::{BTreeMap, BTreeSet};

use sealos_kit::names::AppName;
use sealos_kit::quantity::{Bytes, Cpu};

use crate::draft::{Autoscale, ConfigFile, Draft, EnvValue, Port, Protocol, Registry, Storage};
use crate::services::{AppDatabase, BucketDetails, DatabaseDetails, Engine};

const DEFAULT_CPU: Cpu = Cpu::from_millis(200);
/// The smallest share that the kernel hands out.
const MIN_CPU: Cpu = Cpu::from_millis(10);
const DEFAULT_MEMORY: Bytes = Bytes::new(256 << 20);
pub(crate) const MAX_REPLICAS: u32 = 100;
const MAX_STORAGE: Bytes = Bytes::new(1 << 40);
/// With less, no container gets as far as its first instruction.
const MIN_MEMORY: Bytes = Bytes::new(4 << 20);
const MAX_DATABASE_REPLICAS: u32 = 20;
/// A ConfigMap holds 1 MiB in all.
const MAX_FILES: usize = 900 << 10;

/// An app whose request has been checked.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) name: AppName,
    pub(crate) image: String,
    pub(crate) ports: Vec<Port>,
    /// `None` keeps what runs, or one.
    pub(crate) replicas: Option<u32>,
    pub(crate) autoscale: Option<Autoscale>,
    pub(crate) cpu: Cpu,
    pub(crate) memory: Bytes,
    pub(crate) env: BTreeMap<String, EnvValue>,
    pub(crate) files: Vec<ConfigFile>,
    pub(crate) storage: Vec<Storage>,
    pub(crate) database: Option<AppDatabase>,
    pub(crate) bucket: Option<BucketDetails>,
    pub(crate) command: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) registry: Option<Registry>,
    pub(crate) remark: Option<String>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The field, as in `ports[0].port`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// All that is wrong with a request.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", self.text())]
pub struct Invalid(pub Vec<Problem>);

impl Invalid {
    fn text(&self) -> String {
        let lines: Vec<_> = self.0.iter().map(|p| format!("{}: {}", p.field, p.message)).collect();
        lines.join("\n")
    }
}

/// Collects problems, so that a person sees them all at once.
#[derive(Default)]
struct Checker(Vec<Problem>);

impl Checker {
    fn refuse(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }
}

impl App {
    /// Checks a request. `image` is the image to run, which may have been built from `draft.build`.
    pub fn check(draft: Draft) -> Result<Self, Invalid> {
        let mut check = Checker::default();
        let name = AppName::parse(&draft.name).map_err(|e| check.refuse("name", e.to_string())).ok();
        let image = check.image(&draft);
        let ports = check.ports(&draft);
        check.replicas(&draft);
        check.amounts(&draft);
        check.env(&draft.env);
        check.files(&draft.files);
        check.storage(&draft);
        check.registry(draft.registry.as_ref());
        let database = check.database(&draft);
        let bucket = check.bucket(&draft);
        let (Some(name), true) = (name, check.0.is_empty()) else { return Err(Invalid(check.0)) };
        Ok(Self {
            name,
            image,
            ports,
            replicas: draft.replicas,
            autoscale: draft.autoscale,
            cpu: draft.cpu.unwrap_or(DEFAULT_CPU),
            memory: draft.memory.unwrap_or(DEFAULT_MEMORY),
            env: draft.env,
            files: draft.files,
            storage: draft.storage,
            database,
            bucket,
            command: draft.command,
            args: draft.args,
            registry: draft.registry,
            remark: draft.remark,
        })
    }

    /// The app's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether pods keep data of their own.
    pub(crate) fn is_stateful(&self) -> bool {
        !self.storage.is_empty()
    }
}

impl Checker {
    fn image(&mut self, draft: &Draft) -> String {
        let image = draft.image.clone().unwrap_or_default();
        if image.is_empty() {
            self.refuse(
                "image",
                "no image is given; name one, such as `nginx:1.27`, or a directory to build",
            );
        } else if image.chars().any(|c| c.is_whitespace() || c.is_control())
            || image.starts_with(['-', '/', ':', '@'])
        {
            self.refuse("image", format!("`{image}` is not an image name; write for example `nginx:1.27`"));
        } else if let Some(upper) = repository(&image).chars().find(char::is_ascii_uppercase) {
            self.refuse(
                "image",
                format!("`{image}` has the capital letter `{upper}`; image names are lower case"),
            );
        }
        image
    }

    fn ports(&mut self, draft: &Draft) -> Vec<Port> {
        let mut ports = draft.ports.clone();
        if let Some(port) = draft.port
            && !ports.iter().any(|p| p.port == port)
        {
            ports.insert(0, Port { port, protocol: Protocol::Http, public: true, host: None });
        }
        let mut seen = BTreeSet::new();
        for (i, port) in ports.iter().enumerate() {
            if port.port == 0 {
                self.refuse(format!("ports[{i}].port"), "a port is a number from 1 to 65535");
            } else if !seen.insert((port.port, port.protocol.transport())) {
                self.refuse(format!("ports[{i}].port"), format!("port {} is given twice", port.port));
            }
            if let Some(host) = &port.host {
                self.host(&format!("ports[{i}].host"), host, port.protocol);
            }
        }
        ports
    }

    fn host(&mut self, field: &str, host: &str, protocol: Protocol) {
        let label = |l: &str| {
            !l.is_empty()
                && l.len() <= 63
                && !l.starts_with('-')
                && !l.ends_with('-')
                && l.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if !protocol.has_host() {
            self.refuse(
                field,
                "only HTTP, GRPC and WS ports have a host name; TCP and UDP ports get a port number",
            );
        } else if host.len() > 253 || !host.contains('.') || !host.split('.').all(label) {
            self.refuse(field, format!("`{host}` is not a host name such as `shop.example.com`"));
        }
    }

    fn replicas(&mut self, draft: &Draft) {
        if draft.replicas.is_some_and(|n| n > MAX_REPLICAS) {
            self.refuse("replicas", format!("at most {MAX_REPLICAS} replicas can be asked for"));
        }
        let Some(auto) = &draft.autoscale else { return };
        if auto.min == 0 || auto.max < auto.min || auto.max > MAX_REPLICAS {
            self.refuse(
                "autoscale",
                format!("min must be at least 1, max at least min and at most {MAX_REPLICAS}"),
            );
        }
        if !(1..=100).contains(&auto.percent) {
            self.refuse("autoscale.percent", "the target is a percentage from 1 to 100");
        }
        if draft.replicas.is_some() {
            self.refuse("replicas", "give either `replicas` or `autoscale`, not both");
        }
    }

    fn amounts(&mut self, draft: &Draft) {
        if draft.memory.is_some_and(|m| m < MIN_MEMORY) {
            self.refuse("memory", format!("a container needs {MIN_MEMORY} at least; write for example 64Mi"));
        }
        if draft.cpu.is_some_and(|c| c < MIN_CPU) {
            self.refuse("cpu", format!("a container needs {MIN_CPU} at least; write for example 200m"));
        }
    }

    fn env(&mut self, env: &BTreeMap<String, EnvValue>) {
        for (name, value) in env {
            let field = format!("env.{name}");
            if name.is_empty()
                || name.contains('=')
                || name.chars().any(|c| c.is_control() || c.is_whitespace())
            {
                self.refuse(&field, "a variable's name has no spaces and no `=`");
            }
            if let EnvValue::Secret { secret: source } | EnvValue::Config { config: source } = value
                && source.split_once('/').is_none_or(|(name, key)| name.is_empty() || key.is_empty())
            {
                self.refuse(&field, format!("`{source}` should be `name/key`"));
            }
        }
    }

    fn files(&mut self, files: &[ConfigFile]) {
        let mut seen = BTreeSet::new();
        for (i, file) in files.iter().enumerate() {
            self.path(&format!("files[{i}].path"), &file.path);
            if !seen.insert(file_key(&file.path)) {
                self.refuse(format!("files[{i}].path"), format!("`{}` is given twice", file.path));
            }
        }
        if files.iter().map(|f| f.content.len()).sum::<usize>() > MAX_FILES {
            self.refuse("files", "all files together may have 900 KiB; use storage for more");
        }
    }

    fn storage(&mut self, draft: &Draft) {
        let mut seen = BTreeSet::new();
        for (i, volume) in draft.storage.iter().enumerate() {
            self.path(&format!("storage[{i}].path"), &volume.path);
            if !seen.insert(file_key(&volume.path)) {
                self.refuse(format!("storage[{i}].path"), format!("`{}` is given twice", volume.path));
            }
            if volume.size > MAX_STORAGE {
                self.refuse(format!("storage[{i}].size"), format!("at most {MAX_STORAGE} can be asked for"));
            }
        }
    }

    fn path(&mut self, field: &str, path: &str) {
        if !path.starts_with('/')
            || path.trim_end_matches('/').is_empty()
            || path.split('/').any(|part| part == "..")
        {
            self.refuse(field, format!("`{path}` should be an absolute path such as `/data`"));
        } else if path.contains(':') || path.chars().any(char::is_control) {
            self.refuse(field, format!("`{path}` has a character that a path here cannot have"));
        }
    }

    fn registry(&mut self, registry: Option<&Registry>) {
        if registry.is_some_and(|r| r.username.is_empty() || r.password.is_empty()) {
            self.refuse("registry", "a private registry needs a user name and a password");
        }
    }
}

impl Checker {
    fn database(&mut self, draft: &Draft) -> Option<AppDatabase> {
        let asked = DatabaseDetails::from(draft.database.clone()?);
        let name = asked.name.clone().unwrap_or_else(|| format!("{}-db", draft.name));
        if asked.name.is_some()
            && let Err(error) = AppName::parse(&name)
        {
            self.refuse("database.name", error.to_string().replace("app name", "database name"));
        }
        if asked.replicas == Some(0) {
            self.refuse("database.replicas", "a database needs one replica at least");
        }
        if asked.replicas.is_some_and(|n| n > MAX_DATABASE_REPLICAS) {
            let most = format!("a database has at most {MAX_DATABASE_REPLICAS} replicas");
            self.refuse("database.replicas", most);
        }
        if asked.version.as_ref().is_some_and(|v| !v.starts_with(|c: char| c.is_ascii_digit())) {
            self.refuse("database.version", "a version is a number such as `16` or `16.4.0`");
        }
        let engine = Engine::of(&asked.engine);
        if engine.is_none() {
            let message = format!("`{}` is no engine; take one of {}", asked.engine, Engine::known());
            self.refuse("database.engine", message);
        }
        Some(AppDatabase { engine: engine?, name, asked })
    }

    fn bucket(&mut self, draft: &Draft) -> Option<BucketDetails> {
        let bucket = BucketDetails::from(draft.bucket.clone()?);
        if let Err(error) = AppName::parse(&bucket.name) {
            self.refuse("bucket.name", error.to_string().replace("app name", "bucket name"));
        }
        Some(bucket)
    }
}

/// An image's name without its tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// The ConfigMap key, volume name and claim name of a path: `/etc/a.conf` is `vn-etcvn-avn-conf`.
pub(crate) fn file_key(path: &str) -> String {
    let key: String = path
        .trim_end_matches('/')
        .to_ascii_lowercase()
        .chars()
        .map(|c| match c {
            '/' | '.' => "vn-".to_owned(),
            c if c.is_ascii_alphanumeric() => c.to_string(),
            _ => "-".to_owned(),
        })
        .collect();
    let tail = &key[key.len().saturating_sub(63)..];
    tail.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{App, file_key};
    use crate::draft::{Draft, Port, Protocol};
    use sealos_kit::quantity::{Bytes, Cpu};

    #[test]
    fn a_path_becomes_a_key() {
        assert_eq!(file_key("/etc/a.conf"), "vn-etcvn-avn-conf");
        assert_eq!(file_key("/data/"), "vn-data");
        assert_eq!(file_key("/x_y"), "vn-x-y");
    }

    #[test]
    fn names_every_problem_at_once() {
        let draft = Draft {
            name: "Bad Name".into(),
            image: Some("NGINX".into()),
            port: Some(0),
            ports: vec![Port {
                port: 53,
                protocol: Protocol::Udp,
                public: true,
                host: Some("a.example.com".into()),
            }],
            memory: Some(Bytes::new(1)),
            cpu: Some(Cpu::from_millis(1)),
            ..Draft::default()
        };
        let problems = App::check(draft).expect_err("six problems").0;
        let fields: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["name", "image", "ports[0].port", "ports[1].host", "memory", "cpu"]);
    }
}

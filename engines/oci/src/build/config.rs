//! The configuration of the image being built, as JSON: fields nobody here knows stay as they are.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::instruction::{Command, Healthcheck};
use crate::Error;
use crate::store::{LayerRecord, platform_architecture};

const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// An image configuration in the making.
#[derive(Debug, Clone)]
pub(super) struct Config {
    document: Map<String, Value>,
    /// The part that says how to run it.
    config: Map<String, Value>,
    history: Vec<Value>,
    created: Option<String>,
    /// Whether this stage itself set `CMD`: a new entry point forgets an inherited one.
    own_cmd: bool,
}

impl Config {
    pub(super) fn scratch() -> Self {
        Self { document: Map::new(), config: Map::new(), history: Vec::new(), created: None, own_cmd: false }
    }

    /// Goes on from an image's configuration.
    pub(super) fn from_image(bytes: &[u8]) -> Result<Self, Error> {
        let mut document: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|e| Error::malformed("the base image's configuration", e))?;
        let history = match document.remove("history") {
            Some(Value::Array(history)) => history,
            _ => Vec::new(),
        };
        let config = match document.remove("config") {
            Some(Value::Object(config)) => config,
            _ => Map::new(),
        };
        let created = document.get("created").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { document, config, history, created, own_cmd: false })
    }

    /// A later stage that starts from this one inherits everything, as from an image.
    pub(super) fn inherited(&self) -> Self {
        Self { own_cmd: false, ..self.clone() }
    }

    pub(super) fn env(&self) -> Vec<(String, String)> {
        let pair = |value: &Value| {
            let (key, value) = value.as_str()?.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        };
        self.list("Env").iter().filter_map(pair).collect()
    }

    pub(super) fn set_env(&mut self, key: &str, value: &str) {
        let mut env = self.env();
        match env.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => value.clone_into(old),
            None => env.push((key.to_owned(), value.to_owned())),
        }
        let env: Vec<String> = env.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.set("Env", json!(env));
    }

    pub(super) fn user(&self) -> String {
        self.text("User")
    }

    pub(super) fn set_user(&mut self, user: &str) {
        self.set("User", json!(user));
    }

    pub(super) fn workdir(&self) -> String {
        let dir = self.text("WorkingDir");
        if dir.is_empty() { "/".to_owned() } else { dir }
    }

    pub(super) fn set_workdir(&mut self, dir: &str) {
        self.set("WorkingDir", json!(dir));
    }

    pub(super) fn shell(&self) -> Vec<String> {
        let shell: Vec<String> =
            self.list("Shell").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if shell.is_empty() { DEFAULT_SHELL.map(str::to_owned).into() } else { shell }
    }

    pub(super) fn set_shell(&mut self, shell: &[String]) {
        self.set("Shell", json!(shell));
    }

    pub(super) fn set_cmd(&mut self, command: &Command) {
        self.own_cmd = true;
        let args = self.argv(command);
        self.set("Cmd", json!(args));
    }

    pub(super) fn set_entrypoint(&mut self, command: &Command) {
        let args = self.argv(command);
        self.set("Entrypoint", json!(args));
        if !self.own_cmd {
            self.set("Cmd", Value::Null);
        }
    }

    /// What a command means on its own: the shell form brings the shell.
    pub(super) fn argv(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(args) => args.clone(),
            Command::Shell(line) => self.shell().into_iter().chain([line.clone()]).collect(),
        }
    }

    pub(super) fn set_label(&mut self, key: &str, value: &str) {
        self.entry("Labels", key, json!(value));
    }

    pub(super) fn add_volume(&mut self, path: &str) {
        self.entry("Volumes", path, json!({}));
    }

    pub(super) fn expose(&mut self, port: &str) {
        self.entry("ExposedPorts", port, json!({}));
    }

    pub(super) fn set_stop_signal(&mut self, signal: &str) {
        self.set("StopSignal", json!(signal));
    }

    pub(super) fn set_author(&mut self, author: &str) {
        self.document.insert("author".into(), json!(author));
    }

    pub(super) fn set_healthcheck(&mut self, check: Option<&Healthcheck>) {
        let Some(check) = check else { return self.set("Healthcheck", json!({"Test": ["NONE"]})) };
        let test: Vec<String> = match &check.command {
            Command::Exec(args) => [&["CMD".to_owned()], args.as_slice()].concat(),
            Command::Shell(line) => vec!["CMD-SHELL".into(), line.clone()],
        };
        let mut value = Map::from_iter([("Test".to_owned(), json!(test))]);
        for (name, time) in &check.times {
            value.insert((*name).to_owned(), json!(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)));
        }
        if let Some(retries) = check.retries {
            value.insert("Retries".into(), json!(retries));
        }
        self.set("Healthcheck", Value::Object(value));
    }

    /// Triggers of the base image that a build would have to run.
    pub(super) fn has_triggers(&self) -> bool {
        !self.list("OnBuild").is_empty()
    }

    /// Notes what an instruction did. `created` is when its layer was made.
    pub(super) fn record(&mut self, created_by: &str, created: Option<&str>, is_layer: bool) {
        if let Some(created) = created {
            self.created = Some(created.to_owned());
        }
        let mut entry = json!({"created_by": created_by, "comment": "sealos build"});
        if let Some(created) = &self.created {
            entry["created"] = json!(created);
        }
        if !is_layer {
            entry["empty_layer"] = json!(true);
        }
        self.history.push(entry);
    }

    /// The finished document, for these layers.
    pub(super) fn finish(&self, layers: &[LayerRecord]) -> Result<Vec<u8>, Error> {
        let mut document = self.document.clone();
        document.entry("architecture").or_insert_with(|| json!(platform_architecture()));
        document.entry("os").or_insert_with(|| json!("linux"));
        if let Some(created) = &self.created {
            document.insert("created".into(), json!(created));
        }
        document.insert("config".into(), json!(self.config));
        let ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        document.insert("rootfs".into(), json!({"type": "layers", "diff_ids": ids}));
        document.insert("history".into(), json!(self.history));
        serde_json::to_vec(&document).map_err(|e| Error::malformed("the image's configuration", e))
    }

    /// All variables that `ENV` set, by name.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        self.env().into_iter().collect()
    }

    fn list(&self, key: &str) -> &[Value] {
        self.config.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn text(&self, key: &str) -> String {
        self.config.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn set(&mut self, key: &str, value: Value) {
        self.config.insert(key.to_owned(), value);
    }

    fn entry(&mut self, map: &str, key: &str, value: Value) {
        let map = self.config.entry(map).or_insert_with(|| json!({}));
        if !map.is_object() {
            *map = json!({});
        }
        if let Some(map) = map.as_object_mut() {
            map.insert(key.to_owned(), value);
        }
    }
}

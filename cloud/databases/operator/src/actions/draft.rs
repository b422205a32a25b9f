//! What a person asks for, and the Cluster it becomes. Pure.

use std::collections::BTreeMap;

use sealos_db_engines::{Engine, Version, engine, names};
use sealos_kit::quantity::{Bytes, Cpu};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Error;
use crate::model::{API_VERSION, DEFINITION_LABEL, FINALIZER, PARAMETERS, TIME_ZONE, VERSION_LABEL};

/// The most replicas.
pub const MAX_REPLICAS: u32 = 20;
const CPU: (Cpu, Cpu) = (Cpu::from_millis(100), Cpu::from_millis(64_000));
const MEMORY: (Bytes, Bytes) = (Bytes::new(128 << 20), Bytes::new(512 << 30));
const STORAGE: (Bytes, Bytes) = (Bytes::new(512 << 20), Bytes::new(16 << 40));

/// A request for a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// `postgres`, `mysql`, `mariadb`, `redis`, `mongodb`, or a name they also have.
    pub engine: String,
    /// `16`, `16.4.0`; the newest if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many copies; 1 if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The most CPU of each; the engine's usual if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// The most memory of each; the engine's usual if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// How much each stores; the engine's usual if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Bytes>,
    /// Whether a commit waits for a replica.
    pub sync: bool,
    /// Backups by a schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Schedule>,
    /// Parameters of the engine.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// When backups are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// Five fields of cron.
    pub cron: String,
    /// How long they are kept, as in `7d`.
    #[serde(default = "week")]
    pub keep: String,
    /// The time zone of `cron`; UTC if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

fn week() -> String {
    "7d".into()
}

/// A request that has been checked, as the object it becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The name.
    pub name: String,
    /// The Cluster.
    pub cluster: Value,
}

impl Draft {
    /// Checks everything and names every problem at once.
    pub fn check(self) -> Result<Checked, Error> {
        let mut problems = Vec::new();
        problems.extend(name_problem(&self.name));
        let engine = engine::find(&self.engine).map_err(|e| problems.push(e.to_string())).ok();
        let version = engine.map(|engine| engine.version(self.version.as_deref().unwrap_or_default()));
        let version = version.and_then(|v| v.map_err(|e| problems.push(e.to_string())).ok());
        if let Some(engine) = engine {
            let refused = engine.check_parameters(&self.parameters).err().unwrap_or_default();
            problems.extend(refused.iter().map(ToString::to_string));
            problems.extend(memory_problem(engine, self.memory));
        }
        let replicas = self.replicas.unwrap_or(1);
        problems.extend(replicas_problem(replicas));
        problems.extend(size_problems(self.cpu, self.memory, self.storage));
        if self.sync && replicas < 2 {
            problems.push(
                "with `sync` a commit waits for a replica, so there must be at least 2 replicas".into(),
            );
        }
        match version {
            Some(version) if problems.is_empty() => {
                Ok(Checked { cluster: self.cluster(&version), name: self.name })
            }
            _ => Err(Error::Invalid { problems }),
        }
    }

    fn cluster(&self, version: &Version) -> Value {
        let engine = version.engine();
        let definition = engine.definitions.first().copied().unwrap_or(engine.name);
        let mut annotations = json!({});
        if self.sync {
            annotations[names::REPLICATION] = json!("sync");
        }
        if !self.parameters.is_empty() {
            annotations[PARAMETERS] = json!(json!(self.parameters).to_string());
        }
        let mut spec = json!({
            "clusterDefinitionRef": definition,
            "clusterVersionRef": version.kubeblocks_name(),
            "terminationPolicy": "Delete",
            "affinity": { "podAntiAffinity": "Preferred", "tenancy": "SharedNode" },
            "componentSpecs": [self.component(engine)],
        });
        if let Some(backup) = &self.backup {
            spec["backup"] = json!({ "enabled": true, "cronExpression": backup.cron,
                "retentionPeriod": backup.keep, "pitrEnabled": true });
            if let Some(zone) = &backup.time_zone {
                annotations[TIME_ZONE] = json!(zone);
            }
        }
        json!({
            "apiVersion": API_VERSION,
            "kind": "Cluster",
            "metadata": {
                "name": self.name,
                "labels": { DEFINITION_LABEL: definition, VERSION_LABEL: version.kubeblocks_name() },
                "annotations": annotations,
                "finalizers": [FINALIZER],
            },
            "spec": spec,
        })
    }

    fn component(&self, engine: &Engine) -> Value {
        let usual = engine.sizes;
        let cpu = self.cpu.or_else(|| Cpu::parse(usual.cpu).ok()).unwrap_or(CPU.0);
        let memory = self.memory.or_else(|| Bytes::parse(usual.memory).ok()).unwrap_or(MEMORY.0);
        let storage = self.storage.or_else(|| Bytes::parse(usual.storage).ok()).unwrap_or(STORAGE.0);
        json!({
            "componentDefRef": engine.component,
            "name": engine.component,
            "replicas": self.replicas.unwrap_or(1),
            "resources": resources(cpu, memory),
            "switchPolicy": { "type": "Noop" },
            "volumeClaimTemplates": [{ "name": "data", "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": storage } },
            } }],
        })
    }
}

/// Limits, and requests of a tenth.
pub(crate) fn resources(cpu: Cpu, memory: Bytes) -> Value {
    json!({ "limits": { "cpu": cpu, "memory": memory }, "requests": requests(cpu, memory) })
}

/// A tenth of the limits.
pub(crate) fn requests(cpu: Cpu, memory: Bytes) -> Value {
    json!({ "cpu": Cpu::from_millis(cpu.millis() / 10), "memory": Bytes::new(memory.get() / 10) })
}

fn name_problem(name: &str) -> Option<String> {
    sealos_kit::names::AppName::parse(name)
        .err()
        .map(|problem| problem.to_string().replace("app name", "database name"))
}

/// The engine does not start with so little.
pub(crate) fn memory_problem(engine: &Engine, memory: Option<Bytes>) -> Option<String> {
    let least = Bytes::new(engine.sizes.least_memory);
    let memory = memory.filter(|m| *m < least)?;
    Some(format!("{} needs at least {least} of memory, not {memory}", engine.title))
}

pub(crate) fn replicas_problem(replicas: u32) -> Option<String> {
    (!(1..=MAX_REPLICAS).contains(&replicas))
        .then(|| format!("the number of replicas must be from 1 to {MAX_REPLICAS}, not {replicas}; `stop` keeps the data without any"))
}

pub(crate) fn size_problems(cpu: Option<Cpu>, memory: Option<Bytes>, storage: Option<Bytes>) -> Vec<String> {
    let outside = |what: &str, given: String, least: String, most: String| {
        format!("{given} of {what} cannot be had; it must be from {least} to {most}")
    };
    let mut problems = Vec::new();
    if let Some(cpu) = cpu.filter(|c| !(CPU.0..=CPU.1).contains(c)) {
        problems.push(outside("CPU", cpu.to_string(), CPU.0.to_string(), CPU.1.to_string()));
    }
    if let Some(memory) = memory.filter(|m| !(MEMORY.0..=MEMORY.1).contains(m)) {
        problems.push(outside("memory", memory.to_string(), MEMORY.0.to_string(), MEMORY.1.to_string()));
    }
    if let Some(storage) = storage.filter(|s| !(STORAGE.0..=STORAGE.1).contains(s)) {
        problems.push(outside("storage", storage.to_string(), STORAGE.0.to_string(), STORAGE.1.to_string()));
    }
    problems
}

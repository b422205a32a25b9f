//! What a Cluster asks for, read from the shapes of KubeBlocks 0.8 (definition, version, componentDefRef)
//! and 0.9 (componentDef, serviceVersion, topology). Pure; the reason of a refusal is for the user.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt as _;
use sealos_db_engines::parameters::Checked;
use sealos_db_engines::{Engine, Version, engine, names};
use sealos_kit::quantity::{Bytes, Cpu};
use serde_json::{Value, json};

use crate::model::{API_VERSION, ARCHIVE, Cluster, ComponentSpec, PARAMETERS, RESTARTED_AT, Resources};

/// A database that can be had. There is no other way to get one than from a Cluster.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) engine: &'static Engine,
    pub(crate) version: Version,
    pub(crate) component: String,
    pub(crate) replicas: i32,
    pub(crate) cpu: Cpu,
    pub(crate) memory: Bytes,
    pub(crate) requests: (Cpu, Bytes),
    pub(crate) storage: Bytes,
    pub(crate) storage_class: Option<String>,
    pub(crate) affinity: Option<Value>,
    pub(crate) node_selector: Option<Value>,
    pub(crate) tolerations: Vec<Value>,
    pub(crate) sync: bool,
    pub(crate) parameters: Checked,
    /// Whether finished log segments are kept for an archive.
    pub(crate) archive: bool,
    pub(crate) restarted_at: Option<String>,
    /// Whether its data is still to come from a backup.
    pub(crate) restoring: bool,
    /// Components that are accepted and need no pods.
    pub(crate) idle: Vec<String>,
}

/// What becomes of the data when a Cluster is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// It cannot be deleted.
    DoNotTerminate,
    /// Volumes and credentials stay.
    Halt,
    /// Volumes go, backups stay.
    Delete,
    /// All goes.
    WipeOut,
}

impl Policy {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        match cluster.spec.termination_policy.as_deref() {
            Some("DoNotTerminate") => Self::DoNotTerminate,
            Some("Halt") => Self::Halt,
            Some("WipeOut") => Self::WipeOut,
            _ => Self::Delete,
        }
    }
}

impl Wanted {
    /// Reads a Cluster, or says why it cannot be had.
    pub(crate) fn of(cluster: &Cluster) -> Result<Self, String> {
        let (idle, main): (Vec<_>, Vec<_>) =
            cluster.spec.component_specs.iter().partition(|c| needs_no_pods(c));
        let [component] = main.as_slice() else { return Err(not_one(&main)) };
        let engine = engine_of(cluster, component)?;
        let version = version_of(cluster, component, engine)?;
        let limits = &component.resources.limits;
        let usual = Sizes::of(engine)?;
        let cpu = cpu_of(limits, "limits")?.unwrap_or(usual.cpu);
        let memory = bytes_of(limits, "memory")?.unwrap_or(usual.memory);
        if memory.get() < engine.sizes.least_memory {
            let least = Bytes::new(engine.sizes.least_memory);
            return Err(format!(
                "{} needs at least {least} of memory, and its limit is {memory}",
                engine.title
            ));
        }
        let tenth = (Cpu::from_millis(cpu.millis() / 10), Bytes::new(memory.get() / 10));
        let asked = &component.resources.requests;
        let requests =
            (cpu_of(asked, "requests")?.unwrap_or(tenth.0), bytes_of(asked, "memory")?.unwrap_or(tenth.1));
        let volume = component.volume_claim_templates.iter().find(|v| v.name == "data");
        let volume = volume.or_else(|| component.volume_claim_templates.first());
        let asked = volume.map(|v| &v.spec.resources).map_or(Ok(None), storage_of)?;
        let affinity = component.affinity.as_ref().or(cluster.spec.affinity.as_ref());
        let tolerations =
            if component.tolerations.is_empty() { &cluster.spec.tolerations } else { &component.tolerations };
        let annotations = cluster.annotations();
        Ok(Self {
            name: cluster.name_any(),
            namespace: cluster.namespace().unwrap_or_default(),
            uid: cluster.uid().unwrap_or_default(),
            engine,
            version,
            component: component.name.clone(),
            replicas: component.replicas.unwrap_or(1),
            cpu,
            memory,
            requests,
            storage: asked.unwrap_or(usual.storage),
            storage_class: volume.and_then(|v| v.spec.storage_class_name.clone()),
            affinity: affinity.and_then(|a| anti_affinity(a, &cluster.name_any(), &component.name)),
            node_selector: affinity.map(|a| a["nodeLabels"].clone()).filter(Value::is_object),
            tolerations: tolerations.clone(),
            sync: annotations.get(names::REPLICATION).is_some_and(|mode| mode == "sync"),
            parameters: parameters_of(annotations, engine)?,
            archive: archives(cluster, engine),
            restarted_at: annotations.get(RESTARTED_AT).cloned(),
            restoring: annotations.contains_key(names::RESTORE_FROM)
                && !annotations.contains_key(names::RESTORED_AT),
            idle: idle.iter().map(|c| c.name.clone()).collect(),
        })
    }

    /// The name of the StatefulSet.
    pub(crate) fn workload(&self) -> String {
        names::workload(&self.name, &self.component)
    }

    /// The name of a pod.
    pub(crate) fn pod(&self, ordinal: i32) -> String {
        format!("{}-{ordinal}", self.workload())
    }

    /// What all its objects carry.
    pub(crate) fn labels(&self) -> Value {
        json!({
            names::INSTANCE: self.name,
            names::MANAGED_BY: names::KUBEBLOCKS,
            names::ENGINE: self.engine.name,
            names::COMPONENT: self.component,
        })
    }

    /// What its pods are found by.
    pub(crate) fn selector(&self) -> Value {
        json!({
            names::INSTANCE: self.name,
            names::MANAGED_BY: names::KUBEBLOCKS,
            names::COMPONENT: self.component,
        })
    }

    /// The reference by which its objects go when it goes.
    pub(crate) fn owner(&self) -> Value {
        json!([{
            "apiVersion": API_VERSION, "kind": "Cluster", "name": self.name, "uid": self.uid,
            "controller": true, "blockOwnerDeletion": true,
        }])
    }
}

/// Parts that other products need and this one does not: failover is ours, and metrics come from scripts.
fn needs_no_pods(component: &ComponentSpec) -> bool {
    let what = component.component_def.as_ref().or(component.component_def_ref.as_ref());
    engine::is_companion(what.unwrap_or(&component.name))
}

fn not_one(main: &[&ComponentSpec]) -> String {
    if main.is_empty() {
        return "it has no component; name one in spec.componentSpecs".into();
    }
    let all: Vec<_> = main.iter().map(|c| c.name.as_str()).collect();
    format!("its components {} cannot be run together here; one engine a Cluster", all.join(", "))
}

fn engine_of(cluster: &Cluster, component: &ComponentSpec) -> Result<&'static Engine, String> {
    let named =
        [&cluster.spec.cluster_definition_ref, &component.component_def, &component.component_def_ref];
    let named: Vec<_> = named.into_iter().flatten().filter(|n| !n.is_empty()).collect();
    let first = named.first().ok_or("it names no engine; set spec.clusterDefinitionRef or componentDef")?;
    let found = named.iter().find_map(|name| engine::find(name).ok());
    found.map_or_else(|| engine::find(first).map_err(|error| error.to_string()), Ok)
}

fn version_of(
    cluster: &Cluster,
    component: &ComponentSpec,
    engine: &'static Engine,
) -> Result<Version, String> {
    let written = component.service_version.as_deref().filter(|v| !v.is_empty());
    let written = written.or(cluster.spec.cluster_version_ref.as_deref());
    engine.version(written.unwrap_or_default()).map_err(|error| error.to_string())
}

/// What a new database gets if nothing is said.
pub(crate) struct Sizes {
    pub(crate) cpu: Cpu,
    pub(crate) memory: Bytes,
    pub(crate) storage: Bytes,
}

impl Sizes {
    pub(crate) fn of(engine: &Engine) -> Result<Self, String> {
        let usual = engine.sizes;
        Ok(Self {
            cpu: Cpu::parse(usual.cpu).map_err(|e| e.to_string())?,
            memory: Bytes::parse(usual.memory).map_err(|e| e.to_string())?,
            storage: Bytes::parse(usual.storage).map_err(|e| e.to_string())?,
        })
    }
}

/// Whether somebody wants the logs: a schedule with points in time, or the backups by an annotation.
fn archives(cluster: &Cluster, engine: &Engine) -> bool {
    let scheduled =
        cluster.spec.backup.as_ref().is_some_and(|b| b["enabled"] == true && b["pitrEnabled"] != false);
    let asked = cluster.annotations().get(ARCHIVE).is_some_and(|on| on == "on");
    engine.log_archive && (scheduled || asked)
}

fn cpu_of(amounts: &BTreeMap<String, Quantity>, what: &str) -> Result<Option<Cpu>, String> {
    let read = |q: &Quantity| Cpu::parse(&q.0).map_err(|e| format!("resources.{what}.cpu: {e}"));
    amounts.get("cpu").map(read).transpose()
}

fn bytes_of(amounts: &BTreeMap<String, Quantity>, what: &str) -> Result<Option<Bytes>, String> {
    let read = |q: &Quantity| Bytes::parse(&q.0).map_err(|e| format!("{what}: {e}"));
    amounts.get(what).map(read).transpose()
}

fn storage_of(resources: &Resources) -> Result<Option<Bytes>, String> {
    bytes_of(&resources.requests, "storage")
}

fn parameters_of(annotations: &BTreeMap<String, String>, engine: &Engine) -> Result<Checked, String> {
    let Some(text) = annotations.get(PARAMETERS) else { return Ok(Checked::default()) };
    let given = serde_json::from_str(text)
        .map_err(|e| format!("the annotation {PARAMETERS} is no JSON object of texts: {e}"))?;
    engine
        .check_parameters(&given)
        .map_err(|refused| refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// KubeBlocks' short form, as Kubernetes has it.
fn anti_affinity(asked: &Value, cluster: &str, component: &str) -> Option<Value> {
    let labels = json!({ "matchLabels": { names::INSTANCE: cluster, names::COMPONENT: component } });
    let keys: Vec<_> =
        asked["topologyKeys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let keys = if keys.is_empty() { vec!["kubernetes.io/hostname"] } else { keys };
    let term = |key: &&str| json!({ "labelSelector": labels, "topologyKey": key });
    match asked["podAntiAffinity"].as_str() {
        Some("Required") => {
            let terms: Vec<_> = keys.iter().map(term).collect();
            Some(json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": terms } }))
        }
        Some("Preferred") => {
            let terms: Vec<_> =
                keys.iter().map(|key| json!({ "weight": 100, "podAffinityTerm": term(key) })).collect();
            Some(json!({ "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": terms } }))
        }
        _ => None,
    }
}

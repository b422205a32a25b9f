//! What backups need to know of a Cluster. Pure.

use jiff::Timestamp;
use kube::ResourceExt as _;
use sealos_db_engines::names as db;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kinds::Cluster;
use crate::names;

/// An engine as backups see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Engine {
    /// Its name.
    pub(crate) name: &'static str,
    /// The methods by which KubeBlocks' tools ask; all do what `backup.sh` does.
    pub(crate) methods: &'static [&'static str],
    /// Whether its log can be archived.
    pub(crate) logs: bool,
    /// Whether any replica's backup fits the primary's log.
    pub(crate) from_replica: bool,
    /// Whether the files fit only a server of the same major version.
    pub(crate) same_major: bool,
}

const ENGINES: [Engine; 5] = [
    Engine {
        name: "postgresql",
        methods: &["pg-basebackup"],
        logs: true,
        from_replica: true,
        same_major: true,
    },
    Engine { name: "mysql", methods: &["xtrabackup"], logs: true, from_replica: false, same_major: false },
    Engine { name: "mariadb", methods: &["xtrabackup"], logs: true, from_replica: false, same_major: false },
    Engine { name: "redis", methods: &["datafile"], logs: false, from_replica: true, same_major: false },
    Engine {
        name: "mongodb",
        methods: &["datafile", "dump"],
        logs: false,
        from_replica: true,
        same_major: false,
    },
];

impl Engine {
    /// The engine that a `clusterDefinitionRef`, `componentDef` or label names.
    pub(crate) fn find(definition: &str) -> Option<Self> {
        let plain = definition.trim_start_matches("apecloud-").trim_start_matches("ac-");
        let known = ENGINES.iter().find(|e| plain.starts_with(e.name)).copied();
        known.or_else(|| plain.starts_with("valkey").then_some(ENGINES[3]))
    }
}

/// What a Cluster is restored from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RestoreFrom {
    /// The Backup.
    pub(crate) name: String,
    /// Its workspace; the Cluster's own if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// The moment, RFC 3339; the backup's own end if it is missing, the end of the log for `latest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restore_time: Option<String>,
}

/// `Cluster.spec.backup`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Wish {
    pub(crate) enabled: bool,
    pub(crate) cron_expression: String,
    pub(crate) method: String,
    pub(crate) retention_period: String,
    pub(crate) repo_name: String,
    pub(crate) pitr_enabled: Option<bool>,
    pub(crate) time_zone: String,
}

/// A Cluster as backups see it.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) component: String,
    pub(crate) engine: Engine,
    pub(crate) version: String,
    pub(crate) wish: Wish,
    pub(crate) time_zone: Option<String>,
    pub(crate) restore_from: Option<RestoreFrom>,
    pub(crate) restored_at: Option<Timestamp>,
    pub(crate) is_drill: bool,
    pub(crate) drills_off: bool,
    pub(crate) drill_requested: Option<Timestamp>,
    pub(crate) last_drill: Option<Timestamp>,
    pub(crate) is_going: bool,
    pub(crate) snapshot: Value,
}

impl View {
    /// Reads a Cluster; `None` if its engine has no backups.
    pub(crate) fn of(cluster: &Cluster) -> Option<Self> {
        let spec = &cluster.spec;
        let component = main_component(spec)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let definition = [
            text(&spec["clusterDefinitionRef"]),
            text(&component["componentDef"]),
            text(&component["componentDefRef"]),
        ];
        let engine = definition.iter().find_map(|d| Engine::find(d))?;
        let name = text(&component["name"]);
        let annotation = |key: &str| cluster.annotations().get(key).cloned();
        let time = |key: &str| annotation(key).and_then(|t| t.parse().ok());
        let last_drill = annotation(names::LAST_DRILL)
            .and_then(|text| serde_json::from_str::<crate::kinds::Drill>(&text).ok())
            .and_then(|drill| drill.started_at.parse().ok());
        let wish: Wish = serde_json::from_value(spec["backup"].clone()).unwrap_or_default();
        let zone = Some(wish.time_zone.clone()).filter(|zone| !zone.is_empty());
        Some(Self {
            namespace: cluster.namespace().unwrap_or_default(),
            name: cluster.name_any(),
            uid: cluster.uid().unwrap_or_default(),
            restore_from: annotation(db::RESTORE_FROM).and_then(|text| restore_from(&text, &name)),
            component: name,
            engine,
            version: version(spec, component),
            wish,
            time_zone: zone.or_else(|| annotation(names::TIME_ZONE)),
            restored_at: time(db::RESTORED_AT),
            is_drill: cluster.labels().get(names::DRILL).is_some_and(|v| v == "true"),
            drills_off: annotation(names::DRILLS).is_some_and(|v| v == "off"),
            drill_requested: time(names::DRILL_REQUESTED),
            last_drill,
            is_going: cluster.metadata.deletion_timestamp.is_some(),
            snapshot: snapshot(cluster),
        })
    }

    /// Whether its log is archived.
    pub(crate) fn archives(&self) -> bool {
        let wanted = self.wish.enabled && self.wish.pitr_enabled.unwrap_or(true);
        wanted && self.engine.logs && !self.is_drill && !self.is_going && !self.waits()
    }

    /// Whether it waits for its data.
    pub(crate) fn waits(&self) -> bool {
        self.restore_from.is_some() && self.restored_at.is_none()
    }

    /// The method that is meant, if the engine has it.
    pub(crate) fn method(&self, asked: &str) -> Option<&'static str> {
        match asked {
            "" => self.engine.methods.first().copied(),
            asked => self.engine.methods.iter().find(|m| **m == asked).copied(),
        }
    }
}

/// The component with the data: the first that is no helper.
fn main_component(spec: &Value) -> Option<&Value> {
    let all = spec["componentSpecs"].as_array()?;
    let helper = |c: &&Value| c["name"].as_str().is_none_or(|n| n.contains("sentinel"));
    all.iter().find(|c| !helper(c))
}

fn version(spec: &Value, component: &Value) -> String {
    let asked = [&component["serviceVersion"], &spec["clusterVersionRef"], &component["componentDef"]];
    let digits = |text: &str| {
        let parts = text.split('-').find(|p| p.starts_with(|c: char| c.is_ascii_digit()));
        parts.map(str::to_owned)
    };
    asked.iter().filter_map(|v| v.as_str()).find_map(digits).unwrap_or_default()
}

/// The first number of a version.
pub(crate) fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn restore_from(text: &str, component: &str) -> Option<RestoreFrom> {
    let all: Value = serde_json::from_str(text).ok()?;
    let one = all.get(component).or_else(|| all.as_object()?.values().next())?;
    serde_json::from_value(one.clone()).ok()
}

/// What is needed to make the Cluster again: labels and annotations of the user's, and the spec.
fn snapshot(cluster: &Cluster) -> Value {
    const LEFT_OUT: [&str; 7] = [
        db::RESTORE_FROM,
        db::RESTORED_AT,
        names::DRILL_REQUESTED,
        names::LAST_DRILL,
        "kubectl.kubernetes.io/last-applied-configuration",
        "kubeblocks.io/ops-request",
        "databases.sealos.io/switchover-to",
    ];
    let mut annotations = cluster.annotations().clone();
    annotations.retain(|key, _| !LEFT_OUT.contains(&key.as_str()));
    json!({ "metadata": { "name": cluster.name_any(), "labels": cluster.labels(), "annotations": annotations },
        "spec": cluster.spec })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Engine, View, major};
    use crate::kinds::Cluster;

    fn view(value: serde_json::Value) -> View {
        let cluster: Cluster = serde_json::from_value(value).expect("a Cluster");
        View::of(&cluster).expect("an engine with backups")
    }

    #[test]
    fn both_shapes_of_clusters_are_read() {
        let old = view(json!({ "metadata": { "name": "shop", "namespace": "ns-a", "annotations": {
            "kubeblocks.io/restore-from-backup":
                "{\"postgresql\":{\"name\":\"b1\",\"namespace\":\"ns-a\",\"restoreTime\":\"2026-11-24T16:00:00Z\"}}" } },
            "spec": { "clusterDefinitionRef": "postgresql", "clusterVersionRef": "postgresql-14.8.0",
                "componentSpecs": [{ "name": "postgresql", "replicas": 2 }],
                "backup": { "enabled": true, "cronExpression": "0 2 * * *" } } }));
        assert_eq!((old.engine.name, old.version.as_str()), ("postgresql", "14.8.0"));
        assert_eq!(
            old.restore_from.as_ref().and_then(|r| r.restore_time.as_deref()),
            Some("2026-11-24T16:00:00Z")
        );
        assert!(old.waits() && !old.archives(), "what waits for its data archives nothing");
        let new = view(json!({ "metadata": { "name": "cache" }, "spec": { "componentSpecs": [
            { "name": "redis-sentinel", "componentDef": "redis-sentinel-7" },
            { "name": "redis", "componentDef": "redis-7", "serviceVersion": "7.0.6" }] } }));
        assert_eq!(
            (new.engine.name, new.version.as_str(), new.component.as_str()),
            ("redis", "7.0.6", "redis")
        );
        assert_eq!((new.method(""), new.method("pg-basebackup")), (Some("datafile"), None));
    }

    #[test]
    fn engines_are_found_by_every_name_they_have() {
        for (text, name) in [
            ("postgresql", Some("postgresql")),
            ("apecloud-mysql", Some("mysql")),
            ("ac-mysql-8.0.30-1", Some("mysql")),
            ("mariadb", Some("mariadb")),
            ("mongodb", Some("mongodb")),
            ("kafka-broker", None),
        ] {
            assert_eq!(Engine::find(text).map(|e| e.name), name, "{text}");
        }
        assert_eq!((major("14.8.0"), major("8"), major("")), (Some(14), Some(8), None));
    }
}

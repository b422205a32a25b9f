//! Who leads, as it is written in the topology ConfigMap. All that a failover must remember is here, so
//! that it goes on where it was after the daemon ended at any point.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::ConfigMap;
use sealos_db_engines::names::TOPOLOGY_PRIMARY;
use serde::{Deserialize, Serialize};

/// The key that names the replicas which acknowledge commits; absent: all of them.
const SYNCHRONOUS: &str = "synchronous";
/// On the ConfigMap while a takeover is under way.
pub(crate) const TAKEOVER: &str = "databases.sealos.io/takeover";

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topology {
    pub primary: String,
    /// The replicas whose acknowledgement may count; `None`: all.
    pub synchronous: Option<BTreeSet<String>>,
    pub takeover: Option<Takeover>,
    /// The version of the object this was read from: writes are refused if it is no longer the newest.
    pub version: String,
}

/// The way from one primary to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Takeover {
    /// The pod that led before.
    pub from: String,
    pub why: Why,
    /// The pods that may think they lead, and must be dead before another does.
    pub suspects: Vec<Suspect>,
    /// In synchronous mode: the replicas that together have every acknowledged commit.
    pub voters: Option<BTreeSet<String>>,
    /// When it began, in milliseconds since 1970.
    pub began: i64,
}

/// One life of a pod: the pod of that name that comes later is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Suspect {
    pub pod: String,
    pub uid: String,
}

/// Why the primary moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    Killed,
    Deleted,
    Gone,
    Silent,
    Switchover,
    ScaleDown,
}

impl Why {
    /// Whether the old primary is in good health and may end in peace.
    pub(crate) fn planned(self) -> bool {
        matches!(self, Self::Deleted | Self::Switchover | Self::ScaleDown)
    }

    /// The reason in plain words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Killed => "its container ended",
            Self::Deleted => "its pod was deleted",
            Self::Gone => "its pod was gone",
            Self::Silent => "it did not answer",
            Self::Switchover => "switchover asked for",
            Self::ScaleDown => "scaled down",
        }
    }
}

impl Topology {
    /// Reads a topology ConfigMap; `None` if it names nobody.
    pub(crate) fn read(map: &ConfigMap) -> Option<Self> {
        let data = map.data.as_ref()?;
        let primary = data.get(TOPOLOGY_PRIMARY).map(|text| text.trim().to_owned());
        let takeover = map.metadata.annotations.as_ref().and_then(|all| all.get(TAKEOVER));
        Some(Self {
            primary: primary.filter(|name| !name.is_empty())?,
            synchronous: data
                .get(SYNCHRONOUS)
                .map(|text| text.split_whitespace().map(str::to_owned).collect()),
            takeover: takeover.and_then(|text| serde_json::from_str(text).ok()),
            version: map.metadata.resource_version.clone().unwrap_or_default(),
        })
    }

    /// What a merge patch must set to make the object say this, if it has not changed since it was read.
    pub(crate) fn patch(&self) -> serde_json::Value {
        let text = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
        let takeover = self.takeover.as_ref().and_then(|takeover| serde_json::to_string(takeover).ok());
        let data: BTreeMap<&str, Option<String>> = BTreeMap::from([
            (TOPOLOGY_PRIMARY, Some(self.primary.clone())),
            (SYNCHRONOUS, self.synchronous.as_ref().map(text)),
        ]);
        serde_json::json!({
            "metadata": { "resourceVersion": self.version, "annotations": { TAKEOVER: takeover } },
            "data": data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let takeover = Takeover {
            from: "pg-0".into(),
            why: Why::Killed,
            suspects: vec![Suspect { pod: "pg-0".into(), uid: "u".into() }],
            voters: Some(BTreeSet::from(["pg-1".into()])),
            began: 7,
        };
        let whole = Topology {
            primary: "pg-1".into(),
            synchronous: Some(BTreeSet::from(["pg-0".into(), "pg-2".into()])),
            takeover: Some(takeover),
            version: "12".into(),
        };
        let map: ConfigMap = serde_json::from_value(whole.patch()).unwrap();
        assert_eq!(Topology::read(&map), Some(whole.clone()));
        let plain = Topology { synchronous: None, takeover: None, ..whole };
        assert!(plain.patch().pointer("/data/synchronous").is_some_and(serde_json::Value::is_null));
        let nobody = serde_json::json!({"metadata": {}, "data": {"primary": " "}});
        assert_eq!(Topology::read(&serde_json::from_value(nobody).unwrap()), None);
    }
}

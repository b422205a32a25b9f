//! A database as people see it: what the command line prints and the console shows.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::ResourceExt as _;
use sealos_db_engines::{Engine, engine, names};
use sealos_kit::quantity::{Bytes, Cpu};
use serde::{Deserialize, Serialize};

use crate::model::{Cluster, Condition};
use crate::observe::is_ready;
use crate::wanted::Wanted;

/// A database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The namespace.
    pub workspace: String,
    /// The engine: `postgresql`, `mysql`, `mariadb`, `redis`, `mongodb`; as written if it is none of these.
    pub engine: String,
    /// The version that was asked for.
    pub version: String,
    /// The component, by which its pods and Services are named.
    pub component: String,
    /// As KubeBlocks says it: `Creating`, `Running`, `Stopped`, `Failed`, …
    pub phase: String,
    /// Why it is in its phase; empty when there is nothing to say.
    pub message: String,
    /// What the user should know of what was made, such as another minor version.
    pub note: Option<String>,
    /// How many pods there should be and how many are ready.
    pub replicas: Replicas,
    /// The most CPU of each pod.
    pub cpu: Option<Cpu>,
    /// The most memory of each pod.
    pub memory: Option<Bytes>,
    /// What each pod can store.
    pub storage: Option<Bytes>,
    /// Whether a commit waits for a replica.
    pub sync: bool,
    /// What becomes of the data when it is deleted.
    pub termination_policy: String,
    /// Its pods.
    pub members: Vec<Member>,
    /// The Services by which it is reached inside of the cloud.
    pub services: Vec<Address>,
    /// The port on every machine of the cloud, while it is exposed.
    pub node_port: Option<i32>,
    /// What holds.
    pub conditions: Vec<Condition>,
    /// RFC 3339.
    pub created_at: Option<String>,
}

/// Pods by count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicas {
    /// How many there should be.
    pub desired: i32,
    /// How many are ready.
    pub ready: i32,
}

/// One copy of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The pod.
    pub pod: String,
    /// `primary` or `secondary`, when known.
    pub role: Option<String>,
    /// Whether it can be used.
    pub ready: bool,
    /// How the pod is.
    pub phase: String,
    /// How often its container was started again.
    pub restarts: i32,
    /// How far it is behind.
    pub lag_seconds: Option<f64>,
    /// How far it is behind.
    pub lag_bytes: Option<u64>,
    /// RFC 3339.
    pub created_at: Option<String>,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its name, which is a host name inside of the workspace.
    pub host: String,
    /// The port.
    pub port: i32,
}

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The host inside of the workspace.
    pub host: String,
    /// The host inside of the whole cloud.
    pub full_host: String,
    /// The port.
    pub port: u16,
    /// The database that is there from the beginning.
    pub database: String,
    /// All of that in one.
    pub url: String,
    /// The port on every machine of the cloud, while it is exposed.
    pub node_port: Option<i32>,
    /// The Secret that apps refer to.
    pub secret: String,
}

impl Connection {
    pub(crate) fn of(engine: &Engine, namespace: &str, secret: &Secret, node_port: Option<i32>) -> Self {
        let text = |key: &str| {
            let data = secret.data.as_ref().and_then(|data| data.get(key));
            data.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
        };
        let (user, password, host) = (text("username"), text("password"), text("host"));
        let port = text("port").parse().unwrap_or(engine.port);
        let full_host = format!("{host}.{namespace}.svc.cluster.local");
        let url = url(engine, &user, &password, &full_host, port);
        Self {
            user,
            password,
            host,
            full_host,
            port,
            database: engine.database.into(),
            url,
            node_port,
            secret: secret.name_any(),
        }
    }

    /// The same login by another way, such as a forwarded port.
    pub fn url_at(&self, engine: &str, host: &str, port: u16) -> String {
        engine::find(engine)
            .map(|engine| url(engine, &self.user, &self.password, host, port))
            .unwrap_or_default()
    }
}

/// The address with everything in it. Passwords that we make need no escapes; those of users may.
fn url(engine: &Engine, user: &str, password: &str, host: &str, port: u16) -> String {
    let (user, password) = (escaped(user), escaped(password));
    format!("{}://{user}:{password}@{host}:{port}/{}", engine.scheme, engine.database)
}

fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Everything of one database as the API has it.
pub(crate) struct Parts<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) pods: Vec<&'a Pod>,
    pub(crate) services: Vec<&'a Service>,
}

impl Parts<'_> {
    pub(crate) fn view(&self) -> Database {
        let cluster = self.cluster;
        let wanted = Wanted::of(cluster).ok();
        let status = cluster.status.clone().unwrap_or_default();
        let members: Vec<_> = self.pods.iter().map(|pod| member(pod)).collect();
        let ready = members.iter().filter(|m| m.ready).count();
        let main = wanted.as_ref();
        let substituted = status.conditions.iter().find(|c| c.type_ == "ImageSubstituted");
        Database {
            name: cluster.name_any(),
            workspace: cluster.namespace().unwrap_or_default(),
            engine: main.map_or_else(|| written_engine(cluster), |w| w.engine.name.to_owned()),
            version: main.map(|w| w.version.number().to_owned()).unwrap_or_default(),
            component: main.map(|w| w.component.clone()).unwrap_or_default(),
            phase: phase(cluster, status.phase),
            message: status.message.unwrap_or_default(),
            note: substituted.filter(|c| c.status == "True").map(|c| c.message.clone()),
            replicas: Replicas {
                desired: main.map(|w| w.replicas).unwrap_or_default(),
                ready: i32::try_from(ready).unwrap_or(i32::MAX),
            },
            cpu: main.map(|w| w.cpu),
            memory: main.map(|w| w.memory),
            storage: main.map(|w| w.storage),
            sync: main.is_some_and(|w| w.sync),
            termination_policy: cluster.spec.termination_policy.clone().unwrap_or_else(|| "Delete".into()),
            members,
            services: self.services.iter().filter_map(|s| address(s)).collect(),
            node_port: self.services.iter().find_map(|s| node_port(s)),
            conditions: status.conditions,
            created_at: cluster.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()),
        }
    }
}

fn phase(cluster: &Cluster, written: Option<String>) -> String {
    if cluster.metadata.deletion_timestamp.is_some() {
        return "Deleting".into();
    }
    written.filter(|p| !p.is_empty()).unwrap_or_else(|| "Creating".into())
}

fn written_engine(cluster: &Cluster) -> String {
    let first = cluster.spec.component_specs.first();
    let component = first.and_then(|c| c.component_def.clone().or_else(|| c.component_def_ref.clone()));
    cluster.spec.cluster_definition_ref.clone().or(component).unwrap_or_default()
}

fn member(pod: &Pod) -> Member {
    let annotations = pod.annotations();
    let number = |key: &str| annotations.get(&format!("databases.sealos.io/{key}"));
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let waiting = containers.iter().find_map(|c| c.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let deleting = pod.metadata.deletion_timestamp.is_some().then(|| "Terminating".to_owned());
    Member {
        pod: pod.name_any(),
        role: pod.labels().get(names::ROLE).cloned(),
        ready: is_ready(pod),
        phase: deleting.or(waiting).or(status.phase).unwrap_or_else(|| "Pending".into()),
        restarts: containers.iter().map(|c| c.restart_count).sum(),
        lag_seconds: number("lag-seconds").and_then(|n| n.parse().ok()),
        lag_bytes: number("lag-bytes").and_then(|n| n.parse().ok()),
        created_at: pod.metadata.creation_timestamp.as_ref().map(|t| t.0.to_string()),
    }
}

fn address(service: &Service) -> Option<Address> {
    let spec = service.spec.as_ref()?;
    let headless = spec.cluster_ip.as_deref() == Some("None");
    if headless || spec.type_.as_deref() == Some("NodePort") {
        return None;
    }
    Some(Address { host: service.name_any(), port: spec.ports.as_ref()?.first()?.port })
}

fn node_port(service: &Service) -> Option<i32> {
    let spec = service.spec.as_ref()?;
    (spec.type_.as_deref() == Some("NodePort")).then(|| spec.ports.as_ref()?.first()?.node_port).flatten()
}

/// A parameter of an engine and what it is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is.
    pub value: String,
    /// What it is when nobody sets it.
    pub default: String,
    /// What it does.
    pub about: String,
    /// What it may be, in words.
    pub allowed: String,
    /// Whether the engine must be restarted for a change.
    pub needs_restart: bool,
    /// Whether somebody set it.
    pub changed: bool,
}

/// What the statements of a query gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The names of the columns.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The rows.
    #[serde(default)]
    pub rows: Vec<Vec<serde_json::Value>>,
    /// What the engine says besides.
    #[serde(default)]
    pub message: String,
    /// Why it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Numbers for charts, by name.
pub type Metrics = BTreeMap<String, f64>;

#[cfg(test)]
mod tests {
    #[test]
    fn a_password_of_a_user_is_escaped() {
        assert_eq!(super::escaped("a/b@c:ü"), "a%2Fb%40c%3A%C3%BC");
    }
}

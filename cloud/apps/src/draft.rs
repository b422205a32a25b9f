//! What a person asks for: the body of `sealos.yaml`, the console's form, the flags of `sealos deploy`.
//! Everything but an image is optional. A draft is not checked; [`crate::App::check`] does that.

use std::collections::BTreeMap;

use sealos_kit::quantity::{Bytes, Cpu};
use serde::{Deserialize, Serialize};

use crate::services::{Bucket, Database};

/// An app as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Draft {
    /// The app's name.
    pub name: String,
    /// A container image; or `build`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A directory with a `Dockerfile` to build the image from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// Short for one public HTTP port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The ports that the app listens on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// How many pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// Lets the load decide how many pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// The most CPU each pod may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// The most memory each pod may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    /// Files with configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ConfigFile>,
    /// Directories that are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<Storage>,
    /// A managed database; the app finds it by the variables `DATABASE_URL` and `DATABASE_*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// A bucket; the app finds it by `S3_BUCKET` and the variables of the AWS SDKs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Bucket>,
    /// Replaces the image's entrypoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Replaces the image's command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Credentials of a private registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// A free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// Where an image is built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Build {
    /// The directory.
    Directory(String),
    /// The directory and more.
    Detailed(BuildDetails),
}

/// All that a build may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuildDetails {
    /// The directory.
    pub context: String,
    /// The file's path below the directory.
    pub dockerfile: Option<String>,
    /// The stage to stop at.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
}

impl From<Build> for BuildDetails {
    fn from(build: Build) -> Self {
        match build {
            Build::Directory(context) => Self { context, ..Self::default() },
            Build::Detailed(details) => details,
        }
    }
}

/// One port of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Port {
    /// The number.
    pub port: u16,
    /// What is spoken there.
    #[serde(default)]
    pub protocol: Protocol,
    /// Whether it gets an address outside the cloud.
    #[serde(default = "yes")]
    pub public: bool,
    /// A host of the user's own instead of the generated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

fn yes() -> bool {
    true
}

/// What is spoken on a port. The first three get a host name, the others a port of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// HTTP/1.1 or HTTP/2.
    #[default]
    #[serde(alias = "http")]
    Http,
    /// gRPC.
    #[serde(alias = "grpc")]
    Grpc,
    /// HTTP with long-lived WebSockets.
    #[serde(alias = "ws")]
    Ws,
    /// Plain TCP.
    #[serde(alias = "tcp")]
    Tcp,
    /// Plain UDP.
    #[serde(alias = "udp")]
    Udp,
}

impl Protocol {
    /// Whether the gateway routes it by host name.
    pub const fn has_host(self) -> bool {
        matches!(self, Self::Http | Self::Grpc | Self::Ws)
    }

    /// The transport as Kubernetes writes it.
    pub const fn transport(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Http | Self::Grpc | Self::Ws | Self::Tcp => "TCP",
        }
    }
}

/// How the load decides the number of pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autoscale {
    /// The least pods.
    pub min: u32,
    /// The most pods.
    pub max: u32,
    /// What is measured.
    #[serde(default)]
    pub metric: Metric,
    /// Percent of the limit to aim at, 1 to 100.
    #[serde(default = "half")]
    pub percent: u32,
}

fn half() -> u32 {
    50
}

/// What autoscaling measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// CPU time.
    #[default]
    Cpu,
    /// Memory.
    Memory,
}

/// A variable's value: a text, or a key of a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum EnvValue {
    /// The text itself.
    Text(String),
    /// A number, taken as text.
    Number(serde_json::Number),
    /// `true` or `false`, taken as text.
    Bool(bool),
    /// A key of a Secret.
    Secret {
        /// `name/key`
        secret: String,
    },
    /// A key of a ConfigMap.
    Config {
        /// `name/key`
        config: String,
    },
    /// A field of the pod, as in `status.podIP`.
    Field {
        /// The path.
        field: String,
    },
}

/// A file that the app finds in its pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The absolute path in the container.
    pub path: String,
    /// What is in it.
    pub content: String,
}

/// A directory that outlives the pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// The absolute path in the container.
    pub path: String,
    /// How much it may hold.
    pub size: Bytes,
}

/// Credentials of a private registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// The registry's host; docker.io if empty.
    #[serde(default)]
    pub server: String,
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: String,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("server", &self.server)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

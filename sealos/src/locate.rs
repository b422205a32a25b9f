//! Where a cloud keeps what, and how a command finds a running one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use sealos_apps::{Apps, NodePort};
use sealos_buckets::Buckets;
use serde::{Deserialize, Serialize};

use crate::cli::Global;
use crate::socket::Socket;

/// The paths below a data directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout(PathBuf);

impl Layout {
    /// The layout of a data directory.
    pub(crate) fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    /// A path below it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.at("kubeconfig")
    }

    /// What was chosen at the first start.
    pub(crate) fn settings(&self) -> PathBuf {
        self.at("state.json")
    }

    /// Held while the cloud is up.
    pub(crate) fn lock(&self) -> PathBuf {
        self.at("lock")
    }

    /// Where root talks to the running cloud.
    pub(crate) fn socket(&self) -> PathBuf {
        self.at("run/sealos.sock")
    }

    /// Pinned network namespaces.
    pub(crate) fn netns(&self) -> PathBuf {
        self.at("netns")
    }

    /// Bundles and records of containers.
    pub(crate) fn containers(&self) -> PathBuf {
        self.at("containers")
    }
}

/// What `sealos status -o json` prints.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CloudStatus {
    /// The Kubernetes API's URL.
    pub(crate) api: String,
    /// The console's URL.
    pub(crate) console: String,
    /// The URL of the HTTP port.
    pub(crate) http: String,
    /// The URL of the HTTPS port.
    pub(crate) https: String,
    /// The URL of the S3 port.
    #[serde(default)]
    pub(crate) s3: String,
    /// Apps get addresses below this domain.
    pub(crate) domain: String,
    /// The kubeconfig's path.
    pub(crate) kubeconfig: PathBuf,
    /// Whether it takes work.
    pub(crate) ready: bool,
    /// The daemon's process id.
    pub(crate) pid: u32,
    /// The version of the running program.
    pub(crate) version: String,
    /// Where it keeps everything.
    pub(crate) data_dir: PathBuf,
}

/// A running cloud, found through its data directory.
pub(crate) struct Found {
    /// Its status.
    pub(crate) status: CloudStatus,
    /// Its admin socket.
    pub(crate) socket: Socket,
    /// The workspace of this command.
    pub(crate) workspace: String,
}

/// The layout for a command; the directory need not exist.
pub(crate) fn layout(global: &Global) -> Layout {
    let dir = std::path::absolute(&global.data_dir).unwrap_or_else(|_| global.data_dir.clone());
    Layout::new(dir.canonicalize().unwrap_or(dir))
}

/// Finds the running cloud.
pub(crate) async fn find(global: &Global) -> Result<Found> {
    let layout = layout(global);
    let socket = Socket::new(layout.socket());
    match socket.status().await {
        Ok(status) => Ok(Found { status, socket, workspace: global.workspace.clone() }),
        Err(error) => {
            let dir = layout.root().display();
            let denied = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            if denied == Some(std::io::ErrorKind::PermissionDenied) {
                bail!(
                    "the cloud in {dir} belongs to root; run this with sudo, or use kubectl with a kubeconfig of yours"
                );
            }
            bail!(
                "no cloud is up in {dir}; start one with `sealos up`, or name another with --data-dir (or SEALOS_DATA_DIR)"
            )
        }
    }
}

impl Found {
    /// A client that acts as the owner of the kubeconfig.
    pub(crate) async fn client(&self) -> Result<kube::Client> {
        client(&self.status.kubeconfig).await
    }

    /// The apps of the command's workspace.
    pub(crate) async fn apps(&self) -> Result<Apps> {
        Ok(Apps::new(self.client().await?, &self.workspace, &self.status.domain))
    }

    /// The databases of the command's workspace.
    pub(crate) async fn databases(&self) -> Result<sealos_databases::Databases> {
        Ok(sealos_databases::Databases::new(self.client().await?, &self.workspace))
    }

    /// The buckets of the command's workspace.
    pub(crate) async fn buckets(&self) -> Result<Buckets> {
        Ok(Buckets::new(self.client().await?, &self.workspace))
    }

    /// Fails if the command's workspace does not exist: an empty list of it would mislead.
    pub(crate) async fn check_workspace(&self) -> Result<()> {
        let namespaces: kube::Api<k8s_openapi::api::core::v1::Namespace> =
            kube::Api::all(self.client().await?);
        match namespaces.get_opt(&self.workspace).await {
            Ok(None) => bail!(
                "there is no workspace `{0}`; make it with `kubectl create namespace {0}`, or name another with --workspace",
                self.workspace
            ),
            // Who may not look at namespaces may still use this one.
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }

    /// The URL of a port of the machine.
    pub(crate) fn port_url(&self, port: &NodePort) -> String {
        format!("{}://{}:{}", port.protocol.to_ascii_lowercase(), self.status.domain, port.node_port)
    }

    /// The URL at which a host is served: HTTP, with the port unless it is 80.
    pub(crate) fn url(&self, host: &str) -> String {
        match self.status.http.rsplit_once(':').map(|(_, port)| port) {
            Some(port) if port.chars().all(|c| c.is_ascii_digit()) => format!("http://{host}:{port}"),
            _ => format!("http://{host}"),
        }
    }
}

/// A client from a kubeconfig file.
pub(crate) async fn client(path: &Path) -> Result<kube::Client> {
    let attempt = || format!("use the kubeconfig {}", path.display());
    let file = Kubeconfig::read_from(path).with_context(attempt)?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(file, &options).await.with_context(attempt)?;
    kube::Client::try_from(config).with_context(attempt)
}

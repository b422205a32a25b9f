//! What was chosen when a cloud was first started, kept so that every later start is the same.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use sealos_network::{Ipv4Net, pick_cidrs};
use serde::{Deserialize, Serialize};

use crate::locate::Layout;

/// The choices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Eight hex digits that all names of this cloud on the host carry.
    pub(crate) id: String,
    /// Apps get addresses below this domain.
    pub(crate) domain: String,
    /// Port of the Kubernetes API.
    pub(crate) api_port: u16,
    /// Port for HTTP.
    pub(crate) http_port: u16,
    /// Port for HTTPS.
    pub(crate) https_port: u16,
    /// Port for S3; 0 in files of versions without.
    #[serde(default)]
    pub(crate) s3_port: u16,
    /// Addresses of pods.
    pub(crate) pod_cidr: Ipv4Net,
    /// Addresses of Services.
    pub(crate) service_cidr: Ipv4Net,
}

impl Settings {
    /// Reads the choices of an earlier start; `None` at the first.
    pub(crate) fn read(layout: &Layout) -> Result<Option<Self>> {
        let path = layout.settings();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let attempt = || {
            format!(
                "{} is damaged: restore it, or remove it to choose ports and networks anew",
                path.display()
            )
        };
        serde_json::from_slice(&text).with_context(attempt).map(Some)
    }

    /// First choices for a data directory. Ports are filled in once they are bound.
    pub(crate) async fn choose(layout: &Layout) -> Result<Self> {
        let id = id_of(layout.root());
        let cidrs = pick_cidrs(&id, &bridge_of(&id), None).await;
        let cidrs = cidrs.context("find free address ranges for pods and Services")?;
        Ok(Self {
            id,
            domain: "localhost".to_owned(),
            api_port: 0,
            http_port: 0,
            https_port: 0,
            s3_port: 0,
            pod_cidr: cidrs.pods,
            service_cidr: cidrs.services,
        })
    }

    /// Writes the choices; after this they outlive a crash.
    pub(crate) fn write(&self, layout: &Layout) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("write the settings")?;
        replace_file(&layout.settings(), &text, 0o644)
    }

    /// The bridge of the pods.
    pub(crate) fn bridge(&self) -> String {
        bridge_of(&self.id)
    }

    /// The cgroup below which everything runs.
    pub(crate) fn cgroup(&self) -> String {
        format!("/sealos-{}", self.id)
    }
}

/// A link's name has at most 15 characters.
fn bridge_of(id: &str) -> String {
    format!("sealos-{}", id.get(..6).unwrap_or(id))
}

/// Eight hex digits that depend only on the path.
fn id_of(dir: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    format!("{:016x}", hasher.finish()).split_off(8)
}

/// Writes a file whole or not at all, and on disk before this returns.
pub(crate) fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let part = path.with_extension("part");
    let attempt = || format!("write {}", path.display());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&part)
        .with_context(attempt)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(attempt)?;
    std::fs::rename(&part, path).with_context(attempt)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::File::open(dir).and_then(|d| d.sync_all()).with_context(attempt)
}

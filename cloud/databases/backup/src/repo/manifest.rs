//! What is known of a whole backup; written last, so that its presence says that the backup is whole.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Repo, Written};
use crate::Error;

/// The manifest of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    /// The version of this form: 1.
    pub(crate) version: u32,
    /// The Backup's name.
    pub(crate) backup: String,
    /// The workspace.
    pub(crate) namespace: String,
    /// The Cluster's name.
    pub(crate) cluster: String,
    /// The Cluster's uid.
    pub(crate) cluster_uid: String,
    /// The component that was backed up.
    pub(crate) component: String,
    /// The engine, as in `postgresql`.
    pub(crate) engine: String,
    /// Its version, as in `14.8.0`.
    pub(crate) engine_version: String,
    /// The method, as the Backup names it.
    pub(crate) method: String,
    /// When it began, RFC 3339.
    pub(crate) started_at: String,
    /// When it was whole, RFC 3339.
    pub(crate) stopped_at: String,
    /// The object with the data.
    pub(crate) data: String,
    /// Bytes of the data.
    pub(crate) size: u64,
    /// Bytes in the bucket.
    pub(crate) stored: u64,
    /// SHA-256 of the data.
    pub(crate) sha256: String,
    /// The id of the key.
    pub(crate) key_id: String,
    /// Where the log goes on, if it is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) logs: Option<LogStart>,
    /// The Cluster's labels, annotations and spec then.
    pub(crate) cluster_snapshot: Value,
}

/// Where the archived log goes on after a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogStart {
    /// The unbroken chain of segments.
    pub(crate) chain: u32,
    /// All segments after this number are needed.
    pub(crate) after: u64,
}

impl Manifest {
    /// Takes over what a stream came to.
    pub(crate) fn with(self, written: Written) -> Self {
        Self { size: written.size, stored: written.stored, sha256: written.sha256, ..self }
    }

    /// Writes it.
    pub(crate) async fn write(&self, repo: &Repo, path: &str) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::Refused(e.to_string()))?;
        repo.put(path, &text).await.map(drop)
    }

    /// Reads it; a backup without one is not whole.
    pub(crate) async fn read(repo: &Repo, path: &str) -> Result<Self, Error> {
        let refuse = |why: &str| Error::NoBackup { object: path.to_owned(), why: why.to_owned() };
        let text =
            repo.get(path).await?.ok_or_else(|| refuse("it is missing, so the backup is not whole"))?;
        let manifest: Self = serde_json::from_slice(&text).map_err(|e| refuse(&e.to_string()))?;
        if manifest.version != 1 {
            return Err(refuse(&format!("its version {} is newer than this Sealos", manifest.version)));
        }
        Ok(manifest)
    }
}

//! Dumps: out of a database and into one, as streams.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use sealos_kit::exec::Target;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Backups;
use crate::Error;
use crate::pods;
use crate::shell::{Exec, Shell as _};

impl Backups {
    /// Writes a logical dump of a database (`database` is one within it) to `output`.
    pub async fn dump<W>(&self, cluster: &str, database: Option<&str>, output: W) -> Result<(), Error>
    where
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let pod = self.primary(cluster).await?;
        let script: Vec<_> = std::iter::once("dump.sh").chain(database).collect();
        Exec(self.client.clone()).pour(&pod, &script, Box::new(tokio::io::empty()), Box::new(output)).await
    }

    /// Reads a logical dump from `input` into a database; what is no dump is refused by the engine.
    pub async fn load<R>(&self, cluster: &str, database: Option<&str>, input: R) -> Result<(), Error>
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let pod = self.primary(cluster).await?;
        let script: Vec<_> = std::iter::once("load.sh").chain(database).collect();
        Exec(self.client.clone()).pour(&pod, &script, Box::new(input), Box::new(tokio::io::sink())).await
    }

    async fn primary(&self, cluster: &str) -> Result<Target, Error> {
        let (_, view) = self.cluster(cluster).await?;
        let api: Api<Pod> = self.api();
        let found = api.list(&ListParams::default().labels(&pods::selector(&view))).await;
        let found = found.map_err(Error::api("list the pods of database", cluster))?;
        let primary = pods::primary(&found.items).map(pods::target);
        primary.ok_or_else(|| Error::Refused(format!("database `{cluster}` has no primary that runs now")))
    }
}

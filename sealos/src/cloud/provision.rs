//! Directories behind the volumes that the controllers ask for.

use std::path::PathBuf;

use async_trait::async_trait;
use sealos_controllers::{Provisioner, VolumeError};
use sealos_volume::Volumes;

/// Makes volumes below the data directory.
pub(crate) struct LocalVolumes(pub Volumes);

#[async_trait]
impl Provisioner for LocalVolumes {
    async fn provision(&self, name: &str, bytes: u64) -> Result<PathBuf, VolumeError> {
        Ok(self.0.create(name, bytes).await?)
    }

    async fn resize(&self, name: &str, bytes: u64) -> Result<(), VolumeError> {
        Ok(self.0.resize(name, bytes).await?)
    }

    async fn remove(&self, name: &str) -> Result<(), VolumeError> {
        Ok(self.0.remove(name).await?)
    }
}

//! Images of database engines for the cloud on this machine: from their registry where it can be reached,
//! else built from the distribution's packages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use sealos_db_engines::images::{Candidate, Error, ImageSource, Resolved};
use sealos_oci::{
    Credentials, Error as ImageError, Images, Progress, ProgressSink, Reference, RegistryConfig,
};
use tracing::{debug, info};

/// How long a registry may take until its image is here. A machine without a network knows at once; one
/// whose packets vanish shall not wait for long, since `PATIENCE` holds only until the first answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a whole image may take.
const LIMIT: Duration = Duration::from_secs(600);
/// How long a registry that did not answer is left alone.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Finds images in the cloud's own store, in registries, and by building them.
#[derive(Debug, Clone)]
pub(crate) struct LocalImages {
    images: Images,
    registries: RegistryConfig,
    unreachable: Arc<Mutex<HashMap<String, (Instant, String)>>>,
}

impl LocalImages {
    /// A source over the store of the cloud.
    pub(crate) fn new(images: Images, registries: RegistryConfig) -> Self {
        Self { images, registries, unreachable: Arc::default() }
    }

    async fn registry(&self, image: &str) -> Result<(), String> {
        let reference = Reference::parse(image).map_err(|error| error.to_string())?;
        if self.images.find(&reference).is_some() {
            return Ok(());
        }
        let registry = reference.registry().to_owned();
        if let Some((when, why)) = self.unreachable.lock().get(&registry)
            && when.elapsed() < REMEMBERED
        {
            return Err(why.clone());
        }
        match self.pull(&reference).await {
            Ok(()) => Ok(()),
            Err(Pull::Silent) => Err(self.remember(
                &registry,
                format!("registry `{registry}` did not answer within {} s", PATIENCE.as_secs()),
            )),
            Err(Pull::Failed(error @ ImageError::Unreachable { .. })) => {
                Err(self.remember(&registry, error.to_string()))
            }
            Err(Pull::Failed(error)) => Err(error.to_string()),
        }
    }

    /// Fetches an image; gives up soon if no answer comes, but not while layers are on their way.
    async fn pull(&self, reference: &Reference) -> Result<(), Pull> {
        let answered = Arc::new(tokio::sync::Notify::new());
        let heard = answered.clone();
        let progress: ProgressSink = Arc::new(move |event| {
            if matches!(event, Progress::Layers { .. } | Progress::Layer { .. }) {
                heard.notify_one();
            }
        });
        let options = self.registries.pull_options(Credentials::none(), Some(progress));
        let pulling = self.images.pull(reference, &options);
        tokio::pin!(pulling);
        let patience = async {
            tokio::select! {
                () = answered.notified() => tokio::time::sleep(LIMIT).await,
                () = tokio::time::sleep(PATIENCE) => {}
            }
        };
        tokio::select! {
            done = &mut pulling => done.map(drop).map_err(Pull::Failed),
            () = patience => Err(Pull::Silent),
        }
    }

    fn remember(&self, registry: &str, why: String) -> String {
        self.unreachable.lock().insert(registry.to_owned(), (Instant::now(), why.clone()));
        why
    }

    async fn build(
        &self,
        image: &str,
        suite: &str,
        packages: &[&str],
        finish: &str,
    ) -> Result<(), ImageError> {
        let reference = Reference::parse(image)?;
        let began = Instant::now();
        let present = self.images.find(&reference).is_some();
        let progress: ProgressSink = Arc::new(|event| {
            if let Progress::Note { text } = event {
                debug!("{text}");
            }
        });
        self.images.from_packages(&reference, suite, packages, finish, Some(progress)).await?;
        if !present {
            info!(image, took = ?began.elapsed(), "built from packages");
        }
        Ok(())
    }
}

/// Why a registry gave nothing.
enum Pull {
    Silent,
    Failed(ImageError),
}

#[async_trait]
impl ImageSource for LocalImages {
    async fn resolve(&self, candidates: &[Candidate]) -> Result<Resolved, Error> {
        let mut reasons = Vec::new();
        for candidate in candidates {
            let (image, note, found) = match candidate {
                Candidate::Registry { image } => (image, None, self.registry(image).await),
                Candidate::Packages { image, suite, packages, finish, instead } => {
                    let built = self.build(image, suite, packages, finish).await;
                    (image, instead.clone(), built.map_err(|error| error.to_string()))
                }
            };
            match found {
                Ok(()) => return Ok(Resolved { image: image.clone(), note }),
                Err(why) => reasons.push(why),
            }
        }
        if !candidates.iter().any(|candidate| matches!(candidate, Candidate::Packages { .. })) {
            reasons.push("Debian has no packages of it to build one from".into());
        }
        Err(Error::Unavailable(reasons.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn source(dir: &tempfile::TempDir, mirror: &str) -> LocalImages {
        let mut registries = RegistryConfig::default();
        registries.mirrors.insert("registry.invalid".into(), vec![mirror.to_owned()]);
        LocalImages::new(Images::open(dir.path()).unwrap(), registries)
    }

    #[tokio::test]
    async fn what_no_registry_gives_and_no_packages_have_is_named_and_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let source = source(&dir, "127.0.0.1:9");
        let candidates = [Candidate::Registry { image: "registry.invalid/library/mongo:8".into() }];
        let error = source.resolve(&candidates).await.unwrap_err().to_string();
        assert!(error.contains("registry.invalid"), "{error}");
        assert!(error.contains("Debian has no packages"), "{error}");
        assert!(source.unreachable.lock().contains_key("registry.invalid"));
        let began = Instant::now();
        assert!(source.resolve(&candidates).await.is_err());
        assert!(began.elapsed() < Duration::from_millis(50), "asked again: {:?}", began.elapsed());
    }

    #[tokio::test]
    async fn registries_that_never_answer_are_given_up() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let image = format!("{}/library/postgres:16", silent.local_addr().unwrap());
        let source = source(&dir, "127.0.0.1:9");
        let error = source.resolve(&[Candidate::Registry { image }]).await.unwrap_err().to_string();
        assert!(error.contains("did not answer"), "{error}");
    }
}

//! Images for containers: found, or pulled as the policy says.

use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use sealos_oci::{Credentials, Image, Images, Reference, RegistryConfig};
use tokio::sync::Semaphore;

use crate::events::Events;
use crate::sources::Sources;

/// How many images are fetched at the same time.
const PARALLEL: usize = 4;

/// Why a container has no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("Failed to apply default image tag \"{name}\": {source}")]
    Name {
        name: String,
        #[source]
        source: sealos_oci::Error,
    },
    #[error("Container image \"{name}\" is not present with pull policy of Never")]
    Never { name: String },
    #[error("{source}")]
    Pull {
        #[source]
        source: sealos_oci::Error,
    },
}

impl Error {
    /// The reason to show while the container waits.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Name { .. } => "InvalidImageName",
            Self::Never { .. } => "ErrImageNeverPull",
            Self::Pull { .. } => "ErrImagePull",
        }
    }

    /// Whether another try may end differently.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(self, Self::Name { .. })
    }
}

/// What a container wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub name: String,
    pub policy: Policy,
    pub credentials: Credentials,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Always,
    IfNotPresent,
    Never,
}

impl Policy {
    /// The policy of a container; without one, `:latest` is always asked for anew.
    pub(crate) fn of(policy: Option<&str>, image: &str) -> Self {
        let tagged = image.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        match policy {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            Some("IfNotPresent") => Self::IfNotPresent,
            _ if image.ends_with(":latest") || !tagged => Self::Always,
            _ => Self::IfNotPresent,
        }
    }
}

/// Gets images, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Puller {
    images: Images,
    registries: RegistryConfig,
    slots: Arc<Semaphore>,
}

impl Puller {
    pub(crate) fn new(images: Images, registries: RegistryConfig) -> Self {
        Self { images, registries, slots: Arc::new(Semaphore::new(PARALLEL)) }
    }

    /// The image, fetched if need be.
    pub(crate) async fn get(&self, wanted: &Wanted, events: &Events) -> Result<Image, Error> {
        let name = &wanted.name;
        let parsed = Reference::parse(name);
        let reference = parsed.map_err(|source| Error::Name { name: name.clone(), source })?;
        let local = reference.is_local();
        let present = self.images.find(&reference);
        if let Some(image) = present.filter(|_| local || wanted.policy != Policy::Always) {
            events.normal("Pulled", format!("Container image \"{name}\" already present on machine"));
            return Ok(image);
        }
        if wanted.policy == Policy::Never {
            return Err(Error::Never { name: name.clone() });
        }
        let began = Instant::now();
        let _slot = self.slots.acquire().await;
        // Another pod may have fetched it while this one waited for its turn.
        if let Some(image) = self.images.find(&reference).filter(|_| wanted.policy != Policy::Always) {
            events.normal("Pulled", format!("Container image \"{name}\" already present on machine"));
            return Ok(image);
        }
        events.normal("Pulling", format!("Pulling image \"{name}\""));
        let working = Instant::now();
        let options = self.registries.pull_options(wanted.credentials.clone(), None);
        match self.images.pull(&reference, &options).await {
            Ok(image) => {
                let (took, waited) = (working.elapsed(), began.elapsed());
                events.normal(
                    "Pulled",
                    format!(
                        "Successfully pulled image \"{name}\" in {took:.1?} ({waited:.1?} including waiting). \
                         Image size: {} bytes.",
                        image.size
                    ),
                );
                Ok(image)
            }
            Err(source) => self.without_registry(&reference, source, events),
        }
    }

    /// What is here will do when a registry cannot be reached to ask for something newer.
    fn without_registry(
        &self,
        reference: &Reference,
        source: sealos_oci::Error,
        events: &Events,
    ) -> Result<Image, Error> {
        let unreachable = matches!(source, sealos_oci::Error::Unreachable { .. });
        match self.images.find(reference).filter(|_| unreachable) {
            Some(image) => {
                events.warning("PullSkipped", format!("{source}. The image on this machine is used"));
                Ok(image)
            }
            None => Err(Error::Pull { source }),
        }
    }
}

/// The registry credentials that a pod's pull secrets hold. Secrets that are missing are left out,
/// as the image may be public.
pub(crate) async fn credentials(sources: &Sources, pod: &Pod, events: &Events) -> Credentials {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut all = Credentials::none();
    let secrets = pod.spec.as_ref().and_then(|s| s.image_pull_secrets.as_deref()).unwrap_or_default();
    for reference in secrets {
        let found = sources.secret(namespace, &reference.name).await;
        let Ok(Some(secret)) = found else {
            let message = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                reference.name
            );
            events.warning("FailedToRetrieveImagePullSecret", message);
            continue;
        };
        let data = secret.data.unwrap_or_default();
        let json = data.get(".dockerconfigjson").or_else(|| data.get(".dockercfg"));
        match json.map(|json| Credentials::from_docker_config(&json.0)) {
            Some(Ok(credentials)) => all.merge(&credentials),
            Some(Err(error)) => {
                events.warning("InvalidImagePullSecret", format!("secret \"{}\": {error}", reference.name));
            }
            None => {}
        }
    }
    all
}

/// The name to report for what a container runs from.
pub(crate) fn image_id(image: &Image) -> String {
    image.repo_digests.first().cloned().unwrap_or_else(|| image.digest.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_is_pulled_unless_told_otherwise() {
        let check = |policy, image, expected| assert_eq!(Policy::of(policy, image), expected, "{image}");
        check(None, "nginx", Policy::Always);
        check(None, "localhost:5000/nginx", Policy::Always);
        check(None, "nginx:latest", Policy::Always);
        check(None, "nginx:1.27", Policy::IfNotPresent);
        check(None, "nginx@sha256:00", Policy::IfNotPresent);
        check(Some("Never"), "nginx", Policy::Never);
        check(Some("IfNotPresent"), "nginx", Policy::IfNotPresent);
    }
}

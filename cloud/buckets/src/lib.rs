//! Buckets as Kubernetes objects (`objectstorage.sealos.io/v1`): users, buckets, keys, quotas.
//!
//! [`install`] defines the kinds, [`run`] brings objects of them about in a [`Backend`] (the embedded
//! [`Engine`], or another), and [`Buckets`] is what every entrance does to them. Knows a `kube::Client`
//! and a store; must never know who runs the cluster.

mod actions;
pub mod backend;
mod controller;
mod definitions;
#[cfg(feature = "engine")]
mod engine;
mod expose;
pub mod kinds;
mod names;
mod view;

pub use actions::Buckets;
pub use backend::Backend;
pub use controller::{Endpoints, run};
pub use definitions::install;
#[cfg(feature = "engine")]
pub use engine::Engine;
pub use expose::{NAMESPACE, SERVICE, expose, internal_host};
pub use kinds::Policy;
pub use names::{InvalidName, USER_SECRET, bucket_of, bucket_secret, user_of};
pub use view::{BucketView, Keys, UserView};

/// What went wrong with a bucket, in words for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name cannot be a bucket's.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// There is no such bucket.
    #[error(
        "there is no bucket `{name}` in workspace `{workspace}`; `sealos bucket ls` lists those there are"
    )]
    NotFound {
        /// what was asked for
        name: String,
        /// where
        workspace: String,
    },
    /// There is one already.
    #[error("bucket `{name}` exists already in workspace `{workspace}`")]
    Exists {
        /// the bucket
        name: String,
        /// where
        workspace: String,
    },
    /// The bucket cannot be brought about.
    #[error("bucket `{name}` cannot be used: {why}")]
    Refused {
        /// the bucket
        name: String,
        /// why, in plain words
        why: String,
    },
    /// There are no keys yet.
    #[error(
        "there is no Secret `{secret}` with keys in workspace `{workspace}` yet; create a bucket with `sealos bucket create NAME`"
    )]
    NoKeys {
        /// where
        workspace: String,
        /// the Secret
        secret: String,
    },
    /// Waiting was in vain.
    #[error("wait for {what}: {why}")]
    Wait {
        /// what was waited for
        what: String,
        /// why it did not come
        why: String,
    },
    /// A kind is not served.
    #[error("define {name}: {why}")]
    Undefined {
        /// the definition
        name: String,
        /// what happened instead
        why: String,
    },
    /// An object was refused.
    #[error(transparent)]
    Apply(#[from] sealos_kit::apply::Error),
    /// The cluster's API answered with an error.
    #[error("{attempt}: {}", sealos_kit::apply::message(source))]
    Api {
        /// what was attempted
        attempt: String,
        /// the API's answer
        #[source]
        source: Box<kube::Error>,
    },
}

impl Error {
    /// Wraps an API error with what was attempted.
    pub(crate) fn api(attempt: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Api { attempt, source: Box::new(source) }
    }
}

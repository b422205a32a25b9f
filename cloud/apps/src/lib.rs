//! Apps. An app is no kind of its own: it is a Deployment or StatefulSet, a Service and Ingresses that
//! carry Sealos's labels. This crate turns what a person asks for ([`Draft`]) into a checked [`App`],
//! an app into objects ([`plan`]), objects into a status ([`AppStatus`]), and does what people do to
//! apps ([`Apps`]). Every entrance (command line, console, templates) comes through here.

mod actions;
mod app;
mod compose;
mod delete;
mod draft;
mod observe;
mod ownership;
mod plan;
mod provide;
mod readback;
mod services;
mod status;
mod wait;
mod workload;

pub use actions::Apps;
pub use app::{App, Invalid, Problem};
pub use compose::{ComposeApp, read_compose, read_manifest};
pub use draft::{
    Autoscale, Build, BuildDetails, ConfigFile, Draft, EnvValue, Metric, Port, Protocol, Registry, Storage,
};
pub use plan::{Place, Plan, plan};
pub use services::{Backup, Bucket, BucketDetails, Database, DatabaseDetails, Policy};
pub use status::{Address, AppStatus, NodePort, Phase, PodStatus, Replicas};
pub use wait::Progress;

/// What went wrong with an app, in words for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself does not hold.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// There is no such app.
    #[error("there is no app `{name}` in workspace `{workspace}`; `sealos apps` lists those there are")]
    NotFound {
        /// what was asked for
        name: String,
        /// where
        workspace: String,
    },
    /// Something that is not this app has the name.
    #[error(
        "the name `{name}` is taken in workspace `{workspace}` by a {kind} that is no Sealos app; choose another name"
    )]
    NameTaken {
        /// the name
        name: String,
        /// where
        workspace: String,
        /// the kind of the object that has it
        kind: &'static str,
    },
    /// The app cannot do this in its state.
    #[error("{0}")]
    Conflict(String),
    /// The app did not become ready.
    #[error("app `{name}` is not ready: {reason}")]
    NotReady {
        /// the app
        name: String,
        /// why, in plain words
        reason: String,
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

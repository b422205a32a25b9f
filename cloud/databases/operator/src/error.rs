//! What goes wrong with a database, in words for the person who asked.

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself does not hold.
    #[error("{}", problems.join("; "))]
    Invalid {
        /// Every problem, each a sentence.
        problems: Vec<String>,
    },
    /// There is no such database.
    #[error("there is no database `{name}` in workspace `{workspace}`; `sealos db ls` lists those there are")]
    NotFound {
        /// what was asked for
        name: String,
        /// where
        workspace: String,
    },
    /// The name is taken.
    #[error("the name `{name}` is taken in workspace `{workspace}` by {by}; choose another name")]
    NameTaken {
        /// the name
        name: String,
        /// where
        workspace: String,
        /// what has it
        by: String,
    },
    /// The database cannot do this in its state.
    #[error("{0}")]
    Conflict(String),
    /// The database did not become what was wanted.
    #[error("database `{name}` is not ready: {reason}")]
    NotReady {
        /// the database
        name: String,
        /// why, in plain words
        reason: String,
    },
    /// An object was refused.
    #[error(transparent)]
    Apply(#[from] sealos_kit::apply::Error),
    /// A script in a pod did not do what it should.
    #[error(transparent)]
    Exec(#[from] sealos_kit::exec::Error),
    /// A script wrote what nobody can read.
    #[error("read what `{script}` of database `{name}` wrote")]
    Answer {
        /// the script
        script: &'static str,
        /// the database
        name: String,
        /// why
        #[source]
        source: serde_json::Error,
    },
    /// The cluster's API answered with an error.
    #[error("{attempt}: {}", sealos_kit::apply::message(source))]
    Api {
        /// what was attempted
        attempt: String,
        /// the API's answer
        #[source]
        source: Box<kube::Error>,
    },
    /// The cluster can no longer be followed.
    #[error("{0}")]
    Watch(String),
}

impl Error {
    /// Wraps an API error with what was attempted.
    pub(crate) fn api(attempt: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let attempt = attempt.into();
        move |source| Self::Api { attempt, source: Box::new(source) }
    }

    /// One problem with a request.
    pub(crate) fn invalid(problem: impl Into<String>) -> Self {
        Self::Invalid { problems: vec![problem.into()] }
    }
}

//! What can go wrong with backups, said so that a person knows which object and why.

use sealos_kit::{apply, exec};

/// Why a backup, a restore or a drill did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stored object does not hold what was written.
    #[error("the object `{object}` is damaged: chunk {chunk} of {chunks} does not match its seal")]
    Damaged {
        /// the object
        object: String,
        /// which chunk, from 1
        chunk: u64,
        /// of how many
        chunks: u64,
    },
    /// A stored object ends early.
    #[error("the object `{object}` is cut off after chunk {chunk}")]
    Cut {
        /// the object
        object: String,
        /// the last whole chunk, from 1
        chunk: u64,
    },
    /// A stored object is none of ours, or its head is damaged.
    #[error("the object `{object}` is no object of a backup: {why}")]
    NoBackup {
        /// the object
        object: String,
        /// what is the matter with it
        why: String,
    },
    /// A stored object was sealed with another key.
    #[error(
        "the object `{object}` was sealed with the key {theirs}, but the Secret `backup-key` holds {ours}; put the key back that was there when the backup was made"
    )]
    OtherKey {
        /// the object
        object: String,
        /// the key it needs
        theirs: String,
        /// the key there is
        ours: String,
    },
    /// The Secret with the key is no such Secret.
    #[error("the Secret `backup-key` of workspace `{0}` must hold 64 hex digits in its entry `key`")]
    BadKey(String),
    /// The bucket does not answer, or not as it should.
    #[error("{attempt} `{object}` in the backup repository")]
    Store {
        /// a verb
        attempt: &'static str,
        /// the object
        object: String,
        /// why
        #[source]
        source: object_store::Error,
    },
    /// There is no place for backups.
    #[error("{0}")]
    Repository(String),
    /// A script could not be run or failed.
    #[error(transparent)]
    Script(#[from] exec::Error),
    /// A stream broke on this side.
    #[error("{attempt}")]
    Stream {
        /// what was being done
        attempt: &'static str,
        /// why
        #[source]
        source: std::io::Error,
    },
    /// A script answered something unexpected.
    #[error("`{script}` answered `{answer}`, which is not what it should")]
    Answer {
        /// the script
        script: &'static str,
        /// the beginning of its answer
        answer: String,
    },
    /// The API refused something.
    #[error("{attempt} `{name}`: {}", apply::message(source))]
    Api {
        /// what was attempted
        attempt: &'static str,
        /// on which object
        name: String,
        /// the answer
        #[source]
        source: Box<kube::Error>,
    },
    /// Objects could not be written.
    #[error(transparent)]
    Apply(#[from] apply::Error),
    /// What was asked for does not exist.
    #[error("there is no {kind} `{name}` in workspace `{workspace}`")]
    NotFound {
        /// the kind, in a user's words
        kind: &'static str,
        /// the name
        name: String,
        /// the workspace
        workspace: String,
    },
    /// What was asked for cannot be done; the text says why and what to do.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Wraps an answer of the API.
    pub(crate) fn api(attempt: &'static str, name: &str) -> impl FnOnce(kube::Error) -> Self {
        let name = name.to_owned();
        move |source| Self::Api { attempt, name, source: Box::new(source) }
    }

    /// Wraps an answer of the store.
    pub(crate) fn store(
        attempt: &'static str,
        object: &impl ToString,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let object = object.to_string();
        move |source| Self::Store { attempt, object, source }
    }

    /// Whether the same attempt may work later, without anybody changing what was asked for.
    pub fn retry(&self) -> bool {
        match self {
            Self::Store { source, .. } => !matches!(source, object_store::Error::NotFound { .. }),
            Self::Repository(_) | Self::Stream { .. } | Self::Api { .. } | Self::Apply(_) => true,
            Self::Script(error) => !matches!(error, exec::Error::Failed { .. }),
            _ => false,
        }
    }

    /// The whole chain in one sentence.
    pub fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(next) = cause {
            let more = next.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = next.source();
        }
        text
    }
}

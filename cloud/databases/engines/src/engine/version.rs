//! Versions of engines: reading, ordering, and what an upgrade from one to another is.

use std::cmp::Ordering;
use std::fmt;

use super::Engine;
use crate::images::Candidate;

/// A version that the engine's scripts know.
#[derive(Debug, Clone)]
pub struct Version {
    engine: &'static Engine,
    number: String,
    major: &'static str,
}

/// There is no such version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{title} has no version `{given}` here; choose one of {known}")]
pub struct UnknownVersion {
    title: &'static str,
    given: String,
    known: String,
}

/// What an upgrade asks of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// Nothing changes.
    Same,
    /// The new server runs on the data as it is.
    Minor,
    /// The data has to be taken over.
    Major,
}

/// An upgrade that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefused {
    /// Servers do not read what newer ones wrote.
    #[error("{title} cannot go back from {from} to {to}; restore a backup into a new database instead")]
    Downgrade {
        /// the engine
        title: &'static str,
        /// what it is
        from: String,
        /// what was asked for
        to: String,
    },
    /// It is another engine.
    #[error("a {from} database cannot become a {to} database; create a new one and import a dump")]
    OtherEngine {
        /// what it is
        from: &'static str,
        /// what was asked for
        to: &'static str,
    },
}

impl Version {
    pub(super) fn parse(engine: &'static Engine, text: &str) -> Result<Self, UnknownVersion> {
        let text = text.trim();
        let text = if text.is_empty() { engine.default_version } else { text };
        let bare = engine.version_prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
        let bare = bare.unwrap_or(text);
        let bare = bare.strip_prefix('v').unwrap_or(bare);
        let major = numbers(bare).and_then(|_| {
            engine.majors.iter().copied().find(|major| {
                bare.strip_prefix(major).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
            })
        });
        // `8` means the newest of the majors that begin so, as in MySQL's 8.0 and 8.4.
        let short = || {
            let beginning = format!("{bare}.");
            let short = bare.parse::<u32>().is_ok();
            engine.majors.iter().copied().rev().find(|major| short && major.starts_with(&beginning))
        };
        if let Some(major) = major {
            return Ok(Self { engine, number: bare.to_owned(), major });
        }
        match short() {
            Some(major) => Ok(Self { engine, number: major.to_owned(), major }),
            None => Err(UnknownVersion {
                title: engine.title,
                given: text.to_owned(),
                known: engine.versions.join(", "),
            }),
        }
    }

    /// The engine it is a version of.
    pub fn engine(&self) -> &'static Engine {
        self.engine
    }

    /// As asked, without prefixes: `16.4.0`, or `16`.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The part that decides whether data fits: `16`, or `8.0`.
    pub fn major(&self) -> &'static str {
        self.major
    }

    /// KubeBlocks' name of the version, as in `postgresql-16.4.0`.
    pub fn kubeblocks_name(&self) -> String {
        let prefix = self.engine.version_prefixes.first().copied().unwrap_or_default();
        format!("{prefix}{}", self.number)
    }

    /// The ways to an image, best first.
    pub fn candidates(&self) -> Vec<Candidate> {
        (self.engine.candidates)(self)
    }

    /// What going from this version to another asks for.
    pub fn upgrade(&self, to: &Self) -> Result<Upgrade, UpgradeRefused> {
        if self.engine.name != to.engine.name {
            return Err(UpgradeRefused::OtherEngine { from: self.engine.title, to: to.engine.title });
        }
        let (mine, theirs) = (numbers(self.major), numbers(to.major));
        match mine.cmp(&theirs) {
            Ordering::Less => Ok(Upgrade::Major),
            Ordering::Equal if self.number == to.number => Ok(Upgrade::Same),
            Ordering::Equal => Ok(Upgrade::Minor),
            Ordering::Greater => Err(UpgradeRefused::Downgrade {
                title: self.engine.title,
                from: self.number.clone(),
                to: to.number.clone(),
            }),
        }
    }

    /// The first `count` parts of the number, as tags of images have them: `16.4` of `16.4.0`.
    pub(super) fn tag(&self, count: usize) -> String {
        let plain = self.number.split('-').next().unwrap_or(&self.number);
        plain.split('.').take(count).collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.engine.title, self.number)
    }
}

/// The parts of a version: digits between dots, perhaps with `-1` behind, as in `8.0.30-1`.
fn numbers(text: &str) -> Option<Vec<u32>> {
    let parts: Option<Vec<u32>> = text.split(['.', '-']).map(|part| part.parse().ok()).collect();
    parts.filter(|parts| parts.len() <= 4)
}

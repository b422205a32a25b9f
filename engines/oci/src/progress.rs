//! What a long operation on images tells its watcher.
//!
//! Events are plain data: they cross the admin socket as one JSON object per line, and a terminal,
//! a console page or a log renders them as it likes. Losing one must never change the outcome.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Receives events; called from several threads.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Progress {
    /// A registry is being asked for an image.
    Resolving { image: String, registry: String },
    /// The layers that an image has, before any of them is fetched.
    Layers { layers: Vec<LayerTotal> },
    /// One layer moved on. `done` and `total` are bytes of what `state` is about.
    Layer { digest: String, state: LayerState, done: u64, total: u64 },
    /// A sentence worth reading: a fallback, a retry, an ignored instruction.
    Note { text: String },
    /// A build step begins, counted from 1 over all steps that will run.
    Step { step: u32, of: u32, text: String, cached: bool },
    /// A line that a build step wrote.
    Output { step: u32, stream: Stream, text: String },
    /// The image is in the store under these names.
    Done { digest: String, names: Vec<String> },
}

/// A layer's digest and compressed size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerTotal {
    pub digest: String,
    pub size: u64,
}

/// Where a layer stands on its way from the registry to a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerState {
    /// Another operation is fetching it, or a slot is awaited.
    Waiting,
    Downloading,
    Unpacking,
    /// It is an unpacked directory now.
    Ready,
    /// It was there before.
    Present,
}

/// Which stream of a build step a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// A sink that may be absent.
#[derive(Clone, Default)]
pub(crate) struct Reporter(Option<ProgressSink>);

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reporter").field(&self.0.is_some()).finish()
    }
}

impl Reporter {
    pub(crate) fn new(sink: Option<ProgressSink>) -> Self {
        Self(sink)
    }

    pub(crate) fn send(&self, event: Progress) {
        if let Some(sink) = &self.0 {
            sink(event);
        }
    }

    pub(crate) fn note(&self, text: impl Into<String>) {
        self.send(Progress::Note { text: text.into() });
    }

    pub(crate) fn layer(&self, digest: &str, state: LayerState, done: u64, total: u64) {
        self.send(Progress::Layer { digest: digest.to_owned(), state, done, total });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_cross_a_socket_as_json() {
        let event =
            Progress::Layer { digest: "sha256:ab".into(), state: LayerState::Downloading, done: 1, total: 2 };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(
            line,
            r#"{"event":"layer","digest":"sha256:ab","state":"downloading","done":1,"total":2}"#
        );
        assert_eq!(serde_json::from_str::<Progress>(&line).unwrap(), event);
    }
}

//! Progress of long operations: bars on a terminal, plain lines elsewhere; always on stderr.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use sealos_oci::Progress;
use sealos_oci::progress::LayerState;

use crate::output;

/// Shows what happens to a person, or writes it line by line.
pub(crate) struct Display {
    screen: Option<MultiProgress>,
    layers: HashMap<String, ProgressBar>,
    current: Option<ProgressBar>,
    last: String,
}

impl Display {
    /// Bars if a person watches stderr.
    pub(crate) fn new() -> Self {
        let screen = output::is_watched().then(MultiProgress::new);
        Self { screen, layers: HashMap::new(), current: None, last: String::new() }
    }

    /// A line that stays.
    pub(crate) fn note(&mut self, text: &str) {
        match &self.screen {
            Some(screen) => drop(screen.println(text)),
            None => output::line_err(text),
        }
    }

    /// The present state; replaced by the next one on a terminal.
    pub(crate) fn state(&mut self, text: &str) {
        if self.last == text {
            return;
        }
        self.last = text.to_owned();
        let Some(screen) = &self.screen else { return output::line_err(text) };
        let bar = self.current.get_or_insert_with(|| {
            let bar = screen.add(ProgressBar::new_spinner());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        bar.set_message(text.to_owned());
    }

    /// One event of an image operation.
    pub(crate) fn image(&mut self, event: Progress) {
        match event {
            Progress::Resolving { image, registry } => self.state(&format!("asking {registry} for {image}")),
            Progress::Layers { layers } => self.state(&format!("{} layers", layers.len())),
            Progress::Layer { digest, state, done, total } => self.layer(&digest, state, done, total),
            Progress::Note { text } => {
                // What was being waited for is over: the note says how.
                self.clear();
                self.note(&text);
            }
            Progress::Step { step, of, text, cached } => {
                let cached = if cached { " (cached)" } else { "" };
                self.note(&format!("[{step}/{of}] {text}{cached}"));
            }
            Progress::Output { text, .. } => self.note(&format!("    {text}")),
            Progress::Done { .. } => self.clear(),
        }
    }

    fn layer(&mut self, digest: &str, state: LayerState, done: u64, total: u64) {
        let Some(screen) = &self.screen else { return };
        let bar = self.layers.entry(digest.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix} {msg:12} {bar:30} {bytes}/{total_bytes}");
            let bar = screen.add(ProgressBar::new(total));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(digest.trim_start_matches("sha256:").chars().take(12).collect::<String>());
            bar
        });
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(match state {
            LayerState::Waiting => "waiting",
            LayerState::Downloading => "downloading",
            LayerState::Unpacking => "unpacking",
            LayerState::Ready => "ready",
            LayerState::Present => "present",
        });
    }

    /// Takes everything that moves off the screen.
    pub(crate) fn clear(&mut self) {
        self.layers.drain().for_each(|(_, bar)| bar.finish_and_clear());
        if let Some(bar) = self.current.take() {
            bar.finish_and_clear();
        }
        self.last.clear();
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.clear();
    }
}

//! A table on stdout.

/// Measured rows.
#[derive(Default)]
pub(crate) struct Report(Vec<(String, String, String)>);

impl Report {
    /// Adds a row, and says it at once on stderr, since a benchmark takes a while.
    #[expect(clippy::print_stderr, reason = "progress of a command-line chore")]
    pub(crate) fn add(&mut self, what: &str, who: &str, value: String) {
        eprintln!("{what} {who}: {value}");
        self.0.push((what.to_owned(), who.to_owned(), value));
    }

    /// Prints the table.
    #[expect(clippy::print_stdout, reason = "the result of a command-line chore")]
    pub(crate) fn print(&self) {
        println!("| what | sealos | against |\n|---|---|---|");
        for (what, _, value) in self.0.iter().filter(|(_, who, _)| who.is_empty()) {
            let other = self.0.iter().find(|(w, who, _)| w == what && !who.is_empty());
            println!("| {what} | {value} | {} |", other.map_or("", |(_, _, v)| v));
        }
    }
}

/// Rate and latencies of many operations.
pub(crate) struct Outcome {
    /// Operations a second.
    pub(crate) rate: f64,
    /// Median, milliseconds.
    pub p50: f64,
    /// 99th percentile, milliseconds.
    pub p99: f64,
}

/// The value below which this share of sorted values lies.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let index = ((sorted.len().saturating_sub(1)) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

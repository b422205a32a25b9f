//! How an error reaches a person: one message with its causes, on stderr.

use std::io::Write as _;
use std::process::ExitCode;

/// Writes the error and its causes; answers the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // A cause that its parent already quotes adds nothing.
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    crate::output::line_err(&format!("sealos: {text}"));
    ExitCode::FAILURE
}

/// Flushes what is buffered; a closed pipe is not an error worth a word.
pub(crate) fn flush() {
    drop(std::io::stdout().flush());
}

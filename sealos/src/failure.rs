//! How an error reaches a person: one message with its causes, on stderr.

use std::io::Write as _;
use std::process::ExitCode;

/// Writes the error and its causes; answers the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = words(cause);
        // A cause that its parent already quotes adds nothing.
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    crate::output::line_err(&format!("sealos: {text}"));
    ExitCode::FAILURE
}

/// What an error says. Of the API's answers it is the message alone, not the whole Status.
fn words(cause: &(dyn std::error::Error + 'static)) -> String {
    if let Some(error) = cause.downcast_ref::<kube::Error>() {
        return sealos_kit::apply::message(error);
    }
    if let Some(status) = cause.downcast_ref::<kube::core::Status>() {
        return status.message.clone();
    }
    cause.to_string()
}

/// Flushes what is buffered; a closed pipe is not an error worth a word.
pub(crate) fn flush() {
    drop(std::io::stdout().flush());
}

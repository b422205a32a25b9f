//! How an error reaches a person: one message with its causes, on stderr.

use std::io::Write as _;
use std::process::ExitCode;

/// Writes the error and its causes; answers the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    crate::output::line_err(&format!("sealos: {}", text(error)));
    ExitCode::FAILURE
}

fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let answer = api_answer(cause);
        let is_last = answer.is_some();
        let cause = answer.unwrap_or_else(|| cause.to_string());
        // A cause that its parent already quotes adds nothing.
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
        if is_last {
            break;
        }
    }
    text
}

/// The message of an API's answer: not the whole Status, which is what the error itself would show.
fn api_answer(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    let boxed = cause.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
    match boxed.or_else(|| cause.downcast_ref()) {
        Some(kube::Error::Api(status)) => Some(status.message.clone()),
        _ => None,
    }
}

/// Flushes what is buffered; a closed pipe is not an error worth a word.
pub(crate) fn flush() {
    drop(std::io::stdout().flush());
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    #[test]
    fn an_answer_of_the_api_is_said_once() {
        let status = kube::core::Status::failure("no such namespace", "NotFound").with_code(404);
        let refused = || kube::Error::Api(status.clone().boxed());
        let direct = anyhow::Error::new(refused()).context("read the log");
        assert_eq!(super::text(&direct), "read the log: no such namespace");
        let boxed = sealos_kit::apply::Error::Refused {
            kind: "Pod".into(),
            name: "x".into(),
            source: Box::new(refused()),
        };
        let wrapped = Err::<(), _>(boxed).context("deploy");
        let error = wrapped.expect_err("it is an error");
        assert_eq!(super::text(&error), "deploy: apply Pod `x`: no such namespace");
    }
}

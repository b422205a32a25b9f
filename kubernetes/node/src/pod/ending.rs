//! How a container ended, in the words of its status; and the logs it leaves.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use sealos_container::Exit;

/// The longest message a container may leave.
const MESSAGE_BYTES: usize = 4096;
/// How much of the log stands in for a message.
const LOG_BYTES: usize = 2048;
const LOG_LINES: usize = 80;

/// What an ended container left behind.
pub(crate) struct Remains<'a> {
    pub container: &'a Container,
    pub id: String,
    pub exit: &'a Exit,
    pub message_file: PathBuf,
    pub log: PathBuf,
}

pub(crate) async fn describe(remains: &Remains<'_>) -> ContainerStateTerminated {
    let exit = remains.exit;
    let reason = match exit.code {
        _ if exit.oom_killed => "OOMKilled",
        0 => "Completed",
        _ => "Error",
    };
    ContainerStateTerminated {
        exit_code: exit.code,
        signal: None,
        reason: Some(reason.into()),
        message: message(remains).await,
        started_at: Some(Time(exit.started_at)),
        finished_at: Some(Time(exit.finished_at)),
        container_id: Some(remains.id.clone()),
    }
}

/// The container's own last words, or the end of its log if its policy says so.
async fn message(remains: &Remains<'_>) -> Option<String> {
    let words = tokio::fs::read(&remains.message_file).await.unwrap_or_default();
    if !words.is_empty() {
        let cut = words.get(..MESSAGE_BYTES).unwrap_or(&words);
        return Some(String::from_utf8_lossy(cut).into_owned());
    }
    let policy = remains.container.termination_message_policy.as_deref();
    if policy != Some("FallbackToLogsOnError") || remains.exit.code == 0 {
        return None;
    }
    let log = tokio::fs::read(&remains.log).await.unwrap_or_default();
    Some(last_lines(&String::from_utf8_lossy(&log))).filter(|text| !text.is_empty())
}

/// The end of a log, without the time, stream and tag that begin each of its lines.
fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let start = lines.len().saturating_sub(LOG_LINES);
    let words = |line: &&str| line.splitn(4, ' ').nth(3).unwrap_or_default().to_owned();
    let text = lines.get(start..).unwrap_or_default().iter().map(words).collect::<Vec<_>>().join("\n");
    let from = (text.len().saturating_sub(LOG_BYTES)..text.len()).find(|at| text.is_char_boundary(*at));
    from.and_then(|from| text.get(from..)).unwrap_or_default().to_owned()
}

/// Removes the logs of all attempts before `first`, rotated files included.
pub(crate) fn remove_logs_before(dir: &Path, first: i32) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let attempt =
            name.to_str().and_then(|name| name.split('.').next()).and_then(|n| n.parse::<i32>().ok());
        if attempt.is_some_and(|attempt| attempt < first)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::debug!(path = %entry.path().display(), %error, "remove an old log");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    async fn describe_with(policy: &str, code: i32, words: &str, log: &str) -> ContainerStateTerminated {
        let temp = tempfile::tempdir().unwrap();
        let container: Container =
            serde_json::from_value(json!({"name": "c", "terminationMessagePolicy": policy})).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let exit = Exit { code, signal: None, oom_killed: code == 137, started_at: now, finished_at: now };
        let (message_file, log_file) = (temp.path().join("m"), temp.path().join("l"));
        std::fs::write(&message_file, words).unwrap();
        std::fs::write(&log_file, log).unwrap();
        describe(&Remains { container: &container, id: "x".into(), exit: &exit, message_file, log: log_file })
            .await
    }

    #[tokio::test]
    async fn ends_have_reasons_and_last_words() {
        let end = describe_with("File", 0, "bye", "").await;
        assert_eq!((end.reason.as_deref(), end.message.as_deref()), (Some("Completed"), Some("bye")));
        let log = "2026-01-01T00:00:00Z stderr F first\n2026-01-01T00:00:00Z stderr F it broke\n";
        let end = describe_with("FallbackToLogsOnError", 1, "", log).await;
        assert_eq!((end.reason.as_deref(), end.message.as_deref()), (Some("Error"), Some("first\nit broke")));
        assert_eq!(describe_with("File", 1, "", log).await.message, None);
        assert_eq!(describe_with("File", 137, "", "").await.reason.as_deref(), Some("OOMKilled"));
    }

    #[test]
    fn only_the_last_two_attempts_keep_their_logs() {
        let temp = tempfile::tempdir().unwrap();
        for name in ["0.log", "0.log.1", "1.log", "2.log"] {
            std::fs::write(temp.path().join(name), "").unwrap();
        }
        remove_logs_before(temp.path(), 1);
        let mut left: Vec<_> = std::fs::read_dir(temp.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["1.log", "2.log"]);
    }
}

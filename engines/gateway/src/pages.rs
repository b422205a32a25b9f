//! What people see when an app cannot answer: what happened, whose turn it is, and the request id.

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};

use crate::body::ReplyBody;
use crate::headers::REQUEST_ID;
use crate::routes::State;

/// Marks an answer as the gateway's own, and says why it is: `unknown`, `starting`, `stopped`, `failing`,
/// `unreachable` or `refused`. Answers of apps never carry it.
pub const STATE_HEADER: &str = "x-sealos-gateway";

/// Why there is no answer from an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    BadHost,
    UnknownHost,
    UnknownPath,
    Unavailable(State),
    /// No endpoint takes connections.
    Unreachable,
    /// The connection broke before the answer.
    Broken,
    TimedOut,
    BodyTooLarge(u64),
    SlowBody,
}

/// The parts of a page.
struct Text {
    status: StatusCode,
    title: &'static str,
    message: String,
    /// Seconds after which trying again makes sense.
    again: Option<u32>,
}

impl Trouble {
    /// The value of [`STATE_HEADER`].
    fn state(&self) -> &'static str {
        match self {
            Self::UnknownHost | Self::UnknownPath | Self::Unavailable(State::Missing { .. }) => "unknown",
            Self::Unavailable(State::Starting) => "starting",
            Self::Unavailable(State::Stopped) => "stopped",
            Self::Unavailable(State::Failing { .. }) => "failing",
            Self::Unreachable | Self::Broken | Self::TimedOut => "unreachable",
            Self::BadHost | Self::BodyTooLarge(_) | Self::SlowBody => "refused",
        }
    }

    fn text(&self, host: &str) -> Text {
        let page = |status, title, message: String| Text { status, title, message, again: None };
        match self {
            Self::BadHost => {
                page(StatusCode::BAD_REQUEST, "Bad request", "The request names no valid host.".to_owned())
            }
            Self::UnknownHost => page(
                StatusCode::NOT_FOUND,
                "No app here",
                format!("No app answers at {host}. Check the address, or deploy an app under this name."),
            ),
            Self::UnknownPath => page(
                StatusCode::NOT_FOUND,
                "No such path",
                format!("{host} is known, but no app answers at this path."),
            ),
            Self::Unavailable(State::Starting) => Text {
                again: Some(2),
                ..page(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Starting",
                    format!("The app behind {host} is starting. It will answer in a moment."),
                )
            },
            Self::Unavailable(State::Stopped) => page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Stopped",
                format!("The app behind {host} is stopped. Whoever runs it can start it again."),
            ),
            Self::Unavailable(State::Failing { reason }) => Text {
                again: Some(10),
                ..page(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Failing",
                    format!("The app behind {host} fails to run: {reason}. Its logs say more."),
                )
            },
            Self::Unavailable(State::Missing { reason }) => page(
                StatusCode::SERVICE_UNAVAILABLE,
                "Nothing behind this address",
                format!("{host} leads nowhere: {reason}."),
            ),
            Self::Unreachable => Text {
                again: Some(5),
                ..page(
                    StatusCode::BAD_GATEWAY,
                    "Not answering",
                    format!(
                        "The app behind {host} accepts no connections. Does it listen on the configured port?"
                    ),
                )
            },
            Self::Broken => page(
                StatusCode::BAD_GATEWAY,
                "Broken answer",
                format!("The app behind {host} closed the connection before it answered."),
            ),
            Self::TimedOut => page(
                StatusCode::GATEWAY_TIMEOUT,
                "No answer in time",
                format!("The app behind {host} did not answer in time."),
            ),
            Self::BodyTooLarge(limit) => page(
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too large",
                format!("The request body is larger than the {} that {host} accepts.", bytes(*limit)),
            ),
            Self::SlowBody => page(
                StatusCode::REQUEST_TIMEOUT,
                "Request not finished",
                "The rest of the request did not arrive in time.".to_owned(),
            ),
        }
    }

    /// The answer in the form the client asked for: a page, JSON, or one line.
    pub(crate) fn answer(
        &self,
        host: &str,
        accept: Option<&HeaderValue>,
        id: &HeaderValue,
    ) -> Response<ReplyBody> {
        let text = self.text(host);
        let id_text = id.to_str().unwrap_or_default();
        let (kind, body) = match wanted(accept) {
            Form::Html => ("text/html; charset=utf-8", html(&text, id_text)),
            Form::Json => ("application/json", json(&text, id_text)),
            Form::Plain => (
                "text/plain; charset=utf-8",
                format!("{}: {} (request {id_text})\n", text.title, text.message),
            ),
        };
        let mut response = Response::new(ReplyBody::page(body));
        *response.status_mut() = text.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REQUEST_ID, id.clone());
        headers.insert(STATE_HEADER, HeaderValue::from_static(self.state()));
        if let Some(seconds) = text.again {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    /// The answer for a gRPC client, which reads the status from trailers.
    pub(crate) fn grpc_answer(&self, host: &str, id: &HeaderValue) -> Response<ReplyBody> {
        let text = self.text(host);
        let code = match self {
            Self::UnknownHost | Self::UnknownPath | Self::BadHost => 12, // unimplemented
            Self::TimedOut | Self::SlowBody => 4,                        // deadline exceeded
            Self::BodyTooLarge(_) => 8,                                  // resource exhausted
            Self::Unavailable(_) | Self::Unreachable | Self::Broken => 14, // unavailable
        };
        let mut response = Response::new(ReplyBody::empty());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(code));
        if let Ok(message) = HeaderValue::try_from(text.message.replace('%', "%25")) {
            headers.insert("grpc-message", message);
        }
        headers.insert(REQUEST_ID, id.clone());
        headers.insert(STATE_HEADER, HeaderValue::from_static(self.state()));
        response
    }
}

enum Form {
    Html,
    Json,
    Plain,
}

fn wanted(accept: Option<&HeaderValue>) -> Form {
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        Form::Html
    } else if accept.contains("json") {
        Form::Json
    } else {
        Form::Plain
    }
}

fn json(text: &Text, id: &str) -> String {
    let error = serde_json::json!({
        "code": text.status.as_u16(), "reason": text.title, "message": text.message, "requestId": id,
    });
    format!("{}\n", serde_json::json!({ "error": error }))
}

fn html(text: &Text, id: &str) -> String {
    let refresh = match text.again {
        Some(seconds) => format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"),
        None => String::new(),
    };
    let pulse = if text.again.is_some() { " class=\"wait\"" } else { "" };
    format!(
        include_str!("page.html"),
        refresh = refresh,
        pulse = pulse,
        status = text.status.as_u16(),
        title = escape(text.title),
        message = escape(&text.message),
        id = escape(id),
    )
}

/// Host names and reasons come from outside.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn bytes(count: u64) -> String {
    match count {
        n if n >= 1 << 30 && n % (1 << 30) == 0 => format!("{} GiB", n >> 30),
        n if n >= 1 << 20 && n % (1 << 20) == 0 => format!("{} MiB", n >> 20),
        n if n >= 1 << 10 && n % (1 << 10) == 0 => format!("{} KiB", n >> 10),
        n => format!("{n} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn page(trouble: Trouble, accept: &'static str) -> (StatusCode, String) {
        let accept = HeaderValue::from_static(accept);
        let response = trouble.answer("a.example.com", Some(&accept), &HeaderValue::from_static("id-1"));
        let status = response.status();
        let body = response.into_body().collect().await.expect("a page").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn the_form_follows_the_client() {
        let (status, html) = page(Trouble::UnknownHost, "text/html,*/*").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(html.contains("No app answers at a.example.com") && html.contains("id-1"));
        let (_, plain) = page(Trouble::UnknownHost, "*/*").await;
        assert!(plain.starts_with("No app here: ") && plain.lines().count() == 1);
        let (_, json) = page(Trouble::TimedOut, "application/json").await;
        let json: serde_json::Value = serde_json::from_str(&json).expect("json");
        assert_eq!(json["error"]["code"], 504);
    }

    #[tokio::test]
    async fn states_are_told_apart() {
        for (state, word) in [
            (State::Starting, "is starting"),
            (State::Stopped, "is stopped"),
            (State::Failing { reason: "it <crashes>".to_owned() }, "it &lt;crashes&gt;"),
        ] {
            let (status, html) = page(Trouble::Unavailable(state), "text/html").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(html.contains(word), "{word}");
        }
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(bytes(33_554_432), "32 MiB");
        assert_eq!(bytes(1000), "1000 bytes");
    }
}

//! A minimal HTTP client: a request to this machine, with the host of an app.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Asks `http://127.0.0.1:<port><path>` for `host`.
pub fn get(port: u16, host: &str, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("connect")?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").context("send")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).context("read")?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").context("an answer without a head")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("an answer without a status")?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

//! A minimal HTTP client: a request to this machine, with the host of an app.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

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

/// A client that keeps its connection while the server does.
#[derive(Debug)]
pub struct Kept {
    port: u16,
    host: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Kept {
    /// A client of `host` at a port of this machine; it connects when it is used.
    pub fn new(port: u16, host: &str) -> Self {
        Self { port, host: host.to_owned(), stream: None }
    }

    /// Sends a request with a body, which may be empty, and reads the answer.
    pub fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port)).context("connect")?;
                stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                BufReader::new(stream)
            }
        };
        let host = &self.host;
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.get_mut().write_all(&[head.as_bytes(), body].concat()).context("send")?;
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            ensure!(stream.read_line(&mut head).context("read")? > 0, "the connection ended after `{head}`");
        }
        let head = head.to_ascii_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length: usize = field("content-length:").context("a length")?.parse().context("a length")?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).context("read the body")?;
        if field("connection:") != Some("close") {
            self.stream = Some(stream);
        }
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("a status")?;
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), head })
    }
}

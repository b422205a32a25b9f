//! A registry that can be told to misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::image::{INDEX, MANIFEST, TestImage, digest};

#[derive(Default)]
struct State {
    manifests: HashMap<String, (String, Vec<u8>)>,
    blobs: HashMap<String, Vec<u8>>,
    requests: Vec<String>,
    /// Asks for a token that only `user:secret` gets.
    wants_token: bool,
    /// How many answers about blobs break off or fail before one is whole.
    faults: usize,
    /// Never answers.
    silent: bool,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) host: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self { host: listener.local_addr().unwrap().to_string(), state: Arc::default() };
        let server = fake.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(socket));
            }
        });
        fake
    }

    pub(crate) fn add(&self, tag: &str, image: &TestImage) {
        let mut state = self.state.lock().unwrap();
        for blob in image.layers.iter().chain([&image.config]) {
            state.blobs.insert(digest(blob), blob.clone());
        }
        for name in [tag.to_owned(), image.digest()] {
            state.manifests.insert(name, (MANIFEST.into(), image.manifest.clone()));
        }
    }

    pub(crate) fn add_index(&self, tag: &str, index: &serde_json::Value) {
        let bytes = serde_json::to_vec(index).unwrap();
        self.state.lock().unwrap().manifests.insert(tag.to_owned(), (INDEX.into(), bytes));
    }

    pub(crate) fn want_token(&self) {
        self.state.lock().unwrap().wants_token = true;
    }

    pub(crate) fn fail_blobs(&self, times: usize) {
        self.state.lock().unwrap().faults = times;
    }

    pub(crate) fn be_silent(&self) {
        self.state.lock().unwrap().silent = true;
    }

    /// How many requests had this in their first line.
    pub(crate) fn requests(&self, part: &str) -> usize {
        self.state.lock().unwrap().requests.iter().filter(|request| request.contains(part)).count()
    }

    async fn serve(self, mut socket: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match socket.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        if self.state.lock().unwrap().silent {
            std::future::pending::<()>().await;
        }
        let head = String::from_utf8(head).unwrap();
        let answer = self.answer(&head);
        let _ = socket.write_all(&answer).await;
    }

    fn answer(&self, head: &str) -> Vec<u8> {
        let path = head.split_whitespace().nth(1).unwrap().to_owned();
        let header = |name: &str| {
            let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
            line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let mut state = self.state.lock().unwrap();
        state.requests.push(path.clone());
        if path.starts_with("/token") {
            let user = base64::engine::general_purpose::STANDARD.encode("user:secret");
            return if header("authorization") == format!("Basic {user}") {
                reply(200, "application/json", "", br#"{"token": "good"}"#)
            } else {
                reply(401, "application/json", "", b"{}")
            };
        }
        if state.wants_token && header("authorization") != "Bearer good" {
            let challenge =
                format!("WWW-Authenticate: Bearer realm=\"http://{}/token\",service=\"fake\"\r\n", self.host);
            return reply(401, "application/json", &challenge, b"{}");
        }
        if let Some((_, name)) = path.split_once("/manifests/") {
            let name = name.split('?').next().unwrap();
            return match state.manifests.get(name) {
                Some((media_type, bytes)) => reply(200, media_type, "", bytes),
                None => reply(404, "application/json", "", br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
            };
        }
        if let Some((_, name)) = path.split_once("/blobs/") {
            let Some(blob) = state.blobs.get(name.split('?').next().unwrap()).cloned() else {
                return reply(404, "application/json", "", b"{}");
            };
            let whole = reply(200, "application/octet-stream", "", &blob);
            if state.faults > 0 {
                state.faults -= 1;
                // In turn: the server is busy, or the connection breaks.
                return if state.faults.is_multiple_of(2) {
                    reply(503, "text/plain", "", b"busy")
                } else {
                    whole[..whole.len() - 9].to_vec()
                };
            }
            return whole;
        }
        reply(200, "application/json", "", b"{}")
    }
}

fn reply(status: u16, media_type: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

//! A container's log, as it was written and as it is being written.

mod entry;
mod files;
mod follow;

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::{Context, Params, Refusal};
use entry::Entry;
use files::Reader;
use follow::Watch;

/// Output goes out in pieces of about this size.
const PIECE: usize = 16 * 1024;
/// How long the last lines of a container may take to reach the file after its end.
const SETTLE: Duration = Duration::from_millis(20);

/// Which lines a client wants, and how.
#[derive(Debug, Clone, Default)]
struct Wish {
    follow: bool,
    tail: Option<u64>,
    since: Option<Timestamp>,
    timestamps: bool,
    limit: Option<u64>,
    stream: Option<&'static str>,
}

impl Wish {
    fn of(params: &Params) -> Result<Self, Refusal> {
        let seconds: Option<i64> = params.number("sinceSeconds")?;
        let ago = seconds.map(|seconds| {
            Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN)
        });
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| Refusal::bad_request(format!("`sinceTime` must be a time, not `{text}`")))
        };
        let time = params.first("sinceTime").map(parse).transpose()?;
        if ago.is_some() && time.is_some() {
            return Err(Refusal::bad_request("only one of sinceTime or sinceSeconds may be provided"));
        }
        let tail: Option<i64> = params.number("tailLines")?;
        let stream = match params.first("stream") {
            None | Some("All") => None,
            Some("Stdout") => Some("stdout"),
            Some("Stderr") => Some("stderr"),
            Some(other) => return Err(Refusal::bad_request(format!("`stream` cannot be `{other}`"))),
        };
        Ok(Self {
            follow: params.flag("follow"),
            // A negative number means all, as clients that fill in defaults send it.
            tail: tail.and_then(|lines| u64::try_from(lines).ok()),
            since: ago.or(time),
            timestamps: params.flag("timestamps"),
            limit: params.number("limitBytes")?,
            stream,
        })
    }
}

pub(crate) async fn serve(
    State(context): State<Context>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    let params = Params::of(&request)?;
    let wish = Wish::of(&params)?;
    let target = context.pods.container(&namespace, &pod, &container).await?;
    let (path, id) = if params.flag("previous") {
        let missing = || {
            Refusal::bad_request(format!(
                "previous terminated container \"{container}\" in pod \"{pod}\" not found"
            ))
        };
        (target.previous_log.ok_or_else(missing)?, None)
    } else {
        let missing = || {
            Refusal::bad_request(format!("container \"{container}\" in pod \"{pod}\" is waiting to start"))
        };
        (target.log.ok_or_else(missing)?, target.id.filter(|_| target.running))
    };
    let (pieces, stream) = mpsc::channel(16);
    tokio::spawn(async move {
        let output = Output { pieces, buffer: BytesMut::new(), left: wish.limit };
        Session { context, path, id, wish, output }.run().await;
    });
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(stream));
    Ok(([(CONTENT_TYPE, "text/plain")], body).into_response())
}

/// The client has gone, or has all that it wanted.
struct Enough;

/// Where lines go.
struct Output {
    pieces: mpsc::Sender<std::io::Result<Bytes>>,
    buffer: BytesMut,
    left: Option<u64>,
}

impl Output {
    async fn write(&mut self, wish: &Wish, entry: &Entry<'_>, begins_line: bool) -> Result<(), Enough> {
        if wish.timestamps && begins_line {
            self.put(entry.time_text.as_bytes()).await?;
            self.put(b" ").await?;
        }
        self.put(entry.text).await?;
        if entry.whole { self.put(b"\n").await } else { Ok(()) }
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), Enough> {
        let room = self.left.map_or(bytes.len(), |left| usize::try_from(left).unwrap_or(usize::MAX));
        let part = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(part);
        if let Some(left) = &mut self.left {
            *left -= part.len() as u64;
            if *left == 0 {
                self.flush().await?;
                return Err(Enough);
            }
        }
        if self.buffer.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Enough> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.pieces.send(Ok(self.buffer.split().freeze())).await.map_err(|_| Enough)
    }
}

struct Session {
    context: Context,
    path: PathBuf,
    /// The running container, whose end ends the log.
    id: Option<String>,
    wish: Wish,
    output: Output,
}

impl Session {
    async fn run(mut self) {
        // Both outcomes are an end of the output.
        let _end = self.read().await;
        let _end = self.output.flush().await;
    }

    async fn read(&mut self) -> Result<(), Enough> {
        if self.wish.limit == Some(0) {
            return Ok(());
        }
        let mut reader = Reader::open(&self.path, self.wish.tail);
        let following = self.id.clone().filter(|_| self.wish.follow);
        let Some(id) = following else { return self.drain(&mut reader).await };
        let runtime = self.context.runtime.clone();
        let ended = async move {
            // A container that cannot be waited for has ended.
            let _exit = runtime.wait(&id).await;
            tokio::time::sleep(SETTLE).await;
        };
        tokio::pin!(ended);
        let Ok(mut watch) = Watch::new(&self.path) else { return self.drain(&mut reader).await };
        loop {
            self.drain(&mut reader).await?;
            self.output.flush().await?;
            tokio::select! {
                () = &mut ended => return self.drain(&mut reader).await,
                changed = watch.changed() => if changed.is_err() { return Ok(()) },
                () = self.output.pieces.closed() => return Err(Enough),
            }
        }
    }

    /// Writes all that is there.
    async fn drain(&mut self, reader: &mut Reader) -> Result<(), Enough> {
        while let Some(line) = reader.next_line() {
            let Some(entry) = Entry::parse(&line) else { continue };
            let begins = reader.begins_line(&entry);
            if self.wish.since.is_some_and(|since| entry.time().is_some_and(|time| time < since))
                || self.wish.stream.is_some_and(|stream| stream != entry.stream)
            {
                continue;
            }
            self.output.write(&self.wish, &entry, begins).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! Giving bytes back: block by block, each compared with its checksum, read ahead by one step on a thread
//! that may wait for the disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use super::blob;
use super::error::{Error, Result};
use super::meta::{Look, View};
use super::model::{Object, VersionId};
use super::pack::{self, Place};
use super::record::{self, Body, Name};
use super::shared::{Pin, Shared};
use super::tables::At;
use super::{Store, buckets, objects};

/// What is read at once.
const STEP: u64 = 1 << 20;
/// How often an object that changes under the reader is looked up again.
const TRIES: usize = 16;

/// An object found, ready to be read. Its bytes stay readable even if it is deleted meanwhile.
pub struct Opened {
    pub object: Object,
    bucket: String,
    content: Content,
    shared: Arc<Shared>,
}

enum Content {
    Memory(Bytes),
    /// Pieces, in order; and what keeps their files.
    Pieces(Vec<Piece>, Option<Pin>),
}

struct Piece {
    size: u64,
    place: Whereabouts,
}

enum Whereabouts {
    Open(File, Name),
    Named(Name),
    Pack(Arc<File>, Place),
    Nowhere,
}

/// Why an object could not be opened.
enum Unopened {
    /// Moved or removed since it was looked up: look again.
    Gone(String),
    Failed(Error),
}

impl From<Error> for Unopened {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Names the object in what goes wrong with its bytes.
#[derive(Clone)]
pub(super) struct Label {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) version: VersionId,
}

impl Label {
    fn damaged(&self, detail: impl Into<String>) -> Error {
        let Self { bucket, key, version } = self.clone();
        Error::Damaged { bucket, key, version, detail: detail.into() }
    }

    fn blob(&self, error: blob::Unread) -> Error {
        match error {
            blob::Unread::Damaged(detail) => self.damaged(detail),
            blob::Unread::Io(source) => self.io(source),
        }
    }

    fn io(&self, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::NotFound => self.damaged("its file is missing"),
            io::ErrorKind::UnexpectedEof => self.damaged("its file is too short"),
            _ => Error::Io { attempt: "read", path: format!("{}/{}", self.bucket, self.key), source },
        }
    }
}

impl Store {
    /// The latest version, or the one named, ready to be read. `Error::DeleteMarker` for a marker.
    pub async fn open_object(&self, bucket: &str, key: &str, version: Option<VersionId>) -> Result<Opened> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let view = self.shared().meta.view()?;
            let found = buckets::find(&view, bucket)?;
            let (record, latest) = objects::get(&view, (bucket, found.id), key, version)?;
            let label =
                Label { bucket: bucket.to_owned(), key: key.to_owned(), version: record.head.version() };
            match open(self.shared(), &view, &record.head, &label) {
                Ok(content) => {
                    return Ok(Opened {
                        object: record.show(key.to_owned(), latest),
                        bucket: bucket.to_owned(),
                        content,
                        shared: Arc::clone(self.shared()),
                    });
                }
                Err(Unopened::Gone(detail)) => last = detail,
                Err(Unopened::Failed(error)) => return Err(error),
            }
            tokio::task::yield_now().await;
        }
        let version = version.unwrap_or(VersionId::Null);
        Err(Label { bucket: bucket.to_owned(), key: key.to_owned(), version }.damaged(last))
    }
}

fn open(shared: &Arc<Shared>, view: &View, head: &record::Head, label: &Label) -> Result<Content, Unopened> {
    let gone = |what: &str| Unopened::Gone(what.to_owned());
    match head.body {
        Body::Empty => Ok(Content::Memory(Bytes::new())),
        Body::Packed(id) => {
            let place = place(view, id)?.ok_or_else(|| gone("the metadata of its bytes is missing"))?;
            match shared.shelf.read(place) {
                Ok(bytes) => Ok(Content::Memory(bytes)),
                Err(pack::Unread::Gone) => Err(gone("its pack is missing")),
                Err(pack::Unread::Damaged(detail)) => Err(label.damaged(detail).into()),
                Err(pack::Unread::Io(source)) => Err(label.io(source).into()),
            }
        }
        Body::File(name) => match File::open(shared.disk.blob(&name)) {
            Ok(file) => {
                let piece = Piece { size: head.size, place: Whereabouts::Open(file, name) };
                Ok(Content::Pieces(vec![piece], None))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone("its file is missing")),
            Err(error) => Err(label.io(error).into()),
        },
        Body::Parts(manifest) => {
            // Pinned first and looked at afterwards: what is there now stays.
            let pin = shared.pin(manifest);
            let view = shared.meta.view()?;
            let found: Option<record::Manifest> = view.record(At::Manifests, &manifest.to_be_bytes())?;
            let found = found.ok_or_else(|| gone("the list of its parts is missing"))?;
            let pieces = found.segments.into_iter().map(|segment| {
                let place = whereabouts(shared, &view, segment.body)?;
                Ok(Piece { size: segment.size, place })
            });
            Ok(Content::Pieces(pieces.collect::<Result<_, Unopened>>()?, Some(pin)))
        }
    }
}

fn place(view: &impl Look, id: u64) -> Result<Option<Place>> {
    let row: Option<record::Packed> = view.record(At::Packed, &id.to_be_bytes())?;
    Ok(row.map(|record::Packed { pack, offset, length, .. }| Place { id, pack, offset, length }))
}

fn whereabouts(shared: &Shared, view: &View, body: Body) -> Result<Whereabouts, Unopened> {
    let gone = || Unopened::Gone("the pack of a part is missing".to_owned());
    match body {
        Body::File(name) => Ok(Whereabouts::Named(name)),
        Body::Packed(id) => {
            let place = place(view, id)?.ok_or_else(gone)?;
            let file = shared.shelf.file(place.pack).map_err(|_| gone())?;
            Ok(Whereabouts::Pack(file, place))
        }
        Body::Empty | Body::Parts(_) => Ok(Whereabouts::Nowhere),
    }
}

impl Opened {
    /// Streams the bytes of `range` (cut to the object's size), each block compared with its checksum.
    pub fn read(self, range: Range<u64>) -> Reader {
        let end = range.end.min(self.object.size);
        let start = range.start.min(end);
        let remaining = end - start;
        let cut = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let state = match self.content {
            Content::Memory(bytes) => {
                let (start, end) = (cut(start).min(bytes.len()), cut(end).min(bytes.len()));
                State::Memory(bytes.slice(start..end))
            }
            Content::Pieces(pieces, pin) => {
                let label =
                    Label { bucket: self.bucket, key: self.object.key.clone(), version: self.object.version };
                let pieces = trim(pieces, start, end);
                State::Idle(Box::new(Cursor { pieces, current: None, label, shared: self.shared, _pin: pin }))
            }
        };
        Reader { remaining, state }
    }
}

/// The pieces that `start..end` touches, each with what to read of it.
fn trim(pieces: Vec<Piece>, start: u64, end: u64) -> VecDeque<(Piece, Range<u64>)> {
    let mut at = 0;
    let mut out = VecDeque::new();
    for piece in pieces {
        let (from, to) = (start.max(at), end.min(at + piece.size));
        let begin = at;
        at += piece.size;
        if from < to {
            out.push_back((piece, from - begin..to - begin));
        }
    }
    out
}

/// Reads, waiting for the disk.
pub(super) struct Cursor {
    pieces: VecDeque<(Piece, Range<u64>)>,
    current: Option<(blob::Reader, u64)>,
    label: Label,
    shared: Arc<Shared>,
    _pin: Option<Pin>,
}

impl Cursor {
    fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some((reader, left)) = &mut self.current {
                let mut bytes = reader.next(STEP.min(*left)).map_err(|error| self.label.blob(error))?;
                bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= bytes.len() as u64;
                if *left == 0 {
                    self.current = None;
                } else if bytes.is_empty() {
                    return Err(self.label.damaged("its file ends early"));
                }
                return Ok(Some(bytes));
            }
            let Some((piece, range)) = self.pieces.pop_front() else { return Ok(None) };
            let (file, name) = match piece.place {
                Whereabouts::Open(file, name) => (file, name),
                Whereabouts::Named(name) => {
                    let file = File::open(self.shared.disk.blob(&name));
                    (file.map_err(|error| self.label.io(error))?, name)
                }
                Whereabouts::Pack(file, place) => return self.packed(&file, place, range).map(Some),
                Whereabouts::Nowhere => continue,
            };
            let reader = blob::Reader::new(file, name, piece.size, range.start);
            let reader = reader.map_err(|error| self.label.blob(error))?;
            self.current = Some((reader, range.end - range.start));
        }
    }

    fn packed(&self, file: &File, place: Place, range: Range<u64>) -> Result<Bytes> {
        let bytes = pack::read(file, place).map_err(|error| match error {
            pack::Unread::Gone => self.label.damaged("the pack of a part is missing"),
            pack::Unread::Damaged(detail) => self.label.damaged(detail),
            pack::Unread::Io(source) => self.label.io(source),
        })?;
        let cut = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes.slice(cut(range.start)..cut(range.end)))
    }
}

/// The bytes of an object, as a stream. An error is the last thing it says.
pub struct Reader {
    remaining: u64,
    state: State,
}

enum State {
    Memory(Bytes),
    Idle(Box<Cursor>),
    Reading(JoinHandle<(Box<Cursor>, Result<Option<Bytes>>)>),
    Done,
}

impl Reader {
    /// Bytes still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    fn start(mut cursor: Box<Cursor>) -> State {
        State::Reading(spawn_blocking(move || {
            let next = cursor.next();
            (cursor, next)
        }))
    }
}

impl Stream for Reader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pinned<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match std::mem::replace(&mut self.state, State::Done) {
                State::Done => return Poll::Ready(None),
                State::Memory(bytes) if bytes.is_empty() => return Poll::Ready(None),
                State::Memory(bytes) => {
                    self.remaining = 0;
                    return Poll::Ready(Some(Ok(bytes)));
                }
                State::Idle(cursor) => self.state = Self::start(cursor),
                State::Reading(mut reading) => {
                    let polled = Pinned::new(&mut reading).poll(context);
                    if polled.is_pending() {
                        self.state = State::Reading(reading);
                    }
                    let (cursor, next) = match ready!(polled) {
                        Ok(read) => read,
                        Err(error) => {
                            let reason = format!("a thread of the store stopped: {error}");
                            return Poll::Ready(Some(Err(Error::Unusable { reason })));
                        }
                    };
                    let Some(bytes) = next.transpose() else { return Poll::Ready(None) };
                    if let Ok(bytes) = &bytes {
                        self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
                        if self.remaining > 0 {
                            self.state = Self::start(cursor);
                        }
                    }
                    return Poll::Ready(Some(bytes));
                }
            }
        }
    }
}

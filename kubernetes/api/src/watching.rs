//! Watch: changes as they happen. An event is encoded once and shared by all who want it whole.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{Stream, stream};
use http::{HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use sealos_store::{Change, Error, Event, Watch};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::call::{self, Call};
use crate::keys;
use crate::options::{Form, Selection};
use crate::read;
use crate::status::Status;
use crate::table::{self, Include};

/// How often a client that wants bookmarks gets one.
const BOOKMARKS: Duration = Duration::from_secs(45);
/// How long a watch lasts when the client does not say.
const DEFAULT_LIFE: u64 = 1800;
/// The annotation of the bookmark that ends the initial events.
const INITIAL_END: &str = "k8s.io/initial-events-end";

struct Watching {
    call: Call,
    selection: Selection,
    form: Form,
    include: Include,
    watch: Watch,
    bookmarks: bool,
    next_bookmark: Instant,
    end: Instant,
    first: Vec<Bytes>,
    /// Tables name their columns in the first event only.
    columns_sent: bool,
    over: bool,
}

pub(crate) fn watch(call: &Call) -> Result<Response<Body>, Status> {
    let form = Form::parse(&call.headers)?;
    let mut selection = Selection::parse(&call.query, &call.resource)?;
    if !call.asked.name.is_empty() {
        let text = format!("metadata.name={}", call.asked.name);
        let named = sealos_objects::selector::FieldSelector::parse(&text);
        selection.fields = named.map_err(|error| Status::bad_request(error.to_string()))?;
    }
    let life = call.query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
    let life = life.unwrap_or_else(|| DEFAULT_LIFE + u64::from(rand::random::<u16>() % 1800));
    let opened = open(call, &selection);
    let body = match opened {
        Ok((watch, initial, end_mark)) => {
            let mut watching = Watching {
                call: call.clone(),
                selection,
                form,
                include: Include::parse(&call.query),
                watch,
                bookmarks: call.query.flag("allowWatchBookmarks"),
                next_bookmark: Instant::now() + BOOKMARKS,
                end: Instant::now() + Duration::from_secs(life),
                first: Vec::new(),
                columns_sent: false,
                over: false,
            };
            watching.begin(initial, end_mark)?;
            Body::from_stream(watching.into_stream())
        }
        Err(status) if status.code == StatusCode::GONE => Body::from(error_line(&status)),
        Err(status) => return Err(status),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

type Opened = (Watch, Vec<Bytes>, Option<u64>);

/// The watch, the objects that are there already if the client wants them, and whether their end is
/// to be marked (and at which revision).
fn open(call: &Call, selection: &Selection) -> Result<Opened, Status> {
    let store = &call.parts.store;
    let prefix = watch_prefix(call, selection);
    let from = call.query.number("resourceVersion")?.unwrap_or(0);
    let initial = call.query.get("sendInitialEvents").map(|_| call.query.flag("sendInitialEvents"));
    if initial.is_some() && call.query.get("resourceVersionMatch") != Some("NotOlderThan") {
        return Err(Status::bad_request(
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    let with_objects = initial.unwrap_or(from == 0);
    if !with_objects {
        let from = if from == 0 { store.revision() } else { from };
        let watch = store.watch(&prefix, from).map_err(|error| read::expired(&error))?;
        return Ok((watch, Vec::new(), None));
    }
    let list = store.list(&prefix, None, 0);
    let watch = store.watch(&prefix, list.revision).map_err(|error| read::expired(&error))?;
    let objects = list.entries.into_iter().map(|entry| entry.value).collect();
    Ok((watch, objects, initial.map(|_| list.revision)))
}

/// A watch of one name looks at that name only.
fn watch_prefix(call: &Call, selection: &Selection) -> String {
    let namespace = if call.asked.namespace.is_empty() {
        selection.fields.exact("metadata.namespace").unwrap_or("")
    } else {
        &call.asked.namespace
    };
    keys::prefix(&call.resource, namespace)
}

impl Watching {
    fn begin(&mut self, initial: Vec<Bytes>, end_mark: Option<u64>) -> Result<(), Status> {
        for value in initial {
            if let Some(object) = self.selected(&value)? {
                let line = self.line("ADDED", &value, object);
                self.first.push(line);
            }
        }
        if let Some(revision) = end_mark.filter(|_| self.bookmarks) {
            self.first.push(self.bookmark(revision, true));
        }
        Ok(())
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        stream::unfold(self, |mut watching| async move {
            let bytes = watching.next().await?;
            Some((Ok(bytes), watching))
        })
    }

    /// The next bytes to send; `None` at the end of the watch's life.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first).concat().into());
        }
        while !self.over {
            let events = tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.end) => return None,
                events = self.watch.next() => events,
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark = Instant::now() + BOOKMARKS;
                    return Some(self.bookmark(self.watch.progress(), false));
                }
            };
            let lines = match events {
                Ok(events) => self.lines(&events),
                Err(Error::Closed) => return None,
                Err(error) => Err(read::expired(&error)),
            };
            match lines {
                Ok(lines) if lines.is_empty() => {}
                Ok(lines) => return Some(lines),
                Err(status) => {
                    self.over = true;
                    return Some(error_line(&status));
                }
            }
        }
        None
    }

    fn lines(&mut self, events: &[Arc<Event>]) -> Result<Bytes, Status> {
        if let [event] = events {
            return Ok(self.event(event)?.unwrap_or_default());
        }
        let mut lines = BytesMut::new();
        for event in events {
            if let Some(line) = self.event(event)? {
                lines.extend_from_slice(&line);
            }
        }
        Ok(lines.freeze())
    }

    fn event(&mut self, event: &Event) -> Result<Option<Bytes>, Status> {
        if self.form == Form::Json
            && self.selection.is_everything()
            && call::as_stored(&self.call.resource, &event.entry.value)
        {
            return Ok(Some(event.frame(|event| plain_line(kind(event.change), &event.entry.value))));
        }
        let value = &event.entry.value;
        let object = call::read(&event.entry)?;
        let object = self.call.resource.from_storage(object);
        let now = self.selection.matches(&self.call.resource, &object);
        let before = match &event.previous {
            _ if self.selection.is_everything() => event.change != Change::Created,
            Some(previous) => self.selected(previous)?.is_some(),
            None => false,
        };
        let kind = match (event.change, before, now) {
            (Change::Deleted, true, _) | (_, true, false) => "DELETED",
            (Change::Deleted, false, _) | (_, false, false) => return Ok(None),
            (_, false, true) => "ADDED",
            (_, true, true) => "MODIFIED",
        };
        Ok(Some(self.line(kind, value, object)))
    }

    /// The object in these bytes, if it is one the client wants.
    fn selected(&self, value: &Bytes) -> Result<Option<Value>, Status> {
        let object: Value =
            serde_json::from_slice(value).map_err(|error| Status::internal(error.to_string()))?;
        let object = self.call.resource.from_storage(object);
        Ok(self.selection.matches(&self.call.resource, &object).then_some(object))
    }

    fn line(&mut self, kind: &str, stored: &Bytes, object: Value) -> Bytes {
        let resource = &self.call.resource;
        match self.form {
            Form::Json if call::as_stored(resource, stored) => plain_line(kind, stored),
            Form::Json => value_line(kind, &object),
            Form::Partial => value_line(kind, &crate::encode::partial(&object)),
            Form::Table => {
                let meta = json!({ "resourceVersion": crate::encode::meta(&object, "resourceVersion") });
                let mut table =
                    if self.columns_sent { table::empty(meta) } else { table::header(resource, meta) };
                self.columns_sent = true;
                table["rows"] =
                    Value::Array(vec![table::row(resource, object, self.include, Timestamp::now())]);
                value_line(kind, &table)
            }
        }
    }

    fn bookmark(&self, revision: u64, end_of_initial: bool) -> Bytes {
        let mut meta = json!({ "resourceVersion": revision.to_string(), "creationTimestamp": null });
        if end_of_initial {
            meta["annotations"] = json!({ INITIAL_END: "true" });
        }
        let resource = &self.call.resource;
        let object = match self.form {
            Form::Json => {
                json!({ "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": meta })
            }
            Form::Partial => {
                json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta })
            }
            Form::Table => table::empty(meta),
        };
        value_line("BOOKMARK", &object)
    }
}

fn kind(change: Change) -> &'static str {
    match change {
        Change::Created => "ADDED",
        Change::Updated => "MODIFIED",
        Change::Deleted => "DELETED",
    }
}

fn plain_line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = BytesMut::with_capacity(object.len() + kind.len() + 24);
    line.extend_from_slice(br#"{"type":""#);
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(br#"","object":"#);
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.freeze()
}

fn value_line(kind: &str, object: &Value) -> Bytes {
    plain_line(kind, object.to_string().as_bytes())
}

fn error_line(status: &Status) -> Bytes {
    value_line("ERROR", &status.to_value())
}

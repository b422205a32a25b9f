//! Get and list. Where nobody asks for less than the whole object, bytes go out as they are stored.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::{Response, StatusCode, header};
use jiff::Timestamp;
use sealos_store::{Entry, Error, List};
use serde_json::{Value, json};

use crate::call::{self, Call};
use crate::keys;
use crate::options::{Form, Selection};
use crate::status::{Status, bytes_response, json_response};
use crate::table::{self, Include};

/// Objects of a list travel in pieces of about this size.
const PIECE: usize = 128 << 10;

pub(crate) fn get(call: &Call) -> Result<Response<Body>, Status> {
    let entry = call.entry()?;
    respond(call, StatusCode::OK, &entry.value)
}

/// One stored object, in the form the client wants.
pub(crate) fn respond(call: &Call, code: StatusCode, stored: &Bytes) -> Result<Response<Body>, Status> {
    let form = Form::parse(&call.headers)?;
    let bytes = call::shown(&call.resource, stored);
    if form == Form::Json {
        return Ok(bytes_response(code, bytes));
    }
    let object: Value =
        serde_json::from_slice(&bytes).map_err(|error| Status::internal(error.to_string()))?;
    Ok(json_response(code, &shape(call, object, form)))
}

/// One object that is not (or not yet) stored, in the form the client wants.
pub(crate) fn respond_object(call: &Call, code: StatusCode, object: Value) -> Result<Response<Body>, Status> {
    let form = Form::parse(&call.headers)?;
    Ok(json_response(code, &shape(call, object, form)))
}

fn shape(call: &Call, object: Value, form: Form) -> Value {
    match form {
        Form::Json => object,
        Form::Table => table::single(&call.resource, object, Include::parse(&call.query)),
        Form::Partial => crate::encode::partial(&object),
    }
}

/// Where a list in several pages goes on.
struct Page {
    /// The revision of the first page: watches start there.
    revision: u64,
    after: String,
}

impl Page {
    fn encode(&self) -> String {
        BASE64.encode(format!("{} {}", self.revision, self.after))
    }

    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
        let (revision, after) = text.split_once(' ')?;
        Some(Self { revision: revision.parse().ok()?, after: after.to_owned() })
    }
}

/// The objects of one page, selected.
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    pub(crate) meta: Value,
}

pub(crate) fn list(call: &Call) -> Result<Response<Body>, Status> {
    let form = Form::parse(&call.headers)?;
    let selection = Selection::parse(&call.query, &call.resource)?;
    let found = find(call, &selection)?;
    match form {
        Form::Json => Ok(join(call, found)),
        Form::Table => {
            let mut table = table::header(&call.resource, found.meta);
            let (include, now) = (Include::parse(&call.query), Timestamp::now());
            let rows =
                objects(call, &found.entries)?.map(|object| table::row(&call.resource, object, include, now));
            table["rows"] = rows.collect();
            Ok(json_response(StatusCode::OK, &table))
        }
        Form::Partial => {
            let items: Vec<Value> =
                objects(call, &found.entries)?.map(|object| crate::encode::partial(&object)).collect();
            let list = json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": found.meta, "items": items,
            });
            Ok(json_response(StatusCode::OK, &list))
        }
    }
}

fn objects(call: &Call, entries: &[Entry]) -> Result<impl Iterator<Item = Value>, Status> {
    let read: Result<Vec<Value>, Status> = entries
        .iter()
        .map(|entry| call::read(entry).map(|object| call.resource.from_storage(object)))
        .collect();
    Ok(read?.into_iter())
}

/// The selected objects of the page asked for.
pub(crate) fn find(call: &Call, selection: &Selection) -> Result<Found, Status> {
    let store = &call.parts.store;
    let prefix = keys::prefix(&call.resource, &call.asked.namespace);
    let limit = usize::try_from(call.query.number("limit")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let page = match call.query.text("continue") {
        Some(text) => {
            Some(Page::decode(text).ok_or_else(|| Status::bad_request("continue key is not valid"))?)
        }
        None => None,
    };
    check_revision(call, page.as_ref(), &prefix)?;
    let after = page.as_ref().map(|page| page.after.as_str());
    let (entries, revision, rest) = match exact(call, selection) {
        Some(entry) => (entry.into_iter().collect(), store.revision(), None),
        None if selection.is_everything() => {
            let List { entries, revision, remaining } = store.list(&prefix, after, limit);
            (entries, revision, (remaining > 0).then_some(Some(remaining)))
        }
        None => filter(call, selection, store.list(&prefix, after, 0), limit)?,
    };
    let revision = page.map_or(revision, |page| page.revision);
    let mut meta = json!({ "resourceVersion": revision.to_string() });
    if let (Some(rest), Some(last)) = (rest, entries.last()) {
        meta["continue"] = Page { revision, after: last.key.to_string() }.encode().into();
        if let Some(remaining) = rest {
            meta["remainingItemCount"] = remaining.into();
        }
    }
    Ok(Found { entries, meta })
}

/// A list of one name is a get.
fn exact(call: &Call, selection: &Selection) -> Option<Option<Entry>> {
    let name = selection.fields.exact("metadata.name")?;
    if call.resource.namespaced && call.asked.namespace.is_empty() {
        return None;
    }
    let entry = call.parts.store.get(&keys::object(&call.resource, &call.asked.namespace, name));
    let matching = entry
        .filter(|entry| call::read(entry).is_ok_and(|object| selection.matches(&call.resource, &object)));
    Some(matching)
}

type Filtered = (Vec<Entry>, u64, Option<Option<usize>>);

/// With selectors, how many are left is not known; Kubernetes does not tell either.
fn filter(call: &Call, selection: &Selection, list: List, limit: usize) -> Result<Filtered, Status> {
    let mut found = Vec::new();
    for entry in list.entries {
        let object = call.resource.from_storage(call::read(&entry)?);
        if !selection.matches(&call.resource, &object) {
            continue;
        }
        if limit > 0 && found.len() == limit {
            return Ok((found, list.revision, Some(None)));
        }
        found.push(entry);
    }
    Ok((found, list.revision, None))
}

/// Refuses what cannot be had: history that is gone, an exact past, the future.
fn check_revision(call: &Call, page: Option<&Page>, prefix: &str) -> Result<(), Status> {
    let store = &call.parts.store;
    if let Some(page) = page {
        if page.revision < store.oldest(prefix) {
            return Err(expired(&Error::Compacted { from: page.revision, oldest: store.oldest(prefix) }));
        }
        return Ok(());
    }
    let Some(wanted) = call.query.number("resourceVersion")?.filter(|wanted| *wanted > 0) else {
        return Ok(());
    };
    let current = store.revision();
    if wanted > current {
        let message = format!("Too large resource version: {wanted}, current: {current}");
        let status = Status::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message).retry_after(1);
        return Err(status.cause("ResourceVersionTooLarge", "Too large resource version", ""));
    }
    let exact = call.query.get("resourceVersionMatch") == Some("Exact");
    if exact && wanted < store.changed(prefix).max(store.oldest(prefix)) {
        return Err(Status::expired(format!(
            "The resourceVersion for the provided list is too old: {wanted}"
        )));
    }
    Ok(())
}

/// What a client is told whose place in history is gone.
pub(crate) fn expired(error: &Error) -> Status {
    match error {
        Error::Compacted { from, oldest } => {
            Status::expired(format!("too old resource version: {from} ({oldest})"))
        }
        other => store_failed(other),
    }
}

/// What a client is told when the store does not work.
pub(crate) fn store_failed(error: &Error) -> Status {
    match error {
        Error::NoSpace { .. } => {
            Status::new(StatusCode::INSUFFICIENT_STORAGE, "InternalError", error.to_string())
        }
        Error::Closed => Status::unavailable("the server is shutting down"),
        other => Status::internal(other.to_string()),
    }
}

/// A list whose items are the stored bytes.
fn join(call: &Call, found: Found) -> Response<Body> {
    let head = format!(
        r#"{{"kind":"{}","apiVersion":"{}","metadata":{},"items":["#,
        call.resource.list_kind,
        call.resource.api_version(),
        found.meta
    );
    let items: Vec<Bytes> =
        found.entries.iter().map(|entry| call::shown(&call.resource, &entry.value)).collect();
    let length = head.len() + 2 + items.iter().map(Bytes::len).sum::<usize>() + items.len().saturating_sub(1);
    let body = if length <= PIECE {
        Body::from(pieces(head, items, usize::MAX).concat())
    } else {
        Body::from_stream(stream::iter(
            pieces(head, items, PIECE).into_iter().map(Ok::<_, std::convert::Infallible>),
        ))
    };
    let mut response = bytes_response(StatusCode::OK, body);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

/// The list's text in pieces of about `size`; large items are not copied.
fn pieces(head: String, items: Vec<Bytes>, size: usize) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut piece = BytesMut::from(head.as_bytes());
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            piece.put_u8(b',');
        }
        if item.len() >= size {
            pieces.push(piece.split().freeze());
            pieces.push(item);
            continue;
        }
        if piece.len() + item.len() > size {
            pieces.push(piece.split().freeze());
        }
        piece.extend_from_slice(&item);
    }
    piece.extend_from_slice(b"]}");
    pieces.push(piece.freeze());
    pieces
}

//! The files in a bucket: listed a page at a time, streamed in and out, never held whole.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::response::Response;
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderMap, Method, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::signer::Signer as _;
use object_store::{
    Attribute, AttributeValue, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, WriteMultipart,
};
use serde::{Deserialize, Serialize};

use crate::api::{Json, Name, Workspace};
use crate::failure::Failure;
use crate::store;

type Reply<T> = Result<axum::Json<T>, Failure>;

const PAGE: usize = 500;
const CHUNK: usize = 8 << 20;
/// Parts of one upload that are on their way to the store at a time.
const PARTS: usize = 2;
/// The longest time S3 allows for a link.
const LONGEST: u64 = 7 * 24 * 3600;
/// What people stored runs nothing and loads nothing, even when it is opened by itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

impl Workspace {
    async fn store(&self, name: &str) -> Result<AmazonS3, Failure> {
        let buckets = self.buckets();
        let (bucket, keys) = tokio::try_join!(buckets.get(name), buckets.keys(None))?;
        store::open(&self.client, &keys, &bucket.bucket).await
    }
}

#[derive(Deserialize)]
pub(crate) struct Place {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Listing {
    prefixes: Vec<String>,
    objects: Vec<Entry>,
    next: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    key: String,
    size_bytes: u64,
    modified_at: String,
}

/// One page of what is right below a prefix.
pub(crate) async fn list(
    workspace: Workspace,
    Name(name): Name,
    Query(place): Query<Place>,
) -> Reply<Listing> {
    let store = workspace.store(&name).await?;
    let options = PaginatedListOptions {
        delimiter: Some("/".into()),
        max_keys: Some(PAGE),
        page_token: place.after.filter(|token| !token.is_empty()),
        ..PaginatedListOptions::default()
    };
    let prefix = Some(place.prefix.as_str()).filter(|prefix| !prefix.is_empty());
    let page = store.list_paginated(prefix, options).await;
    let page = page.map_err(|error| store::failed(&error, "list the files"))?;
    let folder = place.prefix.trim_end_matches('/');
    let objects = page.result.objects.into_iter().map(|object| Entry {
        key: object.location.to_string(),
        size_bytes: object.size,
        modified_at: object.last_modified.to_rfc3339(),
    });
    Ok(axum::Json(Listing {
        prefixes: page.result.common_prefixes.iter().map(|prefix| format!("{prefix}/")).collect(),
        // A marker of the folder itself is not in it.
        objects: objects.filter(|object| object.key != folder).collect(),
        next: page.page_token,
    }))
}

#[derive(Deserialize)]
pub(crate) struct Content {
    key: String,
    #[serde(default)]
    how: String,
}

/// What a file holds: to look at, or to keep.
pub(crate) async fn read(
    workspace: Workspace,
    Name(name): Name,
    Query(content): Query<Content>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let path = store::path(&content.key)?;
    let store = workspace.store(&name).await?;
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).and_then(range);
    let options = GetOptions { head: method == Method::HEAD, range, ..GetOptions::default() };
    let got = store.get_opts(&path, options).await;
    let got = got.map_err(|error| store::failed(&error, &format!("read `{}`", content.key)))?;
    let stored = got.attributes.get(&Attribute::ContentType).map(|kind| kind.as_ref().to_owned());
    let inline = content.how == "inline";
    let kind = if inline { shown_as(&content.key) } else { stored };
    let file = content.key.rsplit('/').next().unwrap_or("file");
    let disposition = if inline { "inline".to_owned() } else { attachment(file) };
    let (status, total) = (got.range.clone(), got.meta.size);
    let partial = status.end - status.start < total;
    let mut response = Response::builder()
        .status(if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK })
        .header(header::CONTENT_TYPE, kind.unwrap_or_else(|| "application/octet-stream".into()))
        .header(header::CONTENT_LENGTH, status.end - status.start)
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_DISPOSITION, disposition)
        .header(header::CONTENT_SECURITY_POLICY, POLICY);
    if partial {
        let range = format!("bytes {}-{}/{total}", status.start, status.end.saturating_sub(1));
        response = response.header(header::CONTENT_RANGE, range);
    }
    let body = if method == Method::HEAD { Body::empty() } else { Body::from_stream(got.into_stream()) };
    response.body(body).map_err(|_| Failure::bad_request("the file's description cannot be sent"))
}

/// Only pictures are shown as what they are; all else is text, which no browser runs.
fn shown_as(key: &str) -> Option<String> {
    let kind = mime_guess::from_path(key).first_or_text_plain();
    let is_image = kind.type_() == mime_guess::mime::IMAGE;
    Some(if is_image { kind.to_string() } else { "text/plain; charset=utf-8".into() })
}

/// `bytes=0-99` and `bytes=100-`: what the page and download managers ask for.
fn range(text: &str) -> Option<GetRange> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => Some(GetRange::Bounded(from..to.saturating_add(1))),
        (Ok(from), Err(_)) if to.is_empty() => Some(GetRange::Offset(from)),
        _ => None,
    }
}

/// The header that makes a browser keep a file, under its name in every alphabet.
fn attachment(file: &str) -> String {
    let plain: String =
        file.chars().map(|c| if c.is_ascii_alphanumeric() || "-_. ".contains(c) { c } else { '_' }).collect();
    let escaped: String = file
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{escaped}")
}

/// Stores what the browser sends. A file is visible when all of it is there, and not before.
pub(crate) async fn write(
    workspace: Workspace,
    Name(name): Name,
    Query(content): Query<Content>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Failure> {
    let path = store::path(&content.key)?;
    let store = workspace.store(&name).await?;
    let failed = |error: &object_store::Error| store::failed(error, &format!("store `{}`", content.key));
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or("application/octet-stream").to_owned();
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, AttributeValue::from(kind));
    let mut stream = body.into_data_stream();
    let first = gather(&mut stream).await?;
    if first.len() < CHUNK {
        let options = attributes.into();
        store.put_opts(&path, first.into(), options).await.map_err(|error| failed(&error))?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let upload = store.put_multipart_opts(&path, options).await.map_err(|error| failed(&error))?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, CHUNK);
    upload.put(first.into());
    match pour(&mut stream, &mut upload).await {
        Ok(()) => upload.finish().await.map_err(|error| failed(&error))?,
        Err(Broken::Store(error)) => {
            let _gone = upload.abort().await;
            return Err(failed(&error));
        }
        Err(Broken::Browser) => {
            let _gone = upload.abort().await;
            return Err(cut());
        }
    };
    Ok(StatusCode::NO_CONTENT)
}

enum Broken {
    Browser,
    Store(object_store::Error),
}

fn cut() -> Failure {
    Failure::bad_request("the upload ended too early; nothing was stored")
}

type Data = axum::body::BodyDataStream;

/// The first chunk of what is sent; less if that is all.
async fn gather(stream: &mut Data) -> Result<Vec<u8>, Failure> {
    let mut first = Vec::new();
    while first.len() < CHUNK
        && let Some(bytes) = stream.next().await
    {
        first.extend_from_slice(&bytes.map_err(|_| cut())?);
    }
    Ok(first)
}

async fn pour(stream: &mut Data, upload: &mut WriteMultipart) -> Result<(), Broken> {
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|_| Broken::Browser)?;
        upload.wait_for_capacity(PARTS).await.map_err(Broken::Store)?;
        upload.put(bytes);
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Doomed {
    keys: Vec<String>,
}

#[derive(Serialize)]
pub(crate) struct Removed {
    deleted: usize,
}

/// Deletes files, and all that is below those keys that end with a slash.
pub(crate) async fn remove(
    workspace: Workspace,
    Name(name): Name,
    Json(doomed): Json<Doomed>,
) -> Reply<Removed> {
    let store = workspace.store(&name).await?;
    let mut deleted = 0;
    for key in &doomed.keys {
        let failed = |error: object_store::Error| store::failed(&error, &format!("delete `{key}`"));
        let path = store::path(key)?;
        if key.ends_with('/') {
            let below = store.list(Some(&path)).map_ok(|object| object.location).boxed();
            let gone: Vec<_> = store.delete_stream(below).try_collect().await.map_err(failed)?;
            deleted += gone.len();
        } else {
            store.delete(&path).await.map_err(failed)?;
            deleted += 1;
        }
    }
    Ok(axum::Json(Removed { deleted }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    key: String,
    seconds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    url: String,
    expires_at: String,
}

/// A link to one file that works without keys until it expires.
pub(crate) async fn share(workspace: Workspace, Name(name): Name, Json(share): Json<Share>) -> Reply<Link> {
    if !(1..=LONGEST).contains(&share.seconds) {
        return Err(Failure::bad_request("a link works for one second to seven days"));
    }
    let path = store::path(&share.key)?;
    let buckets = workspace.buckets();
    let (bucket, keys) = tokio::try_join!(buckets.get(&name), buckets.keys(None))?;
    let store = store::outside(&keys, &bucket.bucket)?;
    let url = store.signed_url(Method::GET, &path, Duration::from_secs(share.seconds)).await;
    let url = url.map_err(|error| store::failed(&error, &format!("make a link to `{}`", share.key)))?;
    let lasts = SignedDuration::from_secs(i64::try_from(share.seconds).unwrap_or_default());
    let expires_at = (Timestamp::now() + lasts).to_string();
    Ok(axum::Json(Link { url: url.into(), expires_at }))
}

#[cfg(test)]
mod tests {
    use object_store::GetRange;

    use super::{attachment, range, shown_as};

    #[test]
    fn what_is_stored_is_never_run() {
        assert_eq!(shown_as("a/b.png").as_deref(), Some("image/png"));
        for key in ["page.html", "script.js", "document.xhtml", "unknown"] {
            assert_eq!(shown_as(key).as_deref(), Some("text/plain; charset=utf-8"), "{key}");
        }
    }

    #[test]
    fn a_name_stays_in_its_header() {
        let said = attachment("a\"\r\n: ü.png");
        assert_eq!(said, "attachment; filename=\"a____ _.png\"; filename*=UTF-8''a%22%0D%0A%3A%20%C3%BC.png");
    }

    #[test]
    fn reads_ranges() {
        assert_eq!(range("bytes=0-99"), Some(GetRange::Bounded(0..100)));
        assert_eq!(range("bytes=100-"), Some(GetRange::Offset(100)));
        assert_eq!(range("bytes=9-3"), None);
        assert_eq!(range("lines=1-2"), None);
    }
}

//! The page itself, embedded in the binary.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use rust_embed::RustEmbed;

use crate::Parts;
use crate::failure::Failure;

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/web"]
struct Web;

/// Files under this path are named by their content and never change.
const HASHED: &str = "assets/";

/// A file of the page; every other address is the page's own to answer.
pub(crate) async fn serve(
    State(_): State<Arc<Parts>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "pages can only be read")
            .into_response();
    }
    let path = uri.path().trim_start_matches('/');
    let is_page = path.is_empty() || !path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    // An app's name may have no dot, so an address with one is a file.
    let name = if is_page { "index.html" } else { path };
    let zipped = accepts_gzip(&headers).then(|| Web::get(&format!("{name}.gz"))).flatten();
    let encoding = zipped.is_some().then_some("gzip");
    let Some(file) = zipped.or_else(|| Web::get(name)) else {
        return Failure::not_found(format!("there is no file `{path}`")).into_response();
    };
    let hash = file.metadata.sha256_hash();
    let tag = format!("\"{}\"", hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>());
    let cache = if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let kind = mime_guess::from_path(name).first_or_octet_stream();
    let kind = if kind.type_() == "text" { format!("{kind}; charset=utf-8") } else { kind.to_string() };
    let mut response = (
        [
            (header::CONTENT_TYPE, kind),
            (header::ETAG, tag),
            (header::CACHE_CONTROL, cache.to_owned()),
            (header::VARY, "accept-encoding".to_owned()),
        ],
        file.data,
    )
        .into_response();
    if let Some(encoding) = encoding {
        response.headers_mut().insert(header::CONTENT_ENCODING, http::HeaderValue::from_static(encoding));
    }
    response
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|list| list.split(',').any(|one| one.trim().split(';').next() == Some("gzip")))
}

//! Static websites: a bucket as a browser wants it, with index and error documents and redirects.
//!
//! A page is fetched by a plain anonymous `GET` of the S3 service, so ranges, conditions and policies are
//! the same as there; here is only which object it is, and what is shown when there is none.

use std::net::IpAddr;

use http::header::{CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use s3s::dto::{Redirect, RoutingRule, WebsiteConfiguration};
use s3s::service::S3Service;
use s3s::{Body, HttpError};

use crate::access::Peer;
use crate::core::Core;
use crate::sign::encode;

/// Headers of the browser that S3 is to see.
const PASSED: [&str; 7] = [
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "referer",
    "user-agent",
];

/// One request to a website.
struct Visit<'a> {
    s3: &'a S3Service,
    bucket: &'a str,
    website: &'a WebsiteConfiguration,
    method: Method,
    host: String,
    headers: HeaderMap,
    peer: IpAddr,
}

pub(super) async fn serve(
    core: &Core,
    s3: &S3Service,
    bucket: &str,
    request: Request<Body>,
    peer: IpAddr,
) -> Result<Response<Body>, HttpError> {
    let rules = match core.shelf.rules(&core.store, bucket).await {
        Ok(rules) => rules,
        Err(error) => {
            return Ok(page(error.status_code().unwrap_or(StatusCode::NOT_FOUND), "There is no such site."));
        }
    };
    let Some(website) = &rules.website else {
        return Ok(page(StatusCode::NOT_FOUND, "This bucket is not set up as a website."));
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(page(StatusCode::METHOD_NOT_ALLOWED, "A website can only be read."));
    }
    let Ok(path) = percent_encoding::percent_decode_str(request.uri().path()).decode_utf8() else {
        return Ok(page(StatusCode::BAD_REQUEST, "The address is not UTF-8."));
    };
    let visit = Visit {
        s3,
        bucket,
        website,
        method: request.method().clone(),
        host: request.headers().get(HOST).and_then(|h| h.to_str().ok()).unwrap_or_default().to_owned(),
        headers: passed(request.headers()),
        peer,
    };
    visit.answer(path.strip_prefix('/').unwrap_or(&path)).await
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let names = PASSED.iter().map(|name| HeaderName::from_static(name));
    names.filter_map(|name| Some((name.clone(), headers.get(&name)?.clone()))).collect()
}

impl Visit<'_> {
    async fn answer(&self, key: &str) -> Result<Response<Body>, HttpError> {
        if let Some(all) = &self.website.redirect_all_requests_to {
            let scheme = all.protocol.as_ref().map_or("http", |protocol| protocol.as_str());
            return Ok(moved(
                StatusCode::MOVED_PERMANENTLY,
                &format!("{scheme}://{}/{}", all.host_name, encode(key, true)),
            ));
        }
        if let Some(rule) = self.rule(key, None) {
            return Ok(self.redirect(rule, key));
        }
        let index = self.website.index_document.as_ref().map_or("index.html", |index| index.suffix.as_str());
        let name =
            if key.is_empty() || key.ends_with('/') { format!("{key}{index}") } else { key.to_owned() };
        let found = self.fetch(&name).await?;
        if let Some(place) = found.headers().get("x-amz-website-redirect-location").cloned() {
            let place = place.to_str().unwrap_or("/").to_owned();
            return Ok(moved(StatusCode::MOVED_PERMANENTLY, &place));
        }
        match found.status() {
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => self.missing(key, index, found.status()).await,
            _ => Ok(found),
        }
    }

    async fn missing(&self, key: &str, index: &str, status: StatusCode) -> Result<Response<Body>, HttpError> {
        // A directory without its slash.
        if !key.is_empty()
            && !key.ends_with('/')
            && self.fetch(&format!("{key}/{index}")).await?.status().is_success()
        {
            return Ok(moved(StatusCode::FOUND, &format!("/{}/", encode(key, true))));
        }
        if let Some(rule) = self.rule(key, Some(status)) {
            return Ok(self.redirect(rule, key));
        }
        if let Some(document) = &self.website.error_document {
            let mut shown = self.fetch(&document.key).await?;
            if shown.status().is_success() {
                *shown.status_mut() = status;
                return Ok(shown);
            }
        }
        Ok(page(
            status,
            if status == StatusCode::FORBIDDEN {
                "You may not see this page."
            } else {
                "There is no such page."
            },
        ))
    }

    /// The object, as anybody may get it.
    async fn fetch(&self, key: &str) -> Result<Response<Body>, HttpError> {
        let uri = format!("/{}/{}", encode(self.bucket, false), encode(key, true));
        let mut request = Request::new(Body::empty());
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        *request.uri_mut() =
            uri.parse().map_err(|error: http::uri::InvalidUri| HttpError::new(Box::new(error)))?;
        request.extensions_mut().insert(Peer(self.peer));
        self.s3.call(request).await
    }

    /// The routing rule for a key: those on errors apply only once there is one.
    fn rule(&self, key: &str, error: Option<StatusCode>) -> Option<&RoutingRule> {
        self.website.routing_rules.iter().flatten().find(|rule| {
            let Some(condition) = &rule.condition else { return error.is_none() };
            let prefix = condition.key_prefix_equals.as_deref().unwrap_or_default();
            let code = condition.http_error_code_returned_equals.as_deref();
            key.starts_with(prefix) && code == error.as_ref().map(StatusCode::as_str)
        })
    }

    fn redirect(&self, rule: &RoutingRule, key: &str) -> Response<Body> {
        let condition = rule.condition.as_ref();
        let prefix =
            condition.and_then(|condition| condition.key_prefix_equals.as_deref()).unwrap_or_default();
        moved(redirect_status(&rule.redirect), &self.target(&rule.redirect, key, prefix))
    }

    fn target(&self, redirect: &Redirect, key: &str, prefix: &str) -> String {
        let scheme = redirect.protocol.as_ref().map_or("http", |protocol| protocol.as_str());
        let host = redirect.host_name.as_deref().unwrap_or(&self.host);
        let key = match (&redirect.replace_key_with, &redirect.replace_key_prefix_with) {
            (Some(whole), _) => whole.clone(),
            (None, Some(new)) => format!("{new}{}", key.strip_prefix(prefix).unwrap_or(key)),
            (None, None) => key.to_owned(),
        };
        format!("{scheme}://{host}/{}", encode(&key, true))
    }
}

fn redirect_status(redirect: &Redirect) -> StatusCode {
    let code = redirect.http_redirect_code.as_deref().and_then(|code| code.parse::<u16>().ok());
    code.and_then(|code| StatusCode::from_u16(code).ok())
        .filter(|code| code.is_redirection())
        .unwrap_or(StatusCode::MOVED_PERMANENTLY)
}

fn moved(status: StatusCode, place: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

/// A page of our own, where the site has none.
fn page(status: StatusCode, text: &str) -> Response<Body> {
    let html = format!("<!doctype html><title>{status}</title><h1>{status}</h1><p>{text}</p>\n");
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

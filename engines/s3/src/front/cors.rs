//! CORS: which pages of other origins a browser lets use a bucket.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use s3s::dto::{CORSConfiguration, CORSRule};
use s3s::{Body, S3Error, s3_error};

use crate::core::Core;

/// What a browser asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    origin: String,
    method: String,
    headers: Vec<String>,
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Asked {
    /// From a request itself.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let origin = text(headers, ORIGIN)?.to_owned();
        Some(Self { origin, method: method.to_string(), headers: Vec::new() })
    }

    /// From the question before a request.
    fn before(headers: &HeaderMap) -> Option<Self> {
        let names = text(headers, ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        Some(Self {
            origin: text(headers, ORIGIN)?.to_owned(),
            method: text(headers, ACCESS_CONTROL_REQUEST_METHOD)?.to_owned(),
            headers: names
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect(),
        })
    }

    fn rule<'r>(&self, cors: &'r CORSConfiguration) -> Option<&'r CORSRule> {
        cors.cors_rules.iter().find(|rule| {
            let origin = rule.allowed_origins.iter().any(|pattern| fits(pattern, &self.origin, false));
            let header = |name: &String| {
                rule.allowed_headers.iter().flatten().any(|pattern| fits(pattern, name, true))
            };
            origin && rule.allowed_methods.contains(&self.method) && self.headers.iter().all(header)
        })
    }
}

/// One `*` stands for anything.
fn fits(pattern: &str, text: &str, ignore_case: bool) -> bool {
    let (pattern, text) = match ignore_case {
        true => (pattern.to_ascii_lowercase(), text.to_ascii_lowercase()),
        false => (pattern.to_owned(), text.to_owned()),
    };
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.len() >= before.len() + after.len() && text.starts_with(before) && text.ends_with(after)
        }
    }
}

/// Puts into the answer what lets the page read it.
pub(super) async fn allow(core: &Core, bucket: &str, asked: &Asked, headers: &mut HeaderMap) {
    let Ok(rules) = core.shelf.rules(&core.store, bucket).await else { return };
    if let Some(rule) = rules.cors.as_ref().and_then(|cors| asked.rule(cors)) {
        grant(rule, asked, headers);
    }
}

fn grant(rule: &CORSRule, asked: &Asked, headers: &mut HeaderMap) {
    let mut set = |name: HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    if rule.allowed_origins.iter().any(|origin| origin == "*") {
        set(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else {
        set(ACCESS_CONTROL_ALLOW_ORIGIN, &asked.origin);
        set(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    set(ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods.join(", "));
    if let Some(exposed) = rule.expose_headers.as_ref().filter(|exposed| !exposed.is_empty()) {
        set(ACCESS_CONTROL_EXPOSE_HEADERS, &exposed.join(", "));
    }
    if let Some(age) = rule.max_age_seconds {
        set(ACCESS_CONTROL_MAX_AGE, &age.to_string());
    }
    if !asked.headers.is_empty() {
        set(ACCESS_CONTROL_ALLOW_HEADERS, &asked.headers.join(", "));
    }
    set(VARY, "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
}

/// Answers a browser's question whether it may.
pub(super) async fn preflight(core: &Core, bucket: Option<&str>, headers: &HeaderMap) -> Response<Body> {
    match permitted(core, bucket, headers).await {
        Ok(granted) => {
            let mut response = Response::new(Body::empty());
            *response.headers_mut() = granted;
            response
        }
        Err(error) => error.to_http_response().unwrap_or_else(|_| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }),
    }
}

async fn permitted(core: &Core, bucket: Option<&str>, headers: &HeaderMap) -> Result<HeaderMap, S3Error> {
    let asked = Asked::before(headers).ok_or_else(|| {
        s3_error!(
            InvalidRequest,
            "Insufficient information. Origin and Access-Control-Request-Method are needed."
        )
    })?;
    let refused = || {
        let code = s3s::S3ErrorCode::Custom("AccessForbidden".into());
        let mut error = S3Error::with_message(code, "CORSResponse: This CORS request is not allowed.");
        error.set_status_code(StatusCode::FORBIDDEN);
        error
    };
    let rules = core.shelf.rules(&core.store, bucket.ok_or_else(refused)?).await?;
    let rule = rules.cors.as_ref().and_then(|cors| asked.rule(cors)).ok_or_else(refused)?;
    let mut granted = HeaderMap::new();
    grant(rule, &asked, &mut granted);
    Ok(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origin: &str, header: &str) -> CORSConfiguration {
        CORSConfiguration {
            cors_rules: vec![CORSRule {
                allowed_headers: Some(vec![header.to_owned()]),
                allowed_methods: vec!["PUT".to_owned()],
                allowed_origins: vec![origin.to_owned()],
                expose_headers: None,
                id: None,
                max_age_seconds: None,
            }],
        }
    }

    fn asked(origin: &str, method: &str, header: &str) -> Asked {
        Asked { origin: origin.to_owned(), method: method.to_owned(), headers: vec![header.to_owned()] }
    }

    #[test]
    fn matches_origin_method_and_headers() {
        let cors = rule("https://*.example.org", "X-Amz-*");
        assert!(asked("https://a.example.org", "PUT", "x-amz-date").rule(&cors).is_some());
        assert!(asked("https://example.com", "PUT", "x-amz-date").rule(&cors).is_none());
        assert!(asked("https://a.example.org", "GET", "x-amz-date").rule(&cors).is_none());
        assert!(asked("https://a.example.org", "PUT", "content-type").rule(&cors).is_none());
    }
}

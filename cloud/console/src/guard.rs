//! What protects the browser: headers on every answer, and who may change things.
//!
//! Apps run on hosts beside the console's, so a page of an app is "same site" under a real domain, and
//! a cookie alone proves nothing. What changes something must therefore carry a header that no foreign
//! page can send without asking, and a socket must come from the console's own page.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use crate::failure::Failure;

/// The header of every request that the console's page makes.
pub(crate) const MARK: &str = "x-sealos-console";

/// Styles may be inline: the terminal and the dialogs make style elements. Scripts may not.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Adds the security headers.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let set = response.headers_mut();
    // What people stored has a stricter one of its own.
    set.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        set.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets through what the console's own page sent.
pub(crate) async fn own_page(request: Request, next: Next) -> Response {
    match check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(why) => Failure::new(StatusCode::FORBIDDEN, "ForeignPage", why).into_response(),
    }
}

fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), &'static str> {
    let origin = headers.get(header::ORIGIN);
    if origin.is_some_and(|origin| !is_own(origin, uri, headers)) {
        return Err("the request comes from a page of another host");
    }
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let upgrades = headers.contains_key(header::UPGRADE);
    if upgrades && origin.is_none() && !headers.contains_key(MARK) {
        return Err("a socket needs an `Origin` header");
    }
    if !reads && !headers.contains_key(MARK) {
        return Err("a request that changes something needs the header `X-Sealos-Console`");
    }
    Ok(())
}

/// Whether the origin's host and port are those that the request was sent to.
fn is_own(origin: &HeaderValue, uri: &Uri, headers: &HeaderMap) -> bool {
    let host =
        headers.get(header::HOST).and_then(|h| h.to_str().ok()).or_else(|| Some(uri.authority()?.as_str()));
    let origin = origin.to_str().ok().and_then(|o| o.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method, Uri};

    use super::check;

    fn verdict(method: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect();
        check(&method.parse::<Method>().expect("a method"), &Uri::from_static("/"), &map).is_ok()
    }

    #[test]
    fn reading_needs_nothing() {
        assert!(verdict("GET", &[("host", "console.localhost")]));
    }

    #[test]
    fn changing_needs_the_mark() {
        assert!(!verdict("POST", &[("host", "console.localhost")]));
        assert!(verdict("POST", &[("host", "console.localhost"), ("x-sealos-console", "1")]));
    }

    #[test]
    fn another_host_is_refused_even_with_the_mark() {
        let foreign = [
            ("host", "console.example.com"),
            ("origin", "http://shop-default.example.com"),
            ("x-sealos-console", "1"),
        ];
        assert!(!verdict("POST", &foreign));
        assert!(!verdict("GET", &[("host", "console.localhost"), ("origin", "null")]));
        assert!(!verdict(
            "GET",
            &[("host", "console.localhost:8080"), ("origin", "http://console.localhost:9090")]
        ));
    }

    #[test]
    fn a_socket_comes_from_the_console() {
        assert!(!verdict("GET", &[("host", "console.localhost"), ("upgrade", "websocket")]));
        let own = [
            ("host", "console.localhost:8080"),
            ("upgrade", "websocket"),
            ("origin", "http://console.localhost:8080"),
        ];
        assert!(verdict("GET", &own));
    }
}

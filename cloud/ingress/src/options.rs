//! Annotations of an Ingress, as nginx's controller understands them. What is not understood is left
//! out: an app must not go dark because of a wish that cannot be met.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use sealos_gateway::{Affinity, Balance, HeaderChange, HeaderRule, Redirect, RouteOptions, Upstream};

use crate::snippet;

const PREFIX: &str = "nginx.ingress.kubernetes.io/";
const CLASS: &str = "kubernetes.io/ingress.class";
/// What nginx allows when nothing is said is 1 MiB, and surprises everybody.
const DEFAULT_BODY: u64 = 64 << 20;

/// The annotations of one Ingress.
#[derive(Clone, Copy)]
pub(crate) struct Annotations<'a>(pub(crate) Option<&'a BTreeMap<String, String>>);

impl<'a> Annotations<'a> {
    fn get(self, name: &str) -> Option<&'a str> {
        let value = self.0?.get(&format!("{PREFIX}{name}"))?.trim();
        (!value.is_empty()).then_some(value)
    }

    fn flag(self, name: &str) -> Option<bool> {
        self.get(name)?.parse().ok()
    }

    fn seconds(self, name: &str) -> Option<Duration> {
        let text = self.get(name)?;
        let number = text.strip_suffix('s').unwrap_or(text).parse().ok()?;
        Some(Duration::from_secs(number))
    }

    /// The class that was set before classes had a field of their own.
    pub(crate) fn class(self) -> Option<&'a str> {
        self.0?.get(CLASS).map(String::as_str)
    }

    /// Whether paths of this Ingress are regular expressions.
    pub(crate) fn uses_regex(self) -> bool {
        self.flag("use-regex").unwrap_or(false) || self.get("rewrite-target").is_some()
    }

    /// `has_certificate` says whether a usable certificate belongs to the Ingress: without one nobody
    /// is sent to HTTPS, where only a warning would wait.
    pub(crate) fn options(self, has_certificate: bool) -> RouteOptions {
        let defaults = RouteOptions::default();
        let mut options = RouteOptions {
            upstream: self.upstream(),
            connect_timeout: self.seconds("proxy-connect-timeout").unwrap_or(defaults.connect_timeout),
            read_timeout: self.seconds("proxy-read-timeout").unwrap_or(defaults.read_timeout),
            send_timeout: self.seconds("proxy-send-timeout").unwrap_or(defaults.send_timeout),
            max_body: self.max_body(),
            rewrite: self.get("rewrite-target").map(ToOwned::to_owned),
            redirect: self.redirect(),
            ssl_redirect: self.flag("force-ssl-redirect").unwrap_or(false)
                || (has_certificate && self.flag("ssl-redirect").unwrap_or(true)),
            affinity: self.affinity(),
            balance: if self.get("load-balance") == Some("round_robin") {
                Balance::RoundRobin
            } else {
                Balance::LeastConnections
            },
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        };
        if let Some(text) = self.get("configuration-snippet") {
            let found = snippet::read(text);
            options.request_headers = found.request_headers;
            options.response_headers = found.response_headers;
        }
        options.response_headers.extend(self.cross_origin());
        options
    }

    fn upstream(self) -> Upstream {
        match self.get("backend-protocol").map(str::to_ascii_uppercase).as_deref() {
            Some("GRPC") => Upstream::Http2,
            Some("GRPCS") => Upstream::Https2,
            Some("HTTPS") => Upstream::Https,
            // WebSockets begin as HTTP/1.1.
            _ => Upstream::Http1,
        }
    }

    fn max_body(self) -> Option<u64> {
        match self.get("proxy-body-size") {
            Some(text) => size(text).map_or(Some(DEFAULT_BODY), |bytes| (bytes > 0).then_some(bytes)),
            None => Some(DEFAULT_BODY),
        }
    }

    fn redirect(self) -> Option<Redirect> {
        let temporary =
            self.get("temporal-redirect").map(|to| (to, "temporal-redirect-code", StatusCode::FOUND));
        let permanent = self
            .get("permanent-redirect")
            .map(|to| (to, "permanent-redirect-code", StatusCode::MOVED_PERMANENTLY));
        let (to, code, usual) = temporary.or(permanent)?;
        let status = self.get(code).and_then(|text| text.parse().ok()).filter(StatusCode::is_redirection);
        Some(Redirect { status: status.unwrap_or(usual), to: to.to_owned() })
    }

    fn affinity(self) -> Option<Affinity> {
        if self.get("affinity")? != "cookie" {
            return None;
        }
        let max_age = self.seconds("session-cookie-max-age").or(self.seconds("session-cookie-expires"));
        Some(Affinity {
            cookie: self.get("session-cookie-name").unwrap_or("INGRESSCOOKIE").to_owned(),
            path: self.get("session-cookie-path").unwrap_or("/").to_owned(),
            max_age,
        })
    }

    fn cross_origin(self) -> Vec<HeaderRule> {
        if self.flag("enable-cors") != Some(true) {
            return Vec::new();
        }
        let pairs = [
            ("access-control-allow-origin", self.get("cors-allow-origin").unwrap_or("*")),
            (
                "access-control-allow-methods",
                self.get("cors-allow-methods").unwrap_or("GET, PUT, POST, DELETE, PATCH, OPTIONS"),
            ),
            (
                "access-control-allow-headers",
                self.get("cors-allow-headers").unwrap_or(
                    "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
                ),
            ),
        ];
        let rules = pairs.into_iter().filter_map(|(name, value)| {
            let change = HeaderChange::Set(HeaderValue::try_from(value).ok()?);
            Some(HeaderRule { when: None, name: HeaderName::from_static(name), change })
        });
        rules.collect()
    }
}

/// Sizes as nginx writes them: `32m`, `512k`, `1g`, or bytes. `0` means no limit.
fn size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let (digits, shift) = match text.strip_suffix(['k', 'm', 'g']) {
        Some(digits) if text.ends_with('k') => (digits, 10),
        Some(digits) if text.ends_with('m') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (text.as_str(), 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)], certificate: bool) -> RouteOptions {
        let map = pairs.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned()));
        Annotations(Some(&map.collect())).options(certificate)
    }

    #[test]
    fn reads_sizes() {
        for (text, bytes) in
            [("32m", Some(32 << 20)), ("8K", Some(8192)), ("1g", Some(1 << 30)), ("5", Some(5))]
        {
            assert_eq!(size(text), bytes, "{text}");
        }
        assert_eq!(size("many"), None);
        assert_eq!(options(&[("proxy-body-size", "0")], false).max_body, None);
        assert_eq!(options(&[("proxy-body-size", "wide")], false).max_body, Some(DEFAULT_BODY));
    }

    #[test]
    fn https_needs_a_certificate() {
        assert!(!options(&[("ssl-redirect", "true")], false).ssl_redirect);
        assert!(options(&[("ssl-redirect", "true")], true).ssl_redirect);
        assert!(options(&[], true).ssl_redirect);
        assert!(!options(&[("ssl-redirect", "false")], true).ssl_redirect);
        assert!(options(&[("force-ssl-redirect", "true")], false).ssl_redirect);
    }

    #[test]
    fn reads_what_launchpad_writes() {
        let found = options(
            &[
                ("backend-protocol", "GRPC"),
                ("proxy-body-size", "32m"),
                ("proxy-send-timeout", "300"),
                ("proxy-read-timeout", "3600s"),
                ("client-body-buffer-size", "64k"),
                ("proxy-buffer-size", "64k"),
                ("server-snippet", "client_header_buffer_size 64k;\nlarge_client_header_buffers 4 128k;"),
            ],
            false,
        );
        assert_eq!(found.upstream, Upstream::Http2);
        assert_eq!(found.max_body, Some(32 << 20));
        assert_eq!((found.send_timeout.as_secs(), found.read_timeout.as_secs()), (300, 3600));
    }

    #[test]
    fn reads_redirects_and_cookies() {
        let found = options(&[("temporal-redirect", "https://a.example.com$request_uri")], false);
        assert_eq!(found.redirect.map(|r| r.status), Some(StatusCode::FOUND));
        let found = options(&[("affinity", "cookie"), ("session-cookie-name", "route")], false);
        assert_eq!(found.affinity.map(|a| (a.cookie, a.path)), Some(("route".to_owned(), "/".to_owned())));
    }
}

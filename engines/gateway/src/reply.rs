//! What goes back to the client: the app's answer with its headers in order, or one of ours.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Incoming;

use crate::body::{ReplyBody, StreamBody};
use crate::connection::Lease;
use crate::endpoint::Busy;
use crate::headers::{self, REQUEST_ID, Scheme};
use crate::metrics::Active;
use crate::pages::{STATE_HEADER, Trouble};
use crate::proxy::{Asked, https_location};
use crate::routes::{Affinity, HeaderChange, RouteOptions};
use crate::table::TargetRoute;
use crate::watch::InService;

/// What an answer holds until its last byte is sent.
#[derive(Debug)]
pub(crate) struct Hold {
    pub(crate) lease: Lease,
    pub(crate) active: Active,
    pub(crate) _busy: Busy,
    pub(crate) _service: InService,
}

/// The app's answer as it comes. `token` is set when the client shall remember the endpoint.
pub(crate) fn stream(
    response: Response<Incoming>,
    asked: &Asked,
    target: &TargetRoute,
    token: Option<String>,
    hold: Hold,
) -> Response<ReplyBody> {
    let (mut parts, body) = response.into_parts();
    headers::remove_hop_by_hop(&mut parts.headers);
    parts.headers.remove(STATE_HEADER);
    parts.headers.insert(REQUEST_ID, asked.id.clone());
    change_headers(&mut parts.headers, asked, target);
    if let (Some(token), Some(affinity)) = (token, &target.options.affinity) {
        add_cookie(&mut parts.headers, affinity, &token, asked.client.scheme);
    }
    let body = StreamBody::new(body, target.options.read_timeout, hold);
    let mut response = Response::new(ReplyBody::Stream(Box::new(body)));
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    response
}

fn change_headers(headers: &mut HeaderMap, asked: &Asked, target: &TargetRoute) {
    for (when, rule) in &target.response_headers {
        if when.as_ref().is_some_and(|when| !when.is_match(&asked.path_and_query)) {
            continue;
        }
        match &rule.change {
            HeaderChange::Set(value) => drop(headers.insert(&rule.name, value.clone())),
            HeaderChange::Add(value) => drop(headers.append(&rule.name, value.clone())),
            HeaderChange::Remove => drop(headers.remove(&rule.name)),
        }
    }
}

fn add_cookie(headers: &mut HeaderMap, affinity: &Affinity, token: &str, scheme: Scheme) {
    let mut cookie = format!("{}={token}; Path={}; HttpOnly; SameSite=Lax", affinity.cookie, affinity.path);
    if let Some(age) = affinity.max_age {
        cookie.push_str(&format!("; Max-Age={}", age.as_secs()));
    }
    if scheme == Scheme::Https {
        cookie.push_str("; Secure");
    }
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// The head that tells a client its connection now speaks another protocol.
pub(crate) fn switching(response: &Response<Incoming>, asked: &Asked) -> Response<ReplyBody> {
    let mut head = Response::new(ReplyBody::empty());
    *head.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *head.headers_mut() = response.headers().clone();
    head.headers_mut().insert(REQUEST_ID, asked.id.clone());
    head
}

/// An answer that sends the client elsewhere, if the route wants that.
pub(crate) fn redirect(
    asked: &Asked,
    options: &RouteOptions,
    https_port: u16,
) -> Option<Response<ReplyBody>> {
    let secure = if options.ssl_redirect { https_location(asked, https_port) } else { None };
    let (status, location) = match (secure, &options.redirect) {
        (Some(location), _) => (StatusCode::PERMANENT_REDIRECT, location),
        (None, Some(redirect)) => {
            let to = redirect.to.replace("$request_uri", &asked.path_and_query);
            (
                redirect.status,
                to.replace("$host", &asked.host).replace("$scheme", asked.client.scheme.as_str()),
            )
        }
        (None, None) => return None,
    };
    let mut response = Response::new(ReplyBody::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(location).ok()?);
    response.headers_mut().insert(REQUEST_ID, asked.id.clone());
    Some(response)
}

/// A page of ours.
pub(crate) fn trouble(
    trouble: &Trouble,
    host: &str,
    accept: Option<HeaderValue>,
    id: &HeaderValue,
    grpc: bool,
) -> Response<ReplyBody> {
    if grpc {
        return trouble.grpc_answer(host, id);
    }
    trouble.answer(host, accept.as_ref(), id)
}

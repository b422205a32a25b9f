//! From an HTTP request to a connection of another protocol.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::Refusal;

pub(crate) type Socket = TokioIo<Upgraded>;
pub(crate) type WebSocket = WebSocketStream<Socket>;

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");

/// What the client wants to speak.
pub(crate) enum Wanted {
    WebSocket { key: HeaderValue, protocols: Vec<String> },
    Spdy { protocols: Vec<String> },
}

pub(crate) fn wanted(headers: &HeaderMap) -> Result<Wanted, Refusal> {
    let upgrade = headers.get(UPGRADE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if upgrade.eq_ignore_ascii_case("websocket") {
        let key = headers.get(SEC_WEBSOCKET_KEY).cloned();
        let key = key.ok_or_else(|| Refusal::bad_request("the request has no Sec-WebSocket-Key header"))?;
        return Ok(Wanted::WebSocket { key, protocols: listed(headers, &SEC_WEBSOCKET_PROTOCOL) });
    }
    if upgrade.eq_ignore_ascii_case("SPDY/3.1") {
        return Ok(Wanted::Spdy { protocols: listed(headers, &STREAM_PROTOCOL) });
    }
    Err(Refusal::bad_request("Upgrade request required: this endpoint speaks WebSocket and SPDY/3.1"))
}

fn listed(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|value| value.trim().to_owned()).collect()
}

/// The first of ours that the client offers.
pub(crate) fn choose(offered: &[String], ours: &[&'static str]) -> Result<&'static str, Refusal> {
    ours.iter().copied().find(|name| offered.iter().any(|offer| offer == name)).ok_or_else(|| Refusal {
        status: StatusCode::FORBIDDEN,
        message: format!("none of the protocols {offered:?} is spoken here; these are: {ours:?}"),
    })
}

/// The promise of the connection; it is kept once the response has gone out.
pub(crate) fn take(request: &mut Request) -> Result<OnUpgrade, Refusal> {
    let promise = request.extensions_mut().remove::<OnUpgrade>();
    promise.ok_or_else(|| Refusal::bad_request("this connection cannot be upgraded"))
}

pub(crate) async fn websocket(promise: OnUpgrade) -> Result<WebSocket, hyper::Error> {
    let socket = TokioIo::new(promise.await?);
    Ok(WebSocketStream::from_raw_socket(socket, Role::Server, None).await)
}

pub(crate) fn accept_websocket(key: &HeaderValue, protocol: &'static str) -> Response {
    let mut response = switching("websocket");
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let headers = response.headers_mut();
    headers.extend(accept.ok().map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    response
}

pub(crate) fn accept_spdy(protocol: &'static str) -> Response {
    let mut response = switching("SPDY/3.1");
    response.headers_mut().insert(STREAM_PROTOCOL, HeaderValue::from_static(protocol));
    response
}

fn switching(to: &'static str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static(to));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_common_protocol_is_chosen() {
        let offered = ["v4.channel.k8s.io".to_owned(), "v5.channel.k8s.io".to_owned()];
        assert_eq!(
            choose(&offered, &["v5.channel.k8s.io", "v4.channel.k8s.io"]).unwrap(),
            "v5.channel.k8s.io"
        );
        assert!(choose(&offered, &["v6"]).is_err());
    }

    #[test]
    fn a_plain_request_is_refused() {
        assert_eq!(wanted(&HeaderMap::new()).err().unwrap().status, StatusCode::BAD_REQUEST);
    }
}

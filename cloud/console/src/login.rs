//! Logging in: a link that works once, exchanged for a session's cookie.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::header;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::session::{self, Session};
use crate::{LINK_LIFETIME, Parts};

/// More open links than this are not kept: the oldest goes.
const MOST_LINKS: usize = 64;

/// 32 random bytes as text.
pub(crate) fn secret() -> String {
    BASE64.encode(rand::random::<[u8; 32]>())
}

/// The links that have not been used yet.
#[derive(Default)]
pub(crate) struct Links {
    open: Mutex<HashMap<String, Instant>>,
}

impl Links {
    pub(crate) fn issue(&self) -> String {
        let token = secret();
        let mut open = self.open.lock();
        open.retain(|_, since| since.elapsed() < LINK_LIFETIME);
        if open.len() >= MOST_LINKS {
            let oldest = open.iter().min_by_key(|(_, since)| **since).map(|(token, _)| token.clone());
            oldest.and_then(|token| open.remove(&token));
        }
        open.insert(token.clone(), Instant::now());
        token
    }

    /// True once for a token that was issued and has not grown too old.
    fn redeem(&self, token: &str, lifetime: Duration) -> bool {
        self.open.lock().remove(token).is_some_and(|since| since.elapsed() < lifetime)
    }
}

pub(crate) fn routes() -> Router<Arc<Parts>> {
    Router::new().route("/login", get(login))
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    token: String,
}

async fn login(State(parts): State<Arc<Parts>>, Query(login): Query<Login>) -> Response {
    if !parts.links.redeem(&login.token, LINK_LIFETIME) {
        return Redirect::to("/logged-out?why=link").into_response();
    }
    match Session::begin(&parts).await {
        Ok(session) => {
            let cookie = session::cookie(&parts.sessions.keep(session), &parts.config.public_url);
            // The token must not stay in the address, nor in any cache.
            (
                [(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, "no-store".to_owned())],
                Redirect::to("/"),
            )
                .into_response()
        }
        Err(failure) => failure.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LINK_LIFETIME, Links, MOST_LINKS};

    #[test]
    fn a_link_works_once() {
        let links = Links::default();
        let token = links.issue();
        assert!(links.redeem(&token, LINK_LIFETIME));
        assert!(!links.redeem(&token, LINK_LIFETIME));
        assert!(!links.redeem("", LINK_LIFETIME));
    }

    #[test]
    fn an_old_link_is_refused() {
        let links = Links::default();
        let token = links.issue();
        assert!(!links.redeem(&token, Duration::ZERO));
    }

    #[test]
    fn the_oldest_link_gives_way() {
        let links = Links::default();
        let first = links.issue();
        let rest: Vec<_> = (0..MOST_LINKS).map(|_| links.issue()).collect();
        assert!(!links.redeem(&first, LINK_LIFETIME));
        assert!(rest.iter().all(|token| links.redeem(token, LINK_LIFETIME)));
    }
}

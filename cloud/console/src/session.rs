//! Who is asking: sessions by cookie, and the API client that acts as the session's user.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use http::request::Parts as RequestParts;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use kube::client::Body;
use parking_lot::Mutex;

use crate::failure::Failure;
use crate::{Parts, login};

const COOKIE: &str = "sealos_session";
/// A session that nobody used for this long is over.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// A token older than this is exchanged for a fresh one.
const TOKEN_AGE: Duration = Duration::from_secs(2 * 3600);
const MOST_SESSIONS: usize = 256;

/// One browser that logged in.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) client: kube::Client,
    token_since: Instant,
    used: Instant,
}

impl Session {
    /// A session of the administrator.
    pub(crate) async fn begin(parts: &Parts) -> Result<Self, Failure> {
        let token = (parts.config.token_source)().await.map_err(|error| {
            Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "NoToken",
                "the cloud gave no token for the session",
            )
            .detail(format!("{error:#}"))
        })?;
        let now = Instant::now();
        Ok(Self { client: acting_with(&parts.config.client, &token)?, token_since: now, used: now })
    }
}

/// A client whose every request carries the token.
pub(crate) fn acting_with(base: &kube::Client, token: &str) -> Result<kube::Client, Failure> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "NoToken", "the cloud gave a token that cannot be sent")
    })?;
    bearer.set_sensitive(true);
    let base = base.clone();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
        let base = base.clone();
        async move { base.send(request).await }
    });
    Ok(kube::Client::new(service, "default"))
}

/// All sessions, by the cookie's value. They live as long as the process.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<String, Session>>,
}

impl Sessions {
    /// Keeps the session and gives its cookie's value.
    pub(crate) fn keep(&self, session: Session) -> String {
        let id = login::secret();
        let mut open = self.open.lock();
        open.retain(|_, session| session.used.elapsed() < IDLE);
        if open.len() >= MOST_SESSIONS {
            let oldest = open.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone());
            oldest.and_then(|id| open.remove(&id));
        }
        open.insert(id.clone(), session);
        id
    }

    fn touch(&self, id: &str) -> Option<Session> {
        let mut open = self.open.lock();
        let session = open.get_mut(id).filter(|session| session.used.elapsed() < IDLE)?;
        session.used = Instant::now();
        Some(session.clone())
    }

    fn renew(&self, id: &str, fresh: &Session) {
        if let Some(session) = self.open.lock().get_mut(id) {
            *session = fresh.clone();
        }
    }

    pub(crate) fn end(&self, headers: &HeaderMap) {
        if let Some(id) = id_of(headers) {
            self.open.lock().remove(id);
        }
    }
}

/// The `Set-Cookie` of a session. Only HTTPS makes it `Secure`: on plain HTTP it would never come back.
pub(crate) fn cookie(id: &str, public_url: &str) -> String {
    let secure = if public_url.starts_with("https:") { "; Secure" } else { "" };
    format!("{COOKIE}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", IDLE.as_secs())
}

/// The `Set-Cookie` that takes a session's cookie away.
pub(crate) fn no_cookie() -> String {
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

fn id_of(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// The user of a request; a request without a session ends here.
pub(crate) struct User(pub(crate) kube::Client);

impl FromRequestParts<Arc<Parts>> for User {
    type Rejection = Failure;

    async fn from_request_parts(request: &mut RequestParts, parts: &Arc<Parts>) -> Result<Self, Failure> {
        let id = id_of(&request.headers).ok_or_else(Failure::logged_out)?;
        let session = parts.sessions.touch(id).ok_or_else(Failure::logged_out)?;
        if session.token_since.elapsed() < TOKEN_AGE {
            return Ok(Self(session.client));
        }
        let fresh = Session::begin(parts).await?;
        parts.sessions.renew(id, &fresh);
        Ok(Self(fresh.client))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::{cookie, id_of};

    #[test]
    fn finds_its_cookie_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("theme=dark; sealos_session=abc; x=y"));
        assert_eq!(id_of(&headers), Some("abc"));
        headers.insert(header::COOKIE, HeaderValue::from_static("theme=dark"));
        assert_eq!(id_of(&headers), None);
    }

    #[test]
    fn a_cookie_is_secure_where_that_works() {
        assert!(cookie("a", "https://console.example.com").ends_with("; Secure"));
        assert!(!cookie("a", "http://console.localhost:8080").contains("Secure"));
    }
}

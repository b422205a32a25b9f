//! Who is asking: told by the connection, or by a bearer token.

use axum::body::Body;
use http::{HeaderMap, Request, header};
use serde_json::Value;

use super::token::{Claims, Tokens};
use crate::identity::{AUTHENTICATED, Identity, MASTERS};
use crate::status::Status;
use crate::time;

/// Establishes callers; reads accounts and pods from the store, so a deleted one loses access at once.
pub(crate) struct Authenticator {
    pub(crate) tokens: Tokens,
    store: sealos_store::Store,
}

impl Authenticator {
    pub(crate) fn new(tokens: Tokens, store: sealos_store::Store) -> Self {
        Self { tokens, store }
    }

    /// The caller of `request`, before impersonation. No credentials at all means anonymous.
    pub(crate) fn caller(&self, request: &Request<Body>) -> Result<Identity, Status> {
        if let Some(identity) = request.extensions().get::<Identity>() {
            return Ok(identity.clone());
        }
        match bearer(request.headers()) {
            None => Ok(Identity::anonymous()),
            Some(token) => {
                let claims = self.claims(token).map_err(|reason| {
                    tracing::debug!(reason, "a bearer token was refused");
                    Status::unauthorized("Unauthorized")
                })?;
                if !claims.audiences.iter().any(|audience| self.is_audience(audience)) {
                    return Err(Status::unauthorized("Unauthorized"));
                }
                Ok(identity(&claims))
            }
        }
    }

    /// Whether tokens for `audience` are for this server.
    pub(crate) fn is_audience(&self, audience: &str) -> bool {
        audience == self.tokens.issuer()
    }

    /// The claims of a token whose account (and pod, if bound to one) still exists.
    pub(crate) fn claims(&self, token: &str) -> Result<Claims, &'static str> {
        let claims = self.tokens.verify(token, time::seconds())?;
        let account = format!("serviceaccounts/{}/{}", claims.namespace, claims.account);
        if self.uid(&account).as_deref() != Some(&claims.account_uid) {
            return Err("its service account is gone");
        }
        if let Some((name, uid)) = &claims.pod {
            let pod = format!("pods/{}/{name}", claims.namespace);
            if self.uid(&pod).as_deref() != Some(uid) {
                return Err("its pod is gone");
            }
        }
        Ok(claims)
    }

    fn uid(&self, key: &str) -> Option<String> {
        let object: Value = serde_json::from_slice(&self.store.get(key)?.value).ok()?;
        object.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned)
    }
}

/// The account a token stands for.
pub(crate) fn identity(claims: &Claims) -> Identity {
    let mut identity = Identity::service_account(&claims.namespace, &claims.account);
    identity.uid = Some(claims.account_uid.clone());
    if let Some((name, uid)) = &claims.pod {
        identity.extra.push(("authentication.kubernetes.io/pod-name".to_owned(), vec![name.clone()]));
        identity.extra.push(("authentication.kubernetes.io/pod-uid".to_owned(), vec![uid.clone()]));
    }
    identity
}

/// The bearer token; browsers, which cannot set headers on a WebSocket, put it in a subprotocol.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What `Impersonate-*` headers ask for.
pub(crate) struct Impersonation {
    pub(crate) user: String,
    pub(crate) groups: Vec<String>,
    pub(crate) uid: Option<String>,
}

impl Impersonation {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, Status> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let groups: Vec<String> = headers
            .get_all("impersonate-group")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(str::to_owned)
            .collect();
        let uid = text("impersonate-uid");
        match text("impersonate-user").filter(|user| !user.is_empty()) {
            Some(user) => Ok(Some(Self { user, groups, uid })),
            None if groups.is_empty() && uid.is_none() => Ok(None),
            None => {
                Err(Status::bad_request("Impersonate-Group and Impersonate-Uid need an Impersonate-User"))
            }
        }
    }

    /// The identity to act as.
    pub(crate) fn identity(self) -> Identity {
        let mut identity =
            match self.user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
                Some((namespace, name)) if self.groups.is_empty() => {
                    Identity::service_account(namespace, name)
                }
                _ if self.user == "system:anonymous" => Identity::anonymous(),
                _ => Identity::new(self.user, self.groups),
            };
        identity.uid = self.uid;
        identity
    }
}

/// Whether nobody needs to be asked whether this caller may.
pub(crate) fn may_everything(identity: &Identity) -> bool {
    identity.in_group(MASTERS) && identity.in_group(AUTHENTICATED)
}

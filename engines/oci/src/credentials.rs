//! Who to be at which registry, in the formats that Docker and Kubernetes keep.
//!
//! Reads `config.json` / `.dockerconfigjson` (`{"auths": {...}}`) and the older `.dockercfg` (the
//! inner object alone). Credential helpers are programs on somebody's laptop and are not run.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_client::secrets::RegistryAuth;
use serde::Deserialize;

use crate::{Error, Reference};

/// User names and passwords by registry, or by registry and path prefix.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    entries: BTreeMap<String, Secret>,
}

#[derive(Clone, PartialEq, Eq)]
enum Secret {
    Password { user: String, password: String },
    Token(String),
}

#[derive(Deserialize)]
struct File {
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    registrytoken: String,
}

impl Credentials {
    /// Nobody: registries are asked anonymously.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a Docker `config.json`, a `kubernetes.io/dockerconfigjson` or a `kubernetes.io/dockercfg`.
    pub fn from_docker_config(json: &[u8]) -> Result<Self, Error> {
        let malformed = |reason: String| Error::malformed("the registry credentials", reason);
        let value: serde_json::Value = serde_json::from_slice(json).map_err(|e| malformed(e.to_string()))?;
        let looks_modern = ["auths", "credHelpers", "credsStore"].iter().any(|key| value.get(key).is_some());
        let auths = if value.get("auths").is_some() {
            serde_json::from_value::<File>(value).map_err(|e| malformed(e.to_string()))?.auths
        } else if looks_modern {
            BTreeMap::new()
        } else {
            serde_json::from_value(value).map_err(|e| malformed(e.to_string()))?
        };
        let mut entries = BTreeMap::new();
        for (server, entry) in auths {
            if let Some(secret) = secret(&server, entry)? {
                entries.insert(server_key(&server), secret);
            }
        }
        Ok(Self { entries })
    }

    /// Adds or replaces one registry's user.
    pub fn set(&mut self, server: &str, user: impl Into<String>, password: impl Into<String>) {
        let secret = Secret::Password { user: user.into(), password: password.into() };
        self.entries.insert(server_key(server), secret);
    }

    /// Adds the entries of `other`; where both know a registry, this one wins.
    pub fn merge(&mut self, other: &Self) {
        for (server, secret) in &other.entries {
            self.entries.entry(server.clone()).or_insert_with(|| secret.clone());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What to present at `host` for the repository: the most specific entry.
    pub(crate) fn for_repository(&self, host: &str, reference: &Reference) -> RegistryAuth {
        let name = format!("{}/{}", server_key(host), reference.repository());
        let best =
            self.entries.iter().filter(|(key, _)| matches(key, &name)).max_by_key(|(key, _)| key.len());
        match best {
            None => RegistryAuth::Anonymous,
            Some((_, Secret::Password { user, password })) => {
                RegistryAuth::Basic(user.clone(), password.clone())
            }
            Some((_, Secret::Token(token))) => RegistryAuth::Bearer(token.clone()),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

fn secret(server: &str, entry: Entry) -> Result<Option<Secret>, Error> {
    if !entry.registrytoken.is_empty() {
        return Ok(Some(Secret::Token(entry.registrytoken)));
    }
    if !entry.username.is_empty() {
        return Ok(Some(Secret::Password { user: entry.username, password: entry.password }));
    }
    if entry.auth.is_empty() {
        return Ok(None);
    }
    let malformed = || {
        Error::malformed(format!("the credentials for `{server}`"), "`auth` is not base64 of `user:password`")
    };
    let decoded = STANDARD.decode(entry.auth.trim()).map_err(|_| malformed())?;
    let text = String::from_utf8(decoded).map_err(|_| malformed())?;
    let (user, password) = text.split_once(':').ok_or_else(malformed)?;
    let password = password.trim_end_matches('\0');
    Ok(Some(Secret::Password { user: user.to_owned(), password: password.to_owned() }))
}

/// `https://index.docker.io/v1/` and its kin, reduced to `host[:port][/path]`.
fn server_key(server: &str) -> String {
    let bare = server.trim().trim_start_matches("https://").trim_start_matches("http://");
    let bare = bare.trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare);
    match bare.split_once('/').map_or((bare, None), |(host, path)| (host, Some(path))) {
        ("index.docker.io" | "registry-1.docker.io" | "docker.io", path) => {
            path.map_or_else(|| "docker.io".into(), |path| format!("docker.io/{path}"))
        }
        _ => bare.to_owned(),
    }
}

/// A key matches a whole host (with `*` for one label) and then whole path parts.
fn matches(key: &str, name: &str) -> bool {
    let (key_host, key_path) = key.split_once('/').unwrap_or((key, ""));
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let labels_match = key_host.split('.').count() == host.split('.').count()
        && key_host.split('.').zip(host.split('.')).all(|(k, h)| k == "*" || k == h);
    let path_matches = key_path.is_empty()
        || path.strip_prefix(key_path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    labels_match && path_matches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(credentials: &Credentials, image: &str) -> String {
        let reference = Reference::parse(image).unwrap();
        match credentials.for_repository(reference.registry(), &reference) {
            RegistryAuth::Basic(user, password) => format!("{user}:{password}"),
            RegistryAuth::Bearer(token) => format!("token {token}"),
            RegistryAuth::Anonymous => "nobody".into(),
        }
    }

    #[test]
    fn docker_files_are_read() {
        let json = br#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YW5uYTpzZWNyZXQ="},
            "registry.example.com": {"username": "bob", "password": "a:b"},
            "registry.example.com/team": {"username": "team", "password": "t"},
            "*.wild.example": {"registrytoken": "abc"},
            "empty.example": {}
        }, "credsStore": "desktop"}"#;
        let credentials = Credentials::from_docker_config(json).unwrap();
        assert_eq!(user(&credentials, "nginx"), "anna:secret");
        assert_eq!(user(&credentials, "registry.example.com/x"), "bob:a:b");
        assert_eq!(user(&credentials, "registry.example.com/team/x"), "team:t");
        assert_eq!(user(&credentials, "registry.example.com/teams/x"), "bob:a:b");
        assert_eq!(user(&credentials, "eu.wild.example/x"), "token abc");
        assert_eq!(user(&credentials, "empty.example/x"), "nobody");
    }

    #[test]
    fn the_old_format_is_read() {
        let json = br#"{"127.0.0.1:5000": {"username": "u", "password": "p"}}"#;
        assert_eq!(user(&Credentials::from_docker_config(json).unwrap(), "127.0.0.1:5000/a"), "u:p");
    }

    #[test]
    fn bad_files_are_refused_and_passwords_never_shown() {
        for bad in [&b"{"[..], b"[]", br#"{"auths": {"a": {"auth": "???"}}}"#] {
            assert!(Credentials::from_docker_config(bad).is_err());
        }
        let mut credentials = Credentials::none();
        credentials.set("a.b", "user", "hunter2");
        assert_eq!(format!("{credentials:?}"), r#"{"a.b"}"#);
    }
}

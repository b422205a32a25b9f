//! Image names as people write them, in their one full form.
//!
//! `nginx` means `docker.io/library/nginx:latest`. A name whose first part has a dot, a colon or is
//! `localhost` names its registry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::digest::Digest;

/// Images under this registry exist only in this cloud's store and are never pulled.
const LOCAL_REGISTRY: &str = "sealos.local";
const DEFAULT_REGISTRY: &str = "docker.io";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// The full name of an image: registry, repository, and a tag or a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Reads a name as people write it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse(text.trim()).map_err(|reason| Error::InvalidReference { reference: text.to_owned(), reason })
    }

    /// The name of an image that exists only in this cloud.
    pub fn local(name: &str, tag: &str) -> Result<Self, Error> {
        Self::parse(&format!("{LOCAL_REGISTRY}/{name}:{tag}"))
    }

    pub fn registry(&self) -> &str {
        &self.registry
    }

    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&str> {
        self.digest.as_ref().map(Digest::as_str)
    }

    /// Whether the image exists only in this cloud's store.
    pub fn is_local(&self) -> bool {
        self.registry == LOCAL_REGISTRY
    }

    /// The same repository at another digest, without a tag.
    pub fn at_digest(&self, digest: &str) -> Result<Self, Error> {
        Ok(Self { tag: None, digest: Some(digest.parse()?), ..self.clone() })
    }

    /// The shortest name that means the same, as `docker images` shows it.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let short = full
            .strip_prefix("docker.io/library/")
            .or_else(|| full.strip_prefix("docker.io/"))
            .unwrap_or(&full);
        short.to_owned()
    }

    pub(crate) fn parsed_digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The key in the store's index: a digest says all that a tag would.
    pub(crate) fn key(&self) -> String {
        match &self.digest {
            Some(digest) => format!("{}/{}@{digest}", self.registry, self.repository),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    if text.contains("://") {
        return Err("leave out `http://` or `https://`".into());
    }
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest.parse::<Digest>().map_err(|e| e.to_string())?)),
        None => (text, None),
    };
    let (name, tag) = split_tag(name);
    let (registry, repository) = split_registry(name);
    let registry = check_registry(registry)?;
    let repository = match (registry.as_str(), repository.contains('/')) {
        (DEFAULT_REGISTRY, false) => format!("library/{repository}"),
        _ => repository.to_owned(),
    };
    check_repository(&repository)?;
    let tag = match (tag, &digest) {
        (Some(tag), _) => Some(check_tag(tag)?),
        (None, Some(_)) => None,
        (None, None) => Some("latest".to_owned()),
    };
    Ok(Reference { registry, repository, tag, digest })
}

/// A colon after the last slash begins the tag; before it, a port.
fn split_tag(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once(':') {
        Some((rest, tag)) if !tag.contains('/') => (rest, Some(tag)),
        _ => (name, None),
    }
}

fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first != first.to_lowercase() =>
        {
            (first, rest)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn check_registry(registry: &str) -> Result<String, String> {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (registry, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let good_host = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.split('.').all(good_label),
    };
    if !good_host {
        return Err(format!("`{registry}` is not a registry's host name"));
    }
    if port.is_some_and(|p| p.parse::<u16>().is_err()) {
        return Err(format!("`{registry}` has a port that is not a number up to 65535"));
    }
    Ok(match registry {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY.to_owned(),
        other => other.to_lowercase(),
    })
}

fn good_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn check_repository(repository: &str) -> Result<(), String> {
    if repository.len() > LONGEST_NAME {
        return Err(format!("it is longer than {LONGEST_NAME} characters"));
    }
    if repository != repository.to_lowercase() {
        return Err("it must be in lower case".into());
    }
    match repository.split('/').find(|part| !good_part(part)) {
        Some("") => Err("it has an empty part between slashes".into()),
        Some(part) => {
            Err(format!("`{part}` may have only letters, digits, and `.`, `_`, `__` or `-` between them"))
        }
        None => Ok(()),
    }
}

/// Runs of letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn good_part(part: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good_joint = |joint: &str| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-');
    part.starts_with(is_word) && part.ends_with(is_word) && part.split(is_word).all(good_joint)
}

fn check_tag(tag: &str) -> Result<String, String> {
    let good_rest = tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if tag.is_empty() || tag.len() > LONGEST_TAG || !good_rest || tag.starts_with(['.', '-']) {
        return Err(format!(
            "tag `{tag}` must be 1 to {LONGEST_TAG} letters, digits, `_`, `.` or `-`, not beginning with `.` or `-`"
        ));
    }
    Ok(tag.to_owned())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let got = match Reference::parse(text) {
            Ok(reference) => format!("{reference} ({})", reference.familiar()),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&got);
    }

    #[test]
    fn short_names_are_completed() {
        check("nginx", expect!["docker.io/library/nginx:latest (nginx:latest)"]);
        check("grafana/grafana:11", expect!["docker.io/grafana/grafana:11 (grafana/grafana:11)"]);
        check("index.docker.io/redis", expect!["docker.io/library/redis:latest (redis:latest)"]);
        check("localhost/a", expect!["localhost/a:latest (localhost/a:latest)"]);
        check("127.0.0.1:5000/a/b:v1", expect!["127.0.0.1:5000/a/b:v1 (127.0.0.1:5000/a/b:v1)"]);
        check("[::1]:5000/a", expect!["[::1]:5000/a:latest ([::1]:5000/a:latest)"]);
        check("sealos.local/shop:1", expect!["sealos.local/shop:1 (sealos.local/shop:1)"]);
    }

    #[test]
    fn digests_replace_the_default_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let reference = Reference::parse(&format!("nginx@{digest}")).unwrap();
        assert_eq!((reference.tag(), reference.digest()), (None, Some(digest.as_str())));
        let both = Reference::parse(&format!("nginx:1@{digest}")).unwrap();
        assert_eq!(both.tag(), Some("1"));
        assert_eq!(both.key(), format!("docker.io/library/nginx@{digest}"));
    }

    #[test]
    fn bad_names_say_why() {
        check("", expect!["`` is not an image name: it is empty"]);
        check("Nginx", expect!["`Nginx` is not an image name: it must be in lower case"]);
        check(
            "https://x.y/z",
            expect!["`https://x.y/z` is not an image name: leave out `http://` or `https://`"],
        );
        check("a//b", expect!["`a//b` is not an image name: it has an empty part between slashes"]);
        check(
            "a/../b",
            expect![
                "`a/../b` is not an image name: `..` may have only letters, digits, and `.`, `_`, `__` or `-` between them"
            ],
        );
        check(
            "a b",
            expect![
                "`a b` is not an image name: `a b` may have only letters, digits, and `.`, `_`, `__` or `-` between them"
            ],
        );
        check(
            "nginx:",
            expect![
                "`nginx:` is not an image name: tag `` must be 1 to 128 letters, digits, `_`, `.` or `-`, not beginning with `.` or `-`"
            ],
        );
        check(
            "x.y:99999/a",
            expect![
                "`x.y:99999/a` is not an image name: `x.y:99999` has a port that is not a number up to 65535"
            ],
        );
        check(
            "nginx@sha256:12",
            expect![
                "`nginx@sha256:12` is not an image name: digest `sha256:12` cannot be used: only `sha256:` and 64 lower-case hexadecimal digits are supported"
            ],
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            if let Ok(reference) = Reference::parse(&text) {
                proptest::prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
            }
        }
    }
}

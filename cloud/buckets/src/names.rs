//! The names of object storage: whose a namespace's buckets are, what a bucket is really called, and
//! where the keys lie. Pure.

use std::net::Ipv4Addr;

/// S3 allows no longer name.
const LONGEST: usize = 63;
/// S3 allows no shorter name.
const SHORTEST: usize = 3;
/// A workspace's namespace begins with this.
const WORKSPACE: &str = "ns-";
/// Beginnings and ends that S3 keeps for itself.
const RESERVED: [&str; 4] = ["xn--", "sthree-", "-s3alias", "--ol-s3"];

/// The Secret with a workspace's own key.
pub const USER_SECRET: &str = "object-storage-key";

/// Why a name cannot be a bucket's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be the name of a bucket: {why}")]
pub struct InvalidName {
    name: String,
    why: String,
}

/// An endpoint as Secrets and statuses have it: without a scheme, which templates put before it.
pub(crate) fn host_of(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, host)| host)
}

/// An endpoint out of a Secret as a URL.
pub(crate) fn url_of(host: &str) -> String {
    if host.is_empty() || host.contains("://") { host.to_owned() } else { format!("http://{host}") }
}

/// The object storage user of a namespace: the namespace's id part.
pub fn user_of(namespace: &str) -> &str {
    namespace.strip_prefix(WORKSPACE).filter(|id| !id.is_empty()).unwrap_or(namespace)
}

/// The one other namespace whose user would have the same name.
pub(crate) fn twin_of(namespace: &str) -> Option<String> {
    match namespace.strip_prefix(WORKSPACE).filter(|id| !id.is_empty()) {
        Some(id) if id.starts_with(WORKSPACE) => None,
        Some(id) => Some(id.to_owned()),
        None => Some(format!("{WORKSPACE}{namespace}")),
    }
}

/// The name under which S3 clients reach the bucket `name` of a namespace.
pub fn bucket_of(namespace: &str, name: &str) -> Result<String, InvalidName> {
    let refuse = |why: String| Err(InvalidName { name: name.to_owned(), why });
    if name.is_empty() {
        return refuse("it is empty".into());
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    if let Some(bad) = name.chars().find(|c| !allowed(*c)) {
        return refuse(format!("`{bad}` is not allowed; use lower-case letters, digits and dashes"));
    }
    if name.starts_with(['-', '.']) || name.ends_with(['-', '.']) {
        return refuse("it must begin and end with a letter or digit".into());
    }
    let bucket = format!("{}-{name}", user_of(namespace));
    if bucket.len() > LONGEST {
        let most = LONGEST.saturating_sub(bucket.len() - name.len());
        return refuse(format!(
            "in S3 it is called `{bucket}`, which is longer than {LONGEST} characters; choose one of at most {most}"
        ));
    }
    if bucket.len() < SHORTEST || [".-", "-.", ".."].iter().any(|pair| bucket.contains(pair)) {
        return refuse(format!("in S3 it is called `{bucket}`, which S3 does not allow"));
    }
    let reserved = RESERVED.iter().find(|part| bucket.starts_with(**part) || bucket.ends_with(**part));
    if let Some(part) = reserved {
        return refuse(format!("S3 keeps `{part}` for itself"));
    }
    if bucket.parse::<Ipv4Addr>().is_ok() {
        return refuse("it looks like an address".into());
    }
    Ok(bucket)
}

/// The Secret with the key of one bucket.
pub fn bucket_secret(bucket: &str) -> String {
    format!("{USER_SECRET}-{bucket}")
}

/// The access key of one bucket. A user's name has no dot, so this is nobody else's.
pub(crate) fn bucket_access_key(namespace: &str, name: &str) -> String {
    format!("{}.{name}", user_of(namespace))
}

/// The ResourceQuota that limits a namespace.
pub(crate) fn quota_of(namespace: &str) -> String {
    format!("quota-{namespace}")
}

#[cfg(test)]
mod tests {
    use super::{bucket_of, twin_of, user_of};

    #[test]
    fn a_namespace_has_the_user_of_its_id_part() {
        for (namespace, user) in [("ns-abc", "abc"), ("default", "default"), ("ns-", "ns-")] {
            assert_eq!(user_of(namespace), user);
        }
    }

    #[test]
    fn two_namespaces_with_one_user_know_each_other() {
        assert_eq!(twin_of("ns-abc").as_deref(), Some("abc"));
        assert_eq!(twin_of("abc").as_deref(), Some("ns-abc"));
        assert_eq!(twin_of("ns-ns-abc"), None);
        for namespace in ["ns-abc", "abc", "default"] {
            let twin = twin_of(namespace).expect("it has one");
            assert_eq!(user_of(&twin), user_of(namespace));
        }
    }

    #[test]
    fn names_that_s3_allows_are_taken() {
        for (name, bucket) in [("photos", "default-photos"), ("a", "default-a"), ("a.b-c", "default-a.b-c")] {
            assert_eq!(bucket_of("default", name).as_deref(), Ok(bucket));
        }
        assert_eq!(bucket_of("ns-a1b2c3d4", "x").as_deref(), Ok("a1b2c3d4-x"));
    }

    #[test]
    fn other_names_are_refused_with_the_reason() {
        let long = "x".repeat(56);
        for (name, why) in [
            ("", "empty"),
            ("Photos", "`P` is not allowed"),
            ("a_b", "`_` is not allowed"),
            ("-a", "begin and end"),
            ("a.", "begin and end"),
            ("a..b", "does not allow"),
            ("a-s3alias", "for itself"),
            (long.as_str(), "at most 55"),
        ] {
            let refused = bucket_of("default", name).expect_err(name).to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }
}

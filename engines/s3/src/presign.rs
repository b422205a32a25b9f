//! URLs that carry their signature: whoever has one may do that one thing until it expires.

use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::sign::{Seal, encode};
use crate::time::amz_date;

/// The longest time S3 allows.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// A URL to be made.
#[derive(Debug, Clone)]
pub struct Presign<'a> {
    /// `GET`, `PUT`, `HEAD` or `DELETE`.
    pub method: &'a str,
    pub bucket: &'a str,
    pub key: &'a str,
    pub access_key: &'a str,
    pub expires: Duration,
    /// Scheme and host the client will use, such as `https://s3.example.org`.
    pub base: &'a str,
    /// Further query parameters, such as `response-content-disposition`.
    pub query: &'a [(&'a str, &'a str)],
}

impl Presign<'_> {
    /// The URL, signed with the key's secret.
    pub(crate) fn url(&self, secret: &str, region: &str, now: SystemTime) -> Result<String> {
        let (base, host) = self.host()?;
        if self.expires.is_zero() || self.expires > LONGEST {
            return Err(self.refused("it may be valid for one second to seven days"));
        }
        let date = amz_date(now);
        let seal = Seal { secret, region, date: &date };
        let path = format!("/{}/{}", encode(self.bucket, false), encode(self.key, true));
        let query = self.canonical_query(&seal);
        let request = format!("{}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD", self.method);
        Ok(format!("{base}{path}?{query}&X-Amz-Signature={}", seal.sign(&request)))
    }

    fn host(&self) -> Result<(&str, &str)> {
        let base = self.base.trim_end_matches('/');
        let host = base.split_once("://").map(|(_, host)| host).unwrap_or_default();
        if host.is_empty() || host.contains('/') {
            return Err(self.refused("the base must be a scheme and a host, such as https://s3.example.org"));
        }
        Ok((base, host))
    }

    fn canonical_query(&self, seal: &Seal<'_>) -> String {
        let credential = format!("{}/{}", self.access_key, seal.scope());
        let expires = self.expires.as_secs().to_string();
        let mut pairs: Vec<(String, String)> = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", seal.date),
            ("X-Amz-Expires", &expires),
            ("X-Amz-SignedHeaders", "host"),
        ]
        .iter()
        .chain(self.query)
        .map(|(name, value)| (encode(name, false), encode(value, false)))
        .collect();
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }

    fn refused(&self, reason: &'static str) -> Error {
        Error::Presign { key: self.key.to_owned(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str, expires: u64) -> Result<String> {
        let presign = Presign {
            method: "GET",
            bucket: "photos",
            key: "a b.jpg",
            access_key: "me",
            expires: Duration::from_secs(expires),
            base,
            query: &[],
        };
        presign.url("secret", "us-east-1", SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn makes_a_url() {
        let url = check("http://localhost:9000/", 60).expect("a URL");
        assert!(url.starts_with("http://localhost:9000/photos/a%20b.jpg?X-Amz-Algorithm="), "{url}");
        assert!(url.contains("&X-Amz-Expires=60&") && url.contains("&X-Amz-Signature="), "{url}");
    }

    #[test]
    fn refuses_what_cannot_work() {
        assert!(check("localhost", 60).is_err());
        assert!(check("http://h/path", 60).is_err());
        assert!(check("http://h", 0).is_err());
        assert!(check("http://h", 8 * 24 * 3600).is_err());
    }
}

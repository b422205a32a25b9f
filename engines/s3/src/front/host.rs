//! Which bucket a request is about, by its host name or its path.

use http::Request;
use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The base domains of the service.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    domains: Vec<String>,
}

/// What a request's address means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `<bucket>.web.<domain>`.
    Website(String),
    /// `<bucket>.<domain>`.
    Host(String),
    /// `/<bucket>/…`
    Path(String),
    /// `/`
    Service,
}

impl Place {
    pub(super) fn bucket(&self) -> Option<String> {
        match self {
            Self::Website(bucket) | Self::Host(bucket) | Self::Path(bucket) => Some(bucket.clone()),
            Self::Service => None,
        }
    }
}

impl Hosts {
    pub(super) fn new(domains: &[String]) -> Self {
        Self { domains: domains.to_vec() }
    }

    pub(super) fn place<B>(&self, request: &Request<B>) -> Place {
        let host = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| request.uri().authority().map(|authority| authority.as_str()));
        if let Some(host) = host {
            let host = plain(host);
            if let Some(bucket) = self.website(&host) {
                return Place::Website(bucket.to_owned());
            }
            if let Some(bucket) = self.bucket(&host) {
                return Place::Host(bucket.to_owned());
            }
        }
        let bucket = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        if bucket.is_empty() { Place::Service } else { Place::Path(bucket.to_owned()) }
    }

    fn below<'h>(&self, host: &'h str) -> Option<&'h str> {
        self.domains.iter().find_map(|domain| host.strip_suffix(domain.as_str())?.strip_suffix('.'))
    }

    fn website<'h>(&self, host: &'h str) -> Option<&'h str> {
        self.below(host)?.strip_suffix(".web").filter(|bucket| !bucket.is_empty())
    }

    fn bucket<'h>(&self, host: &'h str) -> Option<&'h str> {
        self.below(host).filter(|bucket| !bucket.is_empty())
    }
}

/// Lower case, without the port.
fn plain(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.to_ascii_lowercase()
}

/// A host that is not ours is path style: the service is also reached by address, or under a name that
/// only the client knows.
impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = plain(host);
        Ok(match self.bucket(&name) {
            Some(bucket) => VirtualHost::new(host).with_bucket(bucket.to_owned()),
            None => VirtualHost::new(host),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, path: &str, expected: Place) {
        let hosts = Hosts::new(&["s3.localhost".to_owned()]);
        let request = Request::get(path).header("host", host).body(()).expect("a request");
        assert_eq!(hosts.place(&request), expected);
    }

    #[test]
    fn finds_the_bucket() {
        check("Photos.s3.localhost:9000", "/a", Place::Host("photos".into()));
        check("my.photos.s3.localhost", "/a", Place::Host("my.photos".into()));
        check("photos.web.s3.localhost:80", "/", Place::Website("photos".into()));
        check("s3.localhost", "/photos/a", Place::Path("photos".into()));
        check("127.0.0.1:9000", "/photos", Place::Path("photos".into()));
        check("other.example", "/", Place::Service);
    }
}

//! Telling a webhook: one `POST`, on a connection of its own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A webhook that does not answer within this is tried again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a webhook listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    host: String,
    port: u16,
    path: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri =
            url.parse().map_err(|_| "give the URL of a webhook, such as http://app.example:8080/hook")?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err("webhooks are told over http; put a proxy before one that wants https");
            }
            _ => return Err("give the URL of a webhook, such as http://app.example:8080/hook"),
        }
        let authority = uri.authority().ok_or("the URL has no host")?;
        if authority.as_str().contains('@') {
            return Err("a URL with a password in it is not taken");
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Self { host: authority.host().to_owned(), port: authority.port_u16().unwrap_or(80), path })
    }

    fn authority(&self) -> String {
        if self.port == 80 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// What stood in the way.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("find and reach {host}")]
    Connect {
        host: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{host} has no address that may be told: this machine's own are left out")]
    NoAddress { host: String },
    #[error("speak to the webhook")]
    Http(#[from] hyper::Error),
    #[error("make the request")]
    Request(#[from] http::Error),
    #[error("the webhook answered {0}")]
    Status(http::StatusCode),
    #[error("the webhook did not answer in time")]
    Timeout,
}

/// Posts a body. `local`: addresses of this machine may be told too.
pub(super) async fn post(target: &Target, body: Bytes, local: bool) -> Result<(), Error> {
    tokio::time::timeout(PATIENCE, exchange(target, body, local)).await.map_err(|_| Error::Timeout)?
}

async fn exchange(target: &Target, body: Bytes, local: bool) -> Result<(), Error> {
    let stream = connect(target, local).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::post(&target.path)
        .header(header::HOST, target.authority())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, "sealos-s3")
        .body(Full::new(body))?;
    // The connection ends when the sender goes, with the answer.
    let answer = async move {
        let response = sender.send_request(request).await?;
        if response.status().is_success() { Ok(()) } else { Err(Error::Status(response.status())) }
    };
    let (answer, connection) = tokio::join!(answer, connection);
    if let Err(error) = connection {
        tracing::debug!(%error, "the connection to a webhook");
    }
    answer
}

async fn connect(target: &Target, local: bool) -> Result<TcpStream, Error> {
    let failed = |source| Error::Connect { host: target.host.clone(), source };
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    let addresses = tokio::net::lookup_host((host, target.port)).await.map_err(failed)?;
    let open: Vec<SocketAddr> = addresses.filter(|address| local || !is_own(address.ip())).collect();
    if open.is_empty() {
        return Err(Error::NoAddress { host: target.host.clone() });
    }
    TcpStream::connect(open.as_slice()).await.map_err(failed)
}

/// Addresses that reach what only this machine's own programs should reach.
fn is_own(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_urls_only() {
        let target = Target::parse("http://app.example:8080/hook?a=b").expect("a target");
        assert_eq!((target.authority().as_str(), target.path.as_str()), ("app.example:8080", "/hook?a=b"));
        for url in ["https://a/", "arn:aws:sqs:::q", "http://u:p@a/", "a"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn knows_its_own_addresses() {
        for own in ["127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "::ffff:127.0.0.1"] {
            assert!(is_own(own.parse().expect("an address")), "{own}");
        }
        assert!(!is_own("10.1.2.3".parse().expect("an address")));
    }
}

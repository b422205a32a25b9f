//! Connections to one endpoint, kept for reuse.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::app_stream::AppStream;
use crate::body::{Progress, RequestBody};
use crate::endpoint::Endpoint;
use crate::routes::Upstream;
use crate::tls;

/// Idle connections kept for each endpoint.
const KEEP: usize = 256;
/// Idle connections are closed after this long: before most servers close them.
const KEEP_FOR: Duration = Duration::from_secs(30);
/// A request that cannot be repeated only takes a connection that was used this recently: the app may be
/// about to close an older one.
const FRESH: Duration = Duration::from_secs(1);

/// The connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Pool {
    address: SocketAddr,
    upstream: Upstream,
    idle: Mutex<Vec<Idle>>,
    /// HTTP/2 carries all requests over one connection.
    shared: tokio::sync::Mutex<Option<http2::SendRequest<RequestBody>>>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

/// Whether a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeatable {
    Yes,
    No,
}

/// How many idle connections are looked at for one that has already seen the end of its last answer.
const LOOK_AT: usize = 8;

/// A connection in use.
#[derive(Debug)]
pub(crate) enum Connection {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// The way of a connection back into its pool, once its request and answer are complete.
#[derive(Debug)]
pub(crate) struct Lease {
    endpoint: Arc<Endpoint>,
    /// None when it ended with the answer.
    connection: Option<Connection>,
    request: Arc<Progress>,
}

impl Lease {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        connection: Option<Connection>,
        request: Arc<Progress>,
    ) -> Self {
        Self { endpoint, connection, request }
    }

    /// Called when the answer is complete. With the request still on its way, the connection is lost.
    pub(crate) fn give_back(self) {
        if let Some(Connection::Http1(sender)) = self.connection
            && self.request.is_finished()
        {
            self.endpoint.pool.keep(sender);
        }
    }
}

impl Pool {
    pub(crate) fn new(address: SocketAddr, upstream: Upstream) -> Self {
        Self { address, upstream, idle: Mutex::default(), shared: tokio::sync::Mutex::default() }
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.upstream, Upstream::Http2 | Upstream::Https2)
    }

    /// A connection ready to take a request.
    pub(crate) async fn take(&self, repeatable: Repeatable, timeout: Duration) -> io::Result<Connection> {
        match self.upstream {
            Upstream::Http1 | Upstream::Https => {
                while let Some(mut sender) = self.pop(repeatable) {
                    // Free as soon as its task has seen the end of the last answer; closed fails.
                    if sender.ready().await.is_ok() {
                        return Ok(Connection::Http1(sender));
                    }
                }
                self.connect(timeout).await
            }
            Upstream::Http2 | Upstream::Https2 => {
                let mut shared = self.shared.lock().await;
                if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
                    return Ok(Connection::Http2(sender.clone()));
                }
                let connection = self.connect(timeout).await?;
                if let Connection::Http2(sender) = &connection {
                    *shared = Some(sender.clone());
                }
                Ok(connection)
            }
        }
    }

    /// A connection of its own, for a protocol that takes it over.
    pub(crate) async fn connect(&self, timeout: Duration) -> io::Result<Connection> {
        match tokio::time::timeout(timeout, self.open()).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time")),
        }
    }

    async fn open(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        match self.upstream {
            Upstream::Http1 => http1_over(stream).await,
            Upstream::Http2 => http2_over(stream).await,
            Upstream::Https => http1_over(tls::connect(stream, self.address.ip(), b"http/1.1").await?).await,
            Upstream::Https2 => http2_over(tls::connect(stream, self.address.ip(), b"h2").await?).await,
        }
    }

    /// The youngest connection that is free at this moment, else the youngest.
    fn pop(&self, repeatable: Repeatable) -> Option<http1::SendRequest<RequestBody>> {
        let oldest = match repeatable {
            Repeatable::Yes => KEEP_FOR,
            Repeatable::No => FRESH,
        };
        let mut idle = self.idle.lock();
        let usable = idle.iter().rev().take_while(|entry| entry.since.elapsed() < oldest).take(LOOK_AT);
        let free = usable.enumerate().find(|(_, entry)| entry.sender.is_ready()).map(|(back, _)| back);
        let young = idle.last().is_some_and(|entry| entry.since.elapsed() < oldest);
        let back = free.or(young.then_some(0))?;
        let place = idle.len().checked_sub(back + 1)?;
        Some(idle.remove(place).sender)
    }

    fn keep(&self, sender: http1::SendRequest<RequestBody>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock();
        let expired = idle.iter().take_while(|entry| entry.since.elapsed() >= KEEP_FOR).count();
        idle.drain(..expired);
        if idle.len() < KEEP {
            idle.push(Idle { sender, since: Instant::now() });
        }
    }
}

/// The head of an answer and its connection, if there still is one.
type Answered = (Response<Incoming>, Option<Connection>);
/// Why there is none. When the request was not even begun, it is brought back.
type Unanswered = Box<TrySendError<Request<RequestBody>>>;

impl Connection {
    pub(crate) async fn send(self, request: Request<RequestBody>) -> Result<Answered, Unanswered> {
        match self {
            Self::Http1(sender) => http1_send(sender, request).await,
            Self::Http2(mut sender) => {
                let response = sender.try_send_request(request).await?;
                Ok((response, Some(Self::Http2(sender))))
            }
        }
    }
}

/// A request handed over in the very moment in which its connection ends may lie in the channel between
/// the two for ever. It comes back when the channel is gone, so we let go of our end then.
async fn http1_send(
    mut sender: http1::SendRequest<RequestBody>,
    request: Request<RequestBody>,
) -> Result<Answered, Unanswered> {
    let mut answer = pin!(sender.try_send_request(request));
    tokio::select! {
        biased;
        result = answer.as_mut() => return Ok((result?, Some(Connection::Http1(sender)))),
        Err(_) = sender.ready() => {}
    }
    drop(sender);
    Ok((answer.await?, None))
}

async fn http1_over<S>(stream: S) -> io::Result<Connection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        http1::handshake(TokioIo::new(AppStream::new(stream))).await.map_err(io::Error::other)?;
    // An error here is also told to whoever waits for an answer.
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    Ok(Connection::Http1(sender))
}

async fn http2_over<S>(stream: S) -> io::Result<Connection>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).adaptive_window(true);
    builder.keep_alive_interval(Duration::from_secs(20)).keep_alive_timeout(Duration::from_secs(10));
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move { drop(connection.await) });
    Ok(Connection::Http2(sender))
}

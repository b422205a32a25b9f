//! Sockets: accept, serve, cut off who stalls, end with grace.

use std::net::IpAddr;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::front::Front;

/// How long requests under way may take to finish when the service closes.
const GRACE: Duration = Duration::from_secs(10);

/// The pause after a failure to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers what comes in on a listener until `closing` is cancelled.
pub(crate) async fn serve(front: Front, listener: TcpListener, stall: Duration, closing: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = closing.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(front.clone(), stream, peer.ip(), stall, graceful.watcher()));
            }
            Err(error) => {
                tracing::warn!(%error, "accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests did not finish in time and are cut off");
    }
}

async fn connection(
    front: Front,
    stream: TcpStream,
    peer: IpAddr,
    stall: Duration,
    watcher: hyper_util::server::graceful::Watcher,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "set no delay");
    }
    // Reading is watched by the body and by the time for a head; writing is watched here.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(stall));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(stall);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(stall).keep_alive_timeout(stall);
    let service = service_fn(move |request| {
        let front = front.clone();
        async move { front.answer(request, peer).await }
    });
    let connection = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%peer, error = error.as_ref() as &dyn std::error::Error, "a connection broke");
    }
}

//! Sends one request over one connection and waits for the head of the answer.

use std::pin::pin;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::{Progress, RequestBody};
use crate::connection::Connection;

/// Why there is no answer.
pub(crate) enum Failure {
    /// The app has seen nothing of the request.
    NotSent(RequestBody),
    /// The app may have seen it.
    Broken(hyper::Error),
    TimedOut,
}

/// Waits for the answer while either side moves: the app's silence counts from the end of the request.
pub(crate) async fn send(
    connection: Connection,
    request: Request<RequestBody>,
    patience: Duration,
    progress: &Progress,
) -> Result<(Response<Incoming>, Option<Connection>), Failure> {
    let begun = Instant::now();
    let mut answer = pin!(connection.send(request));
    loop {
        let quiet_since = progress.last_move().max(begun);
        let deadline = tokio::time::Instant::from_std(quiet_since + patience);
        match tokio::time::timeout_at(deadline, answer.as_mut()).await {
            Ok(Ok(answered)) => return Ok(answered),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Failure::NotSent(request.into_body()),
                    None => Failure::Broken(error.into_error()),
                });
            }
            Err(_) if progress.last_move() > quiet_since => {}
            Err(_) => return Err(Failure::TimedOut),
        }
    }
}

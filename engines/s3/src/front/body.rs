//! Bodies of clients, watched: who sends nothing for too long is cut off.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::store::BoxError;

/// How the error of a stalled body reads; `refuse` looks for it.
pub(crate) const STALLED: &str = "the client sent nothing for too long";

/// A body that fails when nothing comes for `limit`.
pub(super) struct Patient {
    body: Incoming,
    limit: Duration,
    /// Running only while we wait.
    sleep: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Patient {
    pub(super) fn new(body: Incoming, limit: Duration) -> Self {
        Self { body, limit, sleep: Box::pin(sleep(limit)), waiting: false }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        if !self.waiting {
            self.waiting = true;
            let until = Instant::now() + self.limit;
            self.sleep.as_mut().reset(until);
        }
        ready!(self.sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err(STALLED.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

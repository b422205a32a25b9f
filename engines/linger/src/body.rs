//! A request's body that is not simply cut off when nobody wants the rest of it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::{LIMITS, Unread};

/// A body on its way to whoever reads it.
#[derive(Debug)]
pub struct Tracked<B: Body + Unpin + Send + 'static> {
    /// None when dropped.
    body: Option<B>,
    rest: Rest,
}

/// Who deals with what is left of a body.
#[derive(Debug)]
enum Rest {
    /// The connection, when it is shut down.
    Connection(Unread),
    /// A task: the connection goes on with other streams, and many clients take the reset of a stream
    /// for a failure even when the answer was there before.
    Task,
}

impl<B: Body + Unpin + Send + 'static> Tracked<B> {
    pub(crate) fn new(body: B, unread: Unread) -> Self {
        Self { body: Some(body), rest: Rest::Connection(unread) }
    }

    /// The body of a stream of HTTP/2. What nobody reads is thrown away for a limited time.
    pub fn of_stream(body: B) -> Self {
        Self { body: Some(body), rest: Rest::Task }
    }
}

impl<B: Body + Unpin + Send + 'static> Drop for Tracked<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && matches!(self.rest, Rest::Task)
            && !body.is_end_stream()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(discard(body));
        }
    }
}

/// Reads and throws away, until the end or the limits.
async fn discard<B: Body + Unpin>(mut body: B) {
    let end = Instant::now() + LIMITS.longest;
    loop {
        let deadline = end.min(Instant::now() + LIMITS.silence);
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        match tokio::time::timeout_at(deadline, frame).await {
            Ok(Some(Ok(_))) if Instant::now() < end => {}
            Ok(_) | Err(_) => return,
        }
    }
}

impl<B: Body + Unpin + Send + 'static> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if ended && let Rest::Connection(unread) = &this.rest {
            unread.clear();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

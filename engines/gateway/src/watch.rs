//! Ends connections of clients that say nothing, or never finish saying it. The stream itself keeps
//! the time: it is the only place that sees every byte.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: text/plain; charset=utf-8\r\n\
    content-length: 60\r\nconnection: close\r\n\r\n\
    Request timeout: the request's header did not arrive in time";

/// What is going on over one connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    busy: AtomicU64,
    served: AtomicU64,
    http2: AtomicBool,
    /// Whoever reads while a request is being answered: afterwards its silence counts.
    reader: AtomicWaker,
}

impl Activity {
    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire) > 0
    }

    /// A request is complete enough to be answered. It ends when the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>, http2: bool) -> InService {
        self.busy.fetch_add(1, Ordering::AcqRel);
        self.served.fetch_add(1, Ordering::AcqRel);
        self.http2.store(http2, Ordering::Release);
        InService(Arc::clone(self))
    }
}

/// One request being answered.
#[derive(Debug)]
pub(crate) struct InService(Arc<Activity>);

impl Drop for InService {
    fn drop(&mut self) {
        if self.0.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.reader.wake();
        }
    }
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From the first byte of a request's header to its last.
    pub(crate) header: Duration,
    /// Between requests.
    pub(crate) idle: Duration,
}

/// A client's stream under watch.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
    limits: Limits,
    /// How many requests were served when we last looked.
    seen: u64,
    in_header: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, activity: Arc<Activity>, limits: Limits) -> Self {
        Self { stream, activity, limits, seen: 0, in_header: false, timer: None }
    }

    fn set_timer(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(deadline),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(deadline))),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if this.activity.is_busy() {
            this.activity.reader.register(cx.waker());
            // The request may have ended just before the waker was in place.
            if result.is_ready() || this.activity.is_busy() {
                return result;
            }
        }
        let served = this.activity.served.load(Ordering::Acquire);
        let begins = served != this.seen || this.timer.is_none();
        if begins {
            this.seen = served;
            this.in_header = false;
            this.set_timer(this.limits.idle);
        }
        if result.is_ready() {
            let received = buffer.filled().len() > before;
            if received && this.activity.http2.load(Ordering::Acquire) {
                this.set_timer(this.limits.idle);
            } else if received && !this.in_header {
                this.in_header = true;
                this.set_timer(this.limits.header);
            }
            return result;
        }
        let expired = this.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if !expired {
            return Poll::Pending;
        }
        if this.in_header {
            // The client is leaving anyway: what does not fit the buffer is lost.
            drop(Pin::new(&mut this.stream).poll_write(cx, TOO_SLOW));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

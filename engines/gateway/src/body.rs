//! Bodies on their way through: limited, timed and counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use sealos_linger::Tracked;
use tokio::time::Sleep;

use crate::metrics::Counters;
use crate::reply::Hold;

/// A client's body as it comes from its connection.
pub(crate) type ClientBody = Tracked<Incoming>;

/// What became of a request body, for those who handed it on.
#[derive(Debug)]
pub(crate) struct Progress {
    start: Instant,
    /// Milliseconds after `start` when the body last moved.
    moved: AtomicU64,
    finished: AtomicBool,
    too_large: AtomicBool,
    stalled: AtomicBool,
}

impl Progress {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            moved: AtomicU64::new(0),
            finished: AtomicBool::new(false),
            too_large: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
        })
    }

    fn touch(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(millis, Ordering::Relaxed);
    }

    /// When the body last moved.
    pub(crate) fn last_move(&self) -> Instant {
        self.start + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    pub(crate) fn is_too_large(&self) -> bool {
        self.too_large.load(Ordering::Acquire)
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }
}

/// A client's body on its way to the app.
#[derive(Debug)]
pub(crate) struct RequestBody {
    inner: Option<ClientBody>,
    allowed: u64,
    patience: Patience,
    progress: Arc<Progress>,
    counters: Option<Arc<Counters>>,
}

impl RequestBody {
    pub(crate) fn new(
        inner: ClientBody,
        max: Option<u64>,
        timeout: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        let progress = Progress::new();
        progress.finished.store(inner.is_end_stream(), Ordering::Release);
        let allowed = max.unwrap_or(u64::MAX);
        Self {
            inner: Some(inner),
            allowed,
            patience: Patience::new(timeout),
            progress,
            counters: Some(counters),
        }
    }

    pub(crate) fn empty() -> Self {
        let progress = Progress::new();
        progress.finished.store(true, Ordering::Release);
        Self { inner: None, allowed: 0, patience: Patience::new(Duration::ZERO), progress, counters: None }
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    fn take_in(&mut self, frame: &Frame<Bytes>) -> Result<(), io::Error> {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.progress.touch();
        if let Some(counters) = &self.counters {
            counters.receive(length);
        }
        match self.allowed.checked_sub(length) {
            Some(rest) => {
                self.allowed = rest;
                Ok(())
            }
            None => {
                self.progress.too_large.store(true, Ordering::Release);
                self.inner = None;
                Err(io::Error::other("the body is larger than allowed"))
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) else {
            ready!(this.patience.poll(cx));
            this.progress.stalled.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client stopped sending",
            ))));
        };
        this.patience.renew();
        match frame {
            Some(Ok(frame)) => {
                if let Err(error) = this.take_in(&frame) {
                    return Poll::Ready(Some(Err(error)));
                }
                if this.inner.as_ref().is_none_or(Body::is_end_stream) {
                    this.progress.finished.store(true, Ordering::Release);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(io::Error::other(error)))),
            None => {
                this.progress.finished.store(true, Ordering::Release);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// What the client gets: a page of ours, or the app's answer as it comes.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    Page(Option<Bytes>),
    Stream(Box<StreamBody>),
}

/// The app's answer. When it ends, its connection is free for the next request.
#[derive(Debug)]
pub(crate) struct StreamBody {
    inner: Incoming,
    ended: bool,
    patience: Patience,
    counters: Arc<Counters>,
    /// None after the end.
    hold: Option<Hold>,
}

impl StreamBody {
    pub(crate) fn new(inner: Incoming, timeout: Duration, hold: Hold) -> Self {
        let ended = inner.is_end_stream();
        let counters = hold.active.counters();
        Self { inner, ended, patience: Patience::new(timeout), counters, hold: Some(hold) }
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        if let Some(hold) = self.hold.take()
            && self.ended
        {
            hold.lease.give_back();
        }
    }
}

impl ReplyBody {
    pub(crate) fn page(text: impl Into<Bytes>) -> Self {
        Self::Page(Some(text.into()))
    }

    pub(crate) fn empty() -> Self {
        Self::Page(None)
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let stream = match self.get_mut() {
            Self::Page(page) => return Poll::Ready(page.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream,
        };
        let Poll::Ready(frame) = Pin::new(&mut stream.inner).poll_frame(cx) else {
            ready!(stream.patience.poll(cx));
            return Poll::Ready(Some(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the app stopped sending",
            ))));
        };
        stream.patience.renew();
        match frame {
            Some(Ok(frame)) => {
                stream.counters.send(frame.data_ref().map_or(0, |data| data.len() as u64));
                stream.ended = stream.inner.is_end_stream();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(io::Error::other(error)))),
            None => {
                stream.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Page(page) => page.is_none(),
            Self::Stream(stream) => stream.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Page(page) => SizeHint::with_exact(page.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(stream) => stream.inner.size_hint(),
        }
    }
}

/// A limit on silence. The timer is made only when there is silence.
#[derive(Debug)]
struct Patience {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, timer: None, waiting: false }
    }

    fn renew(&mut self) {
        self.waiting = false;
    }

    /// Ready when the silence has lasted too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.limit)));
        if !self.waiting {
            self.waiting = true;
            timer.as_mut().reset(tokio::time::Instant::now() + self.limit);
        }
        timer.as_mut().poll(cx)
    }
}

//! The stream to an app. An app may answer before it has read the whole request and then close; what we
//! write breaks at that moment, but the answer lies there to be read. So a broken write is kept back
//! until reading has ended too.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An app's stream whose answer is read even when writing broke.
#[derive(Debug)]
pub(crate) struct AppStream<S> {
    stream: S,
    /// Why writing broke, and who wanted to write.
    broken: Option<(io::Error, Waker)>,
    read_ended: bool,
}

impl<S> AppStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, broken: None, read_ended: false }
    }

    /// Keeps an error of writing back while there may be something to read.
    fn after_write<T>(&mut self, cx: &Context<'_>, result: io::Result<T>) -> Poll<io::Result<T>> {
        match result {
            Err(error) if !self.read_ended => {
                self.broken = Some((error, cx.waker().clone()));
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    /// Ready with the error when writing broke before.
    fn poll_broken(&mut self, cx: &Context<'_>) -> Option<Poll<io::Error>> {
        if !self.read_ended {
            let (_, waker) = self.broken.as_mut()?;
            waker.clone_from(cx.waker());
            return Some(Poll::Pending);
        }
        self.broken.take().map(|(error, _)| Poll::Ready(error))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AppStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if result.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0) {
            self.read_ended = true;
            if let Some((_, waker)) = &self.broken {
                waker.wake_by_ref();
            }
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AppStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(broken) = self.poll_broken(cx) {
            return broken.map(Err);
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, data));
        self.after_write(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(broken) = self.poll_broken(cx) {
            return broken.map(Err);
        }
        let result = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.after_write(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(broken) = self.poll_broken(cx) {
            return broken.map(Err);
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        self.after_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

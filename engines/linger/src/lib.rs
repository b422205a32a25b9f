//! Closes a connection only after its last answer has had time to arrive. A socket that is closed with
//! unread data is reset, and a client that is still sending then loses the answer it was given early
//! ("too large", "not found"). So: say the answer, end our direction, and throw away for a limited time
//! what the client still sends. Knows nothing of HTTP but where a body ends.

mod body;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

pub use body::Tracked;

/// How long a client is listened to after its answer.
const LIMITS: Limits = Limits { silence: Duration::from_secs(2), longest: Duration::from_secs(10) };
/// What is thrown away at a time.
const PORTION: usize = 16 << 10;

/// Whether a part of the current request is still to come. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Unread(Arc<AtomicBool>);

impl Unread {
    /// Whether a part of the current request is still to come.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Follows the body of the request that is now the current one.
    pub fn track<B: http_body::Body + Unpin + Send + 'static>(&self, body: B) -> Tracked<B> {
        self.0.store(!body.is_end_stream(), Ordering::Release);
        Tracked::new(body, self.clone())
    }

    fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Since it last sent something.
    silence: Duration,
    /// In all.
    longest: Duration,
}

/// A client's stream. Its shutdown takes as long as the client needs to see the last answer.
#[derive(Debug)]
pub struct Linger<S> {
    stream: S,
    unread: Unread,
    limits: Limits,
    closing: Closing,
}

#[derive(Debug)]
enum Closing {
    NotYet,
    Discarding { timer: Pin<Box<Sleep>>, end: Instant, waste: Box<[u8]> },
    Done,
}

impl<S> Linger<S> {
    /// A stream that lingers when it is shut down while `unread` is set.
    pub fn new(stream: S, unread: Unread) -> Self {
        Self { stream, unread, limits: LIMITS, closing: Closing::NotYet }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::NotYet => {
                    ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                    this.closing = if this.unread.is_set() { discarding(this.limits) } else { Closing::Done };
                }
                Closing::Discarding { timer, end, waste } => {
                    ready!(poll_discard(&mut this.stream, cx, (timer, this.limits.silence, *end), waste));
                    this.closing = Closing::Done;
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
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

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

fn discarding(limits: Limits) -> Closing {
    let now = Instant::now();
    let timer = Box::pin(tokio::time::sleep_until(now + limits.silence));
    Closing::Discarding { timer, end: now + limits.longest, waste: vec![0; PORTION].into() }
}

/// Ready when the client has ended, was silent for too long, or goes on for ever.
fn poll_discard<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    (timer, silence, end): (&mut Pin<Box<Sleep>>, Duration, Instant),
    waste: &mut [u8],
) -> Poll<()> {
    loop {
        let mut buffer = ReadBuf::new(waste);
        match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                let now = Instant::now();
                if now >= end {
                    return Poll::Ready(());
                }
                timer.as_mut().reset(end.min(now + silence));
            }
            Poll::Ready(_) => return Poll::Ready(()),
            Poll::Pending => return timer.as_mut().poll(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const SILENCE: Duration = Duration::from_millis(300);
    const LONGEST: Duration = Duration::from_millis(900);

    fn unread() -> Unread {
        let unread = Unread::default();
        unread.0.store(true, Ordering::Release);
        unread
    }

    /// A server that answers after the first bytes and then drops the connection, and its client.
    async fn answered(unread: Unread) -> (TcpStream, tokio::task::JoinHandle<Duration>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connect");
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("accept");
            let mut stream = Linger::new(stream, unread);
            stream.limits = Limits { silence: SILENCE, longest: LONGEST };
            stream.read_exact(&mut [0; 10]).await.expect("read");
            stream.write_all(b"the answer").await.expect("write");
            let start = Instant::now();
            stream.shutdown().await.expect("shut down");
            start.elapsed()
        });
        (client, server)
    }

    #[tokio::test]
    async fn a_client_that_sends_everything_first_gets_its_answer() {
        let (mut client, server) = answered(unread()).await;
        client.write_all(&vec![0; 20 << 20]).await.expect("all of it is taken");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("no reset");
        assert_eq!(answer, "the answer");
        drop(client);
        assert!(server.await.expect("no panic") < SILENCE, "it ends with the client");
    }

    #[tokio::test]
    async fn silent_and_endless_clients_are_left() {
        let (mut silent, left_silent) = answered(unread()).await;
        let (mut endless, left_endless) = answered(unread()).await;
        silent.write_all(&[0; 10]).await.expect("send");
        endless.write_all(&[0; 10]).await.expect("send");
        let drip = async {
            while endless.write_all(&[0; 1000]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let (left_silent, left_endless, ()) = tokio::join!(left_silent, left_endless, drip);
        let (left_silent, left_endless) = (left_silent.expect("no panic"), left_endless.expect("no panic"));
        assert!(left_silent >= SILENCE && left_silent < 2 * SILENCE, "{left_silent:?}");
        assert!(left_endless >= LONGEST && left_endless < LONGEST + SILENCE, "{left_endless:?}");
    }

    #[tokio::test]
    async fn a_request_that_was_read_is_not_waited_for() {
        let (mut client, server) = answered(Unread::default()).await;
        client.write_all(&[0; 10]).await.expect("send");
        assert!(server.await.expect("no panic") < SILENCE);
    }
}

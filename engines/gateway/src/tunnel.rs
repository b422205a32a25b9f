//! Connections that change their protocol, as WebSockets do: bytes pass in both directions until one
//! side ends, or both are silent for too long.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::debug;

use crate::endpoint::Busy;
use crate::metrics::Active;
use crate::watch::InService;

/// How long one direction may go on after the other has ended.
const FAREWELL: Duration = Duration::from_secs(10);

/// What counts a tunnel while it lasts.
#[derive(Debug)]
pub(crate) struct Guards {
    pub(crate) active: Active,
    pub(crate) _busy: Busy,
    pub(crate) _service: InService,
}

/// Connects the client with the app once both have changed over.
pub(crate) fn start(client: OnUpgrade, app: Response<Incoming>, silence: Duration, guards: Guards) {
    tokio::spawn(async move {
        let (client, app) = match tokio::try_join!(client, hyper::upgrade::on(app)) {
            Ok(both) => both,
            Err(error) => {
                debug!(%error, "a protocol change failed");
                return;
            }
        };
        let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
        let (from_app, to_app) = tokio::io::split(TokioIo::new(app));
        let clock = Clock::new(silence);
        let counters = guards.active.counters();
        let mut up = std::pin::pin!(pump(from_client, to_app, &clock, |bytes| counters.receive(bytes)));
        let mut down = std::pin::pin!(pump(from_app, to_client, &clock, |bytes| counters.send(bytes)));
        let (first, rest) = tokio::select! {
            result = up.as_mut() => (result, tokio::time::timeout(FAREWELL, down).await),
            result = down.as_mut() => (result, tokio::time::timeout(FAREWELL, up).await),
        };
        // Either side may just vanish; that is how many WebSockets end.
        for error in [first.err(), rest.ok().and_then(Result::err)].into_iter().flatten() {
            debug!(%error, "a tunnel ended early");
        }
        drop(guards);
    });
}

/// When bytes last passed, in either direction.
struct Clock {
    start: Instant,
    moved: AtomicU64,
    silence: Duration,
}

impl Clock {
    fn new(silence: Duration) -> Self {
        Self { start: Instant::now(), moved: AtomicU64::new(0), silence }
    }

    fn touch(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(millis, Ordering::Relaxed);
    }

    fn deadline(&self) -> tokio::time::Instant {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        tokio::time::Instant::from_std(self.start + moved + self.silence)
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    clock: &Clock,
    count: impl Fn(u64),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let deadline = clock.deadline();
        let length = match tokio::time::timeout_at(deadline, from.read(&mut buffer)).await {
            Ok(read) => read?,
            Err(_) if clock.deadline() > deadline => continue,
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "both sides were silent")),
        };
        let Some(data) = buffer.get(..length).filter(|data| !data.is_empty()) else {
            return to.shutdown().await;
        };
        clock.touch();
        count(length as u64);
        to.write_all(data).await?;
        to.flush().await?;
    }
}

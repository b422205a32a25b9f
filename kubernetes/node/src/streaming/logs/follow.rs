//! Waiting for a log to grow.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

/// Wakes up when any file of a log's directory changes: the log grows, or a new file takes its
/// place.
pub(super) struct Watch {
    events: AsyncFd<Events>,
}

struct Events(Inotify);

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        use std::os::fd::AsFd as _;
        self.0.as_fd().as_raw_fd()
    }
}

impl Watch {
    #[expect(unsafe_code, reason = "a promise about the descriptor's life")]
    pub(super) fn new(log: &Path) -> io::Result<Self> {
        let dir = log.parent().unwrap_or(log);
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let flags = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF;
        inotify.add_watch(dir, flags)?;
        // SAFETY: the descriptor is owned, and nothing replaces or closes it before the `AsyncFd` goes.
        let events = unsafe { AsyncFd::register(Events(inotify)) }?;
        Ok(Self { events })
    }

    /// Returns after a change; several at once count as one. Survives being dropped.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            match ready.try_io(|events| Ok(events.get_ref().0.read_events()?)) {
                Ok(result) => return result.map(drop),
                Err(_would_block) => {}
            }
        }
    }
}

//! One daemon a data directory: a lock that the kernel drops with the process, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::locate::Layout;

/// Held while the cloud is up.
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(layout: &Layout) -> Result<Self> {
        let dir = layout.root();
        std::fs::create_dir_all(dir).with_context(|| format!("make the data directory {}", dir.display()))?;
        let path = layout.lock();
        let attempt = || format!("lock {}", path.display());
        let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.with_context(attempt)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                drop(file.read_to_string(&mut pid));
                let dir = dir.display();
                bail!(
                    "a cloud is already up in {dir} (process {}); use it, stop it with Ctrl-C or `sealos down`, \
                     or start another with a different --data-dir",
                    pid.trim()
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(attempt),
        }
        file.set_len(0).and_then(|()| file.rewind()).with_context(attempt)?;
        writeln!(file, "{}", std::process::id()).with_context(attempt)?;
        Ok(Self(file))
    }

    /// Takes the lock once the present holder is gone.
    pub(crate) async fn take_within(layout: &Layout, limit: Duration) -> Result<Self> {
        let deadline = Instant::now() + limit;
        loop {
            match Self::take(layout) {
                Ok(lock) => return Ok(lock),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

//! A client that writes numbered rows through the primary's Service, and remembers which were acknowledged.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use sealos_tests::{run, until};

/// How many write at the same time: one whose connection hangs must not hide that others get through.
const WRITERS: u64 = 3;

/// Where and as whom to write.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) host: String,
    pub(crate) password: String,
}

impl Login {
    /// Runs a statement; what the server answers, if it does so without a warning.
    pub(crate) fn sql(&self, statement: &str) -> Result<String> {
        let mut command = Command::new("timeout");
        command.args(["2", "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres"]);
        command.args(["-h", &self.host, "-d", "postgres", "-c", statement]);
        command.env("PGPASSWORD", &self.password).env("PGCONNECT_TIMEOUT", "2");
        let outcome = run(&mut command)?;
        // "The transaction has already committed locally, but might not have been replicated" is a warning.
        ensure!(!outcome.stderr.contains("WARNING"), "{}", outcome.stderr);
        outcome.ok()
    }
}

/// One acknowledged row: its number, when it was sent and when it was acknowledged.
#[derive(Debug, Clone, Copy)]
struct Row(u64, Instant, Instant);

/// Threads that write until they are stopped.
pub(crate) struct Writers {
    rows: Arc<Mutex<Vec<Row>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    pub(crate) fn start(login: Login) -> Result<Self> {
        let begin = until(Duration::from_secs(60), || {
            login.sql("create table if not exists numbered (id bigint primary key)")?;
            login.sql("select coalesce(max(id), 0) + 1 from numbered")
        })?;
        let next = Arc::new(AtomicU64::new(begin.parse()?));
        let (rows, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let write = |_| {
            let (login, next, rows, stop) = (login.clone(), next.clone(), rows.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (id, sent) = (next.fetch_add(1, Ordering::Relaxed), Instant::now());
                    let written = login.sql(&format!("insert into numbered values ({id})"));
                    if written.is_ok()
                        && let Ok(mut rows) = rows.lock()
                    {
                        rows.push(Row(id, sent, Instant::now()));
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            })
        };
        let threads = (0..WRITERS).map(write).collect();
        Ok(Self { rows, stop, threads })
    }

    /// Waits until a row that was sent after a moment is acknowledged; how long after that moment it was.
    pub(crate) fn acknowledged_after(&self, moment: Instant, limit: Duration) -> Result<Duration> {
        until(limit, || {
            let rows = self.rows.lock().map_err(|_| anyhow!("a writer panicked"))?;
            let later = rows.iter().filter(|Row(_, sent, _)| *sent >= moment);
            let first = later.map(|Row(_, _, acknowledged)| acknowledged.duration_since(moment)).min();
            first.ok_or_else(|| anyhow!("no row was acknowledged; {} were before", rows.len()))
        })
    }

    /// Stops writing; the numbers of all acknowledged rows.
    pub(crate) fn stop(self) -> Result<Vec<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().map_err(|_| anyhow!("a writer panicked"))?;
        }
        let rows = self.rows.lock().map_err(|_| anyhow!("a writer panicked"))?;
        Ok(rows.iter().map(|row| row.0).collect())
    }
}

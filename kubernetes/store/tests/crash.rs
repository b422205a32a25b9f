//! `kill -9` under load: nothing acknowledged is lost, nothing half done is found, no repair is needed.
//! The test runs itself again as the process to be killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::Rng as _;
use sealos_store::{Config, Encoded, Expect, Store};

const CHILD: &str = "SEALOS_STORE_CRASH_TEST_DIR";
const ROUNDS: usize = 100;
const WRITERS: u64 = 16;
/// Keys per writer: enough that keys are written again and again.
const KEYS: u64 = 20;

/// Not a test by itself: what the killed process does.
#[test]
fn child() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let store = Store::open(Config::new(Path::new(&dir).join("objects.redb"))).expect("the store opens");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|writer| tokio::spawn(write(store.clone(), writer)));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("a writer");
        }
    });
}

/// Writes for ever; says so once a write is acknowledged.
async fn write(store: Store, writer: u64) {
    for round in 0_u64.. {
        let key = format!("load/{writer}-{}", round % KEYS);
        if round % 7 == 6 && store.get(&key).is_some() {
            let gone = store.delete(&key, Expect::Any, None).await.expect("deleted");
            say(&format!("{} {key} -", gone.revision));
            continue;
        }
        let value = format!("{writer}-{round}-{}", "x".repeat(900));
        let entry = store.put(&key, Expect::Any, Encoded::plain(value.into_bytes())).await.expect("stored");
        say(&format!("{} {key} {round}", entry.revision));
    }
}

fn say(line: &str) {
    let mut out = std::io::stderr().lock();
    // The parent kills this process in the middle of anything.
    drop(writeln!(out, "{line}"));
}

#[test]
fn kill_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut acknowledged: HashMap<String, (u64, String)> = HashMap::new();
    let mut total = 0;
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        total += run_and_kill(dir.path(), &mut acknowledged);
        let started = Instant::now();
        let store = Store::open(Config::new(dir.path().join("objects.redb"))).expect("opens without repair");
        slowest = slowest.max(started.elapsed());
        check(&store, &acknowledged, round);
    }
    assert!(total > ROUNDS, "the children wrote: {total}");
    assert!(slowest < Duration::from_secs(2), "opening after a kill took {slowest:?}");
}

/// Reads acknowledgements until the child is killed; returns how many there were.
fn run_and_kill(dir: &Path, acknowledged: &mut HashMap<String, (u64, String)>) -> usize {
    let exe = std::env::current_exe().expect("the test's own file");
    let mut child = Command::new(exe)
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the child starts");
    let output = BufReader::new(child.stderr.take().expect("a pipe"));
    let patience = rand::rng().random_range(1..400);
    let mut count = 0;
    for line in output.lines() {
        let Ok(line) = line else { break };
        let parts: Vec<&str> = line.split(' ').collect();
        let [revision, key, round] = parts.as_slice() else { continue };
        let Ok(revision) = revision.parse::<u64>() else { continue };
        let slot = acknowledged.entry((*key).to_owned()).or_default();
        // Lines of different writers may overtake each other, but each key has one writer.
        *slot = (revision, (*round).to_owned());
        count += 1;
        if count == patience {
            child.kill().expect("SIGKILL");
        }
    }
    child.wait().expect("reaped");
    assert!(count >= patience, "the child ended early after {count} of {patience}");
    count
}

/// Whether a delete was the writer's next act on this key when the process died: later in the same run,
/// or as the first act of the run after.
fn may_be_deleted(key: &str, written: &str) -> bool {
    let slot: u64 = key.rsplit('-').next().and_then(|slot| slot.parse().ok()).expect("keys end in a number");
    let round: u64 = written.parse().expect("a round");
    (round + KEYS) % 7 == 6 || slot % 7 == 6
}

/// Every key is as acknowledged, or as a later write that was on its way.
fn check(store: &Store, acknowledged: &HashMap<String, (u64, String)>, round: usize) {
    for (key, (revision, written)) in acknowledged {
        match store.get(key) {
            Some(entry) if entry.revision == *revision => {
                let value = String::from_utf8_lossy(&entry.value).into_owned();
                assert_eq!(value.split('-').nth(1), Some(written.as_str()), "round {round}: {key}");
            }
            Some(entry) => assert!(entry.revision > *revision, "round {round}: {key} went back"),
            None => assert!(written == "-" || may_be_deleted(key, written), "round {round}: {key} is lost"),
        }
        if written == "-"
            && let Some(entry) = store.get(key)
        {
            assert!(entry.revision > *revision, "round {round}: {key} is back");
        }
    }
    let newest = acknowledged.values().map(|(revision, _)| *revision).max().unwrap_or(0);
    assert!(store.revision() >= newest, "round {round}: the revision went back");
}

//! A work queue: each key is worked on by one task at a time, repeated calls melt into one, and what
//! fails comes back after a growing pause.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::kind::Error;

const FIRST_RETRY: Duration = Duration::from_millis(5);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// When to look at the key again without anything having changed.
pub(crate) type Again = Option<Duration>;

pub(crate) struct Queue<T>(Arc<Inner<T>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<T> {
    state: Mutex<State<T>>,
    wake: Notify,
}

struct State<T> {
    ready: VecDeque<T>,
    /// Waiting in `ready`, or asked for while being worked on.
    wanted: HashSet<T>,
    active: HashSet<T>,
    later: BTreeSet<(Instant, T)>,
    due: HashMap<T, Instant>,
    failures: HashMap<T, u32>,
}

impl<T: Clone + Eq + Hash + Ord + Display + Send + 'static> Queue<T> {
    pub(crate) fn new() -> Self {
        let state = State {
            ready: VecDeque::new(),
            wanted: HashSet::new(),
            active: HashSet::new(),
            later: BTreeSet::new(),
            due: HashMap::new(),
            failures: HashMap::new(),
        };
        Self(Arc::new(Inner { state: Mutex::new(state), wake: Notify::new() }))
    }

    pub(crate) fn add(&self, key: T) {
        self.lock().want(key);
        self.0.wake.notify_one();
    }

    /// Adds the key after a pause, or earlier if an earlier time is already set.
    pub(crate) fn add_after(&self, key: T, pause: Duration) {
        let at = Instant::now() + pause;
        let mut state = self.lock();
        if let Some(due) = state.due.get(&key).copied() {
            if due <= at {
                return;
            }
            state.later.remove(&(due, key.clone()));
        }
        state.due.insert(key.clone(), at);
        state.later.insert((at, key));
        drop(state);
        self.0.wake.notify_one();
    }

    /// Works until shutdown, on at most `limit` keys at a time.
    pub(crate) async fn work<F, Fut>(
        self,
        what: &'static str,
        limit: usize,
        shutdown: CancellationToken,
        work: F,
    ) where
        F: Fn(T) -> Fut,
        Fut: Future<Output = Result<Again, Error>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < limit {
                let Some(key) = self.lock().take(Instant::now()) else { break };
                let job = work(key.clone());
                tasks.spawn(async move { (key, job.await) });
            }
            let next = self.lock().later.first().map(|(at, _)| *at);
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.0.wake.notified(), if tasks.len() < limit => {}
                () = sleep_until(next), if tasks.len() < limit => {}
                Some(done) = tasks.join_next() => match done {
                    Ok((key, result)) => self.finish(what, key, result),
                    Err(error) => warn!(what, %error, "a work task broke"),
                },
            }
        }
    }

    fn finish(&self, what: &'static str, key: T, result: Result<Again, Error>) {
        let pause = {
            let mut state = self.lock();
            state.active.remove(&key);
            if state.wanted.contains(&key) {
                state.ready.push_back(key.clone());
            }
            match result {
                Ok(again) => {
                    state.failures.remove(&key);
                    again
                }
                Err(error) => {
                    let failures = state.failures.entry(key.clone()).or_default();
                    *failures += 1;
                    report(what, &key, &error, *failures);
                    Some(LAST_RETRY.min(FIRST_RETRY * 2_u32.saturating_pow(*failures - 1)))
                }
            }
        };
        if let Some(pause) = pause {
            self.add_after(key, pause);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn report(what: &'static str, key: &impl Display, error: &Error, failures: u32) {
    let error: &dyn std::error::Error = error;
    // The first failures are races with other writers; they resolve themselves.
    if failures <= 3 {
        debug!(what, %key, error, "try again");
    } else {
        warn!(what, %key, error, failures, "try again");
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl<T: Clone + Eq + Hash + Ord> State<T> {
    fn want(&mut self, key: T) {
        if self.wanted.insert(key.clone()) && !self.active.contains(&key) {
            self.ready.push_back(key);
        }
    }

    fn take(&mut self, now: Instant) -> Option<T> {
        while let Some((at, _)) = self.later.first() {
            if *at > now {
                break;
            }
            if let Some((_, key)) = self.later.pop_first() {
                self.due.remove(&key);
                self.want(key);
            }
        }
        let key = self.ready.pop_front()?;
        self.wanted.remove(&key);
        self.active.insert(key.clone());
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_melt_and_failures_come_back() {
        let queue: Queue<String> = Queue::new();
        let runs = Arc::new(AtomicUsize::new(0));
        let shutdown = CancellationToken::new();
        queue.add("a".to_owned());
        queue.add("a".to_owned());
        let (counter, stop) = (runs.clone(), shutdown.clone());
        let work = queue.clone().work("test", 4, shutdown, move |_| {
            let run = counter.fetch_add(1, Ordering::SeqCst);
            let stop = stop.clone();
            async move {
                match run {
                    0 => Err(Error::Refused("not yet".to_owned())),
                    1 => Ok(Some(Duration::from_secs(30))),
                    _ => {
                        stop.cancel();
                        Ok(None)
                    }
                }
            }
        });
        work.await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_key_is_never_worked_on_twice_at_once() {
        let queue: Queue<String> = Queue::new();
        queue.add("a".to_owned());
        assert!(queue.lock().take(Instant::now()).is_some());
        queue.add("a".to_owned());
        assert!(queue.lock().take(Instant::now()).is_none());
        queue.finish("test", "a".to_owned(), Ok(None));
        assert!(queue.lock().take(Instant::now()).is_some());
    }
}

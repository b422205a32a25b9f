//! Asks one pod's engine for its role, again and again. Each pod has a task of its own: one that hangs
//! holds up nobody else.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use parking_lot::Mutex;
use sealos_kit::exec::Target;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::roles;
use crate::seen::{Answer, State};

/// How long an engine may take to say its role.
const LIMIT: Duration = Duration::from_secs(2);

/// What one incarnation of an engine said.
#[derive(Debug, Clone)]
struct Heard {
    incarnation: String,
    good: Option<(State, Instant)>,
    silent_since: Option<Instant>,
}

/// What was heard, by the pod's uid.
#[derive(Debug, Default)]
pub(crate) struct Ear(Mutex<HashMap<String, Heard>>);

impl Ear {
    /// What is known of a pod's present incarnation.
    pub(crate) fn answer(&self, uid: &str, incarnation: Option<&str>) -> Answer {
        let all = self.0.lock();
        let heard = all.get(uid).filter(|heard| incarnation == Some(&*heard.incarnation));
        match heard {
            Some(Heard { silent_since: Some(at), good, .. }) => {
                Answer::Silent { since: at.elapsed(), before: good.is_some() }
            }
            Some(Heard { good: Some((state, at)), .. }) => {
                Answer::Says { state: state.clone(), age: at.elapsed() }
            }
            _ => Answer::Unknown,
        }
    }

    /// Notes an answer to a question put at `asked`, or that there was none.
    pub(crate) fn note(&self, uid: &str, incarnation: &str, asked: Instant, state: Option<State>) {
        let mut all = self.0.lock();
        let new = || Heard { incarnation: incarnation.to_owned(), good: None, silent_since: None };
        let heard = all.entry(uid.to_owned()).or_insert_with(new);
        if heard.incarnation != incarnation {
            *heard = new();
        }
        match state {
            Some(state) => {
                heard.good = Some((state, asked));
                heard.silent_since = None;
            }
            None => heard.silent_since = heard.silent_since.or(Some(asked)),
        }
    }

    /// Forgets pods that are gone.
    pub(crate) fn keep(&self, there: impl Fn(&str) -> bool) {
        self.0.lock().retain(|uid, _| there(uid));
    }
}

/// Whom to ask, and how often.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subject {
    pub target: Target,
    /// `None` while the engine does not run.
    pub incarnation: Option<String>,
    pub ready: bool,
    pub every: Duration,
}

/// A task that asks; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Prober {
    subject: watch::Sender<Subject>,
    task: JoinHandle<()>,
}

impl Prober {
    pub(crate) fn start(
        client: Client,
        uid: String,
        subject: Subject,
        ear: Arc<Ear>,
        bell: Arc<Notify>,
    ) -> Self {
        let (subject, told) = watch::channel(subject);
        let task = tokio::spawn(async move { ask(client, &uid, told, &ear, &bell).await });
        Self { subject, task }
    }

    /// Changes whom to ask; news of the pod make it ask at once.
    pub(crate) fn set(&self, subject: Subject) {
        self.subject.send_if_modified(|old| {
            let changed = *old != subject;
            *old = subject;
            changed
        });
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask(client: Client, uid: &str, mut told: watch::Receiver<Subject>, ear: &Ear, bell: &Notify) {
    loop {
        let subject = told.borrow_and_update().clone();
        let asked = Instant::now();
        if let Some(incarnation) = &subject.incarnation {
            let answer = subject.target.ok(&client, &[roles::SCRIPT], b"", LIMIT);
            tokio::select! {
                answer = answer => {
                    let state = answer.ok().and_then(|text| roles::parse(&String::from_utf8_lossy(&text)));
                    ear.note(uid, incarnation, asked, state);
                    bell.notify_one();
                }
                // Another incarnation is another engine; the question to the old one is void.
                () = other(&mut told, incarnation) => continue,
            }
        }
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(asked + subject.every), if subject.incarnation.is_some() => {}
        }
    }
}

/// Returns when another incarnation is to be asked.
async fn other(told: &mut watch::Receiver<Subject>, than: &str) {
    let ended = told.wait_for(|subject| subject.incarnation.as_deref() != Some(than)).await.is_err();
    if ended {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_belong_to_an_incarnation() {
        let ear = Ear::default();
        let primary = roles::parse("{\"role\":\"primary\",\"position\":\"1\"}");
        assert_eq!(ear.answer("u", Some("a")), Answer::Unknown);
        ear.note("u", "a", Instant::now(), primary.clone());
        tokio::time::advance(Duration::from_secs(1)).await;
        let Answer::Says { age, .. } = ear.answer("u", Some("a")) else { panic!("it answered") };
        assert_eq!(age, Duration::from_secs(1));
        assert_eq!(ear.answer("u", Some("b")), Answer::Unknown);
        assert_eq!(ear.answer("u", None), Answer::Unknown);
        ear.note("u", "a", Instant::now(), None);
        tokio::time::advance(Duration::from_secs(2)).await;
        ear.note("u", "a", Instant::now(), None);
        let silent = Answer::Silent { since: Duration::from_secs(2), before: true };
        assert_eq!(ear.answer("u", Some("a")), silent);
        ear.note("u", "b", Instant::now(), None);
        let silent = Answer::Silent { since: Duration::ZERO, before: false };
        assert_eq!(ear.answer("u", Some("b")), silent);
        ear.note("u", "b", Instant::now(), primary);
        assert!(matches!(ear.answer("u", Some("b")), Answer::Says { .. }));
    }
}

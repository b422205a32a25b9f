//! The probes of one running container, from its start to the verdict that ends it.

use std::net::Ipv4Addr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Probe};
use tokio::time::{Instant, sleep_until};

use super::check::{Subject, perform};
use super::{Eager, Outcome, Purpose, Tally, Timing};
use crate::command::Commands;
use crate::events::Events;

/// What probes found out about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Started,
    Ready(bool),
}

/// A probe that demands the container's end.
#[derive(Debug)]
pub(crate) struct Fatal {
    pub purpose: Purpose,
    /// The probe's own grace period, if it has one.
    pub grace: Option<Duration>,
}

/// One container under observation.
pub(crate) struct Patient<'a> {
    pub container: &'a Container,
    pub pod_ip: Ipv4Addr,
    pub commands: &'a Commands,
    pub events: &'a Events,
    pub since: Instant,
    /// What was known before, when the container was found running.
    pub started: bool,
    pub ready: bool,
}

impl Patient<'_> {
    /// Probes until startup or liveness fails for good. Dropping it stops the probing.
    pub(crate) async fn observe(&self, report: &(dyn Fn(Report) + Sync)) -> Fatal {
        let container = self.container;
        if let Some(probe) = container.startup_probe.as_ref().filter(|_| !self.started)
            && let Some(fatal) = self.startup(probe).await
        {
            return fatal;
        }
        report(Report::Started);
        let readiness = async {
            match &container.readiness_probe {
                Some(probe) => self.readiness(probe, report).await,
                None => report(Report::Ready(true)),
            }
            std::future::pending::<Fatal>().await
        };
        let liveness = async {
            match &container.liveness_probe {
                Some(probe) => self.liveness(probe).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            fatal = readiness => fatal,
            fatal = liveness => fatal,
        }
    }

    async fn startup(&self, probe: &Probe) -> Option<Fatal> {
        let mut rounds = Rounds::new(self, probe, Purpose::Startup);
        loop {
            match rounds.next().await {
                Outcome::Same => {}
                Outcome::Passed => return None,
                Outcome::Failed => return Some(fatal(Purpose::Startup, probe)),
            }
        }
    }

    async fn liveness(&self, probe: &Probe) -> Fatal {
        let mut rounds = Rounds::new(self, probe, Purpose::Liveness);
        while rounds.next().await != Outcome::Failed {}
        fatal(Purpose::Liveness, probe)
    }

    async fn readiness(&self, probe: &Probe, report: &(dyn Fn(Report) + Sync)) {
        let mut rounds = Rounds::new(self, probe, Purpose::Readiness);
        rounds.tally.holds = self.ready;
        loop {
            match rounds.next().await {
                Outcome::Same => {}
                Outcome::Passed => report(Report::Ready(true)),
                Outcome::Failed => report(Report::Ready(false)),
            }
        }
    }

    async fn ask(&self, probe: &Probe, timeout: Duration) -> Result<(), String> {
        let subject = Subject { container: self.container, pod_ip: self.pod_ip };
        perform(&subject.probe(probe)?, self.commands, timeout).await
    }
}

fn fatal(purpose: Purpose, probe: &Probe) -> Fatal {
    let seconds = probe.termination_grace_period_seconds.and_then(|s| u64::try_from(s).ok());
    Fatal { purpose, grace: seconds.map(Duration::from_secs) }
}

/// The tries of one probe, in its rhythm.
struct Rounds<'a> {
    patient: &'a Patient<'a>,
    probe: &'a Probe,
    purpose: Purpose,
    timing: Timing,
    tally: Tally,
    eager: Option<Eager>,
    /// When the next try is due that counts whatever its result.
    due: Instant,
    first: bool,
}

impl<'a> Rounds<'a> {
    fn new(patient: &'a Patient<'a>, probe: &'a Probe, purpose: Purpose) -> Self {
        let timing = Timing::of(probe);
        let eager = purpose != Purpose::Liveness
            && timing.delay.is_zero()
            && timing.successes == 1
            && !(purpose == Purpose::Readiness && patient.ready);
        Self {
            patient,
            probe,
            purpose,
            timing,
            tally: Tally::new(purpose, &timing),
            eager: eager.then(|| Eager::new(probe.exec.is_some())),
            due: patient.since + timing.delay + if eager { timing.period } else { Duration::ZERO },
            first: true,
        }
    }

    /// Waits for the next try, makes it, and says what it changed.
    async fn next(&mut self) -> Outcome {
        let extra = self.eager.as_mut().and_then(|eager| {
            let wait = if self.first { Some(Duration::ZERO) } else { eager.wait(self.timing.period) };
            wait.map(|wait| Instant::now() + wait).filter(|at| *at < self.due)
        });
        self.first = false;
        if extra.is_none() {
            self.eager = None;
        }
        sleep_until(extra.unwrap_or(self.due)).await;
        let result = self.patient.ask(self.probe, self.timing.timeout).await;
        if extra.is_none() {
            self.due = (self.due + self.timing.period).max(Instant::now());
        }
        match result {
            Ok(()) => {
                self.eager = None;
                self.tally.count(true)
            }
            // A container that is still coming up is not unhealthy.
            Err(_) if extra.is_some() => Outcome::Same,
            Err(reason) => {
                let message = format!("{} probe failed: {reason}", self.purpose.name());
                self.patient.events.warning("Unhealthy", message);
                self.tally.count(false)
            }
        }
    }
}

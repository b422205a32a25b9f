//! A running container: its hooks, its probes, and its end, wanted or not.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Lifecycle, LifecycleHandler};
use sealos_container::{Error, Exit};
use tokio::time::Instant;

use super::container::{ContainerTask, Live};
use super::context::{Stop, StopOrder, grace, stopped};
use crate::command::Commands;
use crate::probe::Purpose;
use crate::probe::check::{Subject, perform};
use crate::probe::run::{Fatal, Patient, Report};
use crate::state::Role;

/// A hook that takes longer than this is given up.
const HOOK_LIMIT: Duration = Duration::from_secs(3600);
/// What a container gets to end after a preStop hook has used up its time.
const AFTER_HOOK: Duration = Duration::from_secs(2);

/// Waits for the container's end, bringing it about when the pod stops, a probe fails for good or
/// the postStart hook fails.
pub(crate) async fn until_end(task: &ContainerTask, live: &Live) -> Result<Exit, Error> {
    let runtime = &task.context.shared.config.runtime;
    let mut order = task.stop.clone();
    let reason = tokio::select! {
        biased;
        exit = runtime.wait(&live.id) => return exit,
        stop = stopped(&mut order) => Reason::Stop(stop),
        reason = care(task, live) => reason,
    };
    let (message, stop) = match reason {
        Reason::Stop(stop) => (format!("Stopping container {}", task.container.name), stop),
        Reason::Unhealthy(message, wait) => (message, Stop::within(wait)),
    };
    task.events.normal("Killing", message);
    end(task, live, stop, order).await
}

enum Reason {
    Stop(Stop),
    Unhealthy(String, Duration),
}

/// Runs the postStart hook and then the probes. Returns only when the container must end.
async fn care(task: &ContainerTask, live: &Live) -> Reason {
    let name = &task.container.name;
    let pod_grace = grace(&task.context.pod());
    let commands = commands(task, live);
    let hook = task.container.lifecycle.as_ref().and_then(|l| l.post_start.as_ref());
    if let Some(hook) = hook.filter(|_| !live.adopted)
        && let Err(error) = run_hook(task, hook, &commands, HOOK_LIMIT).await
    {
        task.events.warning("FailedPostStartHook", format!("PostStartHook failed: {error}"));
        return Reason::Unhealthy(format!("Container {name} failed its postStart hook"), pod_grace);
    }
    let fatal = probe(task, live, &commands).await;
    let what = match fatal.purpose {
        Purpose::Startup => "startup",
        Purpose::Liveness | Purpose::Readiness => "liveness",
    };
    let message = format!("Container {name} failed {what} probe, will be restarted");
    Reason::Unhealthy(message, fatal.grace.unwrap_or(pod_grace))
}

async fn probe(task: &ContainerTask, live: &Live, commands: &Commands) -> Fatal {
    let context = &task.context;
    let name = &task.container.name;
    let (ready, started) = {
        let state = context.state.borrow();
        let status = state.container(name);
        status.map_or((false, false), |s| (s.ready, s.started == Some(true)))
    };
    let age = jiff::Timestamp::now().duration_since(live.started_at);
    let since = Instant::now().checked_sub(age.try_into().unwrap_or_default()).unwrap_or_else(Instant::now);
    let pod_ip = context.state.borrow().ip.unwrap_or(context.shared.host.ip);
    let patient = Patient {
        container: &task.container,
        pod_ip,
        commands,
        events: &task.events,
        since: if live.adopted { Instant::now() } else { since },
        started: started && live.adopted,
        ready: ready && live.adopted,
    };
    let init = task.role == Role::Init;
    let report = |report: Report| {
        context.update(name, |status| match report {
            Report::Started => status.started = Some(true),
            Report::Ready(ready) => status.ready = ready && !init,
        });
    };
    patient.observe(&report).await
}

fn commands(task: &ContainerTask, live: &Live) -> Commands {
    Commands { runtime: task.context.shared.config.runtime.clone(), container: live.id.clone() }
}

async fn run_hook(
    task: &ContainerTask,
    hook: &LifecycleHandler,
    commands: &Commands,
    limit: Duration,
) -> Result<(), String> {
    let pod_ip = task.context.state.borrow().ip.unwrap_or(task.context.shared.host.ip);
    let subject = Subject { container: &task.container, pod_ip };
    perform(&subject.hook(hook)?, commands, limit).await
}

/// Ends the container: preStop hook, signal, and at the deadline the signal nobody survives.
async fn end(task: &ContainerTask, live: &Live, mut stop: Stop, mut order: StopOrder) -> Result<Exit, Error> {
    let runtime = &task.context.shared.config.runtime;
    let mut wait = Box::pin(runtime.wait(&live.id));
    let mut lifecycle = task.container.lifecycle.clone().unwrap_or_default();
    if let Some(hook) = lifecycle.pre_stop.take().filter(|_| !stop.grace.is_zero()) {
        let commands = commands(task, live);
        let limit = stop.deadline.saturating_duration_since(Instant::now());
        tokio::select! {
            exit = &mut wait => return exit,
            done = run_hook(task, &hook, &commands, limit) => if let Err(error) = done {
                task.events.warning("FailedPreStopHook", format!("PreStopHook failed: {error}"));
            },
            // A new, nearer deadline ends the hook too.
            _ = order.changed() => {}
        }
        stop.deadline = stop.deadline.max(Instant::now() + AFTER_HOOK);
    }
    order.mark_unchanged();
    if let Some(newer) = task.stop_now() {
        stop.deadline = stop.deadline.min(newer.deadline.max(Instant::now()));
    }
    let signal = signal(live, &lifecycle);
    if !stop.grace.is_zero() {
        send(task, live, signal).await;
    }
    loop {
        tokio::select! {
            exit = &mut wait => return exit,
            () = tokio::time::sleep_until(stop.deadline) => break,
            changed = order.changed() => match (changed, task.stop_now()) {
                (Ok(()), Some(newer)) => stop.deadline = stop.deadline.min(newer.deadline),
                _ => break,
            },
        }
    }
    send(task, live, libc::SIGKILL).await;
    wait.await
}

async fn send(task: &ContainerTask, live: &Live, signal: i32) {
    match task.context.shared.config.runtime.kill(&live.id, signal).await {
        // It ended by itself in this moment.
        Ok(()) | Err(Error::NotRunning { .. } | Error::NotFound { .. }) => {}
        Err(error) => tracing::warn!(id = live.id, signal, %error, "signal a container"),
    }
}

/// The signal that asks this container to end.
fn signal(live: &Live, lifecycle: &Lifecycle) -> i32 {
    let named = lifecycle.stop_signal.as_deref().or(live.stop_signal.as_deref());
    named.and_then(signal_number).unwrap_or(libc::SIGTERM)
}

/// `SIGTERM`, `TERM` or `15`.
fn signal_number(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    let name = name.to_uppercase();
    let full = if name.starts_with("SIG") { name } else { format!("SIG{name}") };
    if let Some(offset) = full.strip_prefix("SIGRTMIN+") {
        return offset.parse::<i32>().ok().map(|offset| 34 + offset).filter(|number| *number <= 64);
    }
    full.parse::<nix::sys::signal::Signal>().ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        assert_eq!(signal_number("SIGTERM"), Some(15));
        assert_eq!(signal_number("quit"), Some(3));
        assert_eq!(signal_number("9"), Some(9));
        assert_eq!(signal_number("SIGRTMIN+3"), Some(37));
        assert_eq!(signal_number("nonsense"), None);
        assert_eq!(signal_number("99"), None);
    }
}

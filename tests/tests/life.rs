//! A cloud comes and goes: containers outlive the daemon, `down` leaves nothing, two clouds do not meet.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use sealos_tests::{Check, Cloud, Suite, Traces, busybox_context, get, traces, until};

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let checks: Vec<Check<()>> = vec![
        ("containers_outlive_the_daemon", outlive),
        ("down_leaves_nothing_and_up_brings_it_back", down_and_up),
        ("two_clouds_run_side_by_side", side_by_side),
        ("a_damaged_store_is_named", damaged_store),
    ];
    Suite::new(checks).main(|| Ok(()))
}

/// A cloud with one app, `web`, of two pods.
fn cloud_with_app() -> Result<Cloud> {
    let cloud = Cloud::start()?;
    let serve = "RUN echo kept > /www/index.html\nEXPOSE 8080\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]";
    let context = busybox_context(cloud.scratch(), serve)?;
    let dir = context.display().to_string();
    cloud.sealos(&["deploy", &dir, "--name", "web", "--replicas", "2", "--storage", "/data:16Mi"])?.ok()?;
    Ok(cloud)
}

fn answers(cloud: &Cloud) -> Result<()> {
    let answer = get(cloud.http_port(), "web-default.localhost", "/")?;
    ensure!(answer.status == 200 && answer.body.trim() == "kept", "{} {}", answer.status, answer.body);
    Ok(())
}

/// Process ids of the app's servers, by what the kernel says: those survive or they do not.
fn servers(cloud: &Cloud) -> Result<BTreeMap<String, String>> {
    let pods =
        cloud.kubectl(&["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}"])?.ok()?;
    let since = |pod: &str| {
        let stat = cloud.kubectl(&["exec", pod, "--", "cat", "/proc/1/stat"])?.ok()?;
        let restarts =
            "jsonpath={.status.containerStatuses[0].restartCount}:{.status.containerStatuses[0].containerID}";
        let restarts = cloud.kubectl(&["get", "pod", pod, "-o", restarts])?.ok()?;
        // Field 22 is when the process started, in ticks since boot (proc(5)).
        let started = stat.split(' ').nth(21).context("a start time")?.to_owned();
        Ok((pod.to_owned(), format!("{started} {restarts}")))
    };
    pods.split(' ').map(since).collect()
}

fn id(cloud: &Cloud) -> Result<String> {
    let text = std::fs::read(cloud.data_dir().join("state.json"))?;
    let state: serde_json::Value = serde_json::from_slice(&text)?;
    Ok(state["id"].as_str().context("an id")?.to_owned())
}

fn outlive((): &()) -> Result<()> {
    let cloud = cloud_with_app()?;
    let before = servers(&cloud)?;
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGKILL] {
        cloud.end(signal)?;
        cloud.up(&[])?;
        until(LIMIT, || answers(&cloud))?;
        let after = servers(&cloud)?;
        ensure!(before == after, "after {signal}: {before:?} became {after:?}");
    }
    // What ends while nobody looks is found and replaced.
    cloud.end(Signal::SIGKILL)?;
    cloud.up(&[])?;
    cloud.kubectl(&["delete", "pod", "web-0"])?.ok()?;
    cloud.kubectl(&["rollout", "status", "sts/web", "--timeout=60s"])?.ok().map(drop)
}

fn down_and_up((): &()) -> Result<()> {
    let cloud = cloud_with_app()?;
    let id = id(&cloud)?;
    cloud.sealos(&["exec", "web", "--", "sh", "-c", "echo data > /data/x"])?.ok()?;
    let up = traces(&cloud.data_dir(), &id)?;
    ensure!(
        !up.links.is_empty() && !up.tables.is_empty() && !up.cgroups.is_empty(),
        "the check sees traces: {up:?}"
    );
    cloud.sealos(&["down"])?.ok()?;
    let left = traces(&cloud.data_dir(), &id)?;
    ensure!(left == Traces::default(), "down left {left:#?}");
    cloud.up(&[])?;
    until(LIMIT, || answers(&cloud))?;
    let kept =
        until(LIMIT, || cloud.kubectl(&["exec", "web-0", "--", "sh", "-c", "cat /data/x || true"])?.ok())?;
    let other = cloud.kubectl(&["exec", "web-1", "--", "sh", "-c", "cat /data/x || true"])?.ok()?;
    ensure!(format!("{kept}{other}").contains("data"), "the data is there again");
    // A daemon that was killed is cleaned up after as well.
    cloud.end(Signal::SIGKILL)?;
    cloud.sealos(&["down", "--purge", "--yes"])?.ok()?;
    let left = traces(&cloud.data_dir(), &id)?;
    ensure!(left == Traces::default() && !cloud.data_dir().exists(), "purge left {left:#?}");
    Ok(())
}

fn side_by_side((): &()) -> Result<()> {
    let (one, two) = (cloud_with_app()?, cloud_with_app()?);
    until(LIMIT, || answers(&one))?;
    until(LIMIT, || answers(&two))?;
    one.purge()?;
    answers(&two)?;
    let fetch = "exec 3<>/dev/tcp/web/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3";
    let answer = two.kubectl(&["exec", "web-0", "--", "bash", "-c", fetch])?.ok()?;
    ensure!(answer == "kept", "{answer}");
    Ok(())
}

fn damaged_store((): &()) -> Result<()> {
    let cloud = Cloud::start()?;
    cloud.end(Signal::SIGTERM)?;
    let store = cloud.data_dir().join("store");
    for entry in std::fs::read_dir(&store)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "redb") {
            std::fs::write(&path, vec![7_u8; 64 << 10])?;
        }
    }
    let said = cloud.sealos(&["up"])?.err()?;
    ensure!(said.contains("store") && !said.contains("panicked"), "{said}");
    Ok(())
}

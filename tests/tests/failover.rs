//! Databases whose primary is killed again and again, under a client that writes and remembers what was
//! acknowledged. `SEALOS_FAILOVER_KILLS` says how often (default 5; 20 makes a distribution).

#[path = "failover/client.rs"]
mod client;
#[path = "failover/database.rs"]
mod database;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use sealos_tests::{Check, Cloud, Suite, need, until};

use crate::client::Writers;
use crate::database::Database;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
/// How long writes may be interrupted before a check fails; what is aimed at is in `docs/failover.md`.
const OUTAGE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let checks: Vec<Check<Cloud>> = vec![
        ("no_acknowledged_row_is_lost_by_kills", kills),
        ("a_failover_goes_on_after_the_daemon_was_killed", daemon),
        ("a_switchover_moves_the_primary_and_says_why_not", switchover),
        ("a_hung_primary_is_replaced", hang),
        ("an_asynchronous_pair_fails_over", pair),
    ];
    Suite::new(checks).main(|| {
        need("psql", "postgresql-client")?;
        let cloud = Cloud::start()?;
        // The checks share it: the first waits for an image as well.
        Database::create(&cloud, "trio", 3, true)?;
        Ok(cloud)
    })
}

fn trio(cloud: &Cloud) -> Result<Database<'_>> {
    let database = Database::find(cloud, "trio")?;
    database.settled(3, LIMIT)?;
    Ok(database)
}

fn kills(cloud: &Cloud) -> Result<()> {
    let kills = std::env::var("SEALOS_FAILOVER_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let database = trio(cloud)?;
    let writers = Writers::start(database.login()?)?;
    let mut outages = Vec::new();
    for _ in 0..kills {
        writers.acknowledged_after(Instant::now(), LIMIT)?;
        let primary = database.primary()?;
        let killed = database.signal(&primary, Signal::SIGKILL)?;
        let outage = writers.acknowledged_after(killed, OUTAGE)?;
        outages.push(outage);
        // The next one finds the old primary back as a replica.
        database.settled(3, LIMIT).with_context(|| format!("after {primary} was killed"))?;
        let now = database.primary()?;
        ensure!(now != primary, "{primary} still leads after it was killed");
    }
    let acknowledged = writers.stop()?;
    report(&mut outages, acknowledged.len());
    database.has_all(&acknowledged)?;
    database.one_leads(3)
}

/// Prints what was measured.
fn report(outages: &mut [Duration], rows: usize) {
    outages.sort_unstable();
    let at = |share: usize| outages.get((outages.len() - 1) * share / 100).copied().unwrap_or_default();
    let line = format!(
        "{} kills, {rows} rows acknowledged; first write after: least {:.2?}, median {:.2?}, p90 {:.2?}, most {:.2?}\n",
        outages.len(),
        at(0),
        at(50),
        at(90),
        at(100)
    );
    // Nobody may be there to read it.
    drop(std::io::stderr().write_all(line.as_bytes()));
}

/// The daemon ends right after the primary, and finds its way when it is back.
fn daemon(cloud: &Cloud) -> Result<()> {
    let database = trio(cloud)?;
    let writers = Writers::start(database.login()?)?;
    writers.acknowledged_after(Instant::now(), LIMIT)?;
    let primary = database.primary()?;
    let killed = database.signal(&primary, Signal::SIGKILL)?;
    std::thread::sleep(Duration::from_millis(150));
    cloud.end(Signal::SIGKILL)?;
    cloud.up(&[])?;
    writers.acknowledged_after(killed, OUTAGE)?;
    database.settled(3, LIMIT)?;
    let acknowledged = writers.stop()?;
    database.has_all(&acknowledged)?;
    database.one_leads(3)
}

fn switchover(cloud: &Cloud) -> Result<()> {
    let database = trio(cloud)?;
    let writers = Writers::start(database.login()?)?;
    let primary = database.primary()?;
    let target = database.pods()?.into_iter().map(|pod| pod.name).find(|name| *name != primary);
    let target = target.context("a replica")?;
    database.switch_to(&target)?;
    until(LIMIT, || {
        ensure!(database.primary()? == target, "the primary is not moved yet");
        ensure!(database.annotation("switchover-to")?.is_empty(), "the wish is still there");
        Ok(())
    })?;
    database.settled(3, LIMIT)?;
    writers.acknowledged_after(Instant::now(), LIMIT)?;
    let acknowledged = writers.stop()?;
    database.has_all(&acknowledged)?;
    database.switch_to("nobody")?;
    until(LIMIT, || {
        let said = database.annotation("switchover-error")?;
        ensure!(said.contains("there is no replica `nobody`"), "{said}");
        Ok(())
    })?;
    ensure!(database.primary()? == target, "a wish that cannot be changes nothing");
    let events = cloud.kubectl(&["get", "events", "-o", "jsonpath={.items[*].message}"])?.ok()?;
    ensure!(
        events.contains(&format!("primary moved from {primary} to {target}: switchover asked for")),
        "{events}"
    );
    Ok(())
}

fn hang(cloud: &Cloud) -> Result<()> {
    let database = trio(cloud)?;
    let writers = Writers::start(database.login()?)?;
    writers.acknowledged_after(Instant::now(), LIMIT)?;
    let primary = database.primary()?;
    let hung = database.signal_all(&primary, Signal::SIGSTOP)?;
    writers.acknowledged_after(hung, OUTAGE)?;
    database.settled(3, LIMIT)?;
    let acknowledged = writers.stop()?;
    ensure!(database.primary()? != primary, "{primary} hung and still leads");
    database.has_all(&acknowledged)?;
    // Two databases at once would be many for the machine.
    database.delete()
}

fn pair(cloud: &Cloud) -> Result<()> {
    Database::create(cloud, "pair", 2, false)?;
    let database = Database::find(cloud, "pair")?;
    database.settled(2, LIMIT)?;
    let writers = Writers::start(database.login()?)?;
    writers.acknowledged_after(Instant::now(), LIMIT)?;
    let primary = database.primary()?;
    // A replica that is barely up gives way to a primary that restarts; this one is to be steady.
    database.steady(LIMIT)?;
    let killed = database.signal(&primary, Signal::SIGKILL)?;
    writers.acknowledged_after(killed, OUTAGE)?;
    database.settled(2, LIMIT)?;
    writers.stop()?;
    ensure!(database.primary()? != primary, "{primary} was killed and still leads");
    database.one_leads(2)
}

//! Backups of a real PostgreSQL: made, restored beside and to a moment, damaged, drilled, and a database that
//! is deleted and had again.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sealos_tests::{Check, Cloud, Suite, until};
use serde_json::Value;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    // The order matters: each check goes on with what the one before it left.
    let checks: Vec<Check<Cloud>> = vec![
        ("a_scheduled_database_is_backed_up_and_drilled_at_once", first),
        ("a_restore_beside_has_the_rows_of_then", beside),
        ("a_database_comes_back_as_it_was_at_a_moment", moment),
        ("what_cannot_be_restored_is_refused_with_the_reason", refused),
        ("a_flipped_bit_is_refused_and_named", flipped),
        ("a_deleted_database_comes_back_from_its_last_backup", undeleted),
        ("a_deleted_backup_leaves_nothing_in_the_bucket", removed),
    ];
    Suite::new(checks).main(|| {
        let cloud = Cloud::start()?;
        let create = ["db", "create", "shop", "--storage", "1Gi", "--backup", "0 3 * * *", "--time-zone"];
        cloud.sealos(&[create.as_slice(), &["Europe/Berlin"]].concat())?.ok()?;
        sql(&cloud, "shop", "create table sold (n int)")?;
        Ok(cloud)
    })
}

/// Runs statements in a database and gives the first value of the answer.
fn sql(cloud: &Cloud, database: &str, statements: &str) -> Result<String> {
    let pod = format!("{database}-postgresql-0");
    let script = "/sealos/scripts/query.sh";
    let answer = cloud.kubectl_with(&["exec", "-i", &pod, "--", script, "postgres"], statements)?.ok()?;
    let answer: Value = serde_json::from_str(&answer).with_context(|| format!("read `{answer}`"))?;
    ensure!(answer["error"].is_null(), "{statements}: {answer}");
    Ok(answer["rows"][0][0].as_str().unwrap_or_default().to_owned())
}

fn sell(cloud: &Cloud, rows: u32) -> Result<()> {
    sql(cloud, "shop", &format!("insert into sold select generate_series(1, {rows})")).map(drop)
}

/// The rows of a database, once it takes questions.
fn rows(cloud: &Cloud, database: &str) -> Result<String> {
    until(LIMIT, || sql(cloud, database, "select count(*) from sold"))
}

fn now(cloud: &Cloud) -> Result<String> {
    sql(
        cloud,
        "shop",
        r#"select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#,
    )
}

fn back_up(cloud: &Cloud) -> Result<String> {
    cloud.sealos(&["db", "backup", "shop", "--remark", "by hand"])?.ok()
}

fn delete(cloud: &Cloud, database: &str) -> Result<()> {
    cloud.sealos(&["db", "delete", database, "--yes"])?.ok().map(drop)
}

fn has(text: &str, needle: &str) -> Result<()> {
    ensure!(text.contains(needle), "`{needle}` is missing in:\n{text}");
    Ok(())
}

fn first(cloud: &Cloud) -> Result<()> {
    let backup = until(LIMIT, || {
        let all = cloud.sealos_json(&["db", "backups", "shop", "-o", "json"])?;
        ensure!(all[0]["phase"] == "completed" && all[0]["drill"]["phase"] == "Passed", "{all}");
        Ok(all[0].clone())
    })?;
    ensure!(backup["scheduled"] == true && backup["size"].as_u64().is_some_and(|s| s > 1 << 20), "{backup}");
    let schedule = cloud.sealos_json(&["db", "schedule", "shop", "-o", "json"])?;
    ensure!(schedule["timeZone"] == "Europe/Berlin", "{schedule}");
    let next = schedule["next"].as_str().context("a next time")?;
    ensure!(next.contains("T01:00") || next.contains("T02:00"), "3 o'clock in Berlin is not {next}");
    // The drill's database is gone, and was in no list.
    until(LIMIT, || {
        let left = cloud.kubectl(&["get", "clusters.apps.kubeblocks.io", "-o", "name"])?.ok()?;
        ensure!(left.lines().count() == 1, "{left}");
        Ok(())
    })?;
    sell(cloud, 100)?;
    back_up(cloud)?;
    let drill = cloud.sealos_json(&["db", "drill", "shop", "-o", "json"])?;
    ensure!(drill["phase"] == "Passed" && drill["rows"] == 100, "{drill}");
    Ok(())
}

fn beside(cloud: &Cloud) -> Result<()> {
    let backup = back_up(cloud)?;
    sell(cloud, 10)?;
    cloud.sealos(&["db", "restore", "beside", "--from", &backup])?.ok()?;
    ensure!(rows(cloud, "beside")? == "100", "the rows of then");
    ensure!(rows(cloud, "shop")? == "110", "the source is untouched");
    delete(cloud, "beside")
}

fn moment(cloud: &Cloud) -> Result<()> {
    let between = now(cloud)?;
    sell(cloud, 1000)?;
    // What is open of the log is closed within half a minute.
    until(LIMIT, || cloud.sealos(&["db", "restore", "moment", "--of", "shop", "--at", &between])?.ok())?;
    ensure!(rows(cloud, "moment")? == "110", "the rows before the moment, and no others");
    sql(cloud, "moment", "insert into sold values (0)").context("the restored database takes writes")?;
    delete(cloud, "moment")
}

fn refused(cloud: &Cloud) -> Result<()> {
    let restore = |flags: &[&str]| {
        let command = [["db", "restore", "never"].as_slice(), flags].concat();
        cloud.sealos(&command)?.err()
    };
    has(&restore(&["--of", "shop", "--at", "2020-01-01T00:00:00Z"])?, "what can be restored is")?;
    has(&restore(&["--of", "shop", "--at", "noon"])?, "write it as")?;
    has(&restore(&["--from", "nothing"])?, "no backup `nothing`")?;
    let taken = cloud.sealos(&["db", "restore", "shop", "--of", "shop"])?.err()?;
    has(&taken, "already")?;
    let zone = cloud.sealos(&["db", "schedule", "shop", "--time-zone", "Mars"])?.err()?;
    has(&zone, "no known time zone")
}

fn flipped(cloud: &Cloud) -> Result<()> {
    let backup = back_up(cloud)?;
    let path = cloud.kubectl(&["get", "backups", &backup, "-o", "jsonpath={.status.path}"])?.ok()? + "/data";
    let object = format!("s3://backups/{path}");
    let file = cloud.scratch().join("damaged").display().to_string();
    cloud.sealos(&["cp", &object, &file])?.ok()?;
    let mut bytes = std::fs::read(&file).context("read the object")?;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).context("write the damaged object")?;
    cloud.sealos(&["cp", &file, &object])?.ok()?;

    let why = cloud.sealos(&["db", "restore", "broken", "--from", &backup])?.err()?;
    has(&why, &path)?;
    has(&why, "is damaged: chunk")?;
    let drill = cloud.sealos(&["db", "drill", "shop"])?.err()?;
    has(&drill, "is damaged: chunk")?;
    ensure!(rows(cloud, "shop")? == "1110", "the source is untouched");
    delete(cloud, "broken")?;
    cloud.sealos(&["db", "backups", "--delete", &backup])?.ok().map(drop)
}

fn undeleted(cloud: &Cloud) -> Result<()> {
    let backup = cloud.sealos(&["db", "backup", "shop", "--then-delete"])?.ok()?;
    until(LIMIT, || {
        let left = cloud.kubectl(&["get", "clusters.apps.kubeblocks.io,pods", "-o", "name"])?.ok()?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })?;
    let kept = cloud.sealos_json(&["db", "backups", "shop", "-o", "json"])?;
    ensure!(kept[0]["name"] == backup.as_str() && kept[0]["clusterExists"] == false, "{kept}");
    cloud.sealos(&["db", "restore", "shop", "--from", &backup])?.ok()?;
    ensure!(rows(cloud, "shop")? == "1110", "every row is back");
    Ok(())
}

fn removed(cloud: &Cloud) -> Result<()> {
    let backup = back_up(cloud)?;
    let path = cloud.kubectl(&["get", "backups", &backup, "-o", "jsonpath={.status.path}"])?.ok()?;
    let manifest = cloud.scratch().join("manifest").display().to_string();
    let object = format!("s3://backups/{path}/manifest");
    cloud.sealos(&["cp", &object, &manifest])?.ok()?;
    cloud.sealos(&["db", "backups", "--delete", &backup])?.ok()?;
    until(LIMIT, || {
        let left = cloud.kubectl(&["get", "backups", &backup, "--ignore-not-found", "-o", "name"])?.ok()?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })?;
    cloud.sealos(&["cp", &object, &manifest])?.err().map(drop)
}

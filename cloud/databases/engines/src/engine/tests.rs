//! What the descriptions say.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::*;

fn describe(engine: &str, version: &str) -> Result<String, Box<dyn std::error::Error>> {
    let version = find(engine)?.version(version)?;
    let ways = version.candidates().into_iter().map(|way| match way {
        Candidate::Registry { image } => image,
        Candidate::Packages { image, instead, .. } => match instead {
            Some(instead) => format!("{image} ({instead})"),
            None => image,
        },
    });
    Ok(format!("{version}, {}: {}", version.kubeblocks_name(), ways.collect::<Vec<_>>().join(" | ")))
}

fn check(engine: &str, version: &str, expected: Expect) {
    expected.assert_eq(&describe(engine, version).unwrap_or_else(|error| error.to_string()));
}

#[test]
fn versions_are_found_as_templates_and_people_write_them() {
    check(
        "postgresql",
        "postgresql-14.8.0",
        expect![
            "PostgreSQL 14.8.0, postgresql-14.8.0: docker.io/library/postgres:14.8 | sealos.local/postgresql:15 (PostgreSQL 15 instead of 14.8.0)"
        ],
    );
    check(
        "pg",
        "16",
        expect![
            "PostgreSQL 16, postgresql-16: docker.io/library/postgres:16 | sealos.local/postgresql:17 (PostgreSQL 17 instead of 16)"
        ],
    );
    check(
        "postgres",
        "15.7",
        expect![
            "PostgreSQL 15.7, postgresql-15.7: docker.io/library/postgres:15.7 | sealos.local/postgresql:15"
        ],
    );
    check(
        "postgresql",
        "",
        expect![
            "PostgreSQL 16.4.0, postgresql-16.4.0: docker.io/library/postgres:16.4 | sealos.local/postgresql:17 (PostgreSQL 17 instead of 16.4.0)"
        ],
    );
    check(
        "apecloud-mysql",
        "ac-mysql-8.0.30-1",
        expect![
            "MySQL 8.0.30-1, ac-mysql-8.0.30-1: docker.io/library/mysql:8.0.30 | sealos.local/mariadb:10.11 (MariaDB 10.11 instead of MySQL 8.0.30-1: clients connect in the same way, but JSON columns, roles and some functions differ)"
        ],
    );
    check(
        "mysql",
        "8",
        expect![
            "MySQL 8.4, ac-mysql-8.4: docker.io/library/mysql:8.4 | sealos.local/mariadb:10.11 (MariaDB 10.11 instead of MySQL 8.4: clients connect in the same way, but JSON columns, roles and some functions differ)"
        ],
    );
    check(
        "mariadb",
        "10.11",
        expect!["MariaDB 10.11, mariadb-10.11: docker.io/library/mariadb:10.11 | sealos.local/mariadb:10.11"],
    );
    check(
        "redis-7",
        "7.2.7",
        expect![
            "Redis 7.2.7, redis-7.2.7: docker.io/library/redis:7.2.7 | sealos.local/valkey:8.1 (Valkey 8.1, which continues Redis 7.2, instead of Redis 7.2.7) | sealos.local/redis:7.0 (Redis 7.0 instead of 7.2.7)"
        ],
    );
    check(
        "redis",
        "redis-7.0.6",
        expect!["Redis 7.0.6, redis-7.0.6: docker.io/library/redis:7.0.6 | sealos.local/redis:7.0"],
    );
    check(
        "valkey",
        "8.1",
        expect!["Redis 8.1, redis-8.1: docker.io/valkey/valkey:8.1 | sealos.local/valkey:8.1"],
    );
    check("mongodb-8.0.4", "8.0.4", expect!["MongoDB 8.0.4, mongodb-8.0.4: docker.io/library/mongo:8.0.4"]);
    check("mongodb", "7", expect!["MongoDB 7.0, mongodb-7.0: docker.io/library/mongo:7.0"]);
}

#[test]
fn what_there_is_not_is_named() {
    check(
        "oracle",
        "",
        expect![
            "there is no database engine `oracle`; there are `postgresql`, `mysql`, `mariadb`, `redis`, `mongodb`"
        ],
    );
    check(
        "postgresql",
        "9.6",
        expect!["PostgreSQL has no version `9.6` here; choose one of 17.5.0, 16.4.0, 15.7.0, 14.8.0"],
    );
    check(
        "mysql",
        "mysql-5.7.42",
        expect!["MySQL has no version `mysql-5.7.42` here; choose one of 8.4.2, 8.0.30"],
    );
    check(
        "postgresql",
        "16.x",
        expect!["PostgreSQL has no version `16.x` here; choose one of 17.5.0, 16.4.0, 15.7.0, 14.8.0"],
    );
    check(
        "postgresql",
        "160",
        expect!["PostgreSQL has no version `160` here; choose one of 17.5.0, 16.4.0, 15.7.0, 14.8.0"],
    );
}

#[test]
fn sentinels_need_no_pods() {
    assert!(is_companion("redis-sentinel-7"));
    assert!(!is_companion("redis-7"));
    assert_eq!(find("redis-7").unwrap().name, "redis");
}

#[test]
fn upgrades_go_forward_only() {
    let version = |text| POSTGRESQL.version(text).unwrap();
    assert_eq!(version("14.8.0").upgrade(&version("14.9.0")), Ok(Upgrade::Minor));
    assert_eq!(version("14.8.0").upgrade(&version("16")), Ok(Upgrade::Major));
    assert_eq!(version("16").upgrade(&version("16")), Ok(Upgrade::Same));
    let error = version("16").upgrade(&version("14.8.0")).unwrap_err().to_string();
    expect!["PostgreSQL cannot go back from 16 to 14.8.0; restore a backup into a new database instead"]
        .assert_eq(&error);
}

#[test]
fn passwords_are_escaped_in_connection_strings() {
    assert_eq!(POSTGRESQL.uri("a@b/c", "db"), "postgresql://postgres:a%40b%2Fc@db:5432/postgres");
    assert_eq!(REDIS.uri("x", "db"), "redis://default:x@db:6379");
}

fn parameters(engine: &Engine, given: &[(&str, &str)], expected: Expect) {
    let given: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let text = match engine.check_parameters(&given) {
        Ok(checked) => format!("{}restart: {:?}\n", engine.parameter_file(&checked), checked.need_restart()),
        Err(refused) => refused.iter().map(|r| format!("{r}\n")).collect(),
    };
    expected.assert_eq(&text);
}

#[test]
fn parameters_are_checked() {
    let good = [("max_connections", "200"), ("work-mem", "16MB"), ("timezone", "it's"), ("jit", "No")];
    parameters(
        &POSTGRESQL,
        &good,
        expect![[r#"
        jit = 'off'
        max_connections = '200'
        timezone = 'it''s'
        work_mem = '16MB'
        restart: ["max_connections"]
    "#]],
    );
    let bad =
        [("max_connections", "many"), ("work_mem", "3"), ("wrok", "1"), ("jit", "maybe"), ("timezonee", "x")];
    parameters(
        &POSTGRESQL,
        &bad,
        expect![[r#"
        parameter `jit` cannot be `maybe`: it takes `on` or `off`
        parameter `max_connections` cannot be `many`: it takes a whole number from 10 to 100000
        PostgreSQL has no parameter `timezonee` that can be changed here; did you mean `timezone`?
        parameter `work_mem` cannot be `3`: it takes a size from 64kB to 64GB, as in `64MB`
        PostgreSQL has no parameter `wrok` that can be changed here
    "#]],
    );
    parameters(
        &POSTGRESQL,
        &[("timezone", "x'\nfsync = off")],
        expect![[r#"
        parameter `timezone` cannot be `x'
        fsync = off`: it takes a text of one line
    "#]],
    );
    parameters(
        &REDIS,
        &[("maxmemory-policy", "allkeys-lru"), ("notify-keyspace-events", "")],
        expect![[r#"
        maxmemory-policy allkeys-lru
        notify-keyspace-events ""
        restart: []
    "#]],
    );
    parameters(
        &MYSQL,
        &[("max_connections", "99999999"), ("sql_mode", "ANSI")],
        expect![[r#"
        parameter `max_connections` cannot be `99999999`: it takes a whole number from 10 to 100000
    "#]],
    );
    let sizes = [("sort_buffer_size", "64kB"), ("max_allowed_packet", "16m"), ("sql_mode", "ANSI")];
    parameters(
        &MYSQL,
        &sizes,
        expect![[r#"
        max_allowed_packet = 16M
        sort_buffer_size = 64K
        sql_mode = ANSI
        restart: []
    "#]],
    );
}

#[test]
fn every_engine_has_every_script_and_all_are_bash() {
    for engine in ALL {
        let files = engine.script_files();
        for name in crate::scripts::ALL {
            assert!(files.contains_key(name), "{} has no {name}", engine.name);
        }
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in &files {
            assert!(text.starts_with("#!/bin/bash\n#"), "{}: {name} does not say what it is", engine.name);
            std::fs::write(dir.path().join(name), text).unwrap();
            let checked = run(dir.path(), "bash", &["-n", name]).unwrap();
            assert!(checked.0, "{}: {name}: {}", engine.name, checked.1);
        }
        // A ConfigMap holds a mebibyte.
        assert!(files.values().map(String::len).sum::<usize>() < 512 << 10);
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        if let Some((clean, said)) =
            run(dir.path(), "shellcheck", &[&["-x", "-S", "info"][..], &names].concat())
        {
            assert!(clean, "{}: {said}", engine.name);
        }
    }
}

/// Whether a program was content, and what it said; nothing where there is no such program.
fn run(dir: &std::path::Path, program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = std::process::Command::new(program).args(arguments).current_dir(dir).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn config_files_hold_parameters_and_the_archive() {
    let given = [("max_connections".to_owned(), "50".to_owned())].into();
    let checked = POSTGRESQL.check_parameters(&given).unwrap();
    let files = POSTGRESQL.config_files(&checked, Archive::On);
    assert_eq!(files["parameters.conf"], "max_connections = '50'\n");
    assert_eq!(files["archive"], "on");
    assert_eq!(REDIS.config_files(&Checked::default(), Archive::Off)["archive"], "off");
}

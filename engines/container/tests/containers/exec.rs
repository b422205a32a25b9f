//! Commands inside containers, terminals, attached clients.

use std::time::Duration;

use sealos_container::{Error, ExecSpec, Reader, StartFailure, User};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::Test;
use crate::machine::Machine;

pub(crate) const TESTS: &[Test] = &[
    ("exec_streams_and_code", exec_streams_and_code),
    ("exec_reads_input", exec_reads_input),
    ("exec_terminal_and_resize", exec_terminal_and_resize),
    ("exec_failures", exec_failures),
    ("exec_is_as_confined_as_the_container", exec_is_as_confined_as_the_container),
    ("a_dropped_exec_ends", a_dropped_exec_ends),
    ("many_execs_at_once", many_execs_at_once),
    ("attach_to_a_terminal", attach_to_a_terminal),
    ("attach_input_once", attach_input_once),
];

async fn all(reader: &mut Option<Reader>) -> String {
    let mut text = String::new();
    if let Some(reader) = reader {
        reader.read_to_string(&mut text).await.unwrap();
    }
    text
}

async fn read_until(reader: &mut Reader, what: &str) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 1024];
    while !String::from_utf8_lossy(&text).contains(what) {
        let length = reader.read(&mut chunk).await.unwrap();
        assert!(length > 0, "ended before `{what}`: {}", String::from_utf8_lossy(&text));
        text.extend(&chunk[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn sleeper(machine: &Machine) {
    machine.run(machine.runtime.start(&machine.command("a", &["/bin/sleep", "1000"]))).unwrap();
}

fn sh(script: &str) -> ExecSpec {
    ExecSpec::new(["/bin/sh", "-c", script])
}

fn exec_streams_and_code(machine: &Machine) {
    sleeper(machine);
    machine.run(async {
        let mut exec = machine.runtime.exec("a", sh("echo out; echo err >&2; exit 3")).await.unwrap();
        assert_eq!(all(&mut exec.stdout).await, "out\n");
        assert_eq!(all(&mut exec.stderr).await, "err\n");
        assert_eq!(exec.wait().await.unwrap().code, 3);
        let mut exec = machine.runtime.exec("a", sh("kill -9 $$")).await.unwrap();
        let end = exec.wait().await.unwrap();
        assert_eq!((end.code, end.signal), (137, Some(9)));
    });
}

fn exec_reads_input(machine: &Machine) {
    sleeper(machine);
    machine.run(async {
        let command = ExecSpec { stdin: true, ..ExecSpec::new(["cat"]) };
        let mut exec = machine.runtime.exec("a", command).await.unwrap();
        let big = "x".repeat(300_000);
        let mut stdin = exec.stdin.take().unwrap();
        let mut stdout = exec.stdout.take();
        let (_, text) = tokio::join!(
            async {
                stdin.write_all(big.as_bytes()).await.unwrap();
                drop(stdin);
            },
            all(&mut stdout)
        );
        assert_eq!(text.len(), big.len());
        assert_eq!(exec.wait().await.unwrap().code, 0);
    });
}

fn exec_terminal_and_resize(machine: &Machine) {
    sleeper(machine);
    machine.run(async {
        let command =
            ExecSpec { tty: true, stdin: true, size: Some((100, 40)), ..ExecSpec::new(["/bin/sh"]) };
        let mut exec = machine.runtime.exec("a", command).await.unwrap();
        let (mut stdin, mut stdout) = (exec.stdin.take().unwrap(), exec.stdout.take().unwrap());
        assert!(exec.stderr.is_none());
        stdin.write_all(b"stty size; tty\n").await.unwrap();
        let text = read_until(&mut stdout, "/dev/pts/").await;
        assert!(text.contains("40 100"), "{text}");
        exec.control.resize(132, 50);
        stdin.write_all(b"stty size\n").await.unwrap();
        read_until(&mut stdout, "50 132").await;
        stdin.write_all(b"exit 5\n").await.unwrap();
        assert_eq!(exec.wait().await.unwrap().code, 5);
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).await.unwrap();
    });
}

fn exec_failures(machine: &Machine) {
    sleeper(machine);
    machine.run(async {
        let failed = machine.runtime.exec("a", ExecSpec::new(["frobnicate"])).await;
        match failed.map(drop) {
            Err(Error::Exec { failure: StartFailure::NotFound, reason, .. }) => {
                assert_eq!(reason, "exec: \"frobnicate\": executable file not found in $PATH");
            }
            other => panic!("{other:?}"),
        }
        let command = ExecSpec { cwd: Some("/nowhere".into()), ..ExecSpec::new(["true"]) };
        let error = machine.runtime.exec("a", command).await.map(drop).unwrap_err();
        assert!(error.to_string().contains("enter directory `/nowhere`"), "{error}");
        let missing = machine.runtime.exec("b", ExecSpec::new(["true"])).await.map(drop);
        assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
        machine.runtime.kill("a", 9).await.unwrap();
        machine.runtime.wait("a").await.unwrap();
        let ended = machine.runtime.exec("a", ExecSpec::new(["true"])).await.map(drop);
        assert!(matches!(ended, Err(Error::NotRunning { .. })), "{ended:?}");
    });
}

fn exec_is_as_confined_as_the_container(machine: &Machine) {
    let mut spec = machine.command("a", &["/bin/sleep", "1000"]);
    spec.user = User { uid: 1000, gid: 1000, additional_gids: vec![7], umask: None };
    spec.env = vec![("MARK".into(), "yes".into())];
    spec.resources.memory_limit_bytes = Some(64 << 20);
    machine.run(async {
        machine.runtime.start(&spec).await.unwrap();
        let script = "id -u; id -G; echo $MARK; grep -E 'Seccomp:|CapBnd|CapEff' /proc/self/status; grep memory /proc/self/cgroup; echo $$";
        let mut exec = machine.runtime.exec("a", sh(script)).await.unwrap();
        let text = all(&mut exec.stdout).await;
        assert!(text.starts_with("1000\n1000 7\nyes\n"), "{text}");
        assert!(text.contains("Seccomp:\t2"), "{text}");
        assert!(text.contains("CapEff:\t0000000000000000"), "{text}");
        assert!(text.contains("CapBnd:\t00000000a80425fb"), "{text}");
        assert!(text.contains(&format!("{}/a", machine.parent)), "{text}");
        let root = ExecSpec { user: Some(User::default()), ..sh("id -u; mount -t tmpfs x /tmp && echo mounted") };
        let mut exec = machine.runtime.exec("a", root).await.unwrap();
        assert_eq!(all(&mut exec.stdout).await, "0\n");
        assert_ne!(exec.wait().await.unwrap().code, 0);
    });
}

fn a_dropped_exec_ends(machine: &Machine) {
    sleeper(machine);
    let count = || machine.runtime.stats("a").unwrap().pids;
    machine.run(async {
        let exec = machine.runtime.exec("a", ExecSpec::new(["sleep", "999"])).await.unwrap();
        assert_eq!(count(), 2);
        drop(exec);
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while count() > 1 {
            assert!(std::time::Instant::now() < deadline, "the command still runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

fn many_execs_at_once(machine: &Machine) {
    sleeper(machine);
    machine.run(async {
        let runs = (0..20).map(|number| {
            let runtime = machine.runtime.clone();
            tokio::spawn(async move {
                let mut exec = runtime.exec("a", sh(&format!("echo {number}; exit {number}"))).await.unwrap();
                assert_eq!(all(&mut exec.stdout).await, format!("{number}\n"));
                assert_eq!(exec.wait().await.unwrap().code, number);
            })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
    });
}

fn attach_to_a_terminal(machine: &Machine) {
    let mut spec = machine.command("a", &["/bin/sh"]);
    (spec.tty, spec.stdin) = (true, true);
    machine.run(async {
        machine.runtime.start(&spec).await.unwrap();
        let mut session = machine.runtime.attach("a").await.unwrap();
        let (mut stdin, mut stdout) = (session.stdin.take().unwrap(), session.stdout.take().unwrap());
        session.control.resize(90, 33);
        stdin.write_all(b"stty size; exit 4\n").await.unwrap();
        read_until(&mut stdout, "33 90").await;
        assert_eq!(session.wait().await.unwrap().code, 4);
    });
    assert!(machine.log("a").iter().any(|line| line.contains("33 90")));
}

fn attach_input_once(machine: &Machine) {
    let mut spec = machine.spec("a", "cat; echo done");
    (spec.stdin, spec.stdin_once) = (true, true);
    machine.run(async {
        machine.runtime.start(&spec).await.unwrap();
        let mut session = machine.runtime.attach("a").await.unwrap();
        let mut stdin = session.stdin.take().unwrap();
        stdin.write_all(b"typed\n").await.unwrap();
        stdin.shutdown().await.unwrap();
        drop(stdin);
        assert_eq!(all(&mut session.stdout).await, "typed\ndone\n");
        assert_eq!(machine.runtime.wait("a").await.unwrap().code, 0);
    });
}

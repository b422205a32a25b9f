//! Daemons come and go; containers stay, until they are removed without a trace.

use std::fs;
use std::path::Path;
use std::time::Duration;

use sealos_container::{Error, Status};

use crate::Test;
use crate::machine::Machine;

pub(crate) const TESTS: &[Test] = &[
    ("a_new_daemon_finds_it", a_new_daemon_finds_it),
    ("an_end_without_daemon_is_found", an_end_without_daemon_is_found),
    ("a_killed_shim_ends_its_container", a_killed_shim_ends_its_container),
    ("ids_are_checked_and_unique", ids_are_checked_and_unique),
    ("removal_leaves_nothing", removal_leaves_nothing),
    ("the_host_sees_no_mount", the_host_sees_no_mount),
    ("nobody_can_write_the_shims_program", nobody_can_write_the_shims_program),
    ("waiting_for_the_end", waiting_for_the_end),
];

fn a_new_daemon_finds_it(machine: &Machine) {
    let mut spec = machine.command("a", &["/bin/sleep", "1000"]);
    spec.labels.insert("pod".into(), "web".into());
    let started = machine.run(machine.runtime.start(&spec)).unwrap();
    let later = machine.reopened();
    let list = later.list();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].pid, list[0].status.clone()), (started.pid, Status::Running));
    assert_eq!(list[0].labels["pod"], "web");
    let exit = machine.run(async {
        let (waited, killed) = tokio::join!(later.wait("a"), later.kill("a", libc::SIGKILL));
        killed.unwrap();
        waited.unwrap()
    });
    assert_eq!(exit.signal, Some(9));
}

fn an_end_without_daemon_is_found(machine: &Machine) {
    machine.run(machine.runtime.start(&machine.spec("a", "exit 9"))).unwrap();
    machine.until("the exit is recorded", || machine.path("containers/a/exit.json").exists());
    let later = machine.reopened();
    assert!(matches!(&later.list()[0].status, Status::Exited(exit) if exit.code == 9));
    assert_eq!(machine.run(later.wait("a")).unwrap().code, 9);
}

fn a_killed_shim_ends_its_container(machine: &Machine) {
    let started = machine.run(machine.runtime.start(&machine.command("a", &["/bin/sleep", "1000"]))).unwrap();
    let shim = shim_of(started.pid);
    let exit = machine.run(async {
        let waiting = machine.runtime.wait("a");
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        // SAFETY: the shim is ours and alive.
        #[expect(unsafe_code, reason = "kill(2)")]
        unsafe {
            libc::kill(shim, libc::SIGKILL)
        };
        waiting.await.unwrap()
    });
    assert_eq!(exit.code, 137);
    machine.until("the container is gone", || !Path::new(&format!("/proc/{}/root", started.pid)).exists());
}

fn ids_are_checked_and_unique(machine: &Machine) {
    let start = |id: &str| machine.run(machine.runtime.start(&machine.command(id, &["/bin/true"])));
    for bad in ["", "..", "a/b", "shims", "ü"] {
        assert!(matches!(start(bad), Err(Error::InvalidId { .. })), "{bad}");
    }
    start("a").unwrap();
    assert!(matches!(start("a"), Err(Error::Exists { .. })));
    machine.run(machine.runtime.remove("a")).unwrap();
    start("a").unwrap();
}

fn removal_leaves_nothing(machine: &Machine) {
    machine.run(machine.runtime.start(&machine.command("a", &["/bin/sleep", "1000"]))).unwrap();
    machine.run(machine.runtime.remove("a")).unwrap();
    assert!(!machine.path("containers/a").exists());
    assert!(machine.runtime.list().is_empty());
    assert!(machine.path("layers/a/upper").exists(), "the caller's directories are the caller's");
    machine.run(machine.runtime.remove("a")).unwrap();
    assert!(matches!(machine.run(machine.runtime.wait("a")), Err(Error::NotFound { .. })));
}

fn the_host_sees_no_mount(machine: &Machine) {
    let started = machine.run(machine.runtime.start(&machine.command("a", &["/bin/sleep", "1000"]))).unwrap();
    assert!(machine.host_mounts().is_empty());
    // The shim is back in the host's mount namespace, so it pins nothing either.
    let shim = shim_of(started.pid);
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    assert_eq!(namespace(&shim.to_string()), namespace("self"));
    let status = fs::read_to_string(format!("/proc/{shim}/status")).unwrap();
    println!(
        "{}",
        status.lines().filter(|l| l.starts_with("VmRSS") || l.starts_with("RssAnon")).collect::<String>()
    );
    let groups = fs::read_to_string(format!("/proc/{shim}/cgroup")).unwrap();
    assert!(groups.lines().all(|line| line.ends_with(&format!("{}/shims", machine.parent))), "{groups}");
}

/// The shim above a container's first process.
fn shim_of(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn nobody_can_write_the_shims_program(machine: &Machine) {
    let started = machine.run(machine.runtime.start(&machine.command("a", &["/bin/sleep", "1000"]))).unwrap();
    let program = format!("/proc/{}/exe", shim_of(started.pid));
    let mount = nix::sys::statvfs::statvfs(program.as_str()).unwrap();
    assert!(mount.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY), "{:?}", mount.flags());
}

fn waiting_for_the_end(machine: &Machine) {
    machine.run(machine.runtime.start(&machine.spec("a", "sleep 0.2; exit 2"))).unwrap();
    let exits = machine.run(async { tokio::join!(machine.runtime.wait("a"), machine.runtime.wait("a")) });
    assert_eq!((exits.0.unwrap().code, exits.1.unwrap().code), (2, 2));
}

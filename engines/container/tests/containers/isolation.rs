//! What a container cannot do.

use std::path::PathBuf;
use std::process::Command;

use sealos_container::{Namespace, Seccomp, User};

use crate::Test;
use crate::machine::Machine;

pub(crate) const TESTS: &[Test] = &[
    ("has_its_own_processes", has_its_own_processes),
    ("blocked_calls_fail", blocked_calls_fail),
    ("a_profile_of_ones_own", a_profile_of_ones_own),
    ("capabilities_and_privileges", capabilities_and_privileges),
    ("files_of_the_host_are_masked", files_of_the_host_are_masked),
    ("root_can_be_read_only", root_can_be_read_only),
    ("users_are_users", users_are_users),
    ("joins_a_network_namespace", joins_a_network_namespace),
    ("shares_processes_with_another", shares_processes_with_another),
    ("privileged_is_privileged", privileged_is_privileged),
    ("devices_are_few", devices_are_few),
];

fn has_its_own_processes(machine: &Machine) {
    assert_eq!(
        machine.output(&machine.spec("a", "echo $$; ls /proc | grep -c '^[0-9]'")).lines().next(),
        Some("1")
    );
}

fn blocked_calls_fail(machine: &Machine) {
    let script =
        "grep Seccomp: /proc/self/status; unshare -m true 2>&1; mount -t tmpfs x /tmp 2>&1; echo end";
    let text = machine.output(&machine.spec("a", script));
    assert!(text.contains("Seccomp:\t2"), "{text}");
    assert!(text.matches("not permitted").count() >= 1 && text.contains("end"), "{text}");
    // Even with the capability that mount needs, the filter would have to know of it.
    let mut spec = machine.spec("b", "unshare -m true && echo allowed");
    spec.capabilities.push("SYS_ADMIN".into());
    assert_eq!(machine.output(&spec), "allowed");
    let mut spec = machine.spec("c", "grep Seccomp: /proc/self/status");
    spec.seccomp = Seccomp::Unconfined;
    assert!(machine.output(&spec).contains("Seccomp:\t0"));
}

fn a_profile_of_ones_own(machine: &Machine) {
    let mut spec = machine.spec("a", "exec 2>&1; touch /x && stat /x; mknod /pipe p && echo made; echo end");
    spec.seccomp = Seccomp::Profile(serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": ["mknod", "mknodat"], "action": "SCMP_ACT_ERRNO" }],
    }));
    let text = machine.output(&spec);
    assert!(text.ends_with("end") && !text.contains("made"), "{text}");
}

fn capabilities_and_privileges(machine: &Machine) {
    let status = "grep -E 'CapEff|NoNewPrivs' /proc/self/status";
    let text = machine.output(&machine.spec("a", status));
    assert!(text.contains("CapEff:\t00000000a80425fb") && text.contains("NoNewPrivs:\t0"), "{text}");
    let mut spec = machine.spec("b", status);
    spec.capabilities = vec!["CAP_CHOWN".into()];
    spec.no_new_privileges = true;
    let text = machine.output(&spec);
    assert!(text.contains("CapEff:\t0000000000000001") && text.contains("NoNewPrivs:\t1"), "{text}");
}

fn files_of_the_host_are_masked(machine: &Machine) {
    let script = "exec 2>&1; cat /proc/kcore 2>/dev/null | wc -c; echo 1 > /proc/sys/vm/drop_caches; echo 1 > /proc/sysrq-trigger;\
                  touch /sys/x; for f in /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs; do [ -e $f ] && echo 0 > $f && echo open; done; echo end";
    let text = machine.output(&machine.spec("a", script));
    assert!(text.starts_with('0') && text.ends_with("end") && !text.contains("open"), "{text}");
    assert!(text.matches("Read-only file system").count() >= 3, "{text}");
}

fn root_can_be_read_only(machine: &Machine) {
    let mut spec = machine.spec("a", "touch /x 2>/dev/null && echo writable; touch /dev/shm/x && echo shm");
    spec.readonly_rootfs = true;
    assert_eq!(machine.output(&spec), "shm");
}

fn users_are_users(machine: &Machine) {
    let mut spec = machine.spec(
        "a",
        "id -u; id -g; id -G; echo $HOME; umask; touch /x 2>/dev/null || echo denied; echo hi > /dev/stdout",
    );
    spec.user = User { uid: 1000, gid: 1000, additional_gids: vec![20, 30], umask: Some(0o027) };
    assert_eq!(machine.output(&spec), "1000\n1000\n1000 20 30\n/home/app\n0027\ndenied\nhi");
}

/// A network namespace pinned to a file.
struct Netns(PathBuf);

impl Drop for Netns {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()));
    }
}

fn joins_a_network_namespace(machine: &Machine) {
    let pin = machine.path("netns");
    std::fs::write(&pin, "").unwrap();
    let mut option = std::ffi::OsString::from("--net=");
    option.push(&pin);
    assert!(Command::new("unshare").arg(&option).arg("true").status().unwrap().success());
    let netns = Netns(pin);
    let link = ["ip", "link", "add", "mark0", "type", "veth", "peer", "name", "mark1"];
    assert!(Command::new("nsenter").arg(&option).args(link).status().unwrap().success());
    let mut spec = machine.spec("a", "ls /sys/class/net; readlink /proc/self/ns/net");
    spec.netns = Some(netns.0.clone());
    let text = machine.output(&spec);
    assert!(text.contains("mark0"), "{text}");
    let host = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert!(!text.contains(&*host.to_string_lossy()), "{text}");
}

fn shares_processes_with_another(machine: &Machine) {
    let started = machine.run(machine.runtime.start(&machine.command("a", &["/bin/sleep", "777"]))).unwrap();
    let mut spec = machine.spec("b", "ps; sleep 888 & echo end");
    spec.pid = Namespace::Path(format!("/proc/{}/ns/pid", started.pid).into());
    let text = machine.output(&spec);
    assert!(text.contains("sleep 777"), "{text}");
    // What the second left behind died with it, though its namespace lives on.
    assert_eq!(machine.runtime.stats("a").unwrap().pids, 1);
}

fn privileged_is_privileged(machine: &Machine) {
    let mut spec = machine
        .spec("a", "mount -t tmpfs x /tmp && echo mounted; grep Seccomp: /proc/self/status; ls /dev | wc -l");
    spec.privileged = true;
    let text = machine.output(&spec);
    assert!(text.contains("mounted") && text.contains("Seccomp:\t0"), "{text}");
}

fn devices_are_few(machine: &Machine) {
    let script = "ls /dev | tr '\\n' ' '; echo; echo x > /dev/null && head -c 4 /dev/zero | wc -c; mknod /disk b 254 0 && cat /disk | head -c 1";
    let exit = machine.finish(&machine.spec("a", script));
    let text = machine.log("a").join("\n");
    assert!(
        text.contains("fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"),
        "{text}"
    );
    assert!(text.contains("stdout F 4"), "{text}");
    assert!(exit.code == 0 && text.contains("not permitted"), "{text}");
}

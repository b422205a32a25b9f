//! Start, output, exit.

use sealos_container::{Error, Mount, StartFailure};

use crate::Test;
use crate::machine::Machine;

pub(crate) const TESTS: &[Test] = &[
    ("exit_codes_and_logs", exit_codes_and_logs),
    ("a_signal_is_told", a_signal_is_told),
    ("missing_executable_is_an_error", missing_executable_is_an_error),
    ("broken_executable_is_an_error", broken_executable_is_an_error),
    ("environment_directory_and_name", environment_directory_and_name),
    ("bind_mounts", bind_mounts),
    ("logs_are_rotated", logs_are_rotated),
    ("output_can_wait_for_its_reader", output_can_wait_for_its_reader),
];

fn exit_codes_and_logs(machine: &Machine) {
    let exit = machine.finish(&machine.spec("a", "echo out; echo err >&2; exit 7"));
    assert_eq!((exit.code, exit.signal, exit.oom_killed), (7, None, false));
    assert!(exit.finished_at >= exit.started_at);
    let mut lines = machine.log("a");
    lines.sort();
    assert_eq!(lines, ["stderr F err", "stdout F out"]);
}

fn a_signal_is_told(machine: &Machine) {
    let spec = machine.command("a", &["/bin/sleep", "1000"]);
    let exit = machine.run(async {
        machine.runtime.start(&spec).await.unwrap();
        machine.runtime.kill("a", libc::SIGKILL).await.unwrap();
        machine.runtime.wait("a").await.unwrap()
    });
    assert_eq!((exit.code, exit.signal, exit.oom_killed), (137, Some(9), false));
    let again = machine.run(machine.runtime.kill("a", libc::SIGKILL));
    assert!(matches!(again, Err(Error::NotRunning { .. })), "{again:?}");
}

fn start_failure(machine: &Machine, args: &[&str]) -> (StartFailure, String) {
    let result = machine.run(machine.runtime.start(&machine.command("a", args)));
    assert!(machine.runtime.list().is_empty());
    match result {
        Err(Error::Start { failure, reason, .. }) => (failure, reason),
        other => panic!("{other:?}"),
    }
}

fn missing_executable_is_an_error(machine: &Machine) {
    let (failure, reason) = start_failure(machine, &["frobnicate"]);
    assert_eq!(failure, StartFailure::NotFound);
    assert_eq!(reason, "exec: \"frobnicate\": executable file not found in $PATH");
    let (failure, reason) = start_failure(machine, &["/no/such"]);
    assert_eq!(failure, StartFailure::NotFound);
    assert_eq!(reason, "exec: \"/no/such\": no such file or directory");
}

fn broken_executable_is_an_error(machine: &Machine) {
    let (failure, reason) = start_failure(machine, &["/etc/passwd"]);
    assert_eq!(
        (failure, reason.as_str()),
        (StartFailure::NotExecutable, "exec: \"/etc/passwd\": permission denied")
    );
    // A file that the kernel cannot run is only found out when the container is made already.
    let script = machine.path("script");
    std::fs::write(&script, "no program").unwrap();
    std::os::unix::fs::chown(&script, Some(0), Some(0)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let mut spec = machine.command("a", &["/script"]);
    spec.mounts.push(Mount::bind(&script, "/script"));
    match machine.run(machine.runtime.start(&spec)) {
        Err(Error::Start { failure: StartFailure::NotExecutable, reason, .. }) => {
            assert!(reason.contains("exec format error"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

fn environment_directory_and_name(machine: &Machine) {
    let mut spec = machine.spec("a", "pwd; hostname; echo $HOME $GREETING; echo $PATH");
    spec.cwd = "/srv/work".into();
    spec.hostname = Some("shop-0".into());
    spec.env = vec![("GREETING".into(), "no".into()), ("GREETING".into(), "hello".into())];
    let text = machine.output(&spec);
    let path = sealos_container::DEFAULT_PATH;
    assert_eq!(text, format!("/srv/work\nshop-0\n/root hello\n{path}"));
}

fn bind_mounts(machine: &Machine) {
    let dir = machine.path("volume");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("in"), "given").unwrap();
    let mut spec = machine.spec(
        "a",
        "cat /data/in; echo; echo made > /data/out; touch /fixed/x 2>/dev/null && echo writable; cat /fixed/in; echo; cat /one/file",
    );
    spec.mounts.push(Mount::bind(&dir, "/data"));
    spec.mounts.push(Mount::bind(&dir, "/fixed").read_only());
    spec.mounts.push(Mount::bind(dir.join("in"), "/one/file").read_only());
    assert_eq!(machine.output(&spec), "given\ngiven\ngiven");
    assert_eq!(std::fs::read_to_string(dir.join("out")).unwrap(), "made\n");
}

fn logs_are_rotated(machine: &Machine) {
    let mut spec = machine.spec("a", "seq 1 5000");
    if let Some(log) = &mut spec.log {
        log.max_bytes = 100_000;
    }
    assert_eq!(machine.finish(&spec).code, 0);
    let size = |name: &str| std::fs::metadata(machine.path(name)).map(|m| m.len()).unwrap_or(0);
    assert!(size("a.log") > 0 && size("a.log") <= 100_000, "{}", size("a.log"));
    assert!(size("a.log.1") > 0 && size("a.log.2") > 0 && size("a.log.3") == 0);
    assert_eq!(machine.log("a").last().unwrap(), "stdout F 5000");
}

fn output_can_wait_for_its_reader(machine: &Machine) {
    use tokio::io::AsyncReadExt as _;
    let mut spec = machine.spec("a", "echo early; exit 3");
    spec.log = None;
    spec.hold_output = true;
    machine.run(async {
        machine.runtime.start(&spec).await.unwrap();
        let mut session = machine.runtime.attach("a").await.unwrap();
        let mut text = String::new();
        session.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "early\n");
        assert_eq!(session.wait().await.unwrap().code, 3);
        assert_eq!(machine.runtime.wait("a").await.unwrap().code, 3);
    });
}

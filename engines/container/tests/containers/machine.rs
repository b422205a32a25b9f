//! A runtime in a directory of its own, and a root file system made of busybox.

use std::fs;
use std::future::Future;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sealos_container::{Config, ContainerSpec, Exit, LogConfig, Rootfs, Runtime};

pub(crate) struct Machine {
    dir: tempfile::TempDir,
    executor: tokio::runtime::Runtime,
    pub(crate) runtime: Runtime,
    pub(crate) parent: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let executor =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let name = dir.path().file_name().unwrap().to_string_lossy().trim_start_matches('.').to_lowercase();
        let parent = format!("/sealos-test-{name}");
        let runtime = open(dir.path(), &parent);
        Self { dir, executor, runtime, parent }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.executor.block_on(async { tokio::time::timeout(Duration::from_secs(30), future).await.unwrap() })
    }

    /// As a daemon that starts again sees it.
    pub(crate) fn reopened(&self) -> Runtime {
        open(self.dir.path(), &self.parent)
    }

    pub(crate) fn spec(&self, id: &str, script: &str) -> ContainerSpec {
        self.command(id, &["/bin/sh", "-c", script])
    }

    pub(crate) fn command(&self, id: &str, args: &[&str]) -> ContainerSpec {
        let rootfs = Rootfs::Overlay {
            lower: vec![busybox_root().to_owned()],
            upper: self.path("layers").join(id).join("upper"),
            work: self.path("layers").join(id).join("work"),
        };
        let mut spec = ContainerSpec::new(id, rootfs, args.iter().map(|arg| (*arg).to_owned()).collect());
        spec.log =
            Some(LogConfig { path: self.path(&format!("{id}.log")), max_bytes: 1 << 20, max_files: 3 });
        spec
    }

    pub(crate) fn finish(&self, spec: &ContainerSpec) -> Exit {
        self.run(async {
            self.runtime.start(spec).await.unwrap();
            self.runtime.wait(&spec.id).await.unwrap()
        })
    }

    /// The text of a container's log, without times.
    pub(crate) fn log(&self, id: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(&format!("{id}.log"))).unwrap_or_default();
        text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    /// What a script prints in a fresh container, which must succeed.
    pub(crate) fn output(&self, spec: &ContainerSpec) -> String {
        let exit = self.finish(spec);
        let lines: Vec<String> =
            self.log(&spec.id).iter().map(|l| l.splitn(3, ' ').nth(2).unwrap_or("").to_owned()).collect();
        let text = lines.join("\n");
        assert_eq!(exit.code, 0, "{text}");
        text
    }

    /// Waits for a fact.
    pub(crate) fn until(&self, what: &str, mut fact: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !fact() {
            assert!(Instant::now() < deadline, "never happened: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the host has mounted below this machine's directory.
    pub(crate) fn host_mounts(&self) -> Vec<String> {
        let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let needle = self.dir.path().to_string_lossy().into_owned();
        text.lines().filter(|line| line.contains(&needle)).map(str::to_owned).collect()
    }

    /// Destroys everything and says what is still there.
    pub(crate) fn close(self) -> Result<(), String> {
        self.run(self.runtime.destroy_all()).map_err(|error| error.to_string())?;
        let needle = self.dir.path().to_string_lossy().into_owned();
        let processes: Vec<String> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains("shim") && line.contains(&needle))
            .collect();
        if !processes.is_empty() {
            return Err(format!("processes {processes:?}"));
        }
        let mounts = self.host_mounts();
        if !mounts.is_empty() {
            return Err(format!("mounts {mounts:?}"));
        }
        let groups = Command::new("find")
            .args(["/sys/fs/cgroup", "-type", "d", "-name"])
            .arg(&self.parent[1..])
            .output();
        let groups = String::from_utf8(groups.unwrap().stdout).unwrap();
        if !groups.is_empty() {
            return Err(format!("control groups {groups}"));
        }
        let left: Vec<_> =
            fs::read_dir(self.path("containers")).unwrap().flatten().map(|e| e.path()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    }
}

fn open(dir: &Path, parent: &str) -> Runtime {
    Runtime::new(Config {
        state_dir: dir.join("containers"),
        cgroup_parent: parent.to_owned(),
        shim: PathBuf::from("/proc/self/exe"),
    })
    .unwrap()
}

/// A directory tree with a static busybox, shared by all tests of this process.
pub(crate) fn busybox_root() -> &'static Path {
    static ROOT: OnceLock<tempfile::TempDir> = OnceLock::new();
    ROOT.get_or_init(make_root).path()
}

fn apt(args: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command.args(["-o", "DPkg::Lock::Timeout=120"]).args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command.output().is_ok_and(|done| done.status.success())
}

fn make_root() -> tempfile::TempDir {
    let busybox = Path::new("/bin/busybox");
    if !busybox.exists() {
        let install = ["install", "-y", "--no-install-recommends", "busybox-static"];
        assert!(apt(&install) || (apt(&["update"]) && apt(&install)), "install busybox-static");
    }
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for dir in ["bin", "etc", "tmp", "root"] {
        fs::create_dir(root.path().join(dir)).unwrap();
    }
    fs::set_permissions(root.path().join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy(busybox, root.path().join("bin/busybox")).unwrap();
    for name in [
        "sh", "cat", "ls", "echo", "sleep", "id", "mount", "umount", "ps", "true", "false", "hostname",
        "stty", "kill", "dd", "grep", "head", "tail", "yes", "wc", "tty", "unshare", "env", "pwd", "touch",
        "ip", "nc", "chroot", "stat", "mknod", "tr", "seq", "sysctl", "date", "readlink", "awk",
    ] {
        symlink("busybox", root.path().join("bin").join(name)).unwrap();
    }
    fs::write(
        root.path().join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n",
    )
    .unwrap();
    fs::write(root.path().join("etc/group"), "root:x:0:\napp:x:1000:\n").unwrap();
    root
}

//! What several suites need: programs from packages, and a way to run build steps.

#![allow(dead_code, reason = "each suite uses its own part")]

pub(crate) mod fake;
pub(crate) mod image;
pub(crate) mod registry;

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use sealos_oci::build::{Run, RunStep};
use sealos_oci::progress::{Progress, ProgressSink, Stream};
use sealos_oci::{Error, Images};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// A store in a directory that goes away with the test.
pub(crate) fn store() -> (tempfile::TempDir, Images) {
    let dir = tempfile::tempdir().unwrap();
    let images = Images::open(dir.path().join("images")).unwrap();
    (dir, images)
}

/// Makes sure a program is there, from its Debian package if need be.
pub(crate) fn ensure(program: &str, package: &str) {
    static APT: Mutex<()> = Mutex::new(());
    let _one_at_a_time = APT.lock().unwrap_or_else(|e| e.into_inner());
    if Path::new(program).exists() {
        return;
    }
    let apt = |args: &[&str]| {
        std::process::Command::new("apt-get")
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .output()
            .unwrap()
    };
    let install = ["install", "--yes", "--no-install-recommends", package];
    if !apt(&install).status.success() {
        apt(&["update"]);
        let output = apt(&install);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(Path::new(program).exists(), "{package} has no {program}");
}

/// Remembers all events.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<Progress>>>);

impl Events {
    pub(crate) fn sink(&self) -> Option<ProgressSink> {
        let events = self.clone();
        Some(Arc::new(move |event| events.all().push(event)))
    }

    pub(crate) fn all(&self) -> MutexGuard<'_, Vec<Progress>> {
        self.0.lock().unwrap()
    }

    /// How many steps there were, and how many of them came from the cache.
    pub(crate) fn steps(&self) -> (usize, usize) {
        let steps: Vec<bool> = self
            .all()
            .iter()
            .filter_map(|event| match event {
                Progress::Step { cached, .. } => Some(*cached),
                _ => None,
            })
            .collect();
        (steps.len(), steps.iter().filter(|cached| **cached).count())
    }
}

/// Runs steps in an overlay and a chroot of a mount namespace that ends with the step.
pub(crate) struct Chroot;

const SCRIPT: &str = r#"
root=$1; options=$2; user=$3; cwd=$4; shift 4
mount -t overlay overlay -o "$options" "$root" || exit 200
mkdir -p "$root/proc" && mount -t proc proc "$root/proc"
exec unshare --setuid="${user%:*}" --setgid="${user#*:}" --root="$root" --wd="$cwd" "$@"
"#;

#[async_trait]
impl Run for Chroot {
    async fn run(&self, step: RunStep) -> Result<i32, Error> {
        let root = tempfile::tempdir().unwrap();
        let lower: Vec<_> = step.lower.iter().map(|path| path.display().to_string()).collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={},redirect_dir=off,metacopy=off",
            lower.join(":"),
            step.upper.display(),
            step.work.display()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", SCRIPT, "sh"]);
        command.arg(root.path()).arg(options).arg(format!("{}:{}", step.user.uid, step.user.gid));
        command.arg(&step.cwd).args(&step.args);
        command.env_clear().envs(step.env.iter().cloned()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
        let stdout = async {
            while let Ok(Some(line)) = out.next_line().await {
                (step.output)(Stream::Stdout, &line);
            }
        };
        let stderr = async {
            while let Ok(Some(line)) = err.next_line().await {
                (step.output)(Stream::Stderr, &line);
            }
        };
        tokio::join!(stdout, stderr);
        Ok(child.wait().await.unwrap().code().unwrap_or(-1))
    }
}

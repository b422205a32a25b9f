//! `RUN` and `WORKDIR`: steps whose layer comes from running or making something.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::RunStep;
use super::copy::{Layer, Style};
use super::execute::{Builder, State, is_proxy};
use super::instruction::{Command, Instruction};
use super::lines::Heredoc;
use super::words;
use crate::digest::Digest;
use crate::progress::{Progress, Stream};
use crate::store::blocking;
use crate::{Error, Stack, users};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Lines of a failed step worth repeating.
const LAST_LINES: usize = 10;
/// What container runtimes put into a root file system to mount over it.
const MOUNT_POINTS: [&str; 7] =
    ["proc", "sys", "dev", "run/.containerenv", "etc/resolv.conf", "etc/hosts", "etc/hostname"];

/// The program and arguments of a `RUN`.
pub(super) fn arguments(state: &State, command: &Command, heredocs: &[Heredoc]) -> Vec<String> {
    let Command::Shell(line) = command else { return state.config.argv(command) };
    let is_script = heredocs.len() == 1 && line.starts_with("<<") && !line.contains(char::is_whitespace);
    let script = match heredocs.first().filter(|_| is_script) {
        Some(heredoc) if heredoc.content.starts_with("#!") => as_program(&heredoc.content),
        Some(heredoc) => heredoc.content.clone(),
        None => {
            let bodies = heredocs.iter().map(|h| format!("\n{}{}", h.content, h.name));
            [line.clone()].into_iter().chain(bodies).collect()
        }
    };
    state.config.argv(&Command::Shell(script))
}

/// A script that names its interpreter has to be a file.
fn as_program(content: &str) -> String {
    let mut end = String::from("SEALOS_SCRIPT_END");
    while content.contains(&end) {
        end.push('_');
    }
    format!(
        "f=$(mktemp) && cat > \"$f\" <<'{end}'\n{content}{end}\nchmod 0700 \"$f\" && \"$f\"; c=$?; rm -f \"$f\"; exit $c"
    )
}

impl Builder<'_> {
    pub(super) async fn run(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        args: Vec<String>,
    ) -> Result<(), Error> {
        let env = environment(state);
        let counted: Vec<_> = env.iter().filter(|(name, _)| !is_proxy(name)).collect();
        let below: Vec<&str> = state.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let (user, cwd) = (state.config.user(), state.config.workdir());
        let key = key(&json!(["run", 1, below, args, counted, user, cwd]));
        let cached = self.cached(&key);
        self.begin_step(&instruction.text, cached.is_some());
        if let Some(step) = cached {
            self.apply(state, instruction, step);
            return Ok(());
        }
        let work = self.images.workspace()?;
        let mut lower = state.lower(self.images);
        if lower.is_empty() {
            lower.push(make_dir(&work.path().join("empty"))?);
        }
        let stack = Stack::new(lower.clone());
        let user = users::resolve(&stack, &user).map_err(|e| self.fault(instruction, e.to_string()))?;
        let mut env = env;
        add_missing(&mut env, "PATH", PATH);
        add_missing(&mut env, "HOME", &user.home.to_string_lossy());
        let upper = make_dir(&work.path().join("upper"))?;
        let (output, last_lines) = self.output();
        let step = RunStep {
            lower,
            upper: upper.clone(),
            work: make_dir(&work.path().join("work"))?,
            args,
            env,
            cwd: PathBuf::from(cwd),
            user,
            output,
        };
        let code = self.runner.run(step).await?;
        if code != 0 {
            return Err(Error::Step {
                file: self.source.name.clone(),
                line: instruction.line,
                command: instruction.text.clone(),
                code,
                last_lines: last_lines.lock().iter().cloned().collect(),
            });
        }
        remove_mount_points(&upper, &stack);
        self.keep(state, instruction, &key, &upper).await
    }

    /// Sets the directory, and makes it if it is not there.
    pub(super) async fn workdir(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        dir: &str,
    ) -> Result<(), Error> {
        let dir =
            words::expand(dir, &state.variables(), self.escape).map_err(|e| self.fault(instruction, e))?;
        let dir = normal(&Path::new(&state.config.workdir()).join(dir));
        state.config.set_workdir(&dir.to_string_lossy());
        let lower = state.lower(self.images);
        let exists = Stack::new(lower.clone()).find(&dir).is_ok_and(|found| found.is_dir());
        if exists || dir == Path::new("/") {
            self.begin_step(&instruction.text, true);
            state.config.record(&instruction.text, None, false);
            return Ok(());
        }
        let below: Vec<&str> = state.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let key = key(&json!(["workdir", 1, below, dir.to_string_lossy()]));
        let cached = self.cached(&key);
        self.begin_step(&instruction.text, cached.is_some());
        if let Some(step) = cached {
            self.apply(state, instruction, step);
            return Ok(());
        }
        let work = self.images.workspace()?;
        let upper = make_dir(&work.path().join("upper"))?;
        let made = {
            let upper = upper.clone();
            blocking(move || {
                let layer = Layer::new(&upper, &lower, Style::default());
                layer.make_dir(&dir).map_err(Error::io("make", &dir))
            })
            .await
        };
        made.map_err(|e| self.fault(instruction, e.to_string()))?;
        self.keep(state, instruction, &key, &upper).await
    }

    /// Where the step's output goes, and its last lines for the case that it fails.
    fn output(&self) -> (super::OutputSink, Arc<Mutex<VecDeque<String>>>) {
        let last_lines = Arc::new(Mutex::new(VecDeque::new()));
        let (reporter, step, kept) = (self.reporter.clone(), self.step, last_lines.clone());
        let sink = move |stream: Stream, text: &str| {
            let mut kept = kept.lock();
            if kept.len() == LAST_LINES {
                kept.pop_front();
            }
            kept.push_back(text.to_owned());
            drop(kept);
            reporter.send(Progress::Output { step, stream, text: text.to_owned() });
        };
        (Arc::new(sink), last_lines)
    }
}

fn environment(state: &State) -> Vec<(String, String)> {
    state.variables().into_iter().collect()
}

fn add_missing(env: &mut Vec<(String, String)>, name: &str, value: &str) {
    if !env.iter().any(|(known, _)| known == name) {
        env.push((name.to_owned(), value.to_owned()));
    }
}

/// The name of a step's outcome in the cache.
pub(super) fn key(parts: &serde_json::Value) -> Digest {
    Digest::of(parts.to_string().as_bytes())
}

/// An empty directory that everybody may enter: as the top layer, it is the container's `/`.
pub(super) fn make_dir(path: &Path) -> Result<PathBuf, Error> {
    fs::create_dir(path).map_err(Error::io("make", path))?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(path, open).map_err(Error::io("set the mode of", path))?;
    Ok(path.to_owned())
}

/// Takes away what was only made to be mounted over: empty, and not there before.
fn remove_mount_points(upper: &Path, below: &Stack) {
    for name in MOUNT_POINTS {
        let path = upper.join(name);
        let was_there = below.find_link(Path::new(name)).is_ok_and(|found| found.host().is_some());
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if was_there {
            continue;
        }
        // What is not empty was put there by the step itself, and stays.
        if metadata.is_dir() {
            drop(fs::remove_dir(&path));
        } else if metadata.is_file() && metadata.len() == 0 {
            drop(fs::remove_file(&path));
        }
    }
}

/// `..` and `.` resolved by name, as `WORKDIR` means them.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => normal.push(name),
            std::path::Component::ParentDir => {
                normal.pop();
            }
            _ => {}
        }
    }
    normal
}

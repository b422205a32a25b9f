//! Finding a program inside the container and becoming it, with words for what went wrong.

#![expect(unsafe_code, reason = "signal dispositions and execve(2)")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::StartFailure;

/// How every reason given here begins.
pub(super) const MARK: &str = "exec: \"";

const NOT_IN_PATH: &str = "executable file not found in $PATH";

/// The file behind the first argument, looked up as a shell would, seen from the current root.
pub(super) fn find(args: &[String], path: &str) -> Result<PathBuf, String> {
    let Some(name) = args.first().filter(|name| !name.is_empty()) else {
        return Err(words("", "no command was given"));
    };
    if name.contains('/') {
        return match executable(Path::new(name)) {
            Ok(()) => Ok(name.into()),
            Err(error) => Err(words(name, &plain(&error))),
        };
    }
    let mut denied = None;
    for dir in path.split(':').filter(|dir| !dir.is_empty()) {
        let candidate = Path::new(dir).join(name);
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => denied = Some(error),
            Err(_) => {}
        }
    }
    Err(denied.map_or_else(|| words(name, NOT_IN_PATH), |error| words(name, &plain(&error))))
}

fn executable(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    Ok(())
}

/// Becomes the program. Returns only when that fails, with the reason.
pub(super) fn run(executable: &Path, args: &[String], env: &[String]) -> String {
    let name = executable.to_string_lossy();
    let strings =
        |list: &[String]| list.iter().map(|s| CString::new(s.as_str())).collect::<Result<Vec<_>, _>>();
    let (Ok(path), Ok(args), Ok(env)) = (CString::new(name.as_bytes()), strings(args), strings(env)) else {
        return words(&name, "a NUL byte in its arguments or environment");
    };
    // Rust ignores SIGPIPE and the shim blocks signals; the program starts with neither.
    // SAFETY: the process has one thread and runs nothing else of ours after this.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    match nix::unistd::execve(&path, &args, &env) {
        Ok(never) => match never {},
        Err(errno) => words(&name, &plain(&errno.into())),
    }
}

fn words(name: &str, problem: &str) -> String {
    format!("{MARK}{name}\": {problem}")
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "is a directory".into(),
        _ if error.raw_os_error() == Some(libc::ENOEXEC) => {
            "exec format error: made for another kind of machine, or a script without `#!` line".into()
        }
        _ => error.to_string(),
    }
}

pub(super) fn classify(reason: &str) -> StartFailure {
    let says = |text: &str| reason.contains(text);
    if says(NOT_IN_PATH) || says("no such file or directory") {
        StartFailure::NotFound
    } else if says("permission denied") || says("is a directory") || says("exec format error") {
        StartFailure::NotExecutable
    } else {
        StartFailure::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], want: &str) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let got = find(&args, "/nowhere:/usr/bin:/bin");
        assert_eq!(got.unwrap_or_else(|reason| reason.into()).to_string_lossy(), want);
    }

    #[test]
    fn reasons() {
        check(&["/bin/sh"], "/bin/sh");
        check(&["nothing-here"], "exec: \"nothing-here\": executable file not found in $PATH");
        check(&["/etc"], "exec: \"/etc\": is a directory");
        check(&["/etc/passwd"], "exec: \"/etc/passwd\": permission denied");
        check(&["/no/such"], "exec: \"/no/such\": no such file or directory");
        check(&[], "exec: \"\": no command was given");
    }

    #[test]
    fn kinds() {
        assert_eq!(classify("exec: \"x\": executable file not found in $PATH"), StartFailure::NotFound);
        assert_eq!(classify("exec: \"x\": permission denied"), StartFailure::NotExecutable);
        assert_eq!(classify("anything"), StartFailure::Other);
    }
}

//! The container's log in the CRI format, in files that do not outgrow their limit.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::LogConfig;

/// A line longer than this is written in parts.
const MAX_LINE: usize = 16 * 1024;

/// Which stream a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Stdout,
    Stderr,
}

/// Splits output into lines and writes them. A disk that takes no more loses lines, never blocks
/// the container.
pub(super) struct Log {
    file: Option<LogFile>,
    pending: [Vec<u8>; 2],
}

impl Log {
    pub(super) fn open(config: Option<&LogConfig>) -> Self {
        let file = config.map(|config| LogFile { config: config.clone(), open: None });
        Self { file, pending: [Vec::new(), Vec::new()] }
    }

    pub(super) fn write(&mut self, origin: Origin, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        let pending = &mut self.pending[origin as usize];
        pending.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let now = Timestamp::now();
        let mut rest = pending.as_slice();
        loop {
            let line_end = rest.iter().take(MAX_LINE).position(|byte| *byte == b'\n');
            let (line, tag, taken) = match line_end {
                Some(end) => (rest.get(..end), 'F', end + 1),
                None if rest.len() >= MAX_LINE => (rest.get(..MAX_LINE), 'P', MAX_LINE),
                None => break,
            };
            entry(&mut out, now, origin, tag, line.unwrap_or_default());
            rest = rest.get(taken..).unwrap_or_default();
        }
        let left = rest.len();
        pending.drain(..pending.len() - left);
        file.append(&out);
    }

    /// Writes what has no line end yet.
    pub(super) fn finish(&mut self) {
        for origin in [Origin::Stdout, Origin::Stderr] {
            if !self.pending[origin as usize].is_empty() {
                self.write(origin, b"\n");
            }
        }
    }

    pub(super) fn reopen(&mut self) {
        if let Some(file) = &mut self.file {
            file.open = None;
        }
    }
}

fn entry(out: &mut Vec<u8>, time: Timestamp, origin: Origin, tag: char, line: &[u8]) {
    let stream = match origin {
        Origin::Stdout => "stdout",
        Origin::Stderr => "stderr",
    };
    let time = time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ");
    out.extend(format!("{time} {stream} {tag} ").as_bytes());
    out.extend(line);
    out.push(b'\n');
}

struct LogFile {
    config: LogConfig,
    open: Option<(File, u64)>,
}

impl LogFile {
    /// Appends whole lines, as many to each file as it may hold.
    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.append_some(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(_) => {
                    // A full disk or a removed directory: try afresh with the next lines.
                    self.open = None;
                    return;
                }
            }
        }
    }

    fn append_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (mut file, mut size) = match self.open.take() {
            Some(open) => open,
            None => open(&self.config.path)?,
        };
        let mut fitting = self.fitting(bytes, size);
        if fitting.is_empty() {
            rotate(&self.config)?;
            (file, size) = open(&self.config.path)?;
            fitting = self.fitting(bytes, size);
        }
        file.write_all(fitting)?;
        self.open = Some((file, size + fitting.len() as u64));
        Ok(fitting.len())
    }

    /// The lines that a file of this size has room for; an empty file has room for one.
    fn fitting<'a>(&self, bytes: &'a [u8], size: u64) -> &'a [u8] {
        let room = usize::try_from(self.config.max_bytes.saturating_sub(size)).unwrap_or(usize::MAX);
        if bytes.len() <= room {
            return bytes;
        }
        let line_end = |part: &[u8]| part.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
        let whole = bytes.get(..room).and_then(line_end);
        let first =
            if size == 0 { bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1) } else { None };
        bytes.get(..whole.or(first).unwrap_or(0)).unwrap_or_default()
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// `log.1` is the youngest of the older files.
fn rotate(config: &LogConfig) -> io::Result<()> {
    let older = config.max_files.saturating_sub(1);
    if older == 0 {
        return fs::remove_file(&config.path);
    }
    for number in (1..older).rev() {
        let from = numbered(&config.path, number);
        if from.exists() {
            fs::rename(from, numbered(&config.path, number + 1))?;
        }
    }
    fs::rename(&config.path, numbered(&config.path, 1))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path, max_bytes: u64) -> Log {
        Log::open(Some(&LogConfig { path: dir.join("0.log"), max_bytes, max_files: 3 }))
    }

    fn texts(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn lines_are_whole_and_tell_their_stream() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 1 << 20);
        log.write(Origin::Stdout, b"one\ntw");
        log.write(Origin::Stderr, b"oops\n");
        log.write(Origin::Stdout, b"o\nlast");
        log.finish();
        let want = ["stdout F one", "stderr F oops", "stdout F two", "stdout F last"];
        assert_eq!(texts(&dir.path().join("0.log")), want);
        let text = fs::read_to_string(dir.path().join("0.log")).unwrap();
        let time = text.split(' ').next().unwrap();
        assert_eq!(time.len(), "2026-11-24T01:02:03.123456789Z".len(), "{time}");
    }

    #[test]
    fn a_long_line_is_cut_into_parts() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 1 << 20);
        log.write(Origin::Stdout, &vec![b'x'; MAX_LINE + 5]);
        log.write(Origin::Stdout, b"\n");
        let lines = texts(&dir.path().join("0.log"));
        assert!(lines[0].starts_with("stdout P x"));
        assert_eq!(lines[1], "stdout F xxxxx");
    }

    #[test]
    fn old_files_are_put_aside_and_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = log(dir.path(), 100);
        for number in 0..20 {
            log.write(Origin::Stdout, format!("line {number}\n").as_bytes());
        }
        let names = ["0.log", "0.log.1", "0.log.2"].map(|name| dir.path().join(name));
        assert!(names.iter().all(|path| fs::metadata(path).unwrap().len() <= 100));
        assert!(!dir.path().join("0.log.3").exists());
        assert_eq!(texts(&names[0]).last().unwrap(), "stdout F line 19");
    }
}

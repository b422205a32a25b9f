//! The files of one log, oldest first, read as if they were one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::entry::Entry;

const BLOCK: u64 = 64 * 1024;

/// Reads forward over all files, and goes on where it stopped when more was written.
pub(super) struct Reader {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// A line whose end is not written yet.
    partial: Vec<u8>,
    /// Whether the next entry of each stream goes on with a line.
    continued: [bool; 2],
}

impl Reader {
    /// Starts `tail` lines before the end, or at the very beginning.
    pub(super) fn open(path: &Path, tail: Option<u64>) -> Self {
        let file = match tail {
            None => existing(path).last().and_then(|oldest| File::open(oldest).ok()),
            Some(lines) => last_lines(path, lines),
        };
        Self {
            path: path.to_owned(),
            file: file.map(BufReader::new),
            partial: Vec::new(),
            continued: [false; 2],
        }
    }

    /// The next whole line without its end, `None` when no more is there now.
    pub(super) fn next_line(&mut self) -> Option<Vec<u8>> {
        loop {
            let Some(file) = &mut self.file else {
                // Nothing had been written when reading began.
                self.file = existing(&self.path)
                    .last()
                    .and_then(|oldest| File::open(oldest).ok())
                    .map(BufReader::new);
                self.file.as_ref()?;
                continue;
            };
            if file.read_until(b'\n', &mut self.partial).is_ok() && self.partial.last() == Some(&b'\n') {
                self.partial.pop();
                return Some(std::mem::take(&mut self.partial));
            }
            self.file = Some(BufReader::new(self.next_file()?));
            self.partial.clear();
        }
    }

    /// The file after the present one, if the present one was put aside.
    fn next_file(&self) -> Option<File> {
        let current = self.file.as_ref()?.get_ref().metadata().ok()?;
        let same = |path: &PathBuf| {
            path.metadata().is_ok_and(|other| (other.dev(), other.ino()) == (current.dev(), current.ino()))
        };
        let files = existing(&self.path);
        match files.iter().position(same) {
            Some(0) => None,
            Some(age) => File::open(files.get(age - 1)?).ok(),
            // It was dropped as too old: what is left begins later.
            None => File::open(files.last()?).ok(),
        }
    }

    /// Whether an entry begins a line; to be asked once for each in turn.
    pub(super) fn begins_line(&mut self, entry: &Entry<'_>) -> bool {
        let continued = &mut self.continued[usize::from(entry.stream == "stderr")];
        let begins = !*continued;
        *continued = !entry.whole;
        begins
    }
}

/// The files there are, youngest first.
fn existing(path: &Path) -> Vec<PathBuf> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let older = (1..).map(numbered).take_while(|path| path.exists());
    std::iter::once(path.to_owned()).filter(|path| path.exists()).chain(older).collect()
}

/// The file, and the place in it, where the last lines of all files begin.
fn last_lines(path: &Path, mut lines: u64) -> Option<File> {
    let mut oldest = None;
    for name in existing(path) {
        let Ok(mut file) = File::open(name) else { break };
        let (start, found) = start_of_last(&mut file, lines).ok()?;
        file.seek(SeekFrom::Start(start)).ok()?;
        oldest = Some(file);
        lines -= found;
        if lines == 0 {
            break;
        }
    }
    oldest
}

/// Where the last `lines` lines begin, and how many there are if there are fewer.
fn start_of_last(file: &mut File, lines: u64) -> std::io::Result<(u64, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok((length, 0));
    }
    let mut end = length;
    let mut found = 0;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        for (index, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = start + index as u64 + 1;
            // The end of the last line is no beginning of another.
            if after < length {
                found += 1;
                if found == lines {
                    return Ok((after, found));
                }
            }
        }
        end = start;
    }
    Ok((0, if length > 0 { found + 1 } else { 0 }))
}

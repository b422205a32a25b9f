//! `ADD` of a local archive: its content is added, not the file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;
use crate::store::decompressed;
use crate::unpack::{Entries, unpack};

/// Unpacks the file into `into` if it is an archive; says whether it was.
pub(super) fn unpack_archive(file: &Path, into: &Path) -> Result<bool, Error> {
    if !is_archive(file)? {
        return Ok(false);
    }
    fs::create_dir_all(into).map_err(Error::io("make", into))?;
    let named = |e: Error| Error::malformed(format!("`{}`", file.display()), e);
    with_stream(file, |stream| unpack(stream, into).map(|_| ()).map_err(named))?;
    Ok(true)
}

/// An archive is what begins with a valid header, whatever its name.
fn is_archive(file: &Path) -> Result<bool, Error> {
    let mut magic = [0; 6];
    let mut head = File::open(file).map_err(Error::io("open", file))?;
    let length = head.read(&mut magic).map_err(Error::io("read", file))?;
    let external = tool(magic.get(..length).unwrap_or_default());
    if length < magic.len() || external.is_some_and(|tool| !is_installed(tool)) {
        return Ok(false);
    }
    with_stream(file, |stream| Ok(matches!(Entries::new(stream).next_entry(), Ok(Some(_)))))
}

fn with_stream<T>(file: &Path, work: impl FnOnce(&mut dyn Read) -> Result<T, Error>) -> Result<T, Error> {
    let mut source = File::open(file).map_err(Error::io("open", file))?;
    let mut magic = [0; 6];
    let length = source.read(&mut magic).map_err(Error::io("read", file))?;
    let Some(tool) = tool(magic.get(..length).unwrap_or_default()) else {
        io::Seek::rewind(&mut source).map_err(Error::io("read", file))?;
        let mut stream = decompressed(source).map_err(Error::io("read", file))?;
        return work(&mut stream);
    };
    let mut command = Command::new(tool);
    command.arg("-dc").arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(Error::io("run", tool))?;
    let result = match child.stdout.take() {
        Some(mut stdout) => work(&mut stdout),
        None => Err(Error::malformed(tool, "it has no output")),
    };
    // Reading may have stopped early; then the program ends by itself.
    child.wait().map_err(Error::io("wait for", tool))?;
    result
}

/// The program for what is not unpacked in process.
fn tool(magic: &[u8]) -> Option<&'static str> {
    match magic {
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some("xz"),
        _ => None,
    }
}

fn is_installed(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(tool).is_file())
}

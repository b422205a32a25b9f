//! Reads a tar stream entry by entry: ustar, GNU long names, PAX records.
//!
//! Own code because layers need what general readers get wrong: empty numeric fields mean zero, PAX
//! values are binary (a file capability may well contain a line break), and sizes above 8 GiB come
//! from PAX.

use std::io::{self, Read};

use tar::Header;

const BLOCK: u64 = 512;
/// PAX headers and long names are held in memory; nothing honest comes near this.
const LARGEST_EXTENSION: u64 = 1 << 20;

/// What an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    Hardlink,
    Fifo,
    Char,
    Block,
}

/// One entry's header with everything that extends it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: (i64, i64),
    pub(crate) device: (u32, u32),
    pub(crate) size: u64,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The entries of an archive. Reading from it reads the current entry's content.
pub(crate) struct Entries<R> {
    source: R,
    content: u64,
    padding: u64,
}

#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, i64)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> Entries<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, content: 0, padding: 0 }
    }

    /// The next entry, or nothing at the archive's end.
    pub(crate) fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        let mut extension = Extension::default();
        loop {
            self.skip_content()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = extension.size.unwrap_or(number(field(&header, 124, 12))?);
            match header.entry_type().as_byte() {
                b'x' => self.pax(size_of_extension(&header)?, &mut extension)?,
                b'g' => self.begin_content(size_of_extension(&header)?),
                b'L' => extension.path = Some(self.long_name(&header)?),
                b'K' => extension.link = Some(self.long_name(&header)?),
                b'S' => {
                    return Err(malformed(
                        "it has a sparse file in GNU's old format, which is not supported",
                    ));
                }
                other => {
                    let Some(kind) = kind(other) else {
                        self.begin_content(size);
                        extension = Extension::default();
                        continue;
                    };
                    let entry = entry(&header, kind, size, extension)?;
                    self.begin_content(entry.size);
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// The stream, after everything up to its end has been read.
    pub(crate) fn drain(mut self) -> io::Result<R> {
        io::copy(&mut self.source, &mut io::sink())?;
        Ok(self.source)
    }

    fn begin_content(&mut self, size: u64) {
        self.content = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
    }

    fn skip_content(&mut self) -> io::Result<()> {
        let left = self.content + self.padding;
        (self.content, self.padding) = (0, 0);
        let skipped = io::copy(&mut (&mut self.source).take(left), &mut io::sink())?;
        if skipped < left { Err(truncated()) } else { Ok(()) }
    }

    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut block = [0_u8; BLOCK as usize];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(truncated()),
                n => filled += n,
            }
        }
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        check_sum(&block)?;
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&block);
        Ok(Some(header))
    }

    fn extension_content(&mut self, size: u64) -> io::Result<Vec<u8>> {
        self.begin_content(size);
        let mut content = Vec::new();
        self.read_to_end(&mut content)?;
        if (content.len() as u64) < size { Err(truncated()) } else { Ok(content) }
    }

    fn long_name(&mut self, header: &Header) -> io::Result<Vec<u8>> {
        let mut name = self.extension_content(size_of_extension(header)?)?;
        if let Some(end) = name.iter().position(|b| *b == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    fn pax(&mut self, size: u64, extension: &mut Extension) -> io::Result<()> {
        let content = self.extension_content(size)?;
        let mut rest = content.as_slice();
        while !rest.is_empty() {
            let (key, value, after) =
                pax_record(rest).ok_or_else(|| malformed("it has a broken PAX header"))?;
            extension.learn(key, value)?;
            rest = after;
        }
        Ok(())
    }
}

impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = (&mut self.source).take(self.content).read(buf)?;
        self.content -= n as u64;
        Ok(n)
    }
}

impl Extension {
    fn learn(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(decimal(value)?),
            b"gid" => self.gid = Some(decimal(value)?),
            b"mtime" => self.mtime = Some(pax_time(value)?),
            _ if key.starts_with(b"GNU.sparse.") => {
                return Err(malformed("it has a sparse file, which is not supported"));
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

fn entry(header: &Header, kind: Kind, size: u64, extension: Extension) -> io::Result<Entry> {
    let path = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
    // Before POSIX, a directory was a file whose name ended in a slash.
    let kind = if kind == Kind::File && path.ends_with(b"/") { Kind::Directory } else { kind };
    let has_content = kind == Kind::File;
    let posix = header.as_ustar().is_some() || header.as_gnu().is_some();
    let device = if posix { (field(header, 329, 8), field(header, 337, 8)) } else { (&[][..], &[][..]) };
    Ok(Entry {
        link: extension.link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned()),
        kind,
        mode: narrow(number(field(header, 100, 8))?)? & 0o7777,
        uid: narrow(extension.uid.map_or_else(|| number(field(header, 108, 8)), Ok)?)?,
        gid: narrow(extension.gid.map_or_else(|| number(field(header, 116, 8)), Ok)?)?,
        mtime: match extension.mtime {
            Some(mtime) => mtime,
            None => (i64::try_from(number(field(header, 136, 12))?).unwrap_or(0), 0),
        },
        device: (narrow(number(device.0)?)?, narrow(number(device.1)?)?),
        size: if has_content { size } else { 0 },
        xattrs: extension.xattrs,
        path,
    })
}

fn kind(flag: u8) -> Option<Kind> {
    Some(match flag {
        b'0' | 0 | b'7' => Kind::File,
        b'1' => Kind::Hardlink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        _ => return None,
    })
}

fn size_of_extension(header: &Header) -> io::Result<u64> {
    let size = number(field(header, 124, 12))?;
    if size > LARGEST_EXTENSION { Err(malformed("it has an oversized extension header")) } else { Ok(size) }
}

fn field(header: &Header, start: usize, len: usize) -> &[u8] {
    header.as_bytes().get(start..start + len).unwrap_or_default()
}

/// Octal text, or GNU's big-endian binary when the first bit is set; nothing at all is zero.
fn number(field: &[u8]) -> io::Result<u64> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        // A set second bit would be a negative number: times before 1970, clamped to it.
        if field.first().is_some_and(|first| first & 0x40 != 0) {
            return Ok(0);
        }
        return Ok(field.iter().skip(1).fold(0_u64, |sum, b| (sum << 8) | u64::from(*b)));
    }
    let text: Vec<u8> = field.iter().copied().take_while(|b| *b != 0).filter(|b| *b != b' ').collect();
    if text.is_empty() {
        return Ok(0);
    }
    let text = std::str::from_utf8(&text).map_err(|_| malformed("it has a number that is not text"))?;
    u64::from_str_radix(text, 8).map_err(|_| malformed("it has a number that is not octal"))
}

fn narrow(number: u64) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| malformed("it has an owner or device number above 32 bits"))
}

fn decimal(value: &[u8]) -> io::Result<u64> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed("it has a PAX number that is not one"))
}

fn pax_time(value: &[u8]) -> io::Result<(i64, i64)> {
    let bad = || malformed("it has a PAX time that is not one");
    let text = std::str::from_utf8(value).map_err(|_| bad())?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = seconds.parse().map_err(|_| bad())?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos: i64 = digits.parse().map_err(|_| bad())?;
    Ok(if seconds < 0 { (seconds, 0) } else { (seconds, nanos) })
}

/// `<length> <key>=<value>\n`, where the length counts all of itself.
fn pax_record(record: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = record.iter().position(|b| *b == b' ')?;
    let len: usize = std::str::from_utf8(record.get(..space)?).ok()?.parse().ok()?;
    let body = record.get(space + 1..len)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|b| *b == b'=')?;
    Some((body.get(..equals)?, body.get(equals + 1..)?, record.get(len..)?))
}

/// The checksum field counts as spaces; some old writers summed signed bytes.
fn check_sum(block: &[u8; BLOCK as usize]) -> io::Result<()> {
    let foreign = || malformed("it is not a tar archive, or a damaged one");
    let expected = number(block.get(148..156).unwrap_or_default()).map_err(|_| foreign())?;
    let counted = |(i, b): (usize, &u8)| if (148..156).contains(&i) { b' ' } else { *b };
    let unsigned: u64 = block.iter().enumerate().map(|pair| u64::from(counted(pair))).sum();
    let signed: i64 = block.iter().enumerate().map(|pair| i64::from(counted(pair).cast_signed())).sum();
    if expected == unsigned || i64::try_from(expected).is_ok_and(|e| e == signed) {
        Ok(())
    } else {
        Err(foreign())
    }
}

fn malformed(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends in the middle of an entry")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        build(&mut builder);
        builder.into_inner().unwrap()
    }

    fn file(size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header
    }

    #[test]
    fn binary_pax_values_survive() {
        let bytes = archive(|b| {
            b.append_pax_extensions([("SCHILY.xattr.security.capability", &b"\x01\n=\n\x02"[..])]).unwrap();
            b.append_data(&mut file(2), "a", &b"hi"[..]).unwrap();
        });
        let mut entries = Entries::new(bytes.as_slice());
        let entry = entries.next_entry().unwrap().unwrap();
        assert_eq!(entry.xattrs, [(b"security.capability".to_vec(), b"\x01\n=\n\x02".to_vec())]);
        let mut content = String::new();
        entries.read_to_string(&mut content).unwrap();
        assert_eq!(content, "hi");
        assert!(entries.next_entry().unwrap().is_none());
    }

    #[test]
    fn long_names_and_empty_numbers_are_read() {
        let name = "d/".repeat(150) + "f";
        let bytes = archive(|b| {
            let mut header = file(0);
            header.as_old_mut().uid = [0; 8];
            header.as_old_mut().gid = [b' '; 8];
            b.append_data(&mut header, &name, &b""[..]).unwrap();
        });
        let entry = Entries::new(bytes.as_slice()).next_entry().unwrap().unwrap();
        assert_eq!((entry.path, entry.uid, entry.gid), (name.into_bytes(), 0, 0));
    }

    #[test]
    fn truncated_and_foreign_streams_are_errors() {
        let bytes = archive(|b| b.append_data(&mut file(600), "a", &[7; 600][..]).unwrap());
        let mut cut = Entries::new(bytes.get(..700).unwrap());
        assert!(cut.next_entry().unwrap().is_some());
        assert_eq!(cut.next_entry().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(Entries::new(&[b'x'; 1024][..]).next_entry().is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_can_crash_it(mut bytes in proptest::collection::vec(0_u8.., 0..2048), flag in 0_u8..128) {
            if bytes.len() >= 512 {
                bytes[156] = flag;
                bytes[148..156].fill(b' ');
                let sum: u64 = bytes[..512].iter().map(|b| u64::from(*b)).sum();
                bytes[148..155].copy_from_slice(format!("{sum:07o}").as_bytes());
            }
            let mut entries = Entries::new(bytes.as_slice());
            while let Ok(Some(_)) = entries.next_entry() {}
        }
    }
}

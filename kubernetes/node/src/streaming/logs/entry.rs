//! One line of a log file: `<time> stdout|stderr F|P <text>`.

use jiff::Timestamp;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) time_text: &'a str,
    pub(super) stream: &'a str,
    /// The text ends a line; otherwise the next entry of the stream goes on with it.
    pub(super) whole: bool,
    pub(super) text: &'a [u8],
}

impl<'a> Entry<'a> {
    /// `None` for a line that is not in the format.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let time_text = std::str::from_utf8(parts.next()?).ok()?;
        let stream = std::str::from_utf8(parts.next()?).ok()?;
        // More tags may follow after a colon some day.
        let tag = parts.next()?;
        let whole = match tag.first()? {
            b'F' => true,
            b'P' => false,
            _ => return None,
        };
        Some(Self { time_text, stream, whole, text: parts.next().unwrap_or_default() })
    }

    pub(super) fn time(&self) -> Option<Timestamp> {
        self.time_text.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let entry = Entry::parse(b"2026-11-24T01:02:03.000000001Z stderr P half a line").unwrap();
        assert_eq!((entry.stream, entry.whole, entry.text), ("stderr", false, &b"half a line"[..]));
        assert_eq!(entry.time().unwrap().subsec_nanosecond(), 1);
        assert_eq!(Entry::parse(b"2026-11-24T01:02:03Z stdout F ").unwrap().text, b"");
        assert!(Entry::parse(b"nonsense").is_none());
    }
}

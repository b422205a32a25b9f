//! What this machine's apt is configured with, in both of apt's formats.

use std::fs;
use std::path::{Path, PathBuf};

/// Names that a Debian archive's main suites have had lately.
const SUITES: [&str; 11] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];
const DEBIAN_KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One archive, as one source entry describes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    keyring: Option<PathBuf>,
    trusted: bool,
}

/// The lines of a `sources.list` for one base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) main: String,
    /// Updates and security fixes; not every mirror has them for every suite.
    pub(super) extra: Vec<String>,
    /// Keys that the image will not have by itself.
    pub(super) foreign_keyring: Option<PathBuf>,
}

/// Reads the machine's configuration and picks what serves the base.
pub(super) fn of_this_machine(suite: &str) -> Option<Sources> {
    let mut entries = Vec::new();
    if let Ok(text) = fs::read_to_string("/etc/apt/sources.list") {
        entries.extend(one_line_format(&text));
    }
    let mut files: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .map(|dir| dir.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|ext| ext.to_str()) {
            Some("list") => entries.extend(one_line_format(&text)),
            Some("sources") => entries.extend(deb822_format(&text)),
            _ => {}
        }
    }
    pick(&entries, suite, Path::new(DEBIAN_KEYS).exists())
}

fn pick(entries: &[Entry], suite: &str, has_debian_keys: bool) -> Option<Sources> {
    let main = best(entries, suite, "")?;
    let line = |entry: &Entry, suite: &str| {
        let uri = entry.uris.first()?;
        let mut options = Vec::new();
        match &entry.keyring {
            Some(keyring) => options.push(format!("signed-by={}", keyring.display())),
            None if has_debian_keys => options.push(format!("signed-by={DEBIAN_KEYS}")),
            None => {}
        }
        if entry.trusted {
            options.push("trusted=yes".to_owned());
        }
        let options = if options.is_empty() { String::new() } else { format!("[{}] ", options.join(" ")) };
        Some(format!("deb {options}{uri} {suite} main"))
    };
    let mut extra = Vec::new();
    // The rolling suite has no updates of its own.
    if suite != "sid" {
        for suffix in ["-updates", "-security"] {
            if let Some(entry) = best(entries, suite, suffix) {
                extra.extend(line(entry, &format!("{}{suffix}", suite)));
            }
        }
    }
    let foreign_keyring = main.keyring.clone().filter(|keyring| keyring != Path::new(DEBIAN_KEYS));
    Some(Sources { main: line(main, suite)?, extra, foreign_keyring })
}

/// The entry with the base's own suite, or one for another suite of the same archive.
fn best<'a>(entries: &'a [Entry], suite: &str, suffix: &str) -> Option<&'a Entry> {
    let has = |entry: &&Entry, suite: &str| entry.suites.iter().any(|s| *s == format!("{suite}{suffix}"));
    let exact = entries.iter().find(|entry| has(entry, suite));
    exact.or_else(|| entries.iter().find(|entry| SUITES.iter().any(|other| has(entry, other))))
}

/// `deb [signed-by=…] http://… bookworm main`
fn one_line_format(text: &str) -> Vec<Entry> {
    text.lines().filter_map(one_line).collect()
}

fn one_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim();
    let mut rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
    let mut entry = Entry::default();
    if let Some(bracketed) = rest.strip_prefix('[') {
        let (options, after) = bracketed.split_once(']')?;
        for option in options.split_whitespace() {
            match option.split_once('=') {
                Some(("signed-by", path)) if path.starts_with('/') => entry.keyring = Some(path.into()),
                Some(("trusted", value)) => entry.trusted = value == "yes",
                _ => {}
            }
        }
        rest = after.trim_start();
    }
    let mut words = rest.split_whitespace();
    entry.uris.push(words.next()?.to_owned());
    entry.suites.push(words.next()?.to_owned());
    words.any(|component| component == "main").then_some(entry)
}

/// Stanzas of `Types:`, `URIs:`, `Suites:`, … with continuation lines.
fn deb822_format(text: &str) -> Vec<Entry> {
    let mut stanzas: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for line in text.lines() {
        let Some(stanza) = stanzas.last_mut() else { break };
        if line.trim().is_empty() {
            stanzas.push(Vec::new());
        } else if line.starts_with('#') {
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_lowercase(), value.trim().to_owned()));
        }
    }
    stanzas.iter().filter_map(|stanza| deb822_stanza(stanza)).collect()
}

fn deb822_stanza(stanza: &[(String, String)]) -> Option<Entry> {
    let get = |key: &str| stanza.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
    let words = |key: &str| -> Vec<String> {
        get(key).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let serves = words("types").iter().any(|t| t == "deb")
        && words("components").iter().any(|c| c == "main")
        && get("enabled").is_none_or(|value| !matches!(value, "no" | "false" | "0"));
    serves.then(|| Entry {
        uris: words("uris"),
        suites: words("suites"),
        // A key may also be written right into the file; then the distribution's own keys must do.
        keyring: get("signed-by").filter(|value| value.starts_with('/')).map(PathBuf::from),
        trusted: get("trusted") == Some("yes"),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(entries: &[Entry], suite: &'static str, expected: Expect) {
        let text = match pick(entries, suite, true) {
            Some(sources) => format!("{}\n{}\n", sources.main, sources.extra.join("\n")),
            None => "nothing".into(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn the_one_line_format_is_read() {
        let entries = one_line_format(
            "# deb http://no.invalid/debian bookworm main\n\
             deb-src http://m.invalid/debian bookworm main\n\
             deb [arch=amd64 signed-by=/etc/keys/m.gpg] http://m.invalid/debian bookworm main contrib # x\n\
             deb http://m.invalid/sec bookworm-security main\n\
             deb http://other.invalid/tools stable-tools main\n",
        );
        check(
            &entries,
            "bookworm",
            expect![[r#"
                deb [signed-by=/etc/keys/m.gpg] http://m.invalid/debian bookworm main
                deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m.invalid/sec bookworm-security main
            "#]],
        );
    }

    #[test]
    fn the_deb822_format_is_read_and_other_suites_use_the_same_mirror() {
        let entries = deb822_format(
            "Types: deb deb-src\nURIs: http://m.invalid/debian\n# note\nSuites: bookworm\n bookworm-updates\n\
             Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
             Types: deb\nURIs: http://m.invalid/sec\nSuites: bookworm-security\nComponents: main\nTrusted: yes\n\n\
             Enabled: no\nTypes: deb\nURIs: http://off.invalid/\nSuites: trixie\nComponents: main\n",
        );
        check(
            &entries,
            "trixie",
            expect![[r#"
                deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m.invalid/debian trixie main
                deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://m.invalid/debian trixie-updates main
                deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg trusted=yes] http://m.invalid/sec trixie-security main
            "#]],
        );
    }

    #[test]
    fn machines_without_a_debian_archive_have_none() {
        check(&one_line_format("deb http://m.invalid/ubuntu noble main"), "bookworm", expect!["nothing"]);
    }
}

//! `.dockerignore`: what of the directory the build must not see.

use std::path::Path;

use regex::Regex;

use super::glob::to_regex;

/// The rules of one file, later ones over earlier ones.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    rules: Vec<Rule>,
    /// Whether a rule brings something back, so that ignored directories must be looked into.
    has_exceptions: bool,
}

#[derive(Debug)]
struct Rule {
    regex: Regex,
    excludes: bool,
}

impl Ignore {
    /// Reads the rules; an error names the line.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut ignore = Self::default();
        for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (pattern, excludes) = match line.strip_prefix('!') {
                Some(rest) => (rest.trim(), false),
                None => (line, true),
            };
            let pattern = clean(pattern);
            if pattern.is_empty() {
                continue;
            }
            let at = |reason: String| (number + 1, reason);
            // A rule for a directory covers what is in it.
            let text = format!("^{}(?:/.*)?$", to_regex(&pattern).map_err(at)?);
            let regex = Regex::new(&text).map_err(|_| at(format!("`{pattern}` is not a valid pattern")))?;
            ignore.rules.push(Rule { regex, excludes });
            ignore.has_exceptions |= !excludes;
        }
        Ok(ignore)
    }

    /// Whether the path, relative to the context, is left out.
    pub(super) fn excludes(&self, path: &Path) -> bool {
        let path = path.to_string_lossy();
        self.rules.iter().rev().find(|rule| rule.regex.is_match(&path)).is_some_and(|rule| rule.excludes)
    }

    /// Whether nothing below an excluded directory can come back.
    pub(super) fn prunes(&self) -> bool {
        !self.has_exceptions
    }
}

/// Without `./`, doubled and outer slashes.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(rules: &str, path: &str) -> bool {
        Ignore::parse(rules).unwrap().excludes(Path::new(path))
    }

    #[test]
    fn rules_cover_directories_and_later_ones_win() {
        let rules = "# comment\n/target/\n*.log\n!keep.log\n**/secret\n./a/../b\n";
        assert!(excluded(rules, "target") && excluded(rules, "target/debug/x"));
        assert!(excluded(rules, "x.log") && !excluded(rules, "keep.log") && !excluded(rules, "deep/x.log"));
        assert!(excluded(rules, "a/b/secret/x") && excluded(rules, "secret") && excluded(rules, "b"));
        assert!(!excluded(rules, "src/main.rs"));
    }

    #[test]
    fn exceptions_reach_into_ignored_directories() {
        let rules = "*\n!src\nsrc/*.tmp";
        assert!(
            excluded(rules, "Cargo.toml") && !excluded(rules, "src/main.rs") && excluded(rules, "src/a.tmp")
        );
        assert!(!Ignore::parse(rules).unwrap().prunes() && Ignore::parse("*").unwrap().prunes());
    }

    #[test]
    fn bad_rules_name_their_line() {
        assert_eq!(Ignore::parse("ok\n[a").unwrap_err(), (2, "`[a` has a `[` without `]`".to_owned()));
    }
}

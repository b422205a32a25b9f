//! Docker's file patterns: `*` and `?` within a name, `**` across names, `[a-z]`, `\` to escape.

use regex::Regex;

/// A compiled pattern for whole paths with `/` between names.
#[derive(Debug, Clone)]
pub(super) struct Glob(Regex);

impl Glob {
    pub(super) fn new(pattern: &str) -> Result<Self, String> {
        let text = format!("^{}$", to_regex(pattern)?);
        let bad = |_| format!("`{pattern}` is not a valid pattern");
        Regex::new(&text).map(Self).map_err(bad)
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// Whether the text has to be matched at all.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// The pattern as an unanchored regular expression.
pub(super) fn to_regex(pattern: &str) -> Result<String, String> {
    let mut regex = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                if chars.peek() == Some(&'/') {
                    chars.next();
                    regex.push_str("(?:.*/)?");
                } else {
                    regex.push_str(".*");
                }
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => {
                class(&mut chars, &mut regex).ok_or_else(|| format!("`{pattern}` has a `[` without `]`"))?
            }
            '\\' => {
                let escaped = chars.next().ok_or_else(|| format!("`{pattern}` ends with a backslash"))?;
                regex.push_str(&regex::escape(escaped.encode_utf8(&mut [0; 4])));
            }
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    Ok(regex)
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, regex: &mut String) -> Option<()> {
    regex.push('[');
    if chars.peek().is_some_and(|c| matches!(c, '^' | '!')) {
        chars.next();
        regex.push('^');
    }
    loop {
        match chars.next()? {
            ']' => break,
            '-' => regex.push('-'),
            '\\' => regex.push_str(&regex::escape(chars.next()?.encode_utf8(&mut [0; 4]))),
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_docker() {
        let matches = |pattern: &str, path: &str| Glob::new(pattern).unwrap().matches(path);
        assert!(matches("*.rs", "a.rs") && !matches("*.rs", "a/b.rs"));
        assert!(matches("**/*.rs", "a/b/c.rs") && matches("**/*.rs", "c.rs"));
        assert!(matches("a/**", "a/b/c") && !matches("a/**", "ab"));
        assert!(matches("h?m[a-c]", "homb") && !matches("h?m[^a-c]", "homb"));
        assert!(matches(r"\*", "*") && !matches(r"\*", "a"));
        assert!(matches("a.b", "a.b") && !matches("a.b", "axb"));
        assert!(Glob::new("[a").is_err() && Glob::new("a\\").is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_is_compiled_or_refused(pattern in ".{0,40}", path in ".{0,40}") {
            if let Ok(glob) = Glob::new(&pattern) {
                glob.matches(&path);
            }
        }
    }
}

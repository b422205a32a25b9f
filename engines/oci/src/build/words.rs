//! Words of an instruction: splitting them, and replacing variables in them.

use std::collections::BTreeMap;

use regex::Regex;

use super::glob::to_regex;

/// Splits at blanks outside of quotes. Quotes and escapes stay, for [`expand`] to take away.
pub(super) fn split(text: &str, escape: char) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        word.push(c);
        if c == escape && quote != Some('\'') {
            word.extend(chars.next());
        }
    }
    if let Some(open) = quote {
        return Err(format!("a quote ({open}) is opened but never closed"));
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

/// `key=value` pairs, or the old form `key rest of the line`.
pub(super) fn pairs(text: &str, escape: char) -> Result<Vec<(String, String)>, String> {
    let words = split(text, escape)?;
    let Some(first) = words.first() else { return Err("it needs a name and a value".into()) };
    if !first.contains('=') {
        let value = text.trim_start().get(first.len()..).unwrap_or_default().trim();
        if value.is_empty() {
            return Err(format!("`{first}` has no value; write `{first}=value`"));
        }
        return Ok(vec![(first.clone(), value.to_owned())]);
    }
    let pair = |word: &String| match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{word}` is not of the form `name=value`; quote values that have blanks")),
    };
    words.iter().map(pair).collect()
}

/// Replaces `$name` and `${name…}` and takes quotes and escapes away.
pub(super) fn expand(
    word: &str,
    variables: &BTreeMap<String, String>,
    escape: char,
) -> Result<String, String> {
    Expander { chars: word.chars().peekable(), variables, escape }.run("", true)
}

/// Replaces variables only: in the text of a heredoc, quotes are just characters.
pub(super) fn expand_text(
    text: &str,
    variables: &BTreeMap<String, String>,
    escape: char,
) -> Result<String, String> {
    Expander { chars: text.chars().peekable(), variables, escape }.run("", false)
}

struct Expander<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    variables: &'a BTreeMap<String, String>,
    escape: char,
}

impl Expander<'_> {
    /// Up to one of the characters in `stops`, or the end if there are none.
    fn run(&mut self, stops: &str, quotes: bool) -> Result<String, String> {
        let mut out = String::new();
        let mut in_double = false;
        while let Some(c) = self.chars.peek().copied() {
            if stops.contains(c) && !in_double {
                return Ok(out);
            }
            self.chars.next();
            match c {
                '\'' if quotes && !in_double => loop {
                    match self.chars.next() {
                        Some('\'') => break,
                        Some(c) => out.push(c),
                        None => return Err("a quote (') is opened but never closed".into()),
                    }
                },
                '"' if quotes => in_double = !in_double,
                '$' => self.variable(&mut out)?,
                c if c == self.escape => self.escaped(&mut out, in_double || !quotes),
                c => out.push(c),
            }
        }
        match in_double {
            true => Err("a quote (\") is opened but never closed".into()),
            false if !stops.is_empty() => Err("`${` has no closing `}`".into()),
            false => Ok(out),
        }
    }

    /// The rest of a `${…}`.
    fn rest(&mut self) -> Result<String, String> {
        let text = self.run("}", true)?;
        self.chars.next();
        Ok(text)
    }

    /// Between double quotes only some characters can be escaped; before others the escape stays.
    fn escaped(&mut self, out: &mut String, quoted: bool) {
        match self.chars.next() {
            Some(c) if !quoted || matches!(c, '"' | '$') || c == self.escape => out.push(c),
            Some(c) => out.extend([self.escape, c]),
            None => out.push(self.escape),
        }
    }

    fn variable(&mut self, out: &mut String) -> Result<(), String> {
        if self.chars.next_if_eq(&'{').is_some() {
            out.push_str(&self.braced()?);
            return Ok(());
        }
        let name = self.name();
        if name.is_empty() {
            out.push('$');
        } else {
            out.push_str(self.variables.get(&name).map_or("", String::as_str));
        }
        Ok(())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        name
    }

    fn braced(&mut self) -> Result<String, String> {
        let name = self.name();
        if name.is_empty() {
            return Err("`${` needs a variable's name".into());
        }
        let value = self.variables.get(&name).cloned();
        let Some(c) = self.chars.next() else { return Err(format!("`${{{name}` has no closing `}}`")) };
        let unset_or_empty = value.as_deref().is_none_or(str::is_empty);
        match c {
            '}' => Ok(value.unwrap_or_default()),
            ':' => {
                let operator = self.chars.next();
                self.fallback(&name, value, unset_or_empty, operator)
            }
            '-' | '+' | '?' => {
                let unset = value.is_none();
                self.fallback(&name, value, unset, Some(c))
            }
            '#' | '%' => self.trimmed(&value.unwrap_or_default(), c),
            '/' => self.replaced(&value.unwrap_or_default()),
            other => Err(format!("`${{{name}{other}` is not a form that is supported")),
        }
    }

    fn fallback(
        &mut self,
        name: &str,
        value: Option<String>,
        missing: bool,
        operator: Option<char>,
    ) -> Result<String, String> {
        let word = self.rest()?;
        match operator {
            Some('-') => Ok(if missing { word } else { value.unwrap_or_default() }),
            Some('+') => Ok(if missing { String::new() } else { word }),
            Some('?') if missing && word.is_empty() => Err(format!("the variable `{name}` is not set")),
            Some('?') if missing => Err(format!("the variable `{name}` is not set: {word}")),
            Some('?') => Ok(value.unwrap_or_default()),
            _ => Err(format!("after `${{{name}:` only `-`, `+` and `?` are supported")),
        }
    }

    /// `${name#pattern}` and its kin: takes a match off the beginning or the end.
    fn trimmed(&mut self, value: &str, side: char) -> Result<String, String> {
        let longest = self.chars.next_if_eq(&side).is_some();
        let pattern = to_regex(&self.rest()?)?.replace("[^/]", ".");
        let lazy = |regex: String| if longest { regex } else { regex.replace(".*", ".*?") };
        let found = if side == '#' {
            compile(&format!("^(?:{})", lazy(pattern)))?.find(value).map(|m| m.end()..value.len())
        } else {
            let regex = compile(&format!("^(?:{pattern})$"))?;
            let mut ends = value
                .char_indices()
                .map(|(i, _)| i)
                .chain([value.len()])
                .filter(|i| value.get(*i..).is_some_and(|tail| regex.is_match(tail)));
            let cut = if longest { ends.next() } else { ends.next_back() };
            cut.map(|end| 0..end)
        };
        Ok(found.and_then(|kept| value.get(kept)).unwrap_or(value).to_owned())
    }

    /// `${name/pattern/replacement}`, with `//` for all.
    fn replaced(&mut self, value: &str) -> Result<String, String> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let pattern = self.run("/}", true)?;
        let replacement = match self.chars.next_if_eq(&'/') {
            Some(_) => self.rest()?,
            None => self.rest().map(|_| String::new())?,
        };
        let regex = compile(&to_regex(&pattern)?.replace("[^/]", "."))?;
        let replacement = regex::NoExpand(&replacement);
        Ok(if all { regex.replace_all(value, replacement) } else { regex.replace(value, replacement) }
            .into_owned())
    }
}

fn compile(regex: &str) -> Result<Regex, String> {
    Regex::new(regex).map_err(|_| "a pattern in `${…}` is not valid".to_owned())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(word: &str, expected: Expect) {
        let variables = [("A", "one"), ("EMPTY", ""), ("FILE", "a.tar.gz"), ("P", "/x/y/z")];
        let variables = variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        expected.assert_eq(&expand(word, &variables, '\\').unwrap_or_else(|e| format!("error: {e}")));
    }

    #[test]
    fn variables_are_replaced() {
        check("$A-${A}x$NONE.", expect!["one-onex."]);
        check("${NONE:-d$A} ${EMPTY:-e} ${NONE-kept}", expect!["done e kept"]);
        check("${A:+yes}${NONE:+no}${EMPTY+set}", expect!["yesset"]);
        check("${NONE:-${EMPTY:-deep}}", expect!["deep"]);
        check("${FILE%.*} ${FILE%%.*} ${FILE#*.} ${FILE##*.}", expect!["a.tar a tar.gz gz"]);
        check("${P/x/q} ${P//\\//-}", expect!["/q/y/z -x-y-z"]);
        check("$ 5$", expect!["$ 5$"]);
    }

    #[test]
    fn quotes_and_escapes_are_taken_away() {
        check(r#"'$A' "$A" \$A "\$A""#, expect!["$A one $A $A"]);
        check(r#""a\nb" a\nb"#, expect![[r"a\nb anb"]]);
    }

    #[test]
    fn mistakes_say_what_is_wrong() {
        check("${A", expect!["error: `${A` has no closing `}`"]);
        check("${A:-x", expect!["error: `${` has no closing `}`"]);
        check("${}", expect!["error: `${` needs a variable's name"]);
        check("${A@Q}", expect!["error: `${A@` is not a form that is supported"]);
        check("${NONE:?needed}", expect!["error: the variable `NONE` is not set: needed"]);
        check("\"x", expect!["error: a quote (\") is opened but never closed"]);
    }

    #[test]
    fn pairs_have_two_forms() {
        assert_eq!(
            pairs("A=1 B=\"x y\"", '\\').unwrap(),
            [("A".into(), "1".into()), ("B".into(), "\"x y\"".into())]
        );
        assert_eq!(pairs("A  x y", '\\').unwrap(), [("A".into(), "x y".into())]);
        assert!(pairs("A=1 B", '\\').unwrap_err().contains("`B` is not of the form"));
        assert!(pairs("A", '\\').unwrap_err().contains("has no value"));
    }

    proptest::proptest! {
        #[test]
        fn any_word_is_expanded_or_refused(word in "([$\\\\{}'\":#%/?+*A-]|.){0,40}") {
            let variables = [("A".to_owned(), "é/x".to_owned())].into();
            let _ = expand(&word, &variables, '\\');
            let _ = split(&word, '\\');
            let _ = pairs(&word, '\\');
        }
    }
}

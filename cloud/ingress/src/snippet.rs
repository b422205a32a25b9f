//! The nginx snippets that templates really use: response and request headers, and `Cache-Control` for
//! static files. Everything else in a snippet is passed over.

use http::{HeaderName, HeaderValue};
use sealos_gateway::{HeaderChange, HeaderRule};

/// What a snippet asks for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Snippet {
    pub(crate) request_headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) response_headers: Vec<HeaderRule>,
}

pub(crate) fn read(text: &str) -> Snippet {
    let mut snippet = Snippet::default();
    let mut when: Vec<Option<String>> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for token in tokens(text) {
        match token {
            Token::Word(word) => words.push(word),
            Token::Open => {
                when.push(condition(&words));
                words.clear();
            }
            Token::Close => {
                when.pop();
                words.clear();
            }
            Token::End => {
                // Inside a condition we do not understand nothing may apply.
                let known = when.iter().all(Option::is_some);
                if known {
                    let innermost = when.last().and_then(Clone::clone);
                    directive(&mut snippet, &words, innermost);
                }
                words.clear();
            }
        }
    }
    snippet
}

/// `if ($request_uri ~* \.(js|css)$)` gives the pattern; other conditions none.
fn condition(words: &[String]) -> Option<String> {
    let text = words.join(" ");
    let inside = text.strip_prefix("if")?.trim().strip_prefix('(')?.strip_suffix(')')?.trim();
    let rest =
        ["$request_uri", "$uri", "$request_filename"].iter().find_map(|name| inside.strip_prefix(name))?;
    let pattern = rest.trim().strip_prefix('~')?;
    let pattern = pattern.strip_prefix('*').unwrap_or(pattern).trim();
    (!pattern.is_empty()).then(|| pattern.to_owned())
}

fn directive(snippet: &mut Snippet, words: &[String], when: Option<String>) {
    let Some((name, arguments)) = words.split_first() else { return };
    let mut change = |header: &str, change: HeaderChange| {
        if let Ok(name) = header.trim().trim_end_matches(':').parse() {
            snippet.response_headers.push(HeaderRule { when: when.clone(), name, change });
        }
    };
    match (name.as_str(), arguments) {
        ("add_header", [header, value, ..]) => {
            if let Some(value) = literal(value) {
                change(header, HeaderChange::Add(value));
            }
        }
        ("more_set_headers", lines) => {
            for line in lines {
                let Some((header, value)) = line.split_once(':') else { continue };
                match literal(value.trim()) {
                    Some(value) if !value.is_empty() => change(header, HeaderChange::Set(value)),
                    Some(_) => change(header, HeaderChange::Remove),
                    None => {}
                }
            }
        }
        ("more_clear_headers" | "proxy_hide_header", headers) => {
            headers.iter().for_each(|header| change(header, HeaderChange::Remove));
        }
        ("expires", [time]) => {
            if let Some(value) = cache_control(time) {
                change("cache-control", HeaderChange::Set(value));
            }
        }
        ("proxy_set_header", [header, value]) => {
            if let (Ok(name), Some(value)) = (header.parse(), literal(value)) {
                snippet.request_headers.push((name, value));
            }
        }
        _ => {}
    }
}

/// A header value without variables: we have none of nginx's.
fn literal(value: &str) -> Option<HeaderValue> {
    if value.contains('$') {
        return None;
    }
    HeaderValue::try_from(value).ok()
}

/// `expires 30d` means `Cache-Control: max-age=2592000`.
fn cache_control(time: &str) -> Option<HeaderValue> {
    let seconds: u64 = match time {
        "max" => 315_360_000,
        "epoch" | "-1" => return HeaderValue::try_from("no-cache").ok(),
        "off" => return None,
        _ => {
            let unit = time.chars().last()?;
            let scale = match unit {
                's' | '0'..='9' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                'w' => 604_800,
                'M' => 2_592_000,
                'y' => 31_536_000,
                _ => return None,
            };
            time.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().ok()?.checked_mul(scale)?
        }
    };
    HeaderValue::try_from(format!("max-age={seconds}")).ok()
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

/// Words, quoted texts, braces and semicolons; braces of a regular expression belong to their word.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut depth = 0_usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '#' if word.is_empty() => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '\'' => {
                while let Some(inner) = chars.next_if(|inner| *inner != c) {
                    let escaped = inner == '\\' && chars.peek() == Some(&c);
                    word.push(if escaped { chars.next().unwrap_or(inner) } else { inner });
                }
                chars.next();
                // An empty text is a word too.
                if depth == 0 {
                    tokens.push(Token::Word(std::mem::take(&mut word)));
                }
            }
            '\\' => {
                word.push(c);
                word.extend(chars.next());
            }
            '(' | ')' => {
                depth = if c == '(' { depth + 1 } else { depth.saturating_sub(1) };
                word.push(c);
            }
            ';' | '{' | '}' if depth == 0 => {
                flush(&mut tokens, &mut word);
                tokens.push(match c {
                    '{' => Token::Open,
                    '}' => Token::Close,
                    _ => Token::End,
                });
            }
            c if c.is_whitespace() && depth == 0 => flush(&mut tokens, &mut word),
            c => word.push(c),
        }
    }
    flush(&mut tokens, &mut word);
    tokens
}

fn flush(tokens: &mut Vec<Token>, word: &mut String) {
    if !word.is_empty() {
        tokens.push(Token::Word(std::mem::take(word)));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let snippet = read(text);
        let mut lines = Vec::new();
        for (name, value) in &snippet.request_headers {
            lines.push(format!("ask {name}: {value:?}"));
        }
        for rule in &snippet.response_headers {
            let when = rule.when.as_deref().map(|when| format!(" when {when}")).unwrap_or_default();
            lines.push(format!("{} {:?}{when}", rule.name, rule.change));
        }
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn caches_static_files() {
        check(
            "if ($request_uri ~* \\.(js|css|gif|jpe?g|png)) {\n  expires 30d;\n  add_header Cache-Control \"public\";\n}",
            expect![[r#"
                cache-control Set("max-age=2592000") when \.(js|css|gif|jpe?g|png)
                cache-control Add("public") when \.(js|css|gif|jpe?g|png)"#]],
        );
    }

    #[test]
    fn lets_the_desktop_frame_an_app() {
        check(
            "more_clear_headers \"X-Frame-Options:\";\nproxy_hide_header Content-Security-Policy;\nmore_set_headers \"Content-Security-Policy: default-src * blob: data:; frame-ancestors *\";",
            expect![[r#"
                x-frame-options Remove
                content-security-policy Remove
                content-security-policy Set("default-src * blob: data:; frame-ancestors *")"#]],
        );
    }

    #[test]
    fn passes_over_the_rest() {
        check(
            "# a note\nproxy_set_header X-Plain yes;\nproxy_set_header Host $http_host;\nif ($http_x = 1) { add_header X-No no; }\nrewrite ^/a /b break;\nadd_header X-Yes 'it is';",
            expect![[r#"
                ask x-plain: "yes"
                x-yes Add("it is")"#]],
        );
        check("}}}{{{;;; if (", expect![""]);
    }
}

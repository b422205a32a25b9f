//! A Dockerfile's text as logical lines: comments gone, continuations joined, heredocs attached.

use super::fault::Fault;

/// One instruction's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins, from 1.
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) heredocs: Vec<Heredoc>,
}

/// Text between `<<NAME` and `NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heredoc {
    pub(super) name: String,
    pub(super) content: String,
    /// Whether variables in it are replaced: the name was not quoted.
    pub(super) expand: bool,
    strip_tabs: bool,
}

/// The lines, and the character that escapes.
pub(super) fn split(text: &str) -> Result<(Vec<Line>, char), Fault> {
    let text = text.trim_start_matches('\u{feff}');
    let physical: Vec<&str> = text.lines().collect();
    let escape = escape_directive(&physical)?;
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(first) = physical.get(at) {
        if is_comment(first) || first.trim().is_empty() {
            at += 1;
            continue;
        }
        let number = at + 1;
        let (text, next) = join(&physical, at, escape);
        let (heredocs, next) = heredocs(&physical, &text, number, next)?;
        lines.push(Line { number, text, heredocs });
        at = next;
    }
    Ok((lines, escape))
}

/// `# escape=` counts only among the directives at the very top.
fn escape_directive(physical: &[&str]) -> Result<char, Fault> {
    for (index, line) in physical.iter().enumerate() {
        let Some((key, value)) = line.trim().strip_prefix('#').and_then(|rest| rest.split_once('=')) else {
            break;
        };
        let key = key.trim().to_lowercase();
        if !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            break;
        }
        if key == "escape" {
            return match value.trim() {
                "\\" => Ok('\\'),
                "`" => Ok('`'),
                other => Err(Fault::new(
                    index + 1,
                    format!("`escape` must be a backslash or a backtick, not `{other}`"),
                )),
            };
        }
    }
    Ok('\\')
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Joins a line with those it continues on. Comments and empty lines in between are skipped.
fn join(physical: &[&str], start: usize, escape: char) -> (String, usize) {
    let mut text = String::new();
    let mut at = start;
    while let Some(line) = physical.get(at) {
        let skipped = at > start && (is_comment(line) || line.trim().is_empty());
        at += 1;
        if skipped {
            continue;
        }
        match line.trim_end().strip_suffix(escape) {
            Some(begin) => text.push_str(begin),
            None => {
                text.push_str(line);
                break;
            }
        }
    }
    (text.trim().to_owned(), at)
}

fn heredocs(
    physical: &[&str],
    text: &str,
    number: usize,
    mut at: usize,
) -> Result<(Vec<Heredoc>, usize), Fault> {
    let keyword = text.split_whitespace().next().unwrap_or_default().to_uppercase();
    if !matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
        return Ok((Vec::new(), at));
    }
    let mut found = markers(text);
    for heredoc in &mut found {
        loop {
            let Some(line) = physical.get(at) else {
                return Err(Fault::new(number, format!("the text after `<<{}` never ends", heredoc.name)));
            };
            at += 1;
            let line = if heredoc.strip_tabs { line.trim_start_matches('\t') } else { line };
            if line == heredoc.name {
                break;
            }
            heredoc.content.push_str(line);
            heredoc.content.push('\n');
        }
    }
    Ok((found, at))
}

/// Every `<<NAME`, `<<-NAME` and `<<"NAME"` outside of quotes.
fn markers(text: &str) -> Vec<Heredoc> {
    let mut found = Vec::new();
    let mut quote = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (_, '\\') if quote != Some('\'') => {
                rest.next();
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, '<') if rest.peek() == Some(&'<') => {
                rest.next();
                // `<<<` feeds a string: no heredoc.
                if rest.peek() == Some(&'<') {
                    while rest.next_if_eq(&'<').is_some() {}
                } else {
                    found.extend(marker(&mut rest));
                }
            }
            _ => {}
        }
    }
    found
}

fn marker(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Heredoc> {
    let strip_tabs = rest.next_if_eq(&'-').is_some();
    let quote = rest.next_if(|c| matches!(c, '\'' | '"'));
    let mut name = String::new();
    while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    if let Some(quote) = quote {
        rest.next_if_eq(&quote)?;
    }
    let good = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    good.then_some(Heredoc { name, content: String::new(), expand: quote.is_none(), strip_tabs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<(usize, String)> {
        split(source).unwrap().0.into_iter().map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn continuations_skip_comments_and_empty_lines() {
        let got = texts("# top\n\nRUN a && \\\n  # why\n\n  b \\ \n  c\nCMD d\n");
        assert_eq!(got, [(3, "RUN a &&   b   c".to_owned()), (8, "CMD d".to_owned())]);
    }

    #[test]
    fn the_escape_directive_counts_at_the_top_only() {
        assert_eq!(texts("# escape=`\nRUN a `\nb\\\n"), [(2, "RUN a b\\".to_owned())]);
        assert_eq!(texts("# note\n# escape=`\nRUN a`\n"), [(3, "RUN a`".to_owned())]);
        assert!(split("# escape=x\n").is_err());
    }

    #[test]
    fn heredocs_end_at_their_name() {
        let source = "COPY <<A <<-'B' /x/\n a\nA\n\t$b\n\tB\nRUN cat <<< word \"<<C\"\n";
        let (lines, _) = split(source).unwrap();
        let docs: Vec<_> =
            lines[0].heredocs.iter().map(|d| (d.name.as_str(), d.content.as_str(), d.expand)).collect();
        assert_eq!(docs, [("A", " a\n", true), ("B", "$b\n", false)]);
        assert!(lines[1].heredocs.is_empty());
        assert_eq!(
            split("RUN <<EOF\nx\n").unwrap_err().to_string(),
            "line 1: the text after `<<EOF` never ends"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_split_or_refused(text in "(RUN|COPY|#|[ \t\n\\\\<'\"-]|[A-Z]{1,3}|<<|.){0,60}") {
            let _ = split(&text);
        }
    }
}

//! `$(NAME)` references in commands, arguments, variables and sub-paths.

/// Replaces every `$(NAME)` that `lookup` knows. `$$` stands for `$`; unknown references stay as written.
pub(crate) fn expand(input: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let tail = tail.strip_prefix('$').unwrap_or(tail);
        if let Some(after) = tail.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = tail.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match lookup(name) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &str, expected: &str) {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "DOLLAR" => Some("$(A)".to_owned()),
            _ => None,
        };
        assert_eq!(expand(input, lookup), expected);
    }

    #[test]
    fn references_are_replaced_once() {
        check("$(A)-$(A)", "1-1");
        check("$(DOLLAR)", "$(A)");
        check("$(MISSING)", "$(MISSING)");
    }

    #[test]
    fn dollars_escape() {
        check("$$(A)", "$(A)");
        check("$$$(A)", "$1");
        check("cost: $5", "cost: $5");
        check("end$", "end$");
        check("open $(A", "open $(A");
    }
}

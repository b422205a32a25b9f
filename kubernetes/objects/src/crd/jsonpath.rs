//! The JSONPath of printer columns: fields, indices, wildcards and `[?(@.a=="b")]` filters.

use serde_json::Value;

/// A parsed path such as `.status.conditions[?(@.type=="Ready")].status`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter {
        path: Vec<String>,
        operator: Operator,
        value: Value,
    },
    /// `[?(@.a)]`: the field is there.
    Has(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
}

impl JsonPath {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text);
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = if let Some(inside) = rest.strip_prefix('[') {
                bracket(inside)?
            } else {
                field(rest.strip_prefix('.').unwrap_or(rest))?
            };
            steps.extend(step);
            rest = after;
        }
        if steps.is_empty() {
            return Err("must not be empty".to_owned());
        }
        Ok(Self { steps })
    }

    /// A path of plain fields.
    pub(crate) fn of(fields: &[&str]) -> Self {
        Self { steps: fields.iter().map(|name| Step::Field((*name).to_owned())).collect() }
    }

    /// Every value the path leads to.
    pub(crate) fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut here = vec![value];
        for step in &self.steps {
            here = here.into_iter().flat_map(|value| step.from(value)).collect();
        }
        here
    }
}

/// A field name; dots escaped by a backslash belong to it.
fn field(text: &str) -> Result<(Option<Step>, &str), String> {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return Ok((named(name)?, text.get(index..).unwrap_or_default())),
            other => name.push(other),
        }
    }
    Ok((named(name)?, ""))
}

fn named(name: String) -> Result<Option<Step>, String> {
    match name.as_str() {
        "" => Err("a field name is missing after '.'".to_owned()),
        "*" => Ok(Some(Step::All)),
        _ => Ok(Some(Step::Field(name))),
    }
}

/// What stands in brackets; `text` begins after the opening one.
fn bracket(text: &str) -> Result<(Option<Step>, &str), String> {
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (']', None) => {
                let inside = text.get(..index).unwrap_or_default().trim();
                return Ok((Some(inner(inside)?), text.get(index + 1..).unwrap_or_default()));
            }
            _ => {}
        }
    }
    Err("unterminated array".to_owned())
}

fn inner(text: &str) -> Result<Step, String> {
    if text == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = quoted(text) {
        return Ok(Step::Field(name.to_owned()));
    }
    if let Ok(index) = text.parse() {
        return Ok(Step::Index(index));
    }
    match text.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        Some(condition) => filter(condition.trim()),
        None => Err(format!("invalid array index {text}")),
    }
}

fn quoted(text: &str) -> Option<&str> {
    ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
}

fn filter(condition: &str) -> Result<Step, String> {
    for (token, operator) in [("==", Operator::Equal), ("!=", Operator::Unequal)] {
        if let Some((left, right)) = condition.split_once(token) {
            let right = right.trim();
            let value = match quoted(right) {
                Some(text) => Value::from(text),
                None => serde_json::from_str(right)
                    .map_err(|_| format!("unrecognized value {right} in a filter"))?,
            };
            return Ok(Step::Filter { path: relative(left)?, operator, value });
        }
    }
    relative(condition).map(Step::Has)
}

/// `@.a.b` as keys.
fn relative(text: &str) -> Result<Vec<String>, String> {
    let path =
        text.trim().strip_prefix('@').ok_or_else(|| format!("a filter must begin with @, not {text}"))?;
    Ok(path.split('.').filter(|key| !key.is_empty()).map(ToOwned::to_owned).collect())
}

fn walk<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |here, key| here.get(key))
}

impl Step {
    fn from<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let items = || value.as_array().map_or(&[] as &[Value], Vec::as_slice).iter();
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => {
                let length = items().len();
                let index = if *index < 0 {
                    length.checked_sub(index.unsigned_abs() as usize)
                } else {
                    usize::try_from(*index).ok()
                };
                index.and_then(|index| value.get(index)).into_iter().collect()
            }
            Self::All => match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(map) => map.values().collect(),
                _ => Vec::new(),
            },
            Self::Filter { path, operator, value } => {
                let equal =
                    |item: &&Value| (walk(item, path) == Some(value)) == (*operator == Operator::Equal);
                items().filter(equal).collect()
            }
            Self::Has(path) => items().filter(|item| walk(item, path).is_some()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(path: &str, expected: &[Value]) {
        let object = json!({
            "spec": {"replicas": 3, "a.b": "dotted", "list": [1, 2, 3]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}]}
        });
        let path = JsonPath::parse(path).expect(path);
        assert_eq!(path.find(&object).into_iter().cloned().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn finds() {
        check(".spec.replicas", &[json!(3)]);
        check("{.spec.replicas}", &[json!(3)]);
        check(r#".status.conditions[?(@.type=="Ready")].status"#, &[json!("True")]);
        check(".status.conditions[?(@.type!='Ready')].type", &[json!("Synced")]);
        check(".status.conditions[*].type", &[json!("Ready"), json!("Synced")]);
        check(".spec.list[0]", &[json!(1)]);
        check(".spec.list[-1]", &[json!(3)]);
        check(r".spec.a\.b", &[json!("dotted")]);
        check(".spec['a.b']", &[json!("dotted")]);
        check(".spec.missing.deep", &[]);
    }

    #[test]
    fn refuses() {
        for bad in ["", ".", ".a[", ".a[x]", ".a..b"] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
    }
}

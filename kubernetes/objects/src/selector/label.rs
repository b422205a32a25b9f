//! Label selectors in both spellings: `a=b,c in (d,e),!f` and the JSON with `matchLabels`.

use serde_json::{Map, Value};

use super::ParseError;

/// All requirements must hold; none at all selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

impl LabelSelector {
    /// Parses the text of a `labelSelector` query parameter.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser { rest: text };
        let mut requirements = Vec::new();
        parser.space();
        while !parser.rest.is_empty() {
            requirements.push(parser.requirement()?);
            parser.space();
            if parser.rest.is_empty() {
                break;
            }
            parser.expect(",")?;
            parser.space();
            if parser.rest.is_empty() {
                return Err(parser.unexpected("identifier after ','"));
            }
        }
        Ok(Self { requirements })
    }

    /// Reads a `{matchLabels, matchExpressions}` object. `None` for null: such a selector selects nothing.
    pub fn from_json(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let mut requirements = Vec::new();
        for (key, value) in object.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            requirements.push(Requirement::equals(key, value.as_str().unwrap_or_default()));
        }
        for expression in object.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            requirements.push(Requirement::from_json(expression)?);
        }
        Some(Self { requirements })
    }

    /// Reads a plain map of labels, as in a Service's `spec.selector`.
    pub fn from_map(map: &Map<String, Value>) -> Self {
        let equals =
            |(key, value): (&String, &Value)| Requirement::equals(key, value.as_str().unwrap_or_default());
        Self { requirements: map.iter().map(equals).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object's labels satisfy every requirement.
    pub fn matches(&self, object: &Value) -> bool {
        self.is_empty() || self.matches_labels(crate::value::map(object, &["metadata", "labels"]))
    }

    /// Whether these labels satisfy every requirement.
    pub fn matches_labels(&self, labels: Option<&Map<String, Value>>) -> bool {
        let get = |key: &str| labels.and_then(|map| map.get(key)).and_then(Value::as_str);
        self.requirements.iter().all(|requirement| requirement.holds(get(&requirement.key)))
    }
}

/// The text form, as `kubectl get -o wide` shows a selector.
impl std::fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::In if self.values.len() == 1 => write!(f, "{key}={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn if self.values.len() == 1 => write!(f, "{key}!={values}"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl Requirement {
    fn equals(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), operator: Operator::In, values: vec![value.to_owned()] }
    }

    fn from_json(value: &Value) -> Option<Self> {
        let operator = match value.get("operator")?.as_str()? {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        let values = value.get("values").and_then(Value::as_array).into_iter().flatten();
        let values = values.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        Some(Self { key: value.get("key")?.as_str()?.to_owned(), operator, values })
    }

    fn holds(&self, label: Option<&str>) -> bool {
        let listed = |text: &str| self.values.iter().any(|value| value == text);
        let number = |text: &str| text.parse::<i64>().ok();
        let bound = || self.values.first().and_then(|value| number(value));
        match self.operator {
            Operator::In => label.is_some_and(listed),
            Operator::NotIn => label.is_none_or(|text| !listed(text)),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => label.and_then(number).zip(bound()).is_some_and(|(a, b)| a > b),
            Operator::LessThan => label.and_then(number).zip(bound()).is_some_and(|(a, b)| a < b),
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        ParseError(format!("found '{}', expected: {wanted}", self.rest))
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), ParseError> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected(&format!("'{token}'"))) }
    }

    /// A run of characters that may stand in a key or value; may be empty.
    fn word(&mut self) -> &'a str {
        let end =
            self.rest.find(|c: char| c.is_whitespace() || "=!,()<>".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn key(&mut self) -> Result<String, ParseError> {
        let key = self.word();
        if key.is_empty() {
            return Err(self.unexpected("identifier"));
        }
        match crate::validate::names::qualified_name(key) {
            None => Ok(key.to_owned()),
            Some(problem) => Err(ParseError(format!("<nil>: Invalid value: {key:?}: {problem}"))),
        }
    }

    fn value(&mut self, key: &str) -> Result<String, ParseError> {
        let value = self.word();
        match crate::validate::names::label_value(value) {
            None => Ok(value.to_owned()),
            Some(problem) => {
                Err(ParseError(format!("values[0][{key}]: Invalid value: {value:?}: {problem}")))
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, ParseError> {
        if self.eat("!") {
            self.space();
            return Ok(Requirement {
                key: self.key()?,
                operator: Operator::DoesNotExist,
                values: Vec::new(),
            });
        }
        let key = self.key()?;
        self.space();
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok(Requirement { key, operator: Operator::Exists, values: Vec::new() });
        }
        let (operator, values) = self.condition(&key)?;
        Ok(Requirement { key, operator, values })
    }

    fn condition(&mut self, key: &str) -> Result<(Operator, Vec<String>), ParseError> {
        for (token, operator) in [
            ("==", Operator::In),
            ("=", Operator::In),
            ("!=", Operator::NotIn),
            (">", Operator::GreaterThan),
            ("<", Operator::LessThan),
        ] {
            if self.eat(token) {
                self.space();
                return self.single(key, operator);
            }
        }
        let before = self.rest;
        let operator = match self.word() {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            _ => {
                self.rest = before;
                return Err(self.unexpected("'in', 'notin', '=', '==', '!=', 'gt', 'lt'"));
            }
        };
        self.space();
        Ok((operator, self.set(key)?))
    }

    fn single(&mut self, key: &str, operator: Operator) -> Result<(Operator, Vec<String>), ParseError> {
        let value = self.value(key)?;
        let ordered = matches!(operator, Operator::GreaterThan | Operator::LessThan);
        if ordered && value.parse::<i64>().is_err() {
            let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
            return Err(ParseError(format!("values[0][{key}]: Invalid value: {value:?}: {detail}")));
        }
        Ok((operator, vec![value]))
    }

    fn set(&mut self, key: &str) -> Result<Vec<String>, ParseError> {
        self.expect("(")?;
        let mut values = Vec::new();
        loop {
            self.space();
            values.push(self.value(key)?);
            self.space();
            if self.eat(")") {
                values.sort();
                values.dedup();
                return Ok(values);
            }
            self.expect(",")?;
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&LabelSelector::parse(text).map_or_else(|e| e.to_string(), |s| s.to_string()));
    }

    #[test]
    fn parses() {
        check("", expect![""]);
        check("a=b", expect!["a=b"]);
        check("a==b, c != d", expect!["a=b,c!=d"]);
        check("env in (prod, dev),!x,y", expect!["env in (dev,prod),!x,y"]);
        check("app.kubernetes.io/name notin (a,b)", expect!["app.kubernetes.io/name notin (a,b)"]);
        check("a=", expect!["a="]);
        check("n>3,n<9", expect!["n>3,n<9"]);
    }

    #[test]
    fn refuses() {
        check("a=b,", expect!["unable to parse requirement: found '', expected: identifier after ','"]);
        check(
            "a b",
            expect![
                "unable to parse requirement: found 'b', expected: 'in', 'notin', '=', '==', '!=', 'gt', 'lt'"
            ],
        );
        check("=x", expect!["unable to parse requirement: found '=x', expected: identifier"]);
        check("a in b", expect!["unable to parse requirement: found 'b', expected: '('"]);
    }

    #[test]
    fn matches() {
        let labels = json!({"metadata": {"labels": {"app": "web", "tier": "2"}}});
        for (text, expected) in [
            ("app=web", true),
            ("app!=web", false),
            ("app in (api,web)", true),
            ("missing!=x", true),
            ("missing notin (x)", true),
            ("!missing", true),
            ("missing", false),
            ("tier>1", true),
            ("tier<2", false),
            ("", true),
        ] {
            assert_eq!(LabelSelector::parse(text).expect(text).matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn reads_json() {
        let selector = LabelSelector::from_json(&json!({
            "matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "c", "operator": "Exists"}]
        }));
        assert_eq!(selector.map(|s| s.to_string()).as_deref(), Some("a=b,c"));
        assert_eq!(LabelSelector::from_json(&Value::Null), None);
    }

    proptest! {
        #[test]
        fn survives_printing(keys in proptest::collection::vec("[a-z]{1,8}", 1..4), value in "[a-z0-9]{0,5}") {
            let text = keys.iter().map(|key| format!("{key}={value}")).collect::<Vec<_>>().join(",");
            let once = LabelSelector::parse(&text).expect("a selector");
            prop_assert_eq!(&once, &LabelSelector::parse(&once.to_string()).expect("printed form parses"));
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = LabelSelector::parse(&text);
        }
    }
}

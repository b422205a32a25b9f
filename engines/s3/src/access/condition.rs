//! Conditions of policies. A key or operator we cannot honour is refused when the policy is set.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderMap, Uri};
use ipnet::IpNet;
use serde_json::{Map, Value};

use super::pattern::matches;
use crate::auth::Caller;
use crate::store::VersionId;
use crate::time;

/// What conditions may ask about a request, by lower-case key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Context {
    values: BTreeMap<String, String>,
}

const EXISTING_TAG: &str = "s3:existingobjecttag/";
const REQUEST_TAG: &str = "s3:requestobjecttag/";

/// Keys that come from the query by the same name.
const QUERY: [&str; 3] = ["prefix", "delimiter", "max-keys"];

/// Keys that come from headers by the same name.
const HEADERS: [&str; 7] = [
    "x-amz-acl",
    "x-amz-copy-source",
    "x-amz-metadata-directive",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-content-sha256",
    "x-amz-grant-read",
];

/// Keys with a source of their own.
const OTHERS: [&str; 9] = [
    "aws:sourceip",
    "aws:useragent",
    "aws:referer",
    "aws:securetransport",
    "aws:username",
    "aws:userid",
    "aws:currenttime",
    "aws:epochtime",
    "s3:versionid",
];

impl Context {
    pub(crate) fn new(caller: &Caller, headers: &HeaderMap, uri: &Uri) -> Self {
        let mut context = Self::default();
        let now = std::time::SystemTime::now();
        context.set("aws:securetransport", forwarded_https(headers));
        context.set("aws:currenttime", time::iso(now));
        context.set("aws:epochtime", time::seconds(now).to_string());
        if let Some(peer) = caller.peer {
            context.set("aws:sourceip", peer.to_string());
        }
        if let Some(user) = &caller.user {
            context.set("aws:username", user.clone());
            context.set("aws:userid", user.clone());
        }
        for (key, header) in [("aws:useragent", "user-agent"), ("aws:referer", "referer")] {
            context.set_some(key, header_text(headers, header));
        }
        for header in HEADERS {
            context.set_some(&format!("s3:{header}"), header_text(headers, header));
        }
        context.query(uri);
        if let Some(tags) = header_text(headers, "x-amz-tagging") {
            for (name, value) in form_urlencoded::parse(tags.as_bytes()) {
                context.set(&format!("{REQUEST_TAG}{name}"), value.into_owned());
            }
        }
        context
    }

    fn query(&mut self, uri: &Uri) {
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if QUERY.contains(&name.as_ref()) {
                self.set(&format!("s3:{name}"), value.into_owned());
            } else if name == "versionId" {
                self.set("s3:versionid", value.into_owned());
            }
        }
    }

    /// Adds the tags the object has.
    pub(super) fn existing_tags(&mut self, tags: &[(String, String)]) {
        for (name, value) in tags {
            self.set(&format!("{EXISTING_TAG}{name}"), value.clone());
        }
    }

    /// The version the request names.
    pub(super) fn version(&self) -> Option<VersionId> {
        self.values.get("s3:versionid").and_then(|text| text.parse().ok())
    }

    fn set(&mut self, key: &str, value: String) {
        self.values.insert(key.to_ascii_lowercase(), value);
    }

    fn set_some(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The gateway in front says so; the service itself speaks plain HTTP.
fn forwarded_https(headers: &HeaderMap) -> String {
    let https = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    https.to_string()
}

/// One key of one operator, with the values it is compared to.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    test: Test,
    /// `…IfExists`: holds when the request does not have the key.
    if_exists: bool,
    key: String,
    values: Vec<String>,
    nets: Vec<IpNet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equals { ignore_case: bool, not: bool },
    Like { not: bool },
    Number(Order),
    Date(Order),
    Bool,
    Ip { not: bool },
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    pub(super) fn parse_all(raw: Map<String, Value>) -> Result<Vec<Self>, String> {
        let mut conditions = Vec::new();
        for (operator, keys) in raw {
            let Value::Object(keys) = keys else {
                return Err(format!("Condition {operator}: give keys and values"));
            };
            for (key, values) in keys {
                conditions.push(Self::parse(&operator, &key, values)?);
            }
        }
        Ok(conditions)
    }

    fn parse(operator: &str, key: &str, values: Value) -> Result<Self, String> {
        let (plain, if_exists) = match operator.strip_suffix("IfExists") {
            Some(plain) => (plain, true),
            None => (operator, false),
        };
        let test =
            Test::parse(plain).ok_or_else(|| format!("Condition operator `{operator}` is not supported"))?;
        let lower = key.to_ascii_lowercase();
        if !known(&lower) {
            return Err(format!("Condition key `{key}` is not supported"));
        }
        let values = texts(values).ok_or_else(|| format!("Condition {operator} {key}: give text values"))?;
        let mut nets = Vec::new();
        if matches!(test, Test::Ip { .. }) {
            for value in &values {
                nets.push(
                    net(value)
                        .ok_or_else(|| format!("Condition {operator}: `{value}` is no address range"))?,
                );
            }
        }
        Ok(Self { test, if_exists, key: lower, values, nets })
    }

    pub(super) fn asks_for_tags(&self) -> bool {
        self.key.starts_with(EXISTING_TAG)
    }

    /// Whether it narrows who may: an address range that is not all of them, or a user.
    pub(super) fn narrows_who(&self) -> bool {
        match self.test {
            Test::Ip { not: false } => self.nets.iter().all(|net| net.prefix_len() > 0),
            Test::Equals { not: false, .. } => matches!(self.key.as_str(), "aws:username" | "aws:userid"),
            _ => false,
        }
    }

    pub(super) fn holds(&self, context: &Context) -> bool {
        let value = context.values.get(&self.key).map(String::as_str);
        if self.test == Test::Null {
            return self.values.iter().any(|wanted| (wanted == "true") == value.is_none());
        }
        let Some(value) = value else {
            return self.if_exists || self.test.is_negative();
        };
        self.test.holds(value, self)
    }
}

impl Test {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "StringEquals" => Self::Equals { ignore_case: false, not: false },
            "StringNotEquals" => Self::Equals { ignore_case: false, not: true },
            "StringEqualsIgnoreCase" => Self::Equals { ignore_case: true, not: false },
            "StringNotEqualsIgnoreCase" => Self::Equals { ignore_case: true, not: true },
            "StringLike" => Self::Like { not: false },
            "StringNotLike" => Self::Like { not: true },
            "Bool" => Self::Bool,
            "IpAddress" => Self::Ip { not: false },
            "NotIpAddress" => Self::Ip { not: true },
            "Null" => Self::Null,
            _ => match (name.strip_prefix("Numeric"), name.strip_prefix("Date")) {
                (Some(order), _) => Self::Number(Order::parse(order)?),
                (_, Some(order)) => Self::Date(Order::parse(order)?),
                _ => return None,
            },
        })
    }

    fn is_negative(self) -> bool {
        matches!(
            self,
            Self::Equals { not: true, .. }
                | Self::Like { not: true }
                | Self::Ip { not: true }
                | Self::Number(Order::NotEqual)
                | Self::Date(Order::NotEqual)
        )
    }

    fn holds(self, value: &str, condition: &Condition) -> bool {
        let any = |test: &dyn Fn(&str) -> bool| condition.values.iter().any(|wanted| test(wanted));
        match self {
            Self::Equals { ignore_case: false, not } => any(&|wanted| wanted == value) != not,
            Self::Equals { ignore_case: true, not } => {
                any(&|wanted| wanted.eq_ignore_ascii_case(value)) != not
            }
            Self::Like { not } => any(&|wanted| matches(wanted, value)) != not,
            Self::Bool => any(&|wanted| wanted.eq_ignore_ascii_case(value)),
            Self::Ip { not } => {
                let address: Option<IpAddr> = value.parse().ok();
                let inside =
                    address.is_some_and(|address| condition.nets.iter().any(|net| net.contains(&address)));
                inside != not
            }
            Self::Number(order) => compare(order, value, condition, |text| text.parse().ok()),
            Self::Date(order) => compare(order, value, condition, date),
            Self::Null => false,
        }
    }
}

fn compare(order: Order, value: &str, condition: &Condition, read: fn(&str) -> Option<f64>) -> bool {
    let Some(value) = read(value) else { return false };
    let mut wanted = condition.values.iter().filter_map(|text| read(text));
    match order {
        Order::NotEqual => wanted.all(|wanted| value != wanted),
        _ => wanted.any(|wanted| order.holds(value, wanted)),
    }
}

impl Order {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Equals" => Self::Equal,
            "NotEquals" => Self::NotEqual,
            "LessThan" => Self::Less,
            "LessThanEquals" => Self::LessOrEqual,
            "GreaterThan" => Self::Greater,
            "GreaterThanEquals" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
        }
    }
}

fn known(key: &str) -> bool {
    let from_query = |key: &str| QUERY.contains(&key) || HEADERS.contains(&key);
    OTHERS.contains(&key)
        || key.strip_prefix("s3:").is_some_and(from_query)
        || key.starts_with(EXISTING_TAG)
        || key.starts_with(REQUEST_TAG)
}

fn texts(value: Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    match value {
        Value::Array(list) => list.iter().map(one).collect(),
        other => one(&other).map(|text| vec![text]),
    }
}

fn net(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Seconds since 1970, from a date or a number.
fn date(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let stamp = s3s::dto::Timestamp::parse(s3s::dto::TimestampFormat::DateTime, text).ok()?;
    #[expect(clippy::cast_precision_loss, reason = "seconds fit")]
    Some(time::seconds(time::system(&stamp)) as f64)
}

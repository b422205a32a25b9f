//! Bucket policies: parsed strictly, so that nothing is accepted that would then be ignored.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::What;
use super::condition::{Condition, Context};
use super::pattern::matches;
use crate::auth::Caller;

/// The largest policy S3 takes.
const LARGEST: usize = 20 * 1024;

/// What a policy says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allow,
    Deny,
    Silent,
}

/// A bucket policy that was understood in full.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
}

#[derive(Debug, Clone)]
struct Statement {
    deny: bool,
    principal: Principal,
    /// The principals are those it is not about.
    but_principal: bool,
    actions: Vec<String>,
    but_actions: bool,
    resources: Vec<String>,
    but_resources: bool,
    conditions: Vec<Condition>,
}

#[derive(Debug, Clone)]
enum Principal {
    Everybody,
    /// User names; `*` only as a whole.
    Users(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "Version")]
    version: Option<String>,
    #[serde(rename = "Id")]
    _id: Option<String>,
    #[serde(rename = "Statement")]
    statement: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawStatement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: String,
    principal: Option<Value>,
    not_principal: Option<Value>,
    action: Option<OneOrMany<String>>,
    not_action: Option<OneOrMany<String>>,
    resource: Option<OneOrMany<String>>,
    not_resource: Option<OneOrMany<String>>,
    condition: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl Policy {
    /// Reads the policy of a bucket, or says what is wrong with it.
    pub(crate) fn parse(text: &[u8], bucket: &str) -> Result<Self, String> {
        if text.len() > LARGEST {
            return Err("a policy may have 20 KiB".to_owned());
        }
        let document: Document = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match document.version.as_deref() {
            None | Some("2012-10-17" | "2008-10-17") => {}
            Some(other) => return Err(format!("Version must be 2012-10-17, not `{other}`")),
        }
        // Not by an untagged enum: that would not say which field is wrong.
        let raw: Vec<Value> = match document.statement {
            Value::Array(many) => many,
            one => vec![one],
        };
        let read = |raw| serde_json::from_value(raw).map_err(|error| format!("Statement: {error}"));
        let statements: Vec<Statement> =
            raw.into_iter().map(|raw| Statement::check(read(raw)?, bucket)).collect::<Result<_, _>>()?;
        if statements.is_empty() {
            return Err("Statement must not be empty".to_owned());
        }
        Ok(Self { statements })
    }

    pub(super) fn judge(&self, caller: &Caller, what: What<'_>, context: &Context) -> Verdict {
        let mut verdict = Verdict::Silent;
        for statement in &self.statements {
            if statement.is_about(caller, what, context) {
                if statement.deny {
                    return Verdict::Deny;
                }
                verdict = Verdict::Allow;
            }
        }
        verdict
    }

    /// Whether judging needs the tags an object has.
    pub(super) fn asks_for_tags(&self) -> bool {
        self.statements.iter().flat_map(|s| &s.conditions).any(Condition::asks_for_tags)
    }

    /// Whether everybody is allowed something, without a condition that narrows who.
    pub(crate) fn is_public(&self) -> bool {
        self.statements.iter().any(|s| {
            let everybody = matches!(s.principal, Principal::Everybody) != s.but_principal;
            !s.deny && everybody && !s.conditions.iter().any(Condition::narrows_who)
        })
    }
}

impl Statement {
    fn check(raw: RawStatement, bucket: &str) -> Result<Self, String> {
        let deny = match raw.effect.as_str() {
            "Allow" => false,
            "Deny" => true,
            other => return Err(format!("Effect must be Allow or Deny, not `{other}`")),
        };
        let (principal, but_principal) = match (raw.principal, raw.not_principal) {
            (Some(value), None) => (principal(value)?, false),
            (None, Some(value)) if deny => (principal(value)?, true),
            (None, Some(_)) => return Err("NotPrincipal works with Deny only".to_owned()),
            _ => return Err("a statement needs Principal or NotPrincipal, and not both".to_owned()),
        };
        let (actions, but_actions) = either("Action", raw.action, raw.not_action)?;
        let (resources, but_resources) = either("Resource", raw.resource, raw.not_resource)?;
        actions.iter().try_for_each(|action| check_action(action))?;
        resources.iter().try_for_each(|resource| check_resource(resource, bucket))?;
        let conditions = Condition::parse_all(raw.condition.unwrap_or_default())?;
        Ok(Self {
            deny,
            principal,
            but_principal,
            actions,
            but_actions,
            resources,
            but_resources,
            conditions,
        })
    }

    fn is_about(&self, caller: &Caller, what: What<'_>, context: &Context) -> bool {
        let action = what.action.to_ascii_lowercase();
        let resource = match what.key {
            Some(key) => format!("arn:aws:s3:::{}/{key}", what.bucket),
            None => format!("arn:aws:s3:::{}", what.bucket),
        };
        let acts = self.actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action));
        let there = self.resources.iter().any(|pattern| matches(pattern, &resource));
        self.principal.includes(caller) != self.but_principal
            && acts != self.but_actions
            && there != self.but_resources
            && self.conditions.iter().all(|condition| condition.holds(context))
    }
}

impl Principal {
    fn includes(&self, caller: &Caller) -> bool {
        match self {
            Self::Everybody => true,
            Self::Users(users) => {
                // A key for one bucket is not its user elsewhere.
                let user = caller.user.as_ref().filter(|_| caller.only.is_none());
                user.is_some_and(|user| users.contains(user))
            }
        }
    }
}

fn either(
    name: &str,
    yes: Option<OneOrMany<String>>,
    no: Option<OneOrMany<String>>,
) -> Result<(Vec<String>, bool), String> {
    let (list, but) = match (yes, no) {
        (Some(list), None) => (list.into_vec(), false),
        (None, Some(list)) => (list.into_vec(), true),
        _ => return Err(format!("a statement needs {name} or Not{name}, and not both")),
    };
    if list.is_empty() {
        return Err(format!("{name} must not be empty"));
    }
    Ok((list, but))
}

/// `*`, `{"AWS": "*"}`, `{"AWS": ["arn:aws:iam:::user/shop", "shop"]}`.
fn principal(value: Value) -> Result<Principal, String> {
    let names: OneOrMany<String> = match value {
        Value::String(text) if text == "*" => return Ok(Principal::Everybody),
        Value::Object(mut map) if map.len() == 1 => match map.remove("AWS") {
            Some(names) => serde_json::from_value(names).map_err(|error| format!("Principal: {error}"))?,
            None => return Err("Principal knows `AWS` only: there are no services or federations".to_owned()),
        },
        _ => return Err(r#"Principal must be "*" or {"AWS": …}"#.to_owned()),
    };
    let names = names.into_vec();
    if names.is_empty() {
        return Err("Principal must not be empty".to_owned());
    }
    if names.iter().any(|name| name == "*") {
        return Ok(Principal::Everybody);
    }
    names.iter().map(|name| user(name)).collect::<Result<_, _>>().map(Principal::Users)
}

/// The user an ARN or a bare name means. Accounts and users are one here.
fn user(name: &str) -> Result<String, String> {
    let invalid = || format!("Principal `{name}`: give a user's name or `arn:aws:iam::<user>:root`");
    let Some(arn) = name.strip_prefix("arn:aws:iam::") else {
        return if name.is_empty() || name.contains([':', '*', '?']) {
            Err(invalid())
        } else {
            Ok(name.to_owned())
        };
    };
    let (account, rest) = arn.split_once(':').ok_or_else(invalid)?;
    let user = match rest {
        "root" if !account.is_empty() => account,
        _ => rest.strip_prefix("user/").filter(|user| !user.is_empty()).ok_or_else(invalid)?,
    };
    if user.contains(['*', '?']) { Err(invalid()) } else { Ok(user.to_owned()) }
}

fn check_action(action: &str) -> Result<(), String> {
    if action == "*" || action.to_ascii_lowercase().starts_with("s3:") {
        return Ok(());
    }
    Err(format!("Action `{action}`: S3 actions begin with `s3:`"))
}

fn check_resource(resource: &str, bucket: &str) -> Result<(), String> {
    if resource == "*" {
        return Ok(());
    }
    let Some(path) = resource.strip_prefix("arn:aws:s3:::") else {
        return Err(format!("Resource `{resource}`: resources begin with `arn:aws:s3:::`"));
    };
    let named = path.split('/').next().unwrap_or_default();
    if matches(named, bucket) {
        return Ok(());
    }
    Err(format!("Resource `{resource}` is not of the bucket `{bucket}`"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Uri};

    use super::*;

    fn judge(policy: &str, user: Option<&str>, action: &str, key: Option<&str>) -> Verdict {
        let policy = Policy::parse(policy.as_bytes(), "b").expect("a policy");
        let caller = Caller {
            user: user.map(str::to_owned),
            peer: Some("10.1.2.3".parse().expect("an address")),
            ..Caller::default()
        };
        let uri = Uri::from_static("/b?prefix=home%2Fme");
        let context = Context::new(&caller, &HeaderMap::new(), &uri);
        policy.judge(&caller, What { action, bucket: "b", key }, &context)
    }

    fn statement(rest: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{{{rest}}}]}}"#)
    }

    #[test]
    fn deny_wins() {
        let policy = r#"{"Statement":[
            {"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b/*"},
            {"Effect":"Deny","Principal":{"AWS":"arn:aws:iam::eve:root"},"Action":"s3:Put*","Resource":"*"}]}"#;
        assert_eq!(judge(policy, Some("bob"), "s3:PutObject", Some("k")), Verdict::Allow);
        assert_eq!(judge(policy, Some("eve"), "s3:PutObject", Some("k")), Verdict::Deny);
        assert_eq!(judge(policy, Some("eve"), "s3:GetObject", Some("k")), Verdict::Allow);
        assert_eq!(judge(policy, None, "s3:ListBucket", None), Verdict::Silent);
    }

    #[test]
    fn conditions_narrow() {
        let net = |net: &str| {
            statement(&format!(
                r#""Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b",
                "Condition":{{"IpAddress":{{"aws:SourceIp":"{net}"}},"StringLike":{{"s3:prefix":["home/*"]}}}}"#
            ))
        };
        assert_eq!(judge(&net("10.0.0.0/8"), None, "s3:ListBucket", None), Verdict::Allow);
        assert_eq!(judge(&net("192.168.0.0/16"), None, "s3:ListBucket", None), Verdict::Silent);
    }

    #[test]
    fn refuses_what_it_would_ignore() {
        for (rest, part) in [
            (r#""Effect":"Maybe","Principal":"*","Action":"s3:*","Resource":"*""#, "Effect"),
            (r#""Effect":"Allow","Action":"s3:*","Resource":"*""#, "Principal"),
            (r#""Effect":"Allow","Principal":{"Service":"x"},"Action":"s3:*","Resource":"*""#, "Principal"),
            (r#""Effect":"Allow","Principal":"*","Action":"ec2:*","Resource":"*""#, "Action"),
            (
                r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::other/*""#,
                "Resource",
            ),
            (r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Extra":1"#, "Extra"),
            (
                r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"Odd":{"a":"b"}}"#,
                "Odd",
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*",
                "Condition":{"StringEquals":{"aws:PrincipalOrgID":"b"}}"#,
                "PrincipalOrgID",
            ),
        ] {
            let error = Policy::parse(statement(rest).as_bytes(), "b").expect_err(rest);
            assert!(error.contains(part), "{error}");
        }
    }
}

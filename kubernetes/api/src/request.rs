//! What a request asks for, read from its method, path and query.

use std::collections::HashMap;

use http::{Method, Uri};

use crate::status::Status;

/// A request for a resource, or for a path that is none.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Resource(Attributes),
    /// `/healthz`, `/version`, discovery and the like.
    Path,
}

/// The parts that routing and access rules look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// What follows the subresource, for proxies.
    pub(crate) rest: String,
}

/// The query, decoded; the first value of a repeated key wins except in [`Query::all`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    index: HashMap<String, usize>,
}

impl Query {
    pub(crate) fn parse(uri: &Uri) -> Self {
        let mut query = Self::default();
        for pair in uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key, true), decode(value, true));
            query.index.entry(key.clone()).or_insert(query.pairs.len());
            query.pairs.push((key, value));
        }
        query
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.index.get(key).map(|at| self.pairs[*at].1.as_str())
    }

    /// The value unless it is empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).filter(|value| !value.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(own, _)| own == key).map(|(_, value)| value.as_str())
    }

    /// As Kubernetes reads booleans in a query: present means true unless it says otherwise.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !matches!(value, "0" | "false" | "False" | "FALSE"))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<u64>, Status> {
        let Some(text) = self.text(key) else { return Ok(None) };
        let invalid = || Status::bad_request(format!("invalid value {text:?} for the query parameter {key}"));
        text.parse().map(Some).map_err(|_| invalid())
    }
}

impl Target {
    pub(crate) fn parse(method: &Method, uri: &Uri, query: &Query) -> Result<Self, Status> {
        let segments: Vec<String> =
            uri.path().split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect();
        let mut parts = segments.iter().map(String::as_str);
        let (group, version) = match parts.next() {
            Some("api") => (Some(""), parts.next()),
            Some("apis") => (parts.next(), parts.next()),
            _ => return Ok(Self::Path),
        };
        let (Some(group), Some(version)) = (group, version) else { return Ok(Self::Path) };
        let rest: Vec<&str> = parts.collect();
        if rest.is_empty() {
            return Ok(Self::Path);
        }
        let mut attributes =
            Attributes { group: group.to_owned(), version: version.to_owned(), ..Attributes::default() };
        attributes.place(&rest, uri.path().ends_with('/'));
        attributes.verb = attributes.verb_of(method, query)?.to_owned();
        Ok(Self::Resource(attributes))
    }
}

impl Attributes {
    fn place(&mut self, rest: &[&str], slash: bool) {
        let own = match rest {
            ["namespaces", namespace, resource, tail @ ..]
                if !(self.group.is_empty() && matches!(*resource, "status" | "finalize")) =>
            {
                self.namespace = (*namespace).to_owned();
                std::iter::once(*resource).chain(tail.iter().copied()).collect()
            }
            _ => rest.to_vec(),
        };
        let mut own = own.into_iter();
        self.resource = own.next().unwrap_or_default().to_owned();
        self.name = own.next().unwrap_or_default().to_owned();
        self.subresource = own.next().unwrap_or_default().to_owned();
        self.rest = own.collect::<Vec<_>>().join("/");
        if slash && !self.rest.is_empty() {
            self.rest.push('/');
        }
        if self.group.is_empty() && self.resource == "namespaces" {
            self.namespace.clone_from(&self.name);
        }
    }

    fn verb_of(&self, method: &Method, query: &Query) -> Result<&'static str, Status> {
        let whole = self.name.is_empty();
        match method.as_str() {
            "GET" | "HEAD" if query.flag("watch") && self.subresource.is_empty() => Ok("watch"),
            "GET" | "HEAD" if whole => Ok("list"),
            "GET" | "HEAD" => Ok("get"),
            "POST" => Ok("create"),
            "PUT" => Ok("update"),
            "PATCH" => Ok("patch"),
            "DELETE" if whole => Ok("deletecollection"),
            "DELETE" => Ok("delete"),
            other => Err(Status::method_not_allowed(format!("the method {other} is not known here"))),
        }
    }

    /// The path without what follows the resource and name, as messages print it.
    pub(crate) fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

/// Undoes percent encoding; what is not valid stays as it is.
fn decode(text: &str, plus: bool) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) if plus => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: Method, path: &str) -> Attributes {
        let uri: Uri = path.parse().expect("the test writes valid paths");
        match Target::parse(&method, &uri, &Query::parse(&uri)) {
            Ok(Target::Resource(attributes)) => attributes,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn reads_namespaced_paths() {
        let pod = parse(Method::GET, "/api/v1/namespaces/default/pods/web/log?follow=true");
        assert_eq!((pod.verb.as_str(), pod.namespace.as_str()), ("get", "default"));
        assert_eq!((pod.name.as_str(), pod.subresource.as_str()), ("web", "log"));
        let all = parse(Method::GET, "/apis/apps/v1/deployments?watch=1");
        assert_eq!(
            (all.verb.as_str(), all.group.as_str(), all.resource.as_str()),
            ("watch", "apps", "deployments")
        );
    }

    #[test]
    fn reads_namespaces_themselves() {
        let status = parse(Method::PUT, "/api/v1/namespaces/blue/status");
        assert_eq!((status.resource.as_str(), status.name.as_str()), ("namespaces", "blue"));
        assert_eq!((status.subresource.as_str(), status.namespace.as_str()), ("status", "blue"));
    }

    #[test]
    fn keeps_the_rest_of_a_proxied_path() {
        let proxy = parse(Method::POST, "/api/v1/namespaces/a/services/http:web:80/proxy/x/y%20z/");
        assert_eq!((proxy.name.as_str(), proxy.rest.as_str()), ("http:web:80", "x/y z/"));
    }

    #[test]
    fn decodes_queries() {
        let uri: Uri = "/x?labelSelector=a%3Db%2Cc&limit=5&command=sh&command=-c&dry".parse().expect("valid");
        let query = Query::parse(&uri);
        assert_eq!(query.get("labelSelector"), Some("a=b,c"));
        assert_eq!(query.all("command").collect::<Vec<_>>(), ["sh", "-c"]);
        assert!(query.flag("dry"));
        assert_eq!(query.number("limit").ok().flatten(), Some(5));
    }
}

//! The compiled route table: looked up by every request, replaced as a whole.

use std::collections::HashMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use tracing::warn;

use crate::endpoint::{Group, Registry};
use crate::metrics::{Counters, Metrics};
use crate::routes::{Backend, HeaderRule, Host, PathKind, Route, RouteOptions, RouteTable, State};

#[derive(Debug, Default)]
pub(crate) struct Table {
    exact: HashMap<String, Arc<Site>>,
    /// By what follows the `*.`.
    wildcard: HashMap<String, Arc<Site>>,
    default: Option<Arc<Site>>,
}

/// One host.
#[derive(Debug)]
pub(crate) struct Site {
    paths: Vec<Path>,
    pub(crate) counters: Arc<Counters>,
}

#[derive(Debug)]
struct Path {
    kind: PathKind,
    text: String,
    regex: Option<Regex>,
    target: Arc<TargetRoute>,
}

/// A route ready for use.
#[derive(Debug)]
pub(crate) struct TargetRoute {
    pub(crate) backend: Target,
    pub(crate) options: RouteOptions,
    pub(crate) response_headers: Vec<(Option<Regex>, HeaderRule)>,
    /// The path's regular expression, when the route rewrites by its groups.
    rewrite_from: Option<Regex>,
}

#[derive(Debug)]
pub(crate) enum Target {
    Endpoints(Group),
    Unavailable(State),
}

/// What a request's host and path lead to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Route(&'a Site, &'a Arc<TargetRoute>),
    /// The host is known, the path is not.
    NoPath(&'a Site),
    NoHost,
}

impl Table {
    pub(crate) fn compile(routes: &RouteTable, endpoints: &Registry, metrics: &Metrics) -> Self {
        let mut table = Self::default();
        for (name, host) in &routes.hosts {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let site = Arc::new(Site::compile(host, endpoints, metrics.of(&name)));
            match name.strip_prefix("*.") {
                Some(suffix) => table.wildcard.insert(suffix.to_owned(), site),
                None => table.exact.insert(name, site),
            };
        }
        let any = routes.default.as_ref();
        table.default = any.map(|host| Arc::new(Site::compile(host, endpoints, metrics.of("*"))));
        table
    }

    pub(crate) fn find(&self, host: &str, path: &str) -> Found<'_> {
        let Some(site) = self.site(host) else { return Found::NoHost };
        match site.paths.iter().find(|rule| rule.matches(path)) {
            Some(rule) => Found::Route(site, &rule.target),
            None => Found::NoPath(site),
        }
    }

    fn site(&self, host: &str) -> Option<&Site> {
        let wildcard = || host.split_once('.').and_then(|(_, suffix)| self.wildcard.get(suffix));
        self.exact.get(host).or_else(wildcard).or(self.default.as_ref()).map(AsRef::as_ref)
    }

    /// Whether at least one ready endpoint stands behind the root of `host`.
    pub(crate) fn is_routed(&self, host: &str) -> bool {
        match self.find(host, "/") {
            Found::Route(_, target) => match &target.backend {
                Target::Endpoints(group) => group.len() > 0,
                Target::Unavailable(_) => false,
            },
            Found::NoPath(site) => site.paths.iter().any(|path| match &path.target.backend {
                Target::Endpoints(group) => group.len() > 0,
                Target::Unavailable(_) => false,
            }),
            Found::NoHost => false,
        }
    }
}

impl Site {
    fn compile(host: &Host, endpoints: &Registry, counters: Arc<Counters>) -> Self {
        let compiled =
            host.paths.iter().filter_map(|rule| Path::compile(rule.kind, &rule.path, &rule.route, endpoints));
        let mut paths: Vec<Path> = compiled.collect();
        // Exact before anything else, then longest first; whole segments before plain characters.
        paths.sort_by_key(|path| {
            (
                path.kind != PathKind::Exact,
                std::cmp::Reverse(path.text.trim_end_matches('/').len()),
                path.kind,
            )
        });
        Self { paths, counters }
    }
}

impl Path {
    fn compile(kind: PathKind, text: &str, route: &Route, endpoints: &Registry) -> Option<Self> {
        let regex = match kind {
            PathKind::Regex => Some(anchored(text)?),
            PathKind::Exact | PathKind::Prefix | PathKind::ImplementationSpecific => None,
        };
        let target = Arc::new(TargetRoute::compile(route, regex.clone(), endpoints));
        Some(Self { kind, text: text.to_owned(), regex, target })
    }

    fn matches(&self, path: &str) -> bool {
        match self.kind {
            PathKind::Exact => path == self.text,
            PathKind::Prefix => {
                let prefix = self.text.trim_end_matches('/');
                path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            PathKind::ImplementationSpecific => path.starts_with(&self.text),
            PathKind::Regex => self.regex.as_ref().is_some_and(|regex| regex.is_match(path)),
        }
    }
}

impl TargetRoute {
    fn compile(route: &Route, rewrite_from: Option<Regex>, endpoints: &Registry) -> Self {
        let upstream = route.options.upstream;
        let backend = match &route.backend {
            Backend::Endpoints(addresses) if addresses.is_empty() => Target::Unavailable(State::Starting),
            Backend::Endpoints(addresses) => {
                let group = addresses.iter().map(|address| endpoints.get(*address, upstream));
                Target::Endpoints(Group::new(group.collect()))
            }
            Backend::Unavailable(state) => Target::Unavailable(state.clone()),
        };
        let rules = route.options.response_headers.iter().filter_map(|rule| {
            let when = match &rule.when {
                Some(text) => Some(ignoring_case(text)?),
                None => None,
            };
            Some((when, rule.clone()))
        });
        Self { backend, response_headers: rules.collect(), options: route.options.clone(), rewrite_from }
    }

    /// The path to ask the app for; none when it is the client's own.
    pub(crate) fn rewrite(&self, path: &str) -> Option<String> {
        let template = self.options.rewrite.as_ref()?;
        let groups = self.rewrite_from.as_ref().and_then(|regex| regex.captures(path));
        let mut rewritten = String::new();
        match groups {
            Some(groups) => groups.expand(&braced(template), &mut rewritten),
            None => rewritten.push_str(template),
        }
        if !rewritten.starts_with('/') {
            rewritten.insert(0, '/');
        }
        Some(rewritten)
    }
}

/// `$1x` means group 1 and an `x` to nginx, but a group named `1x` to us.
fn braced(template: &str) -> String {
    let mut result = String::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        match after.chars().next().filter(char::is_ascii_digit) {
            Some(digit) => {
                result.push_str("${");
                result.push(digit);
                result.push('}');
                rest = after.strip_prefix(digit).unwrap_or(after);
            }
            None => {
                result.push_str("$$");
                rest = after;
            }
        }
    }
    result.push_str(rest);
    result
}

fn anchored(text: &str) -> Option<Regex> {
    ignoring_case(&format!("^(?:{text})"))
}

/// Patterns come from users: a bad or huge one loses its rule, not the gateway.
fn ignoring_case(text: &str) -> Option<Regex> {
    let regex = RegexBuilder::new(text).case_insensitive(true).size_limit(1 << 20).build();
    regex.inspect_err(|error| warn!(%error, pattern = text, "a path pattern is not usable")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::PathRule;

    fn table(rules: &[(PathKind, &str, u16)]) -> Table {
        let paths = rules.iter().map(|(kind, path, port)| PathRule {
            kind: *kind,
            path: (*path).to_owned(),
            route: Route::to(Backend::Endpoints(vec![([127, 0, 0, 1], *port).into()])),
        });
        let hosts = [
            ("shop.example.com".to_owned(), Host { paths: paths.collect() }),
            (
                "*.example.com".to_owned(),
                Host {
                    paths: vec![PathRule {
                        kind: PathKind::Prefix,
                        path: "/".to_owned(),
                        route: Route::to(Backend::Endpoints(vec![([127, 0, 0, 1], 99).into()])),
                    }],
                },
            ),
        ];
        let routes = RouteTable { hosts: hosts.into(), ..RouteTable::default() };
        Table::compile(&routes, &Registry::default(), &Metrics::default())
    }

    fn port(table: &Table, host: &str, path: &str) -> Option<u16> {
        match table.find(host, path) {
            Found::Route(_, target) => match &target.backend {
                Target::Endpoints(group) => {
                    group.pick(crate::routes::Balance::RoundRobin, &[]).map(|e| e.address.port())
                }
                Target::Unavailable(_) => None,
            },
            Found::NoPath(_) | Found::NoHost => None,
        }
    }

    #[test]
    fn exact_then_longest() {
        use PathKind::{Exact, ImplementationSpecific, Prefix};
        let table = table(&[
            (Prefix, "/", 1),
            (Prefix, "/api", 2),
            (Exact, "/api", 3),
            (Prefix, "/api/v2/", 4),
            (ImplementationSpecific, "/static", 5),
        ]);
        for (path, expected) in [
            ("/", 1),
            ("/apis", 1),
            ("/api", 3),
            ("/api/", 2),
            ("/api/v1", 2),
            ("/api/v2", 4),
            ("/api/v2/x", 4),
            ("/statics", 5),
        ] {
            assert_eq!(port(&table, "shop.example.com", path), Some(expected), "{path}");
        }
    }

    #[test]
    fn exact_host_then_wildcard_of_one_label() {
        let table = table(&[(PathKind::Prefix, "/", 1)]);
        assert_eq!(port(&table, "shop.example.com", "/"), Some(1));
        assert_eq!(port(&table, "other.example.com", "/"), Some(99));
        assert_eq!(port(&table, "a.b.example.com", "/"), None);
        assert_eq!(port(&table, "example.com", "/"), None);
        assert!(table.is_routed("shop.example.com") && !table.is_routed("example.com"));
    }

    #[test]
    fn rewrites_by_groups() {
        let check = |kind, path: &str, template: &str, asked: &str, expected: &str| {
            let mut route = Route::to(Backend::Unavailable(State::Starting));
            route.options.rewrite = Some(template.to_owned());
            let path = Path::compile(kind, path, &route, &Registry::default()).expect("compiles");
            assert!(path.matches(asked), "{asked}");
            assert_eq!(path.target.rewrite(asked).as_deref(), Some(expected));
        };
        check(PathKind::Regex, "/()(.*)", "/$2", "/a/b", "/a/b");
        check(PathKind::Regex, "/api(/|$)(.*)", "/$2", "/api/users", "/users");
        check(PathKind::Regex, "/api(/|$)(.*)", "/v1$1$2", "/api/users", "/v1/users");
        check(PathKind::Prefix, "/old", "/new", "/old/x", "/new");
    }

    #[test]
    fn a_bad_pattern_loses_only_its_rule() {
        let table = table(&[(PathKind::Regex, "/(", 1), (PathKind::Prefix, "/", 2)]);
        assert_eq!(port(&table, "shop.example.com", "/"), Some(2));
    }
}

//! Which route an exchange takes: an immutable table, built once for each configuration.
//!
//! All routes that match a request are in one total order, and the first of it wins:
//!
//! 1. host: exact, then the longest wildcard, then routes that name no host;
//! 2. path: exact, then the longest prefix (by segment), then regular expression, then routes that name no path;
//! 3. the number of header conditions, plus one where the route names methods: more first;
//! 4. the order of the file.
//!
//! A route whose method or header conditions do not hold is no match at all, so the next best one is taken, also one
//! of a less specific host. Selecting allocates nothing; its cost grows with the length of host and path and with the
//! number of regular expressions of that host, not with the number of routes.

mod host;
mod path;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

use http::HeaderMap;
use portcullis_config::model::{Config, HeaderCondition, HeaderTest, Route};

use host::HostTables;
pub use host::host_of;
pub use path::{PathError, normalize_path};

/// Index into [`Config::routes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u32);

/// What a route is chosen by.
#[derive(Clone, Copy, Debug)]
pub struct RouteRequest<'a> {
    /// Host without port (see [`host_of`]); case and one trailing dot do not matter.
    pub host: &'a str,
    /// As [`normalize_path`] leaves it, without the query.
    pub path: &'a str,
    /// Compared with case, as RFC 9110 section 9.1 has it.
    pub method: &'a str,
    pub headers: &'a HeaderMap,
}

/// By what the host of a request was matched, most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostClass {
    Exact,
    Wildcard,
    /// The route names no host.
    Any,
}

/// By what the path of a request was matched, most specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathClass {
    Exact,
    Prefix,
    Regex,
    /// The route names no path.
    Any,
}

/// A chosen route, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    pub route: RouteId,
    pub host: HostClass,
    pub path: PathClass,
}

impl fmt::Display for Match {
    /// Such as `host by wildcard, path by prefix`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.host {
            HostClass::Exact => "host by name",
            HostClass::Wildcard => "host by wildcard",
            HostClass::Any => "any host",
        };
        let path = match self.path {
            PathClass::Exact => "path by name",
            PathClass::Prefix => "path by prefix",
            PathClass::Regex => "path by regular expression",
            PathClass::Any => "any path",
        };
        write!(f, "{host}, {path}")
    }
}

/// The routes of one configuration, ready to be asked.
#[derive(Debug)]
pub struct Router {
    hosts: HostTables,
    /// By [`RouteId`].
    conditions: Box<[Conditions]>,
}

impl Router {
    pub fn new(config: &Config) -> Self {
        Self::from_routes(&config.routes)
    }

    fn from_routes(routes: &[Route]) -> Self {
        let conditions: Box<[_]> = routes.iter().map(Conditions::new).collect();
        // Tables keep the order in which routes are added, so they are added best first.
        let mut order: Vec<usize> = (0..routes.len()).collect();
        order.sort_by_key(|&index| (std::cmp::Reverse(conditions[index].weight()), index));
        let mut hosts = HostTables::default();
        for index in order {
            // A configuration with more routes than u32 does not fit into memory.
            let id = RouteId(u32::try_from(index).unwrap_or(u32::MAX));
            hosts.add(id, &routes[index].matches);
        }
        Self { hosts, conditions }
    }

    /// The route of a request; `None` where no route matches.
    pub fn select(&self, request: &RouteRequest<'_>) -> Option<RouteId> {
        self.find(request).map(|found| found.route)
    }

    /// As [`Router::select`], with the reason.
    pub fn find(&self, request: &RouteRequest<'_>) -> Option<Match> {
        let admits = |id: RouteId| {
            let conditions = usize::try_from(id.0)
                .ok()
                .and_then(|index| self.conditions.get(index));
            conditions.is_some_and(|conditions| conditions.hold(request))
        };
        self.hosts.find(request.host, request.path, &admits)
    }
}

/// What a route asks beside host and path.
#[derive(Debug)]
struct Conditions {
    /// Empty: every method.
    methods: Box<[String]>,
    headers: Box<[HeaderCondition]>,
}

impl Conditions {
    fn new(route: &Route) -> Self {
        let matches = &route.matches;
        Self {
            methods: matches.methods.clone().into(),
            headers: matches.headers.clone().into(),
        }
    }

    fn weight(&self) -> usize {
        self.headers.len() + usize::from(!self.methods.is_empty())
    }

    fn hold(&self, request: &RouteRequest<'_>) -> bool {
        (self.methods.is_empty() || self.methods.iter().any(|method| method == request.method))
            && self
                .headers
                .iter()
                .all(|condition| holds(condition, request.headers))
    }
}

/// Where a header is there several times, one value that fits is enough.
fn holds(condition: &HeaderCondition, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(condition.name.as_str()).iter();
    match &condition.test {
        HeaderTest::Present => values.next().is_some(),
        HeaderTest::Absent => values.next().is_none(),
        HeaderTest::Exact(wanted) => values.any(|value| value.as_bytes() == wanted.as_bytes()),
        HeaderTest::Regex(regex) => values.any(|value| {
            std::str::from_utf8(value.as_bytes()).is_ok_and(|text| regex.is_match(text))
        }),
    }
}

//! From a path to the routes of one host, most specific first.

use std::collections::HashMap;

use portcullis_config::model::PathPattern;
use regex::Regex;

use super::path::normalize_path;
use super::{PathClass, RouteId};

/// The paths of one host. Routes of the same place keep the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct PathTable {
    exact: HashMap<Box<str>, Vec<RouteId>>,
    prefixes: PrefixTrie,
    regexes: Vec<(Regex, RouteId)>,
    any: Vec<RouteId>,
}

impl PathTable {
    pub(super) fn add(&mut self, route: RouteId, pattern: &PathPattern) {
        match pattern {
            PathPattern::Exact(path) => self.exact.entry(canonical(path)).or_default().push(route),
            PathPattern::Prefix(prefix) => self.prefixes.add(&canonical(prefix), route),
            PathPattern::Regex(regex) => self.regexes.push((regex.clone(), route)),
            PathPattern::Any => self.any.push(route),
        }
    }

    /// The first route that matches `path` and that `admits` lets through.
    pub(super) fn find(
        &self,
        path: &str,
        admits: &impl Fn(RouteId) -> bool,
    ) -> Option<(RouteId, PathClass)> {
        let first = |routes: &[RouteId]| routes.iter().copied().find(|&route| admits(route));
        if let Some(route) = self.exact.get(path).and_then(|routes| first(routes)) {
            return Some((route, PathClass::Exact));
        }
        if let Some(route) = self.prefixes.find(path, first) {
            return Some((route, PathClass::Prefix));
        }
        // The conditions first: they cost less than most regular expressions.
        let by_regex = self
            .regexes
            .iter()
            .find(|(regex, route)| admits(*route) && regex.is_match(path));
        if let Some(&(_, route)) = by_regex {
            return Some((route, PathClass::Regex));
        }
        first(&self.any).map(|route| (route, PathClass::Any))
    }
}

/// Patterns are brought into the form in which paths arrive, so that `/caf\u{e9}` and `/caf%c3%a9` name the same place.
fn canonical(pattern: &str) -> Box<str> {
    // A pattern that is no path matches none: paths like it are refused before they are routed.
    normalize_path(pattern).map_or_else(|_| pattern.into(), |path| path.into_owned().into())
}

/// Prefixes by segment: a path walks down as far as there are branches, then up again to the first node with a route.
#[derive(Debug)]
struct PrefixTrie {
    /// The first is the root, the prefix `/`.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// `None` at the root.
    parent: Option<usize>,
    children: HashMap<Box<str>, usize>,
    routes: Vec<RouteId>,
}

impl Default for PrefixTrie {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
        }
    }
}

impl PrefixTrie {
    fn add(&mut self, prefix: &str, route: RouteId) {
        // `/v1/` and `/v1` are the same segments.
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let mut at = 0;
        for segment in prefix.split('/').skip(1) {
            let next = self.nodes.len();
            let child = *self.nodes[at]
                .children
                .entry(segment.into())
                .or_insert(next);
            if child == next {
                self.nodes.push(Node {
                    parent: Some(at),
                    ..Node::default()
                });
            }
            at = child;
        }
        self.nodes[at].routes.push(route);
    }

    fn find(&self, path: &str, first: impl Fn(&[RouteId]) -> Option<RouteId>) -> Option<RouteId> {
        let segments = path.strip_prefix('/')?.split('/');
        let mut node = &self.nodes[0];
        for segment in segments {
            match node.children.get(segment) {
                Some(&child) => node = &self.nodes[child],
                None => break,
            }
        }
        loop {
            if let Some(route) = first(&node.routes) {
                return Some(route);
            }
            node = &self.nodes[node.parent?];
        }
    }
}

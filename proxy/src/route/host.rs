//! From a host to the path tables that may serve it.

use std::collections::HashMap;

use portcullis_config::model::{HostPattern, RouteMatch};

use super::table::PathTable;
use super::{HostClass, Match, RouteId};

/// Longest name that DNS can carry as text (RFC 1035 section 2.3.4), with its trailing dot. A longer host has no name of
/// its own in any table.
const HOST_BYTES_MAX: usize = 254;

/// The host of an authority: without a port, an IPv6 address with its brackets (RFC 3986 section 3.2.2).
pub fn host_of(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon)
            if authority[colon + 1..]
                .bytes()
                .all(|byte| byte.is_ascii_digit()) =>
        {
            &authority[..colon]
        }
        _ => authority,
    }
}

#[derive(Debug, Default)]
pub(super) struct HostTables {
    exact: HashMap<Box<str>, PathTable>,
    /// By the part after the star, with its dot: `.example.com`.
    wildcard: HashMap<Box<str>, PathTable>,
    /// The most dots that a key of `wildcard` has, so that a host of a hundred labels costs no more look-ups than that.
    wildcard_dots_max: usize,
    any: PathTable,
}

impl HostTables {
    /// Adds a route to the table of each of its hosts, behind those that are there.
    pub(super) fn add(&mut self, route: RouteId, matches: &RouteMatch) {
        if matches.hosts.is_empty() {
            self.any.add(route, &matches.path);
        }
        for pattern in &matches.hosts {
            let table = match pattern {
                HostPattern::Exact(name) => self.exact.entry(canonical(name)).or_default(),
                HostPattern::Wildcard(suffix) => {
                    let suffix = canonical(suffix);
                    self.wildcard_dots_max = self.wildcard_dots_max.max(dots(&suffix));
                    self.wildcard.entry(suffix).or_default()
                }
            };
            table.add(route, &matches.path);
        }
    }

    pub(super) fn find(
        &self,
        host: &str,
        path: &str,
        admits: &impl Fn(RouteId) -> bool,
    ) -> Option<Match> {
        let mut lower = [0; HOST_BYTES_MAX];
        let named =
            lower_case(host, &mut lower).and_then(|host| self.find_named(host, path, admits));
        named.or_else(|| {
            let (route, path) = self.any.find(path, admits)?;
            Some(Match {
                route,
                host: HostClass::Any,
                path,
            })
        })
    }

    fn find_named(
        &self,
        host: &str,
        path: &str,
        admits: &impl Fn(RouteId) -> bool,
    ) -> Option<Match> {
        let in_table = |table: &PathTable, host| {
            let (route, path) = table.find(path, admits)?;
            Some(Match { route, host, path })
        };
        let exact = self
            .exact
            .get(host)
            .and_then(|table| in_table(table, HostClass::Exact));
        exact.or_else(|| {
            self.suffixes(host)
                .filter_map(|suffix| self.wildcard.get(suffix))
                .find_map(|table| in_table(table, HostClass::Wildcard))
        })
    }

    /// The ends of `host` that a wildcard could name, longest first.
    fn suffixes<'h>(&self, host: &'h str) -> impl Iterator<Item = &'h str> {
        let skipped = dots(host).saturating_sub(self.wildcard_dots_max);
        let dots = host
            .bytes()
            .enumerate()
            .filter(|&(_, byte)| byte == b'.')
            .map(|(at, _)| at);
        // At 0 there is no label before the dot for the star to stand for.
        dots.skip(skipped)
            .filter(|&at| at > 0)
            .map(|at| &host[at..])
    }
}

fn dots(host: &str) -> usize {
    host.bytes().filter(|&byte| byte == b'.').count()
}

/// The form in which hosts are compared: lower case, without the dot that marks a name as absolute.
fn canonical(host: &str) -> Box<str> {
    relative(host).to_ascii_lowercase().into()
}

/// As [`canonical`], without allocation. `None`: too long for a name.
fn lower_case<'a>(host: &'a str, buffer: &'a mut [u8; HOST_BYTES_MAX]) -> Option<&'a str> {
    let host = relative(host);
    if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(host);
    }
    let lower = buffer.get_mut(..host.len())?;
    lower.copy_from_slice(host.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

fn relative(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_cut_off_and_brackets_stay() {
        for (authority, host) in [
            ("example.com", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com:", "example.com"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::1]:443", "[::1]"),
            ("[fe80::1:2]:1", "[fe80::1:2]"),
            ("", ""),
        ] {
            assert_eq!(host_of(authority), host, "{authority}");
        }
    }

    #[test]
    fn a_host_is_compared_in_lower_case_and_without_its_last_dot() {
        let mut buffer = [0; HOST_BYTES_MAX];
        assert_eq!(lower_case("Example.COM.", &mut buffer), Some("example.com"));
        assert_eq!(lower_case("example.com", &mut buffer), Some("example.com"));
        assert_eq!(lower_case(&"A".repeat(300), &mut buffer), None);
        assert_eq!(&*canonical("Example.COM."), "example.com");
    }
}

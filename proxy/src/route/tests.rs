use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use portcullis_config::model::{
    HeaderCondition, HeaderTest, HostPattern, PathPattern, Respond, Route, RouteMatch, Target,
};
use portcullis_config::problem::Location;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use regex::Regex;

use super::*;

fn route(matches: RouteMatch) -> Route {
    let respond = Respond {
        status: 200,
        headers: Vec::new(),
        body: Vec::new(),
    };
    Route {
        name: String::new(),
        matches,
        chain: Vec::new(),
        target: Target::Respond(respond),
        overrides: BTreeMap::new(),
        at: Location::whole(Path::new("test.yaml")),
    }
}

/// Hosts (`*.` for wildcards) and path (`=` exact, `~` regex, `` any, else prefix) as text.
fn matching(hosts: &[&str], path: &str) -> RouteMatch {
    let hosts = hosts.iter().map(|host| match host.strip_prefix('*') {
        Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
        None => HostPattern::Exact((*host).to_owned()),
    });
    let path = match (path.strip_prefix('='), path.strip_prefix('~')) {
        (Some(exact), _) => PathPattern::Exact(exact.to_owned()),
        (_, Some(regex)) => PathPattern::Regex(Regex::new(regex).unwrap()),
        _ if path.is_empty() => PathPattern::Any,
        _ => PathPattern::Prefix(path.to_owned()),
    };
    RouteMatch {
        hosts: hosts.collect(),
        path,
        ..RouteMatch::default()
    }
}

fn with_header(mut matches: RouteMatch, name: &str, test: HeaderTest) -> RouteMatch {
    matches.headers.push(HeaderCondition {
        name: name.to_owned(),
        test,
    });
    matches
}

fn with_methods(mut matches: RouteMatch, methods: &[&str]) -> RouteMatch {
    matches.methods = methods.iter().map(|method| (*method).to_owned()).collect();
    matches
}

fn router(matches: Vec<RouteMatch>) -> Router {
    Router::from_routes(&matches.into_iter().map(route).collect::<Vec<_>>())
}

/// `GET host path` with headers as pairs.
fn select(
    router: &Router,
    host: &str,
    path: &str,
    headers: &[(&'static str, &'static str)],
) -> Option<u32> {
    let headers: HeaderMap = headers
        .iter()
        .map(|&(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
    router
        .select(&RouteRequest {
            host,
            path,
            method: "GET",
            headers: &headers,
        })
        .map(|id| id.0)
}

#[test]
fn hosts_go_from_exact_by_longest_wildcard_to_none() {
    let router = router(vec![
        matching(&[], ""),
        matching(&["*.example.com"], ""),
        matching(&["*.api.example.com"], ""),
        matching(&["v1.api.example.com"], ""),
    ]);
    for (host, wanted) in [
        ("v1.api.example.com", 3),
        ("V1.API.Example.COM.", 3),
        ("v2.api.example.com", 2),
        ("a.b.api.example.com", 2),
        ("api.example.com", 1),
        ("x.y.z.example.com", 1),
        ("example.com", 0),
        (".example.com", 0),
        ("notexample.com", 0),
        ("badexample.com", 0),
        ("[::1]", 0),
        ("", 0),
    ] {
        assert_eq!(select(&router, host, "/", &[]), Some(wanted), "{host}");
    }
}

#[test]
fn a_wildcard_never_stands_for_nothing() {
    let router = router(vec![matching(&["*.example.com"], "")]);
    for host in ["example.com", ".example.com", "", ".", "com"] {
        assert_eq!(select(&router, host, "/", &[]), None, "{host}");
    }
    let long = format!("{}example.com", "a.".repeat(200));
    assert_eq!(select(&router, &long, "/", &[]), Some(0));
    assert_eq!(
        select(&router, &long.to_uppercase(), "/", &[]),
        None,
        "longer than a name can be"
    );
}

#[test]
fn paths_go_from_exact_by_longest_prefix_and_regex_to_any() {
    let router = router(vec![
        matching(&[], ""),
        matching(&[], "~[0-9]+$"),
        matching(&[], "/v1"),
        matching(&[], "/v1/users/"),
        matching(&[], "=/v1/users/me"),
    ]);
    for (path, wanted) in [
        ("/v1/users/me", 4),
        ("/v1/users/me/", 3),
        ("/v1/users/7", 3),
        ("/v1/users/", 3),
        ("/v1/users", 3),
        ("/v1/usersx", 2),
        ("/v1/", 2),
        ("/v1", 2),
        ("/v10", 1),
        ("/v2/7", 1),
        ("/v1x", 0),
        ("/", 0),
        ("//v", 0),
        ("*", 0),
    ] {
        assert_eq!(select(&router, "h", path, &[]), Some(wanted), "{path}");
    }
}

#[test]
fn patterns_are_compared_in_the_form_of_paths() {
    let router = router(vec![
        matching(&[], "=/caf\u{e9}"),
        matching(&[], "/%61/./b"),
        matching(&[], "=/x%2fy"),
    ]);
    for (raw, wanted) in [
        ("/caf%c3%a9", Some(0)),
        ("/caf\u{e9}", Some(0)),
        ("/a/b/c", Some(1)),
        ("/x%2Fy", Some(2)),
        ("/x/y", None),
    ] {
        let path = normalize_path(raw).unwrap();
        assert_eq!(select(&router, "h", &path, &[]), wanted, "{raw}");
    }
}

#[test]
fn failing_conditions_fall_back_to_the_next_best_also_of_another_host() {
    let canary = |matches| with_header(matches, "x-canary", HeaderTest::Exact("yes".to_owned()));
    let router = router(vec![
        matching(&[], ""),
        canary(matching(&["*.example.com"], "/v1")),
        canary(matching(&["a.example.com"], "=/v1/x")),
        canary(with_methods(matching(&["a.example.com"], "/v1"), &["POST"])),
    ]);
    let yes = [("x-canary", "yes")];
    assert_eq!(select(&router, "a.example.com", "/v1/x", &yes), Some(2));
    assert_eq!(
        select(&router, "a.example.com", "/v1/y", &yes),
        Some(1),
        "the method of the exact host does not fit"
    );
    assert_eq!(select(&router, "a.example.com", "/v1/x", &[]), Some(0));
}

#[test]
fn more_conditions_win_then_the_order_of_the_file() {
    let present = |matches, name| with_header(matches, name, HeaderTest::Present);
    let router = router(vec![
        matching(&[], "/a"),
        matching(&[], "/a"),
        present(matching(&[], "/a"), "one"),
        with_methods(present(matching(&[], "/a"), "one"), &["GET"]),
        present(present(matching(&[], "/a"), "one"), "two"),
    ]);
    assert_eq!(select(&router, "h", "/a", &[]), Some(0));
    assert_eq!(select(&router, "h", "/a", &[("one", "")]), Some(3));
    assert_eq!(
        select(&router, "h", "/a", &[("one", ""), ("two", "")]),
        Some(3),
        "two each: the first in the file"
    );
}

#[test]
fn header_conditions_hold_as_their_names_say() {
    let exact = HeaderTest::Exact("b".to_owned());
    let regex = HeaderTest::Regex(Regex::new("^b+$").unwrap());
    for (test, absent, one, several) in [
        (HeaderTest::Present, false, true, true),
        (HeaderTest::Absent, true, false, false),
        (exact, false, false, true),
        (regex, false, false, true),
    ] {
        let router = router(vec![with_header(matching(&[], ""), "x", test)]);
        assert_eq!(select(&router, "h", "/", &[]).is_some(), absent);
        let headers: HeaderMap = [("x", "a")]
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .into_iter()
            .collect();
        let request = RouteRequest {
            host: "h",
            path: "/",
            method: "GET",
            headers: &headers,
        };
        assert_eq!(router.select(&request).is_some(), one);
        let mut headers = headers.clone();
        headers.append("x", HeaderValue::from_static("b"));
        headers.append("x", HeaderValue::from_bytes(b"\xff").unwrap());
        let request = RouteRequest {
            headers: &headers,
            ..request
        };
        assert_eq!(router.select(&request).is_some(), several);
    }
}

#[test]
fn methods_are_compared_with_case() {
    let router = router(vec![with_methods(matching(&[], ""), &["PUT", "GET"])]);
    let headers = HeaderMap::new();
    for (method, wanted) in [
        ("GET", true),
        ("PUT", true),
        ("get", false),
        ("POST", false),
    ] {
        let request = RouteRequest {
            host: "h",
            path: "/",
            method,
            headers: &headers,
        };
        assert_eq!(router.select(&request).is_some(), wanted, "{method}");
    }
}

#[test]
fn the_reason_is_told() {
    let router = router(vec![matching(&["*.example.com"], "/v1")]);
    let headers = HeaderMap::new();
    let request = RouteRequest {
        host: "a.example.com",
        path: "/v1/x",
        method: "GET",
        headers: &headers,
    };
    let found = router.find(&request).unwrap();
    assert_eq!(
        found,
        Match {
            route: RouteId(0),
            host: HostClass::Wildcard,
            path: PathClass::Prefix
        }
    );
    assert_eq!(found.to_string(), "host by wildcard, path by prefix");
}

/// Random tables against a reference that ranks every matching route and takes the first.
#[test]
fn the_table_agrees_with_sorting_all_matching_routes() {
    let mut random = StdRng::seed_from_u64(3);
    let mut chosen = 0;
    for _ in 0..1_500 {
        let routes: Vec<Route> = (0..random.random_range(1..16))
            .map(|_| route(random_match(&mut random)))
            .collect();
        let router = Router::from_routes(&routes);
        for _ in 0..30 {
            let headers = random_headers(&mut random);
            let request = RouteRequest {
                host: pick(&mut random, HOSTS),
                path: pick(&mut random, PATHS),
                method: pick(&mut random, &["GET", "POST", "PUT"]),
                headers: &headers,
            };
            let wanted = reference(&routes, &request);
            assert_eq!(
                router.select(&request),
                wanted,
                "{request:?} in {routes:#?}"
            );
            chosen += usize::from(wanted.is_some());
        }
    }
    assert!(chosen > 10_000, "only {chosen} requests had a route");
}

const HOSTS: &[&str] = &[
    "a.com",
    "x.a.com",
    "y.x.a.com",
    "z.y.x.a.com",
    "b.com",
    "x.b.com",
    "com",
    "c.org",
    "",
];
const WILDCARDS: &[&str] = &[".a.com", ".x.a.com", ".y.x.a.com", ".com", ".b.com"];
const PATHS: &[&str] = &[
    "/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/a//b", "/b", "/b/1", "//", "*",
];
const PREFIXES: &[&str] = &[
    "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/b", "//", "/a//",
];

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(random).unwrap()
}

fn random_match(random: &mut StdRng) -> RouteMatch {
    let hosts = (0..random.random_range(0..3)).map(|_| match random.random_bool(0.5) {
        true => HostPattern::Exact(pick(random, &HOSTS[..8]).to_owned()),
        false => HostPattern::Wildcard(pick(random, WILDCARDS).to_owned()),
    });
    let hosts = hosts.collect();
    let path = match random.random_range(0..4) {
        0 => PathPattern::Any,
        1 => PathPattern::Exact(pick(random, PATHS).to_owned()),
        2 => PathPattern::Prefix(pick(random, PREFIXES).to_owned()),
        _ => PathPattern::Regex(Regex::new(pick(random, &["b", "^/a", "[0-9]", "c$"])).unwrap()),
    };
    let methods = (0..random.random_range(0..2))
        .map(|_| pick(random, &["GET", "POST"]).to_owned())
        .collect();
    let headers = (0..random.random_range(0..3)).map(|_| HeaderCondition {
        name: pick(random, &["h1", "h2"]).to_owned(),
        test: match random.random_range(0..4) {
            0 => HeaderTest::Present,
            1 => HeaderTest::Absent,
            2 => HeaderTest::Exact(pick(random, &["v", "w"]).to_owned()),
            _ => HeaderTest::Regex(Regex::new("v").unwrap()),
        },
    });
    let headers = headers.collect();
    RouteMatch {
        hosts,
        path,
        methods,
        headers,
    }
}

fn random_headers(random: &mut StdRng) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in ["h1", "h1", "h2"] {
        if random.random_bool(0.5) {
            headers.append(
                name,
                HeaderValue::from_str(pick(random, &["v", "w", "vw"])).unwrap(),
            );
        }
    }
    headers
}

fn reference(routes: &[Route], request: &RouteRequest<'_>) -> Option<RouteId> {
    let ranked = routes.iter().enumerate().filter_map(|(index, route)| {
        let RouteMatch {
            hosts,
            path,
            methods,
            headers,
        } = &route.matches;
        let host = host_rank(hosts, request.host)?;
        let path = path_rank(path, request.path)?;
        let method_fits =
            methods.is_empty() || methods.iter().any(|method| method == request.method);
        let headers_fit = headers.iter().all(|condition| {
            let values: Vec<&str> = request
                .headers
                .get_all(&condition.name)
                .iter()
                .map(|value| value.to_str().unwrap())
                .collect();
            match &condition.test {
                HeaderTest::Present => !values.is_empty(),
                HeaderTest::Absent => values.is_empty(),
                HeaderTest::Exact(wanted) => values.contains(&wanted.as_str()),
                HeaderTest::Regex(regex) => values.iter().any(|value| regex.is_match(value)),
            }
        });
        let conditions = headers.len() + usize::from(!methods.is_empty());
        let id = RouteId(u32::try_from(index).unwrap());
        (method_fits && headers_fit).then_some((host, path, Reverse(conditions), id))
    });
    ranked.min().map(|(_, _, _, id)| id)
}

/// Class, then longer first.
fn host_rank(hosts: &[HostPattern], host: &str) -> Option<(u8, Reverse<usize>)> {
    if hosts.is_empty() {
        return Some((2, Reverse(0)));
    }
    let ranks = hosts.iter().filter_map(|pattern| match pattern {
        HostPattern::Exact(name) => (name == host).then_some((0, Reverse(0))),
        HostPattern::Wildcard(suffix) => (host.len() > suffix.len() && host.ends_with(suffix))
            .then_some((1, Reverse(suffix.len()))),
    });
    ranks.min()
}

fn path_rank(pattern: &PathPattern, path: &str) -> Option<(u8, Reverse<usize>)> {
    match pattern {
        PathPattern::Exact(exact) => (exact == path).then_some((0, Reverse(0))),
        PathPattern::Prefix(prefix) => {
            let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
            (path == prefix || path.starts_with(&format!("{prefix}/")))
                .then_some((1, Reverse(prefix.len())))
        }
        PathPattern::Regex(regex) => regex.is_match(path).then_some((2, Reverse(0))),
        PathPattern::Any => Some((3, Reverse(0))),
    }
}

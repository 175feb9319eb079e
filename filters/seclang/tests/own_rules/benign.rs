//! What people and programs send every day. Nothing of it may be denied at paranoia level 1.

use super::support::Exchange;
use super::{browser, engine, form, outcome, with_body};

/// Words that people type into search fields and comments, percent-encoded.
const TEXTS: &[&str] = &[
    "O%27Brien",
    "rock+%27n%27+roll",
    "it%27s+5+o%27clock",
    "Tom+%26+Jerry",
    "C%2B%2B+vs+C%23",
    "50%25+off",
    "a+%3C+b+and+c+%3E+d",
    "select+a+plan+from+the+list",
    "drop+me+a+line%3B+drop+by+soon",
    "please+update+the+set+of+values",
    "where+to+eat+in+1985+or+later",
    "Java+%26+Python",
    "HTML+%7C+CSS+%7C+PHP",
    "%7C+id+%7C+name+%7C",
    "ping+me%3B+cat+is+here",
    "Red+alert+(2+injured)",
    "eval+(medical)+done",
    "who+am+i",
    "see+..%2Fimages+please",
    "...",
    "..",
    "a..b",
    "file:+report",
    "my+file:name",
    "node.js+process",
    "#request+for+help",
    "%23application",
    "1%2B1%3D2",
    "%E2%82%AC+5%2C-",
    "%F0%9F%98%80+%C3%A4%C3%B6%C3%BC",
    "%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82",
    "%E4%BD%A0%E5%A5%BD",
    "x%3A%29",
    "%3C3",
    "-%3E",
    "C%3A%5CUsers%5Cme%5CDocuments",
    "2024-01-31T10%3A00%3A00Z",
    "john.doe%2Btag%40example.com",
    "%2B49+%2830%29+123-456",
    "https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc%26d%3De%23f",
    "%7B%22a%22%3A%5B1%2C2%5D%7D",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "dGhpcyBpcyBhIHRlc3Q%3D",
    "550e8400-e29b-41d4-a716-446655440000",
    "price%3A%5B10+TO+20%5D+AND+in_stock%3Atrue",
    "%22exact+phrase%22+-minus+site%3Aexample.com",
    "Q%26A%3A+how+do+I%3F",
    "yes%3B+no%3B+maybe",
    "I+said+%27no%27+and+meant+it",
    "%5Bb%5Dbold%5B%2Fb%5D",
    "**bold**+_it_+%60code%60",
    "100%25+cotton%3B+wash+at+30",
    "create+a+user%2C+then+delete+it",
    "ORDER+BY+phone",
    "John+Smith+OR+Jane+Doe",
    "sleep+(8+hours)",
    "The+%22Who%22",
    "R%26D%2FIT",
];

/// What libinjection takes for SQL though it is none. Known to every WAF that uses it; here so that a change is seen.
const MISTAKEN: &[&str] = &[
    "%22hello%22+and+she+is+nice",
    "European+Union+select+committee",
    "(a)+and+(b)",
    "3+%3E+2+%26%26+2+%3E+1",
    "benchmark+(2024)",
];

fn passes(engine: &portcullis_seclang::Engine, what: &str, exchange: &Exchange<'_>) {
    let (verdict, ids) = outcome(engine, exchange);
    assert_eq!(verdict, None, "{what}: {ids:?}");
}

#[test]
fn texts_of_people() {
    let engine = engine("");
    let mut hit = Vec::new();
    for text in TEXTS {
        let target = format!("/search?q={text}&page=2");
        let body = format!("name=Anna&comment={text}&submit=1");
        for exchange in [browser("GET", &target), form("/comment", &body)] {
            let (_, ids) = outcome(&engine, &exchange);
            if !ids.is_empty() {
                hit.push((text, ids));
            }
        }
    }
    assert!(hit.is_empty(), "{hit:?}");
}

#[test]
fn texts_that_libinjection_mistakes_are_hit_by_it_alone() {
    let engine = engine("");
    for text in MISTAKEN {
        let target = format!("/search?q={text}");
        let (_, ids) = outcome(&engine, &browser("GET", &target));
        assert_eq!(ids, [10_700, 19_030], "{text}");
    }
}

#[test]
fn requests_of_programs() {
    let engine = engine("");
    let targets = [
        "/",
        "/index.html",
        "/static/app.3f2a1b.js",
        "/img/logo%20(1).png",
        "/api/v1/users/42?fields=name,email&sort=-created",
        "/oauth/authorize?response_type=code&client_id=a&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&scope=openid+email&state=x%2Fy%3D",
        "/login?next=%2Fdashboard%3Ftab%3D1",
        "/callback?redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fcb",
        "/.well-known/acme-challenge/abc_DEF-1",
        "/wp-admin/admin-ajax.php?action=heartbeat",
        "/search?filter[status]=open&filter[tags][]=a&filter[tags][]=b",
        "/a;jsessionid=0A1B?x=y",
        "/maps/@52.5,13.4,12z",
        "/graphql?query=%7Buser(id%3A1)%7Bname%7D%7D",
        "/download?file=report.2024.pdf",
        "/v2/path/to/(x)",
        "/t?utm_source=a&gclid=Cj0KCQ_abc-123&fbclid=IwAR0",
        "/u?url=https%3A%2F%2Fexample.com%2Fa.png",
        "/~user/",
        "/a..b/c",
        "/tags/c%23",
    ];
    for target in targets {
        passes(&engine, target, &browser("GET", target));
    }
    for method in ["HEAD", "OPTIONS", "DELETE"] {
        passes(&engine, method, &browser(method, "/api/v1/users/42"));
    }
    let json = r#"{"id":42,"name":"O'Brien","tags":["a & b","c|d"],"note":"It's \"fine\"; call me","url":"https://example.com/?a=1&b=2","html":"1 < 2 > 0","nested":{"list":[{"k":null},{"k":true}]},"path":"C:\\Users\\me"}"#;
    passes(
        &engine,
        "JSON",
        &with_body("/api", "application/json", json),
    );
    let graphql = r#"{"query":"query Q($id: ID!) { user(id: $id) { name posts(first: 10) { edges { node { id } } } } }","variables":{"id":"1"}}"#;
    passes(
        &engine,
        "GraphQL",
        &with_body("/graphql", "application/json; charset=utf-8", graphql),
    );
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?><order id="1"><item sku="a-1">Tea &amp; cake</item></order>"#;
    passes(&engine, "XML", &with_body("/order", "application/xml", xml));
    let upload = "--b1\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nMy cat's photo\r\n--b1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"cat (1).jpeg\"\r\nContent-Type: image/jpeg\r\n\r\n\u{0}\u{1}<?php JFIF\r\n--b1--\r\n";
    passes(
        &engine,
        "upload",
        &with_body("/up", "multipart/form-data; boundary=b1", upload),
    );
    let markdown = "text=%23+Title%0D%0A%0D%0ASee+%5Bthis%5D(..%2Fdocs%2Fa.md)+and+%60let+x+%3D+1%3B%60%0D%0A%0D%0A-+one%0D%0A-+two%0D%0A%0D%0A%7C+a+%7C+id+%7C%0D%0A%7C---%7C---%7C%0D%0A";
    passes(&engine, "markdown", &form("/wiki", markdown));
}

#[test]
fn clients_without_a_browser() {
    let engine = engine("");
    for agent in [
        "curl/8.5.0",
        "python-requests/2.32.3",
        "Go-http-client/1.1",
        "kube-probe/1.30",
        "Googlebot/2.1 (+http://www.google.com/bot.html)",
        "okhttp/4.12.0",
    ] {
        let mut exchange = super::support::get("/health");
        exchange
            .headers
            .extend([("User-Agent", agent), ("Accept", "*/*")]);
        passes(&engine, agent, &exchange);
    }
    let mut bare = super::support::get("/health");
    bare.headers.clear();
    passes(&engine, "HTTP/1.0 probe", &bare);
}

#[test]
fn responses() {
    let engine = engine("");
    let mut exchange = browser("GET", "/docs");
    exchange.response_body = "<html><title>Index</title><body>How to handle a <b>Warning</b> on line 3 of your SQL, and &lt;?php tags.</body></html>";
    passes(&engine, "documentation", &exchange);
}

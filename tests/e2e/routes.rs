//! Which route takes a request.

use http::Request;
use portcullis_tests::origin::full;
use portcullis_tests::{Client, Config, Origin};
use serde_json::{Value, json};

/// A configuration whose routes answer with their names.
fn naming(routes: &[(&str, Value)]) -> Config {
    routes.iter().fold(Config::new(), |config, (name, matches)| {
        config.route_value(json!({ "name": name, "match": matches, "respond": { "status": 200, "body": name } }))
    })
}

async fn route_of(
    client: &mut Client,
    method: &str,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> String {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", host);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let answer = client.send(request.body(full("")).expect("request")).await;
    if answer.status == 404 {
        "none".to_owned()
    } else {
        answer.text()
    }
}

#[tokio::test]
async fn hosts_before_paths_before_conditions() {
    let config = naming(&[
        ("any", json!({})),
        ("any-v1", json!({ "path": { "prefix": "/v1" } })),
        ("wild", json!({ "host": "*.example.com" })),
        ("wild-long", json!({ "host": "*.api.example.com" })),
        ("exact-host", json!({ "host": "www.example.com" })),
        (
            "exact-v1",
            json!({ "host": "www.example.com", "path": { "prefix": "/v1" } }),
        ),
        (
            "exact-v1-deep",
            json!({ "host": "www.example.com", "path": { "prefix": "/v1/deep" } }),
        ),
        (
            "exact-path",
            json!({ "host": "www.example.com", "path": { "exact": "/v1/deep/x" } }),
        ),
        (
            "exact-regex",
            json!({ "host": "www.example.com", "path": { "regex": "/v[0-9]+" } }),
        ),
        (
            "exact-post",
            json!({ "host": "www.example.com", "path": { "prefix": "/v1" }, "method": "POST" }),
        ),
        (
            "exact-beta",
            json!({ "host": "www.example.com", "path": { "prefix": "/v1" }, "headers": { "x-beta": "present" } }),
        ),
        ("several", json!({ "host": ["one.test", "*.two.test"] })),
    ]);
    let proxy = config.start().await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        for (method, host, path, headers, expected) in [
            ("GET", "other.test", "/", &[][..], "any"),
            ("GET", "other.test", "/v1", &[][..], "any-v1"),
            ("GET", "other.test", "/v1/x", &[][..], "any-v1"),
            ("GET", "other.test", "/v10", &[][..], "any"),
            ("GET", "a.example.com", "/v1", &[][..], "wild"),
            ("GET", "a.b.example.com", "/", &[][..], "wild"),
            ("GET", "example.com", "/", &[][..], "any"),
            ("GET", "x.api.example.com", "/", &[][..], "wild-long"),
            ("GET", "www.example.com", "/", &[][..], "exact-host"),
            ("GET", "WWW.Example.COM", "/", &[][..], "exact-host"),
            ("GET", "www.example.com:8080", "/", &[][..], "exact-host"),
            ("GET", "www.example.com", "/v1/a", &[][..], "exact-v1"),
            (
                "GET",
                "www.example.com",
                "/v1/deep/y",
                &[][..],
                "exact-v1-deep",
            ),
            (
                "GET",
                "www.example.com",
                "/v1/deep/x",
                &[][..],
                "exact-path",
            ),
            (
                "GET",
                "www.example.com",
                "/v1/deep/x?q=1",
                &[][..],
                "exact-path",
            ),
            ("GET", "www.example.com", "/old/v2", &[][..], "exact-regex"),
            ("POST", "www.example.com", "/v1/a", &[][..], "exact-post"),
            (
                "GET",
                "www.example.com",
                "/v1/a",
                &[("x-beta", "1")][..],
                "exact-beta",
            ),
            ("GET", "one.test", "/", &[][..], "several"),
            ("GET", "a.two.test", "/", &[][..], "several"),
        ] {
            let found = route_of(&mut client, method, host, path, headers).await;
            assert_eq!(found, expected, "{method} {host} {path} {headers:?}");
        }
    }
}

#[tokio::test]
async fn header_conditions_and_file_order() {
    let config = naming(&[
        ("value", json!({ "headers": { "x-kind": "a" } })),
        (
            "regex",
            json!({ "headers": { "x-kind": { "regex": "^b" } } }),
        ),
        ("absent", json!({ "headers": { "x-kind": "absent" } })),
        (
            "two",
            json!({ "headers": { "x-kind": "present", "x-more": "1" } }),
        ),
        ("first", json!({ "headers": { "x-kind": "present" } })),
        ("second", json!({ "headers": { "x-kind": "present" } })),
    ]);
    let proxy = config.start().await;
    let mut client = proxy.client().await;
    for (headers, expected) in [
        (&[("x-kind", "a")][..], "value"),
        (&[("x-kind", "bcd")][..], "regex"),
        (&[][..], "absent"),
        (&[("x-kind", "z")][..], "first"),
        (&[("x-kind", "a"), ("x-more", "1")][..], "two"),
    ] {
        assert_eq!(
            route_of(&mut client, "GET", "a", "/", headers).await,
            expected,
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn no_route_is_404() {
    let proxy = naming(&[("one", json!({ "path": { "prefix": "/one" } }))])
        .start()
        .await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        assert_eq!(client.get("/one").await.status, 200);
        assert_eq!(client.get("/two").await.status, 404);
        assert_eq!(client.get("/one").await.status, 200);
    }
}

#[tokio::test]
async fn a_static_answer_with_and_without_a_chain() {
    let marking = portcullis_tests::Filter::rust(
        json!({ "response_headers": [{ "set": ["x-filter", "1"] }] }),
    );
    let respond = json!({ "status": 418, "headers": { "content-type": "text/plain", "x-two": ["a", "b"] }, "body": "short and stout" });
    let proxy = Config::new()
        .filter("marking", marking)
        .route_value(json!({ "name": "plain", "match": { "path": { "prefix": "/plain" } }, "respond": respond }))
        .route_value(json!({ "name": "chained", "chain": ["marking"], "respond": respond }))
        .start()
        .await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        for (path, marked) in [("/plain", None), ("/chained", Some("1"))] {
            for _ in 0..2 {
                let answer = client.get(path).await;
                assert_eq!(
                    (answer.status, answer.text().as_str()),
                    (418, "short and stout")
                );
                assert_eq!(answer.values("x-two"), ["a", "b"]);
                assert_eq!(answer.header("x-filter"), marked);
            }
        }
        let head = client
            .send(Request::head("/plain").body(full("")).expect("request"))
            .await;
        assert_eq!(
            (head.status, head.header("content-length"), head.body.len()),
            (418, Some("15"), 0)
        );
    }
}

#[tokio::test]
async fn routes_lead_to_their_upstreams() {
    let (one, two) = (Origin::echo().await, Origin::echo().await);
    let proxy = Config::new()
        .upstream("one", one.address())
        .upstream("two", two.address())
        .route_value(
            json!({ "name": "one", "match": { "path": { "prefix": "/one" } }, "upstream": "one" }),
        )
        .route_value(
            json!({ "name": "two", "match": { "path": { "prefix": "/two" } }, "upstream": "two" }),
        )
        .start()
        .await;
    let mut client = proxy.client().await;
    client.get("/one").await;
    client.get("/two").await;
    assert_eq!(
        (one.next().await.target, two.next().await.target),
        ("/one".to_owned(), "/two".to_owned())
    );
}

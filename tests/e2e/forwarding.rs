//! What the proxy adds to, drops from and keeps of a forwarded message.

use http::{Request, Response};
use portcullis_tests::origin::full;
use portcullis_tests::{Authority, Client, Config, Filter, Origin, Recorded};
use serde_json::json;

fn trusting(origin: &Origin) -> Config {
    Config::new().origin(origin.address()).set(
        "/listeners/0/client_ip",
        json!({ "header": "x-forwarded-for", "trusted": ["127.0.0.0/8", "10.0.0.0/8"] }),
    )
}

async fn forwarded(config: Config, origin: &Origin, headers: &[(&str, &str)]) -> Recorded {
    let proxy = config.start().await;
    let request = headers
        .iter()
        .fold(Request::get("/"), |request, (name, value)| {
            request.header(*name, *value)
        });
    assert_eq!(
        proxy
            .client()
            .await
            .send(request.body(full("")).expect("request"))
            .await
            .status,
        200
    );
    origin.next().await
}

#[tokio::test]
async fn forwarding_headers_are_written() {
    let origin = Origin::echo().await;
    let seen = forwarded(
        Config::new().origin(origin.address()),
        &origin,
        &[("host", "a.example:8080")],
    )
    .await;
    assert_eq!(seen.header("host"), Some("a.example:8080"), "Host is kept");
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-host"), Some("a.example:8080"));
    let via = seen.header("via").expect("Via");
    assert!(via.starts_with("1.1 "), "{via}");
    assert!(seen.header("x-request-id").is_some_and(|id| id.len() >= 16));
}

#[tokio::test]
async fn a_stranger_is_not_believed() {
    let origin = Origin::echo().await;
    let claims = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-real-ip", "6.6.6.6"),
    ];
    let seen = forwarded(Config::new().origin(origin.address()), &origin, &claims).await;
    assert_eq!(
        seen.values("x-forwarded-for"),
        ["127.0.0.1"],
        "the peer alone"
    );
    assert_eq!(seen.values("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.values("x-forwarded-host"), ["portcullis.test"]);
}

/// The client is the rightmost hop that is not trusted; filters see that address.
#[tokio::test]
async fn the_client_is_the_rightmost_untrusted_hop() {
    for (chain, client) in [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, nonsense", "127.0.0.1"),
        ("2001:db8::1, 10.0.0.1", "2001:db8::1"),
    ] {
        let telling = Filter::rust(
            json!({ "request_headers": [{ "property": ["source.address", "x-source"] }] }),
        );
        let origin = Origin::echo().await;
        let seen = forwarded(
            trusting(&origin).filter("telling", telling),
            &origin,
            &[("x-forwarded-for", chain)],
        )
        .await;
        let list = seen.values("x-forwarded-for").join(", ");
        if !chain.contains("nonsense") {
            assert_eq!(list, format!("{chain}, 127.0.0.1"), "the list is continued");
        }
        let source = seen.header("x-source").expect("an address");
        assert!(
            source.trim_start_matches('[').starts_with(client),
            "{chain}: {source} is not {client}"
        );
    }
}

#[tokio::test]
async fn hop_headers_end_here() {
    let origin = Origin::answering(|_| {
        Response::builder()
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-authenticate", "Basic")
            .header("x-end", "1")
            .body(full(""))
            .expect("response")
    })
    .await;
    let adding = Filter::rust(json!({ "request_headers": [{ "set": ["x-from-filter", "1"] }] }));
    for config in [Config::new(), Config::new().filter("adding", adding)] {
        let chained = config.text().contains("adding");
        let proxy = config.origin(origin.address()).start().await;
        let request = Request::get("/")
            .header("connection", "keep-alive, x-nominated, x-from-filter")
            .header("x-nominated", "1")
            .header("keep-alive", "timeout=5")
            .header("te", "gzip")
            .header("proxy-connection", "keep-alive")
            .header("x-end", "1");
        let answer = proxy
            .client()
            .await
            .send(request.body(full("")).expect("request"))
            .await;
        let seen = origin.next().await;
        for name in [
            "x-nominated",
            "keep-alive",
            "te",
            "proxy-connection",
            "upgrade",
        ] {
            assert_eq!(seen.header(name), None, "{name}");
        }
        assert_eq!(seen.header("x-end"), Some("1"));
        if chained {
            assert_eq!(
                seen.header("x-from-filter"),
                Some("1"),
                "a client cannot nominate a filter's header away"
            );
        }
        for name in ["x-hop", "keep-alive"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
        assert_eq!(answer.header("x-end"), Some("1"));
    }
}

#[tokio::test]
async fn the_request_id_is_made_or_taken() {
    let origin = Origin::echo().await;
    let given = [("x-request-id", "given-by-the-client")];
    let seen = forwarded(Config::new().origin(origin.address()), &origin, &given).await;
    assert_ne!(seen.header("x-request-id"), Some("given-by-the-client"));
    assert_eq!(seen.values("x-request-id").len(), 1);
    let accepting = Config::new()
        .origin(origin.address())
        .set("/observability/request_id", json!({ "accept": true }));
    let seen = forwarded(accepting, &origin, &given).await;
    assert_eq!(seen.values("x-request-id"), ["given-by-the-client"]);
}

#[tokio::test]
async fn each_request_has_its_own_id() {
    let origin = Origin::echo().await;
    let proxy = Config::new().origin(origin.address()).start().await;
    let mut client = proxy.client().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..50 {
        client.get("/").await;
        ids.insert(
            origin
                .next()
                .await
                .header("x-request-id")
                .expect("an id")
                .to_owned(),
        );
    }
    assert_eq!(ids.len(), 50);
}

#[tokio::test]
async fn over_tls_the_scheme_is_https() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"]);
    let origin = Origin::echo().await;
    let telling = Filter::rust(
        json!({ "request_headers": [{ "property": ["request.scheme", "x-scheme"] }, { "property": ["request.protocol", "x-protocol"] }] }),
    );
    let proxy = Config::new()
        .origin(origin.address())
        .tls(&certificate, &key)
        .filter("telling", telling)
        .start()
        .await;
    for (alpn, protocol) in [("http/1.1", "HTTP/1.1"), ("h2", "HTTP/2")] {
        let mut client = Client::tls(proxy.address(), &authority, alpn).await;
        assert_eq!(client.get("/").await.status, 200);
        let seen = origin.next().await;
        assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
        assert_eq!(seen.header("x-scheme"), Some("https"));
        assert_eq!(seen.header("x-protocol"), Some(protocol));
        assert_eq!(seen.header("host"), Some("portcullis.test"));
    }
}

/// One form of the path for routing, filters and origin; what is encoded stays encoded.
#[tokio::test]
async fn the_path_is_normalised_once() {
    let telling = Filter::rust(json!({ "request_headers": [{ "copy": [":path", "x-path"] }] }));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("telling", telling)
        .start()
        .await;
    for (sent, expected) in [
        ("/a/./b/../c", "/a/c"),
        ("/../../x", "/x"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a/b?x=/../y", "/a/b?x=/../y"),
        ("/a/%2e%2e/b", "/b"),
        ("/plain", "/plain"),
    ] {
        let mut wire = proxy.raw().await;
        wire.send(format!("GET {sent} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        assert_eq!(wire.answer().await.status, 200, "{sent}");
        let seen = origin.next().await;
        assert_eq!(
            (seen.target.as_str(), seen.header("x-path")),
            (expected, Some(expected)),
            "{sent}"
        );
    }
}

//! The built-in filter `rate-limit`, end to end.

use futures::future::join_all;
use http::Request;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::json;

/// However many workers and connections: exactly as many requests pass as the burst allows.
#[tokio::test]
async fn the_count_is_exact_over_all_workers() {
    const BURST: usize = 100;
    let origin = Origin::echo().await;
    let limit = Filter::builtin(
        "rate-limit",
        json!({ "key": ["client_ip"], "rate": "1/1h", "burst": BURST }),
    );
    let proxy = Config::new()
        .origin(origin.address())
        .set("/workers", json!(4))
        .filter("limit", limit)
        .start()
        .await;
    let clients = join_all((0..8).map(|_| proxy.client())).await;
    let statuses = join_all(clients.into_iter().map(|mut client| async move {
        let mut statuses = Vec::new();
        for _ in 0..25 {
            statuses.push(client.get("/").await.status);
        }
        statuses
    }))
    .await
    .concat();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    let limited = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!((passed, limited), (BURST, 200 - BURST));
    assert_eq!(origin.heads(), BURST);
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back() {
    let origin = Origin::echo().await;
    let limit = Filter::builtin(
        "rate-limit",
        json!({ "key": ["client_ip"], "rate": "60/1h", "burst": 2 }),
    );
    let proxy = Config::new()
        .origin(origin.address())
        .filter("limit", limit)
        .start()
        .await;
    let mut client = proxy.client().await;
    let answer = client.get("/").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer
            .header("ratelimit")
            .is_some_and(|field| field.contains("r=1")),
        "{:?}",
        answer.headers
    );
    assert!(
        answer
            .header("ratelimit-policy")
            .is_some_and(|field| field.contains("q=60") && field.contains("w=3600")),
        "{:?}",
        answer.headers
    );
    assert_eq!(client.get("/").await.status, 200);
    let answer = client.get("/").await;
    assert_eq!(answer.status, 429);
    let wait: u64 = answer
        .header("retry-after")
        .expect("Retry-After")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(
        answer
            .header("ratelimit")
            .is_some_and(|field| field.contains("r=0")),
        "{:?}",
        answer.headers
    );
    assert_eq!(client.get("/").await.status, 429, "the connection goes on");
}

#[tokio::test]
async fn buckets_by_header_and_by_trusted_address() {
    let origin = Origin::echo().await;
    let by_header = Filter::builtin(
        "rate-limit",
        json!({ "key": [{ "header": "x-tenant" }], "rate": "1/1h", "burst": 1 }),
    );
    let by_address = Filter::builtin(
        "rate-limit",
        json!({ "key": ["client_ip"], "rate": "1/1h", "burst": 1 }),
    );
    let config = Config::new()
        .origin(origin.address())
        .filter("by-header", by_header)
        .filter("by-address", by_address)
        .route(
            "header",
            json!({ "path": { "prefix": "/header" } }),
            &["by-header"],
        )
        .route(
            "address",
            json!({ "path": { "prefix": "/address" } }),
            &["by-address"],
        );
    let trusting = json!({ "header": "x-forwarded-for", "trusted": ["127.0.0.1/32"] });
    let asking = |path: &str, name: &str, value: &str| {
        Request::get(path)
            .header(name, value)
            .body(full(""))
            .expect("request")
    };
    for trusts in [false, true] {
        let config = config.clone();
        let config = if trusts {
            config.set("/listeners/0/client_ip", trusting.clone())
        } else {
            config
        };
        let proxy = config.start().await;
        let mut client = proxy.client().await;
        for (tenant, status) in [("a", 200), ("b", 200), ("a", 429), ("b", 429)] {
            assert_eq!(
                client
                    .send(asking("/header", "x-tenant", tenant))
                    .await
                    .status,
                status,
                "{tenant}"
            );
        }
        // A stranger cannot get a fresh bucket by claiming another address.
        let second = if trusts { 200 } else { 429 };
        for (address, status) in [
            ("203.0.113.1", 200),
            ("203.0.113.2", second),
            ("203.0.113.1", 429),
        ] {
            assert_eq!(
                client
                    .send(asking("/address", "x-forwarded-for", address))
                    .await
                    .status,
                status,
                "{address}"
            );
        }
    }
}

/// A claim of the token that `auth` verified is a key too; an override gives a route its own limit.
#[tokio::test]
async fn limits_by_consumer_and_by_route() {
    let origin = Origin::echo().await;
    let keys = Filter::builtin(
        "auth",
        json!({ "api_keys": { "header": "x-api-key", "keys": { "alice": "a", "bob": "b" } } }),
    );
    let limit = Filter::builtin(
        "rate-limit",
        json!({ "key": [{ "header": "x-consumer" }], "rate": "1/1h", "burst": 1 }),
    );
    let wide = json!({
        "name": "wide", "match": { "path": { "prefix": "/wide" } }, "chain": ["keys", "limit"], "upstream": "origin",
        "overrides": { "limit": { "burst": 3 } },
    });
    let proxy = Config::new()
        .origin(origin.address())
        .filter("keys", keys)
        .filter("limit", limit)
        .route_value(wide)
        .route("rest", json!({}), &["keys", "limit"])
        .start()
        .await;
    let mut client = proxy.client().await;
    for (path, key, status) in [
        ("/", "a", 200),
        ("/", "a", 429),
        ("/", "b", 200),
        ("/wide", "a", 200),
        ("/wide", "a", 200),
        ("/wide", "a", 200),
        ("/wide", "a", 429),
        ("/", "nobody", 401),
    ] {
        let request = Request::get(path)
            .header("x-api-key", key)
            .body(full(""))
            .expect("request");
        assert_eq!(client.send(request).await.status, status, "{path} {key}");
    }
}

/// A reload that does not touch the filter does not give anybody a fresh bucket.
#[tokio::test]
async fn buckets_survive_a_reload() {
    let origin = Origin::echo().await;
    let limit = Filter::builtin(
        "rate-limit",
        json!({ "key": ["client_ip"], "rate": "1/1h", "burst": 1 }),
    );
    let config = Config::new()
        .origin(origin.address())
        .filter("limit", limit);
    let proxy = config.clone().start().await;
    assert_eq!(proxy.get("/").await.status, 200);
    let (status, answer) = proxy
        .reload(&config.set("/reload/drain", json!("20s")))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(proxy.get("/").await.status, 429);
}

//! Limits of plugins and listeners, each at its edge.

use http::{Request, Response};
use portcullis_tests::metrics::Metrics;
use portcullis_tests::origin::{full, zeros};
use portcullis_tests::{Config, Filter, Origin, RawOrigin};
use serde_json::json;

/// Held up to the limit: it passes. One byte more: 413, and the origin sees nothing.
#[tokio::test]
async fn a_request_body_beyond_body_held_is_413() {
    let holding = Filter::rust(json!({ "request_body": ["buffer"] }))
        .hold()
        .limit("body_held", "64KiB");
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("holding", holding)
        .start()
        .await;
    for h2 in [false, true] {
        let mut client = if h2 {
            proxy.h2().await
        } else {
            proxy.client().await
        };
        assert_eq!(client.post("/", vec![b'x'; 64 << 10]).await.status, 200);
        let heads = origin.heads();
        assert_eq!(
            client.post("/", vec![b'x'; (64 << 10) + 1]).await.status,
            413
        );
        let mut client = if h2 {
            proxy.h2().await
        } else {
            proxy.client().await
        };
        let chunked = Request::post("/")
            .body(zeros(3, 32 << 10))
            .expect("request");
        assert_eq!(client.send(chunked).await.status, 413);
        assert_eq!(origin.heads(), heads);
    }
    assert_eq!(proxy.get("/").await.status, 200);
}

#[tokio::test]
async fn a_response_body_beyond_body_held_is_500() {
    let holding = Filter::rust(json!({ "response_body": ["buffer"] }))
        .hold()
        .limit("body_held", "64KiB");
    let origin = Origin::answering(|request| {
        let size = request.target.trim_start_matches('/').parse().unwrap_or(0);
        Response::new(full(vec![b'x'; size]))
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("holding", holding)
        .start()
        .await;
    assert_eq!(proxy.get("/65536").await.status, 200);
    assert_eq!(proxy.get("/65537").await.status, 500);
    assert_eq!(proxy.get("/1000000").await.status, 500);
    assert_eq!(proxy.get("/100").await.status, 200);
}

#[tokio::test]
async fn a_pause_without_end_is_504() {
    let pausing = |on: serde_json::Value| Filter::rust(on).limit("pause", "200ms");
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("request", pausing(json!({ "request_headers": ["pause"] })))
        .filter("body", pausing(json!({ "request_body": ["pause"] })).hold())
        .filter(
            "response",
            pausing(json!({ "response_headers": ["pause"] })),
        )
        .route(
            "request",
            json!({ "path": { "prefix": "/request" } }),
            &["request"],
        )
        .route("body", json!({ "path": { "prefix": "/body" } }), &["body"])
        .route(
            "response",
            json!({ "path": { "prefix": "/response" } }),
            &["response"],
        )
        .start()
        .await;
    for (path, heads) in [("/request", 0), ("/body", 0), ("/response", 1)] {
        for h2 in [false, true] {
            let before = origin.heads();
            let mut client = if h2 {
                proxy.h2().await
            } else {
                proxy.client().await
            };
            assert_eq!(client.post(path, "a body").await.status, 504, "{path}");
            assert_eq!(origin.heads() - before, heads, "{path}");
        }
    }
}

/// Within the limit all callouts go out; what is beyond it is refused to the guest.
#[tokio::test]
async fn callouts_in_flight_are_limited() {
    let call = json!({ "call": { "upstream": "callee", "refused": "x-refused" } });
    let calls: Vec<_> = std::iter::repeat_n(call, 5)
        .chain([json!("pause")])
        .collect();
    let filter =
        Filter::rust(json!({ "request_headers": calls, "calls_done": [{ "resume": "request" }] }))
            .may_call(&["callee"])
            .set("limits", json!({ "callouts": 3, "cpu_per_call": "1s" }));
    let (origin, callee) = (Origin::echo().await, Origin::echo().await);
    let config = Config::new()
        .origin(origin.address())
        .upstream("callee", callee.address());
    let proxy = config.filter("guest", filter).start().await;
    assert_eq!(proxy.get("/").await.status, 200);
    assert!(origin.next().await.header("x-refused").is_some());
    assert_eq!(callee.heads(), 3);
}

#[tokio::test]
async fn shared_data_keeps_what_was_used_last() {
    let value = "x".repeat(1000);
    let filter = Filter::rust(json!({ "request_headers": [
        { "when": ["fill", [
            { "share_set": ["old", value] }, { "share_set": ["a", value] }, { "share_set": ["b", value] },
            { "share_set": ["c", value] }, { "share_set": ["d", value] }, { "share_set": ["e", value] },
            { "share_set": ["new", "n"] },
        ]] },
        { "share_get": ["new", "x-new"] },
        { "when": ["old", [{ "share_get": ["old", "x-old"] }]] },
    ] }))
    .limit("shared_data", "4KiB");
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    for what in ["fill", "old"] {
        let request = Request::get("/")
            .header("x-do", what)
            .body(full(""))
            .expect("request");
        assert_eq!(
            proxy.client().await.send(request).await.status,
            200,
            "the guest was answered Ok"
        );
    }
    origin.next().await;
    let seen = origin.next().await;
    assert_eq!(
        (seen.header("x-new"), seen.header("x-old")),
        (Some("n"), Some("-"))
    );
    let evicted = |metrics: &Metrics| {
        metrics.sum(
            "portcullis_filter_shared_data_evictions_total",
            &[("filter", "guest")],
        ) >= 1.0
    };
    proxy.until_metrics("a counted eviction", evicted).await;
}

fn with_limits(origin: std::net::SocketAddr, limits: serde_json::Value) -> Config {
    Config::new()
        .origin(origin)
        .set("/listeners/0/limits", limits)
}

#[tokio::test]
async fn heads_beyond_their_limits_are_431() {
    let origin = RawOrigin::recording().await;
    let proxy = with_limits(
        origin.address(),
        json!({ "header_bytes": "8KiB", "headers": 20 }),
    )
    .start()
    .await;
    let filler = "x".repeat(7000);
    let mut wire = proxy.raw().await;
    wire.send(format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx-big: {filler}\r\n\r\n"
    ))
    .await;
    assert_eq!(wire.answer().await.status, 200);
    let before = origin.bytes().len();
    for head in [
        format!("x-big: {filler}{filler}\r\n"),
        (0..20).map(|number| format!("x-{number}: a\r\n")).collect(),
    ] {
        let mut wire = proxy.raw().await;
        wire.send(format!("GET / HTTP/1.1\r\nhost: a\r\n{head}\r\n"))
            .await;
        assert_eq!(wire.answer().await.status, 431);
        assert!(wire.closed().await);
    }
    let mut wire = proxy.raw().await;
    wire.send(format!("GET /{filler}{filler} HTTP/1.1\r\nhost: a\r\n\r\n"))
        .await;
    let status = wire.answer().await.status;
    assert!([414, 431].contains(&status), "{status}");
    assert_eq!(origin.bytes().len(), before, "the origin saw none of them");
}

#[tokio::test]
async fn bodies_beyond_the_listeners_limit_are_413() {
    let origin = Origin::echo().await;
    let proxy = with_limits(origin.address(), json!({ "body_bytes": "10KiB" }))
        .start()
        .await;
    for h2 in [false, true] {
        let mut client = if h2 {
            proxy.h2().await
        } else {
            proxy.client().await
        };
        assert_eq!(client.post("/", vec![b'x'; 10 << 10]).await.status, 200);
        assert_eq!(
            client.post("/", vec![b'x'; (10 << 10) + 1]).await.status,
            413
        );
    }
    assert_eq!(origin.requests().len(), 2);
}

/// Dripped headers: 408 (or a close) at the deadline, on a first and on a later request, and nothing for the origin.
#[tokio::test]
async fn dripped_headers_end_at_their_deadline() {
    let origin = RawOrigin::recording().await;
    let proxy = with_limits(origin.address(), json!({ "header_timeout": "300ms" }))
        .start()
        .await;
    for earlier in [false, true] {
        let mut wire = proxy.raw().await;
        if earlier {
            wire.send("GET /earlier HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(wire.answer().await.status, 200);
        }
        let drip = b"GET /dripped HTTP/1.1\r\nhost: a\r\nx-slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let mut drops = tokio::time::interval(std::time::Duration::from_millis(20));
        let started = tokio::time::Instant::now();
        for byte in drip.iter().cycle() {
            drops.tick().await;
            if wire.try_send([*byte]).await.is_err() || started.elapsed().as_millis() > 1500 {
                break;
            }
        }
        if let Some(answer) = wire.try_answer_to("GET").await {
            assert_eq!(answer.status, 408);
        }
        assert!(wire.closed().await);
        assert!(started.elapsed().as_secs() < 10);
    }
    assert!(!String::from_utf8_lossy(&origin.bytes()).contains("dripped"));
}

/// A body slower than the minimum rate is given up, with and without a chain.
#[tokio::test]
async fn dripped_bodies_end_too() {
    let streaming = Filter::rust(json!({ "request_headers": [{ "set": ["x-a", "1"] }] }));
    let holding = Filter::rust(json!({ "request_body": ["buffer"] })).hold();
    let origin = Origin::echo().await;
    let config = with_limits(origin.address(), json!({ "body_min_rate": "10KiB" }));
    for config in [
        config.clone(),
        config.clone().filter("streaming", streaming),
        config.filter("holding", holding),
    ] {
        let proxy = config.start().await;
        let mut wire = proxy.raw().await;
        wire.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nstart")
            .await;
        let answer = wire.try_answer_to("POST").await;
        assert!(answer.is_none_or(|answer| [400, 408].contains(&answer.status)));
        assert_eq!(proxy.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let origin = Origin::echo().await;
    let proxy = with_limits(origin.address(), json!({ "connections": 3 }))
        .start()
        .await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut client = proxy.client().await;
        assert_eq!(client.get("/").await.status, 200);
        held.push(client);
    }
    let mut wire = proxy.raw().await;
    let _ = wire.try_send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(wire.closed().await, "accepted and closed at once");
    held.pop();
    portcullis_tests::deadline::until("room for another connection", async || {
        let mut wire = proxy.raw().await;
        wire.try_send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .ok()?;
        wire.try_answer_to("GET")
            .await
            .filter(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let origin = Origin::echo().await;
    let proxy = with_limits(origin.address(), json!({ "idle_timeout": "1s" }))
        .start()
        .await;
    let mut wire = proxy.raw().await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 200);
    assert!(wire.closed().await);
}

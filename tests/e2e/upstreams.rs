//! Upstreams with several endpoints.

use std::collections::BTreeMap;

use http::Response;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Origin};
use serde_json::json;

async fn named(name: &'static str) -> Origin {
    Origin::answering(move |_| Response::new(full(name))).await
}

#[tokio::test]
async fn endpoints_take_turns() {
    let (one, two, three) = (named("one").await, named("two").await, named("three").await);
    let endpoints: Vec<_> = [&one, &two, &three]
        .map(|origin| json!({ "address": origin.address().to_string() }))
        .into();
    let proxy = Config::new()
        .set("/upstreams/origin", json!({ "endpoints": endpoints }))
        .start()
        .await;
    let mut client = proxy.client().await;
    let mut counts = BTreeMap::<String, usize>::new();
    for _ in 0..30 {
        *counts.entry(client.get("/").await.text()).or_default() += 1;
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert!(
        counts.values().all(|count| (8..=12).contains(count)),
        "{counts:?}"
    );
}

#[tokio::test]
async fn connections_to_an_origin_are_reused() {
    let origin = Origin::echo().await;
    let proxy = Config::new().origin(origin.address()).start().await;
    let mut client = proxy.client().await;
    for _ in 0..50 {
        assert_eq!(client.post("/", "a body").await.text(), "a body");
    }
    assert!(
        origin.connections() <= 2,
        "{} connections for 50 requests",
        origin.connections()
    );
}

#[tokio::test]
async fn one_dead_endpoint_of_two() {
    let alive = named("alive").await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("address");
    let endpoints =
        json!([{ "address": dead.to_string() }, { "address": alive.address().to_string() }]);
    let proxy = Config::new()
        .set("/upstreams/origin", json!({ "endpoints": endpoints }))
        .start()
        .await;
    let mut client = proxy.client().await;
    let mut answered = 0;
    for _ in 0..20 {
        match client.get("/").await {
            answer if answer.status == 200 => answered += 1,
            answer => assert_eq!(answer.status, 502),
        }
    }
    assert!(answered >= 10, "{answered} of 20");
}

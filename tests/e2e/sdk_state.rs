//! Modules by the public SDKs share data over all workers, pass items through queues, and count.

use futures::future::join_all;
use portcullis_tests::deadline::until;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::json;

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    shared_data_counts_exactly,
    queues_between_plugins,
    metrics_of_guests,
    logs
);

/// Compare and swap from every worker's VM: not one increment is lost. The first one has no token to
/// swap by (a write without one is unconditional in this ABI), so it goes alone and makes the key.
async fn shared_data_counts_exactly(guest: Guest) {
    const CLIENTS: usize = 8;
    const EACH: usize = 50;
    let filter = script!(guest, { "request_headers": [
        { "when": ["count", [{ "share_increment": "hits" }]] },
        { "when": ["read", [{ "share_get": ["hits", "x-hits"] }]] },
    ] });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .set("/workers", json!(4))
        .start()
        .await;
    assert_eq!(proxy.client().await.send(asking("count")).await.status, 200);
    let clients = join_all((0..CLIENTS).map(|_| proxy.client())).await;
    join_all(clients.into_iter().map(|mut client| async move {
        for _ in 0..EACH {
            assert_eq!(client.send(asking("count")).await.status, 200);
        }
    }))
    .await;
    proxy.client().await.send(asking("read")).await;
    let requests = origin.requests();
    let total = requests
        .last()
        .expect("the last request")
        .header("x-hits")
        .expect("a count");
    assert_eq!(total, (1 + CLIENTS * EACH).to_string());
}

fn asking(what: &str) -> http::Request<portcullis_tests::origin::Body> {
    http::Request::get("/")
        .header("x-do", what)
        .body(portcullis_tests::origin::full(""))
        .expect("request")
}

#[tokio::test]
async fn a_stale_token_is_refused() {
    let filter = Filter::rust(json!({ "request_headers": [
        { "share_get": ["key", "x-before"] },
        { "share_set": ["key", "value"] },
        { "share_stale": ["key", "x-stale"] },
        { "share_get": ["key", "x-after"] },
    ] }));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    proxy.get("/").await;
    let seen = origin.next().await;
    assert_eq!(seen.header("x-before"), Some("-"));
    assert_eq!(seen.header("x-stale"), Some("Err(CasMismatch)"));
    assert_eq!(seen.header("x-after"), Some("value"));
}

#[tokio::test]
async fn shared_data_is_kept_apart_by_vm_id() {
    let ops = json!({ "request_headers": [{ "share_get": ["key", "x-got"] }, { "share_set": ["key", "there"] }] });
    let filter = |vm_id: &str| Filter::rust(ops.clone()).set("vm_id", json!(vm_id));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("one", filter("a"))
        .filter("two", filter("a"))
        .filter("three", filter("b"))
        .route("one", json!({ "path": { "prefix": "/one" } }), &["one"])
        .route("two", json!({ "path": { "prefix": "/two" } }), &["two"])
        .route(
            "three",
            json!({ "path": { "prefix": "/three" } }),
            &["three"],
        )
        .start()
        .await;
    let mut client = proxy.client().await;
    for (path, got) in [("/one", "-"), ("/two", "there"), ("/three", "-")] {
        client.get(path).await;
        assert_eq!(origin.next().await.header("x-got"), Some(got), "{path}");
    }
}

async fn queues_between_plugins(guest: Guest) {
    let producer = script!(guest, { "request_headers": [
        { "enqueue": ["space", "jobs", "item"] }, { "copy": ["x-queue", "x-known"] },
        { "enqueue": ["elsewhere", "jobs", "item"] }, { "copy": ["x-queue", "x-foreign"] },
    ] });
    let consumer = script!(guest, {
        "configure": [{ "queue_register": "jobs" }],
        "queue_ready": [{ "dequeue": "jobs-done" }],
        "request_headers": [{ "share_get": ["jobs-done", "x-jobs"] }],
    });
    let foreign = script!(guest, { "configure": [{ "queue_register": "jobs" }] });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("producer", producer.set("vm_id", json!("space")))
        .filter("consumer", consumer.set("vm_id", json!("space")))
        .filter("foreign", foreign.set("vm_id", json!("elsewhere")))
        .route(
            "produce",
            json!({ "path": { "prefix": "/produce" } }),
            &["producer"],
        )
        .route(
            "look",
            json!({ "path": { "prefix": "/look" } }),
            &["consumer"],
        )
        .route(
            "foreign",
            json!({ "path": { "prefix": "/foreign" } }),
            &["foreign"],
        )
        .start()
        .await;
    let mut client = proxy.client().await;
    for _ in 0..3 {
        client.get("/produce").await;
        let seen = origin.next().await;
        assert_eq!(seen.header("x-known"), Some("Ok(())"));
        assert_eq!(
            seen.header("x-foreign"),
            Some("unknown"),
            "another plugin's queue needs the same vm_id"
        );
    }
    until("three consumed items", async || {
        client.get("/look").await;
        let jobs = origin
            .next()
            .await
            .header("x-jobs")
            .expect("looked")
            .to_owned();
        (jobs == "item,item,item,").then_some(())
    })
    .await;
}

async fn metrics_of_guests(guest: Guest) {
    let filter = script!(guest, { "request_headers": [
        { "counter": ["my.requests_kind=good", 2] },
        { "counter": ["hits", 1] },
        { "gauge": ["temperature", 21] },
        { "gauge": ["things_total", 5] },
        { "histogram": ["sizes", 300] },
    ] });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let mut client = proxy.client().await;
    for _ in 0..3 {
        client.get("/").await;
    }
    let metrics = proxy.metrics().await;
    let text = &metrics.text;
    for name in ["hits_total", "temperature", "things_total_value", "sizes"] {
        assert!(
            text.contains(&format!("# HELP portcullis_guest_{name} ")),
            "HELP of {name}:\n{text}"
        );
    }
    for (name, sum) in [
        ("hits_total", 3.0),
        ("temperature", 21.0),
        ("things_total_value", 5.0),
        ("sizes_count", 3.0),
        ("sizes_sum", 900.0),
    ] {
        let found = metrics.sum(&format!("portcullis_guest_{name}"), &[]);
        assert!(
            (found - sum).abs() < f64::EPSILON,
            "{name} is {found}:\n{text}"
        );
    }
    let labelled = text
        .lines()
        .find(|line| line.starts_with("portcullis_guest_my") && line.contains("kind=\"good"));
    assert!(
        labelled.is_some_and(|line| line.ends_with(" 6")),
        "labels from k=v in the name:\n{text}"
    );
}

async fn logs(guest: Guest) {
    let filter = script!(guest, { "request_headers": [
        { "log": ["info", "hello from a guest"] },
        { "log": ["warn", "two\r\nlines"] },
        { "log": ["trace", "too quiet to be seen"] },
    ] });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    proxy.get("/").await;
    let log = proxy.until_log("two").await;
    let line = log
        .lines()
        .find(|line| line.contains("hello from a guest"))
        .expect("the line");
    assert!(line.contains("guest"), "names the filter: {line}");
    assert!(
        log.lines()
            .any(|line| line.contains("two") && line.contains("lines")),
        "line breaks are escaped:\n{log}"
    );
    assert!(!log.contains("too quiet"), "the level is debug");
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut_and_counted() {
    let filter = Filter::rust(json!({ "request_headers": [{ "log_flood": 5000 }] }));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    assert_eq!(proxy.get("/").await.status, 200);
    let log = proxy.until_log("flood 0").await;
    let lines = log.lines().filter(|line| line.contains("flood ")).count();
    assert!(lines < 1000, "{lines} lines of 5000 were logged");
}

//! What a filter has by default is narrowed, what is outside is granted by name, and a refusal tells the line to add.

use http::{Request, Response};
use portcullis_tests::origin::{Body, full};
use portcullis_tests::{Config, Filter, Origin};
use serde_json::json;

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    headers_are_narrowed,
    bodies_are_narrowed,
    the_rest_is_narrowed
);

fn request() -> Request<Body> {
    Request::post("/here?a=1")
        .header("x-user-id", "7")
        .header("x-user-name", "alice")
        .header("x-secret", "s")
        .header("user-agent", "tests")
        .body(full("the body"))
        .expect("request")
}

async fn headers_are_narrowed(guest: Guest) {
    let filter = script!(guest, {
        "request_headers": [
            { "copy": ["x-user-id", "x-out-id"] },
            { "copy": ["x-secret", "x-out-secret"] },
            { "copy": [":path", "x-out-path"] },
            { "property": ["request.useragent", "x-out-agent"] },
            { "property": ["request.headers.x-secret", "x-out-property"] },
            { "property": ["request.headers.x-user-name", "x-out-name"] },
            { "set": ["x-secret", "changed"] },
            { "remove": "x-secret" },
            { "add": ["x-other", "1"] },
        ],
        "response_headers": [
            { "copy": ["x-origin", "x-out-seen"] },
            { "set": ["x-origin", "changed"] },
        ],
    });
    let grants = json!({ "headers": {
        "request": { "read": ["X-User-*"], "write": ["x-out-*"] },
        "response": { "read": false, "write": ["x-out-seen"] },
    } });
    let origin = Origin::answering(|_| {
        Response::builder()
            .header("x-origin", "1")
            .body(full("answer"))
            .expect("response")
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter.set("grants", grants))
        .start()
        .await;
    let answer = proxy.client().await.send(request()).await;
    let seen = origin.next().await;
    for (name, expected) in [
        ("x-out-id", "7"),
        ("x-out-secret", "-"),
        ("x-out-path", "-"),
        ("x-out-agent", "-"),
        ("x-out-property", "-"),
        ("x-out-name", "alice"),
        ("x-secret", "s"),
    ] {
        assert_eq!(seen.header(name), Some(expected), "{name}");
    }
    assert_eq!(seen.header("x-other"), None);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-origin"), Some("1"));
    assert_eq!(answer.header("x-out-seen"), Some("-"));
    for line in [
        "grants: { headers: { request: { read: [x-secret] } } }",
        "grants: { headers: { request: { write: [x-secret] } } }",
        "grants: { headers: { response: { read: [x-origin] } } }",
    ] {
        let log = proxy.until_log(line).await;
        assert_eq!(log.matches(line).count(), 1, "{line} in {log}");
    }
}

async fn bodies_are_narrowed(guest: Guest) {
    let filter = script!(guest, {
        "request_body": [{ "append": "more" }],
        "response_body": [{ "append": "more" }],
    });
    let grants =
        json!({ "body": { "request": { "write": false }, "response": { "read": false } } });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter.set("grants", grants))
        .start()
        .await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let answer = client.send(request()).await;
        assert_eq!(answer.status, 200);
        let seen = origin.next().await;
        assert_eq!(&seen.body[..], b"the body");
        assert_eq!(
            seen.header("content-length"),
            Some("8"),
            "a filter that may not change a body does not delay its length"
        );
    }
    let line = "grants: { body: { request: { write: true } } }";
    let log = proxy.until_log(line).await;
    assert_eq!(log.matches(line).count(), 1, "{log}");
    let metrics = proxy.metrics().await;
    let refused = metrics.sum(
        "portcullis_filter_refused_calls_total",
        &[("filter", "guest"), ("kind", "grant")],
    );
    assert!(refused >= 2.0, "{refused}");
}

async fn the_rest_is_narrowed(guest: Guest) {
    let filter = script!(guest, { "request_headers": [
        { "property": ["request.path", "x-out-path"] },
        { "property": ["source.address", "x-out-source"] },
        { "set_property": ["own", "v"] },
        { "property": ["own", "x-out-own"] },
        { "share_set": ["mine/key", "1"] },
        { "share_get": ["mine/key", "x-out-mine"] },
        { "share_set": ["other/key", "1"] },
        { "share_get": ["other/key", "x-out-other"] },
    ] });
    let grants = json!({ "properties": ["request"], "shared_data": ["mine/"] });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter.set("grants", grants))
        .start()
        .await;
    assert_eq!(proxy.client().await.send(request()).await.status, 200);
    let seen = origin.next().await;
    for (name, expected) in [
        ("x-out-path", "/here?a=1"),
        ("x-out-source", "-"),
        ("x-out-own", "-"),
        ("x-out-mine", "1"),
        ("x-out-other", "-"),
    ] {
        assert_eq!(seen.header(name), Some(expected), "{name}");
    }
}

/// Another's queue is found where its `vm_id` is granted, and only there.
#[tokio::test]
async fn queues_of_others_are_granted_by_vm_id() {
    let origin = Origin::echo().await;
    let enqueue = json!({ "request_headers": [
        { "enqueue": ["theirs", "jobs", "item"] },
        { "copy": ["x-queue", "x-out"] },
    ] });
    let owner = json!({ "configure": [{ "queue_register": "jobs" }] });
    let proxy = Config::new()
        .origin(origin.address())
        .filter("owner", Filter::rust(owner).set("vm_id", json!("theirs")))
        .filter("refused", Filter::rust(enqueue.clone()))
        .filter(
            "granted",
            Filter::rust(enqueue).set("grants", json!({ "queues": ["theirs"] })),
        )
        .route(
            "a",
            json!({ "path": { "prefix": "/refused" } }),
            &["refused"],
        )
        .route(
            "b",
            json!({ "path": { "prefix": "/granted" } }),
            &["granted"],
        )
        .route("c", json!({ "path": { "prefix": "/owner" } }), &["owner"])
        .start()
        .await;
    let mut client = proxy.client().await;
    client.get("/refused").await;
    assert_eq!(origin.next().await.header("x-out"), Some("unknown"));
    client.get("/granted").await;
    assert_eq!(origin.next().await.header("x-out"), Some("Ok(())"));
    let line = "grants: { queues: [theirs] }";
    let log = proxy.until_log(line).await;
    assert_eq!(log.matches(line).count(), 1, "{log}");
}

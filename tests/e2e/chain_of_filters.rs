//! Several filters in a row: order, replies, overrides, re-selecting the route.

use http::Request;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::{Value, json};

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    requests_run_first_to_last_responses_last_to_first,
    overrides_of_a_route
);

async fn requests_run_first_to_last_responses_last_to_first(guest: Guest) {
    let marking = |name: &str| json!({ "request_headers": [{ "add": ["x-order", name] }], "response_headers": [{ "add": ["x-order", name] }] });
    let (one, two, three) = (
        script!(guest, marking("one")),
        script!(guest, marking("two")),
        script!(guest, marking("three")),
    );
    let origin = Origin::echo().await;
    let config = Config::new()
        .origin(origin.address())
        .filter("one", one)
        .filter("two", two)
        .filter("three", three);
    let proxy = config.start().await;
    let answer = proxy.get("/").await;
    assert_eq!(
        origin.next().await.values("x-order"),
        ["one", "two", "three"]
    );
    assert_eq!(answer.values("x-order"), ["three", "two", "one"]);
}

/// A reply ends the request phase; the filters that already ran still see the answer, the later ones do not.
#[tokio::test]
async fn a_reply_passes_the_filters_that_ran() {
    let marking =
        |name: &str| Filter::rust(json!({ "response_headers": [{ "add": ["x-order", name] }] }));
    let replying =
        Filter::rust(json!({ "request_headers": [{ "reply": { "status": 403, "body": "no" } }] }));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("before", marking("before"))
        .filter("replying", replying)
        .filter("after", marking("after"))
        .start()
        .await;
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    assert_eq!(answer.values("x-order"), ["before"]);
}

/// A body changed by one filter is what the next one sees, both ways.
#[tokio::test]
async fn bodies_pass_from_filter_to_filter() {
    let appending = |mark: &str| {
        Filter::rust(
            json!({ "request_body": ["buffer", { "append": mark }], "response_body": ["buffer", { "append": mark }] }),
        )
    };
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("one", appending("1"))
        .filter("two", appending("2").hold())
        .filter("three", appending("3"))
        .start()
        .await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        assert_eq!(client.post("/", "body").await.text(), "body123321");
    }
}

async fn overrides_of_a_route(guest: Guest) {
    let filter = script!(guest, { "on": { "request_headers": [{ "add": ["x-a", "base"] }], "response_headers": [{ "add": ["x-b", "base"] }] } });
    let origin = Origin::echo().await;
    let overriding = |path: &str, value: Value| json!({ "name": path, "match": { "path": { "prefix": format!("/{path}") } }, "chain": ["guest"], "upstream": "origin", "overrides": { "guest": value } });
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .route_value(overriding(
            "one",
            json!({ "on": { "request_headers": [{ "add": ["x-a", "one"] }] } }),
        ))
        .route_value(overriding(
            "two",
            json!({ "on": { "request_headers": [{ "add": ["x-a", "two"] }] } }),
        ))
        .route("rest", json!({}), &["guest"])
        .start()
        .await;
    let mut client = proxy.client().await;
    for (path, value) in [
        ("/one", "one"),
        ("/two", "two"),
        ("/", "base"),
        ("/one", "one"),
    ] {
        let answer = client.get(path).await;
        assert_eq!(
            origin.next().await.values("x-a"),
            [value],
            "a list is replaced"
        );
        assert_eq!(answer.values("x-b"), ["base"], "what is not named stays");
    }
    let vms = proxy
        .metrics()
        .await
        .sum("portcullis_vms", &[("filter", "guest")]);
    assert!(
        vms <= 2.0,
        "an override is another root context, not another VM: {vms} VMs for 2 workers"
    );
}

#[tokio::test]
async fn a_changed_request_selects_its_route_again_only_where_told() {
    let moving = Filter::rust(json!({ "request_headers": [{ "set": [":path", "/new/place"] }] }));
    let (old, new) = (Origin::echo().await, Origin::echo().await);
    for reroute in [false, true] {
        let proxy = Config::new()
            .origin(old.address())
            .upstream("new", new.address())
            .filter("moving", moving.clone())
            .route_value(json!({ "name": "new", "match": { "path": { "prefix": "/new" } }, "upstream": "new" }))
            .route_value(json!({ "name": "old", "chain": [{ "filter": "moving", "reroute": reroute }], "upstream": "origin" }))
            .start()
            .await;
        let request = Request::get("/old/place").body(full("")).expect("request");
        assert_eq!(proxy.client().await.send(request).await.status, 200);
        let seen = if reroute {
            new.next().await
        } else {
            old.next().await
        };
        assert_eq!(seen.target, "/new/place");
    }
}

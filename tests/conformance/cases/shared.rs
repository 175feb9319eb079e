//! What outlives a callback: shared data, queues, metrics, ticks, the log phase.

use serde_json::json;

use super::{Ask, Case, GET, case};

const UNTIL_TICKED: Ask = Ask {
    until: Some("x-ticked=yes"),
    ..GET
};

pub(crate) fn cases() -> Vec<Case> {
    [data(), queues(), metrics(), moments()].concat()
}

fn data() -> Vec<Case> {
    let on = |ops| json!({ "request_headers": ops });
    let ok = |seen: &str| format!("client 200 x-origin=1, origin GET / {seen}");
    vec![
        case("a key that is not there", on(json!([{ "share_get": ["absent", "x-value"] }])), &ok("x-value=-")),
        case("a key that was set", on(json!([{ "share_set": ["set", "v"] }, { "share_get": ["set", "x-value"] }])), &ok("x-value=v")),
        case("a value outlives its request", on(json!([{ "share_increment": "count" }, { "share_get": ["count", "x-value"] }])), &ok("x-value=1"))
            .then(GET, &ok("x-value=2")),
        case("an empty value reads as none", on(json!([{ "share_set": ["empty", ""] }, { "share_get": ["empty", "x-value"] }])), &ok("x-value=-")).rust(),
        case("a number that cannot be right", on(json!([{ "share_set": ["stale", "v"] }, { "share_stale": ["stale", "x-stale"] }, { "share_get": ["stale", "x-value"] }])),
            &ok("x-stale=Err(CasMismatch) x-value=v")).rust(),
        case("a number for a key that is not there", on(json!([{ "share_stale": ["new", "x-stale"] }, { "share_get": ["new", "x-value"] }])),
            &ok("x-stale=Ok(()) x-value=stale")).rust(),
        case("two plugins of one vm_id", on(json!([{ "share_set": ["pair", "v"] }])), &ok("x-value=v"))
            .filter(on(json!([{ "share_get": ["pair", "x-value"] }]))),
        case("two plugins of two vm_ids", on(json!([{ "share_set": ["apart", "v"] }])), &ok("x-value=-"))
            .filter(on(json!([{ "share_get": ["apart", "x-value"] }]))).with("vm_id", json!("elsewhere")),
    ]
}

fn queues() -> Vec<Case> {
    vec![
        case("an item comes to who registered", json!({
            "configure": [{ "queue_register": "queue" }], "queue_ready": [{ "dequeue": "items" }],
            "request_headers": [{ "share_get": ["items", "x-items"] }, { "if": ["x-items", "-", [{ "enqueue": ["Rust", "queue", "item"] }]] }] }),
            "client 200 x-origin=1, origin GET / x-items=item,").asking(Ask { until: Some("x-items=item,"), ..GET }).rust(),
        case("a queue that is not there", json!({ "request_headers": [{ "enqueue": ["Rust", "no queue", "item"] }] }),
            "client 200 x-origin=1, origin GET / x-queue=unknown"),
    ]
}

fn metrics() -> Vec<Case> {
    let on = |ops| json!({ "request_headers": ops });
    let ok = |seen: &str| format!("client 200 x-origin=1, origin GET / x-value={seen}");
    vec![
        case("a counter", on(json!([{ "counter": ["conformance_counter", 2] }, { "metric_value": ["conformance_counter", "x-value"] }])), &ok("Some(Ok(2))")).rust()
            .then(GET, &ok("Some(Ok(4))")),
        case("a gauge", on(json!([{ "gauge": ["conformance_gauge", 7] }, { "gauge": ["conformance_gauge", 5] }, { "metric_value": ["conformance_gauge", "x-value"] }])), &ok("Some(Ok(5))")).rust(),
        case("a histogram has no value", on(json!([{ "histogram": ["conformance_histogram", 7] }, { "metric_value": ["conformance_histogram", "x-value"] }])),
            &ok("Some(Err(BadArgument))")).rust(),
        case("metrics pass", on(json!([{ "counter": ["conformance_go_counter", 1] }, { "gauge": ["conformance_go_gauge", 3] }, { "histogram": ["conformance_go_histogram", 3] }])),
            "client 200 x-origin=1, origin GET /"),
    ]
}

fn moments() -> Vec<Case> {
    let look = json!([{ "share_get": ["ticked", "x-ticked"] }]);
    vec![
        case("a tick", json!({ "tick_ms": 20, "on": { "tick": [{ "share_set": ["ticked", "yes"] }], "request_headers": look } }),
            "client 200 x-origin=1, origin GET / x-ticked=yes").asking(UNTIL_TICKED).alone(),
        case("the log phase", json!({ "log": [{ "share_set": ["ticked", "yes"] }], "request_headers": look }),
            "client 200 x-origin=1, origin GET / x-ticked=yes").asking(UNTIL_TICKED).alone().rust(),
        case("the end of a stream", json!({ "done": [{ "share_set": ["ticked", "yes"] }], "request_headers": look }),
            "client 200 x-origin=1, origin GET / x-ticked=yes").asking(UNTIL_TICKED).alone().rust(),
        case("request headers in the log phase", json!({ "log": [{ "map": "request_headers" }, { "if": ["x-do", "log", [{ "share_set": ["ticked", "yes"] }]] }], "request_headers": look }),
            "client 200 x-origin=1, origin GET / x-ticked=yes").asking(Ask { headers: &[("x-do", "log")], ..UNTIL_TICKED }).alone().rust(),
        case("levels of the log", json!({ "request_headers": [{ "log": ["info", "conformance says info"] }, { "log": ["warn", "conformance says warn"] }, { "log": ["error", "conformance says error"] }] }),
            "client 200 x-origin=1, origin GET /").logging(&["conformance says info", "conformance says warn", "conformance says error"]),
    ]
}

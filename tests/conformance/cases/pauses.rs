//! Pauses, and what ends them.

use serde_json::json;

use super::{Ask, Case, POST, case};

pub(crate) fn cases() -> Vec<Case> {
    let call = json!({ "call": { "upstream": "callee", "path": "/200" } });
    vec![
        case("request headers wait for a tick", json!({ "tick_ms": 20, "on": {
            "request_headers": ["resume_on_tick"], "woken": [{ "set": ["x-woken", "1"] }] } }),
            "client 200 x-origin=1, origin GET / x-woken=1"),
        case("request headers wait, a body follows", json!({ "tick_ms": 20, "on": {
            "request_headers": ["resume_on_tick"], "request_body": [{ "at_end": [{ "append": "" }] }] } }),
            "client 200 x-origin=1 \"body\", origin POST / \"body\"").asking(POST),
        case("response headers wait for a tick", json!({ "tick_ms": 20, "on": {
            "response_headers": ["resume_on_tick"], "woken": [{ "set": ["x-woken", "1"] }] } }),
            "client 200 x-origin=1 x-woken=1 \"body\", origin POST / \"body\"").asking(POST),
        case("request headers wait for a callout", json!({
            "request_headers": [call, "pause"], "call_response": [{ "set": ["x-woken", "1"] }, { "resume": "request" }] }),
            "client 200 x-origin=1, origin GET / x-woken=1, callee GET /200"),
        case("request headers wait over HTTP/2", json!({
            "request_headers": [call, "pause"], "call_response": [{ "set": ["x-woken", "1"] }, { "resume": "request" }] }),
            "client 200 x-origin=1 \"body\", origin POST / x-woken=1 \"body\", callee GET /200").asking(Ask { h2: true, ..POST }),
        case("two filters wait, one after the other", json!({
            "request_headers": [call, "pause"], "call_response": [{ "add": ["x-woken", "1"] }, { "resume": "request" }] }),
            "client 200 x-origin=1, origin GET / x-woken=1|2, callee GET /200, callee GET /200")
            .filter(json!({ "request_headers": [call, "pause"], "call_response": [{ "add": ["x-woken", "2"] }, { "resume": "request" }] })),
        case("a request body waits for a callout", json!({
            "request_body": ["buffer", call, "pause"], "call_response": [{ "resume": "request" }] }),
            "client 200 x-origin=1 \"body\", origin POST / \"body\", callee GET /200").asking(POST),
        case("a response body waits for a callout", json!({
            "response_body": ["buffer", call, "pause"], "call_response": [{ "resume": "response" }] }),
            "client 200 x-origin=1 \"body\", origin POST / \"body\", callee GET /200").asking(POST),
        case("headers wait until the body was seen", json!({
            "request_headers": [{ "at_end": [{ "set": ["x-body", "none"] }, { "resume": "request" }] }, "pause"],
            "request_body": ["buffer", { "map": "request_headers" }, { "set": ["x-body", "seen"] }, { "resume": "request" }] }),
            "client 200 x-origin=1 \"body\", origin POST / x-body=seen \"body\"").with("hold", json!("headers")).asking(POST).rust(),
        case("going on without a pause", json!({ "request_headers": [{ "resume": "request" }, { "set": ["x-a", "1"] }] }),
            "client 200 x-origin=1, origin GET / x-a=1").alone().rust(),
    ]
}

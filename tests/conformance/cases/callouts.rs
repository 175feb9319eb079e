//! HTTP callouts: their answers, and their ways to fail.

use serde_json::{Value, json};

use super::{Case, case};

fn asks(call: Value) -> Value {
    json!({
        "request_headers": [call, "pause"],
        "call_response": [{ "call_status": "x-status" }, { "call_body": "x-body" }, { "resume": "request" }],
    })
}

pub(crate) fn cases() -> Vec<Case> {
    let to = |path: &str| json!({ "call": { "upstream": "callee", "path": path } });
    let told = |seen: &str| format!("client 200 x-origin=1, origin GET / {seen}");
    vec![
        case("an answer", asks(to("/200")), &told("x-body=- 0 x-status=200, callee GET /200")),
        case("a POST with headers and a body", asks(json!({ "call": { "upstream": "callee", "path": "/201", "method": "POST", "headers": [["x-asked", "a"]], "body": "12345" } })),
            &told("x-body=a 5 x-status=201, callee POST /201 x-asked=a \"12345\"")),
        case("an answer 404", asks(to("/404")), &told("x-body=- 0 x-status=404, callee GET /404")),
        case("an answer 503", asks(to("/503")), &told("x-body=- 0 x-status=503, callee GET /503")),
        case("no answer in time", json!({
            "request_headers": [{ "call": { "upstream": "silent", "timeout_ms": 50 } }, "pause"],
            "call_response": [{ "call_status": "x-status" }, { "resume": "request" }] }), &told("x-status=504")),
        case("nobody listens", json!({
            "request_headers": [{ "call": { "upstream": "nobody" } }, "pause"],
            "call_response": [{ "call_status": "x-status" }, { "resume": "request" }] }), &told("x-status=503")),
        case("no such upstream", json!({ "request_headers": [{ "call": { "upstream": "nowhere", "refused": "x-refused" } }] }), &told("x-refused=BadArgument")).rust(),
        case("no path", json!({ "request_headers": [{ "call": { "upstream": "callee", "path": "", "refused": "x-refused" } }] }), &told("x-refused=BadArgument")).rust(),
        case("three at once", json!({
            "request_headers": [to("/201"), to("/202"), to("/203"), "pause"],
            "call_response": [{ "add": ["x-answers", "1"] }], "calls_done": [{ "resume": "request" }] }),
            &told("x-answers=1|1|1, callee GET /201, callee GET /202, callee GET /203")),
        case("in a response", json!({
            "response_headers": [to("/204"), "pause"], "call_response": [{ "call_status": "x-status" }, { "resume": "response" }] }),
            "client 200 x-origin=1 x-status=204, origin GET /, callee GET /204"),
        case("headers of an answer", json!({
            "request_headers": [to("/200"), "pause"],
            "call_response": [{ "map": "call_headers" }, { "if": ["x-callee", "1", [{ "map": "request_headers" }, { "set": ["x-callee", "seen"] }]] }, { "resume": "request" }] }),
            &told("x-callee=seen, callee GET /200")).rust(),
    ]
}

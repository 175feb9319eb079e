//! gRPC callouts: answers, statuses, streams. The Go SDK has no gRPC; the Go guest makes calls by the ABI itself.

use serde_json::{Value, json};

use super::{Case, case};

fn method(name: &str, more: Value) -> Value {
    let mut call = json!({ "upstream": "echo", "service": "test.Echo", "method": name });
    let more = more.as_object().expect("a mapping").clone();
    call.as_object_mut().expect("a mapping").extend(more);
    call
}

fn asks(call: Value) -> Value {
    json!({
        "request_headers": [{ "grpc_call": call }, "pause"],
        "grpc_answer": [{ "grpc_message": "x-answer" }, { "grpc_status": "x-status" }, { "resume": "request" }],
    })
}

pub(crate) fn cases() -> Vec<Case> {
    let told = |seen: &str| format!("client 200 x-origin=1, origin GET / {seen}");
    let refused = |call: Value| json!({ "request_headers": [{ "grpc_call": call }] });
    let open = json!({ "grpc_stream": method("Stream", json!({})) });
    vec![
        case("an answer", asks(method("Unary", json!({ "message": "hello" }))), &told("x-answer=:hello x-status=0")),
        case("metadata and an empty message", asks(method("Unary", json!({ "metadata": [["x-token", "secret"]] }))), &told("x-answer=secret: x-status=0")),
        case("a status of the service", asks(method("Fail", json!({}))), &told("x-answer= x-status=7 not this time")),
        case("no such method", asks(method("Other", json!({}))), &told("x-answer= x-status=12 no such method")),
        case("no answer in time", asks(method("Silent", json!({ "timeout_ms": 50 }))), &told("x-answer= x-status=4 timeout")),
        case("nobody listens", asks(method("Unary", json!({ "upstream": "nobody-h2" }))), &told("x-answer= x-status=14 cannot connect: Connection refused (os error 111)")),
        case("no such upstream", refused(method("Unary", json!({ "upstream": "nowhere", "refused": "x-refused" }))), &told("x-refused=ParseFailure")).rust(),
        case("messages both ways", json!({
            "request_headers": [open, { "grpc_send": ["one", false] }, { "grpc_send": ["two", true] }, "pause"],
            "grpc_message": [{ "grpc_message": "x-message" }],
            "grpc_trailing_metadata": [{ "grpc_metadata": ["x-count", "x-seen-count"] }],
            "grpc_close": [{ "grpc_status": "x-status" }, { "resume": "request" }] }),
            &told("x-message=one|two x-seen-count=2 x-status=0")).rust(),
        case("a stream closed by the guest", json!({
            "request_headers": [open, { "grpc_send": ["one", false] }, "pause"],
            "grpc_initial_metadata": [{ "grpc_metadata": ["x-initial", "x-seen-initial"] }],
            "grpc_message": [{ "grpc_message": "x-message" }, "grpc_close"],
            "grpc_close": [{ "grpc_status": "x-status" }, { "resume": "request" }] }),
            &told("x-message=one x-seen-initial=yes x-status=0")).rust(),
        case("a stream cancelled by the guest", json!({
            "request_headers": [open, { "grpc_send": ["one", false] }, "pause"],
            "grpc_message": [{ "grpc_message": "x-message" }, "grpc_cancel", { "resume": "request" }],
            "grpc_close": [{ "log": ["info", "closed after all"] }] }),
            &told("x-message=one")).rust(),
    ]
}

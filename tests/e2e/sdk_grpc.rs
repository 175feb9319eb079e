//! Modules call a gRPC service: one by the Rust SDK, and one in Go by the functions of the ABI, for that SDK has no gRPC.

use portcullis_tests::grpc::EchoService;
use portcullis_tests::{Config, Filter, Origin, Proxy};
use serde_json::{Value, json};

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    a_call_is_answered_by_its_message,
    calls_that_fail_tell_their_status,
);

fn method(name: &str, more: Value) -> Value {
    let mut call = json!({ "upstream": "echo", "service": "test.Echo", "method": name });
    for (key, value) in more.as_object().expect("a mapping") {
        call[key] = value.clone();
    }
    call
}

async fn start(origin: &Origin, echo: &EchoService, script: Value) -> Proxy {
    serve(origin, echo, Filter::rust(script)).await
}

async fn serve(origin: &Origin, echo: &EchoService, filter: Filter) -> Proxy {
    Config::new()
        .origin(origin.address())
        .upstream_h2("echo", echo.origin().address())
        .filter("guest", filter.may_call_grpc(&["echo"]))
        .start()
        .await
}

async fn a_call_is_answered_by_its_message(guest: Guest) {
    let ask = method(
        "Unary",
        json!({ "metadata": [["x-token", "secret"]], "message": "hello" }),
    );
    let filter = script!(guest, {
        "request_headers": [{ "grpc_call": ask }, "pause"],
        "grpc_answer": [{ "grpc_message": "x-answer" }, { "grpc_status": "x-status" }, { "resume": "request" }],
    });
    let (origin, echo) = (Origin::echo().await, EchoService::start().await);
    let proxy = serve(&origin, &echo, filter).await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        assert_eq!(client.post("/", "a body").await.text(), "a body");
        let seen = origin.next().await;
        assert_eq!(seen.header("x-answer"), Some("secret:hello"));
        assert_eq!(seen.header("x-status"), Some("0"));
    }
}

async fn calls_that_fail_tell_their_status(guest: Guest) {
    let ask = |name: &str| json!({ "grpc_call": method(name, json!({ "timeout_ms": 100 })) });
    let filter = script!(guest, {
        "request_headers": [
            { "when": ["fail", [ask("Fail"), "pause"]] },
            { "when": ["silent", [ask("Silent"), "pause"]] },
            { "when": ["other", [ask("Other"), "pause"]] },
        ],
        "grpc_answer": [{ "grpc_message": "x-answer" }, { "grpc_status": "x-status" }, { "resume": "request" }],
    });
    let (origin, echo) = (Origin::echo().await, EchoService::start().await);
    let proxy = serve(&origin, &echo, filter).await;
    let mut client = proxy.client().await;
    for (asked, status) in [
        ("fail", "7 not this time"),
        ("silent", "4 timeout"),
        ("other", "12 no such method"),
    ] {
        let request = http::Request::get("/").header("x-do", asked);
        let request = request
            .body(portcullis_tests::origin::full(""))
            .expect("request");
        assert_eq!(client.send(request).await.status, 200);
        let seen = origin.next().await;
        assert_eq!(seen.header("x-status"), Some(status));
        assert_eq!(seen.header("x-answer"), Some(""));
    }
}

#[tokio::test]
async fn a_stream_carries_messages_both_ways() {
    let script = json!({
        // Before the stream is open.
        "request_headers": [{ "grpc_stream": method("Stream", json!({})) }, { "grpc_send": ["one", false] }, { "grpc_send": ["two", false] }, "pause"],
        "grpc_initial_metadata": [{ "grpc_metadata": ["x-initial", "x-seen-initial"] }, { "grpc_send": ["three", false] }, "grpc_close"],
        "grpc_message": [{ "grpc_message": "x-message" }],
        "grpc_trailing_metadata": [{ "grpc_metadata": ["x-count", "x-seen-count"] }],
        "grpc_close": [{ "grpc_status": "x-status" }, { "resume": "request" }],
    });
    let (origin, echo) = (Origin::echo().await, EchoService::start().await);
    let proxy = start(&origin, &echo, script).await;
    for _ in 0..2 {
        assert_eq!(proxy.get("/").await.status, 200);
        let seen = origin.next().await;
        assert_eq!(seen.header("x-seen-initial"), Some("yes"));
        assert_eq!(seen.values("x-message"), ["one", "two", "three"]);
        assert_eq!(seen.header("x-seen-count"), Some("3"));
        assert_eq!(seen.header("x-status"), Some("0"));
    }
}

#[tokio::test]
async fn a_cancelled_stream_is_reset_at_the_origin() {
    let script = json!({
        "request_headers": [{ "grpc_stream": method("Stream", json!({})) }, { "grpc_send": ["one", false] }, "pause"],
        "grpc_message": ["grpc_cancel", { "resume": "request" }],
        "grpc_close": ["panic"],
    });
    let (origin, echo) = (Origin::echo().await, EchoService::start().await);
    let proxy = start(&origin, &echo, script).await;
    for count in 1..3 {
        assert_eq!(proxy.get("/").await.status, 200);
        echo.wait_resets(count).await;
    }
    let faults = proxy.metrics().await;
    assert_eq!(
        faults.sum("portcullis_filter_faults_total", &[]),
        0.0,
        "no callback came after the cancellation"
    );
}

/// The exchange that opened the stream ends first; the VM ends by a fault, and its stream with it.
#[tokio::test]
async fn streams_outlive_the_exchange_but_not_the_vm() {
    let script = json!({
        "request_headers": [
            { "when": ["open", [{ "grpc_stream": method("Stream", json!({})) }]] },
            { "when": ["die", ["trap"]] },
        ],
    });
    let (origin, echo) = (Origin::echo().await, EchoService::start().await);
    let proxy = Config::new()
        .set("/workers", json!(1))
        .origin(origin.address())
        .upstream_h2("echo", echo.origin().address())
        .filter("guest", Filter::rust(script).may_call_grpc(&["echo"]))
        .start()
        .await;
    let mut client = proxy.client().await;
    let request = |asked: &str| {
        let request = http::Request::get("/").header("x-do", asked);
        request
            .body(portcullis_tests::origin::full(""))
            .expect("request")
    };
    assert_eq!(client.send(request("open")).await.status, 200);
    echo.origin().wait_heads(1).await;
    assert_eq!(client.send(request("nothing")).await.status, 200);
    assert_eq!(client.send(request("die")).await.status, 503);
    echo.wait_resets(1).await;
}

/// No grant, no such upstream, an upstream that speaks HTTP/1.1, and one that is not there.
#[tokio::test]
async fn calls_that_cannot_be_made_are_no_fault() {
    let ask = |upstream: &str, to: &str| json!({ "grpc_call": { "upstream": upstream, "service": "test.Echo", "method": "Unary", "refused": to } });
    let script = json!({
        "request_headers": [
            ask("origin", "x-ungranted"),
            { "when": ["old", [ask("old", "x-old"), "pause"]] },
            { "when": ["nobody", [ask("nobody", "x-nobody"), "pause"]] },
        ],
        "grpc_answer": [{ "grpc_status": "x-status" }, { "resume": "request" }],
    });
    let origin = Origin::echo().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("address");
    drop(nobody);
    let proxy = Config::new()
        .origin(origin.address())
        .upstream("old", origin.address())
        .upstream_h2("nobody", address)
        .filter(
            "guest",
            Filter::rust(script).may_call_grpc(&["old", "nobody"]),
        )
        .start()
        .await;
    for asked in ["old", "nobody"] {
        let request = http::Request::get("/").header("x-do", asked);
        let request = request
            .body(portcullis_tests::origin::full(""))
            .expect("request");
        assert_eq!(proxy.client().await.send(request).await.status, 200);
        let seen = origin.next().await;
        assert_eq!(seen.header("x-ungranted"), Some("InternalFailure"));
        let status = seen.header("x-status").expect("told");
        assert!(status.starts_with("14 "), "{asked}: {status}");
    }
}

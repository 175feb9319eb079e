//! A module with the marker of the Higress SDKs, and what it imports beyond the specification.

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use portcullis_tests::deadline::within;
use portcullis_tests::origin::{full, parts};
use portcullis_tests::{Config, Filter, Origin};
use serde_json::json;

/// Logs the hosts of the upstream, and chooses one of them.
fn chooser(host: &str) -> Filter {
    let length = host.len();
    Filter::wat(&format!(
        r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "env" "proxy_get_upstream_hosts" (func $hosts (param i32 i32) (result i32)))
        (import "env" "proxy_set_upstream_override_host" (func $choose (param i32 i32) (result i32)))
        (import "env" "proxy_redis_call" (func $redis (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global $heap (mut i32) (i32.const 0x8000))
        (data (i32.const 100) "{host}")
        (func (export "proxy_abi_version_0_2_100"))
        (func (export "malloc") (param $size i32) (result i32)
            (global.get $heap)
            (global.set $heap (i32.add (global.get $heap) (local.get $size))))
        (func (export "proxy_on_context_create") (param i32 i32)
            (global.set $heap (i32.const 0x8000)))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            ;; No redis: BadArgument.
            (if (i32.ne (call $redis (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)) (i32.const 2))
                (then unreachable))
            (if (call $hosts (i32.const 16) (i32.const 20)) (then unreachable))
            (drop (call $log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20))))
            (if (call $choose (i32.const 100) (i32.const {length})) (then unreachable))
            (i32.const 0)))"#
    ))
}

#[tokio::test]
async fn an_endpoint_is_chosen_by_its_address() {
    let (one, other) = (Origin::echo().await, Origin::echo().await);
    let endpoints = json!([
        { "address": one.address().to_string() },
        { "address": other.address().to_string() },
    ]);
    let start = async |host: &str| {
        Config::new()
            .origin(one.address())
            .set("/upstreams/origin/endpoints", endpoints.clone())
            .filter("chooser", chooser(host))
            .start()
            .await
    };
    let proxy = start(&other.address().to_string()).await;
    let mut client = proxy.client().await;
    for _ in 0..4 {
        assert_eq!(client.post("/", "a body").await.status, 200);
    }
    assert_eq!((one.heads(), other.heads()), (0, 4));
    for address in [one.address(), other.address()] {
        proxy.until_log(&address.to_string()).await;
    }
    proxy.until_log("health_status").await;

    // An address that is none of its endpoints: in turn, as if nothing had been said.
    let proxy = start("127.0.0.1:1").await;
    let mut client = proxy.client().await;
    for _ in 0..4 {
        assert_eq!(client.post("/", "a body").await.status, 200);
    }
    assert_eq!((one.heads(), other.heads()), (2, 6));
}

/// Runs `headers` and `body` at a response; `$inject(text, size, end)` adds to it.
fn injector(functions: &str) -> Filter {
    Filter::wat(&format!(
        r#"(module
        (import "env" "proxy_inject_encoded_data_to_filter_chain" (func $inject (param i32 i32 i32) (result i32)))
        (import "env" "proxy_call_foreign_function" (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_get_buffer_bytes" (func $get (param i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global $heap (mut i32) (i32.const 0x8000))
        (data (i32.const 100) "inject_encoded_data_to_filter_chain_on_header")
        ;; 1 body, 2 end of stream
        (data (i32.const 200) "\0a\05hello\10\01")
        (data (i32.const 300) "<>")
        (func (export "proxy_abi_version_0_2_100"))
        (func (export "malloc") (param $size i32) (result i32)
            (global.get $heap)
            (global.set $heap (i32.add (global.get $heap) (local.get $size))))
        (func (export "proxy_on_context_create") (param i32 i32)
            (global.set $heap (i32.const 0x8000)))
        {functions})"#
    ))
    .set(
        "grants",
        json!({ "foreign": ["inject_encoded_data_to_filter_chain_on_header"] }),
    )
}

/// As a plugin for Higress does it: the response is stopped at its headers, and gets another body.
#[tokio::test]
async fn a_response_gets_its_body_from_a_filter() {
    let (endless, body) = parts();
    let bodies = std::sync::Mutex::new(Some(body));
    let origin = Origin::answering(move |request| match request.target.as_str() {
        "/endless" => Response::new(bodies.lock().unwrap().take().unwrap()),
        "/none" => Response::builder().status(404).body(full("")).unwrap(),
        _ => Response::new(full("the origin's own, with its length")),
    })
    .await;
    let filter = injector(
        r#"(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            (if (call $foreign (i32.const 100) (i32.const 45) (i32.const 200) (i32.const 9) (i32.const 0) (i32.const 0))
                (then unreachable))
            (i32.const 1))"#,
    );
    let config = Config::new().origin(origin.address());
    let proxy = config.filter("injector", filter).start().await;
    let (mut h1, mut h2) = (proxy.client().await, proxy.h2().await);
    for client in [&mut h1, &mut h2] {
        for path in ["/", "/none"] {
            let answer = client.get(path).await;
            assert_eq!(answer.text(), "hello");
            assert_eq!(answer.header("content-length"), Some("5"));
        }
        let head = Request::head("/").body(full("")).unwrap();
        assert_eq!(client.send(head).await.text(), "");
    }
    // Not to the end of what the origin says.
    assert_eq!(h1.get("/endless").await.text(), "hello");
    drop(endless);
    assert_eq!(h1.get("/").await.text(), "hello");
}

/// Each piece is taken out, and sent on by the filter itself with something around it.
#[tokio::test]
async fn a_stream_is_rewritten_piece_by_piece() {
    let filter = || {
        injector(
            r#"(func (export "proxy_on_response_body") (param $context i32) (param $size i32) (param $end i32) (result i32)
            (drop (call $inject (i32.const 300) (i32.const 1) (i32.const 0)))
            (if (i32.eqz (call $get (i32.const 1) (i32.const 0) (local.get $size) (i32.const 16) (i32.const 20)))
                (then (drop (call $inject (i32.load (i32.const 16)) (local.get $size) (i32.const 0)))))
            (drop (call $inject (i32.const 301) (i32.const 1) (local.get $end)))
            (i32.const 3))"#,
        )
    };
    let (sending, mut waiting) = tokio::sync::mpsc::channel(1);
    let origin = Origin::handling(move |_| {
        let sending = sending.clone();
        async move {
            let (sender, body) = parts();
            sending.send(sender).await.expect("the test");
            Response::new(body)
        }
    })
    .await;
    let config = Config::new().origin(origin.address());
    let config = config.filter("outer", filter()).filter("inner", filter());
    let proxy = config.start().await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        let request = Request::get("/").body(full("")).unwrap();
        let (response, sender) = tokio::join!(client.open(request), waiting.recv());
        let (mut body, sender) = (response.unwrap().into_body(), sender.unwrap());
        sender.send(Ok(Frame::data("ab".into()))).await.unwrap();
        // At once, not with the end.
        let (mut first, piece) = (Vec::new(), b"<<><ab><>>");
        while first.len() < piece.len() {
            let frame = within("the piece", body.frame()).await.unwrap().unwrap();
            first.extend_from_slice(&frame.into_data().unwrap());
        }
        assert_eq!(first, piece);
        drop(sender);
        let rest = within("the end", body.collect()).await;
        assert_eq!(rest.unwrap().to_bytes(), "<<><><>>");
    }
}

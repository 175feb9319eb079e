//! A module with the marker of the Higress SDKs, and what it imports beyond the specification.

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

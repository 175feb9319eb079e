//! A filter that started once and cannot start again: its policy decides, and it is never passed over in silence.

use http::Request;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::json;

/// Starts where there is no shared data yet, which it leaves there: once. It has no snapshot, and traps on requests with
/// a body.
const ONCE: &str = r#"(module
    (import "env" "proxy_get_shared_data" (func $get (param i32 i32 i32 i32 i32) (result i32)))
    (import "env" "proxy_set_shared_data" (func $set (param i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 16) "started")
    (data $segment "x")
    (func $never (data.drop $segment))
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (if (i32.eqz (call $get (i32.const 16) (i32.const 7) (i32.const 64) (i32.const 68) (i32.const 72)))
            (then (return (i32.const 0))))
        (i32.eqz (call $set (i32.const 16) (i32.const 7) (i32.const 16) (i32.const 7) (i32.const 0))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (i32.eqz (local.get 2)) (then unreachable))
        (i32.const 0)))"#;

fn filter(isolation: &str, skip: bool) -> Filter {
    let filter = Filter::wat(ONCE).set("isolation", json!(isolation));
    let limits = json!({ "cpu_per_call": "1s", "pause": "2s" });
    let filter = filter.set("limits", limits);
    if skip { filter.skip() } else { filter }
}

#[tokio::test]
async fn a_vm_that_cannot_be_replaced_is_a_failure_by_policy() {
    for (skip, status) in [(false, 503), (true, 200)] {
        let origin = Origin::echo().await;
        let config = Config::new().origin(origin.address());
        // One worker: a second VM would not start.
        let config = config.filter("once", filter("shared", skip));
        let mut proxy = config.set("/workers", json!(1)).start().await;
        assert_eq!(proxy.get("/").await.status, 200);
        let fault = Request::post("/").body(full("a body")).expect("request");
        assert_eq!(proxy.client().await.send(fault).await.status, status);
        proxy.until_log("filter cannot be restarted").await;
        for _ in 0..3 {
            assert_eq!(proxy.get("/").await.status, status);
        }
        let labels = [("filter", "once"), ("kind", "start")];
        let started = |metrics: &portcullis_tests::metrics::Metrics| {
            metrics.sum("portcullis_filter_faults_total", &labels) >= 1.0
        };
        proxy.until_metrics("the failed start", started).await;
        assert!(proxy.is_running());
    }
}

#[tokio::test]
async fn a_start_for_an_exchange_that_fails_is_a_failure_by_policy() {
    for (skip, status) in [(false, 503), (true, 200)] {
        let origin = Origin::echo().await;
        let config = Config::new().origin(origin.address());
        let proxy = config.filter("once", filter("request", skip)).start().await;
        for _ in 0..3 {
            assert_eq!(proxy.get("/").await.status, status);
        }
        let labels = [("filter", "once"), ("kind", "start")];
        let metrics = proxy.metrics().await;
        let failed = metrics.sum("portcullis_filter_faults_total", &labels);
        assert!(
            (failed - 3.0).abs() < f64::EPSILON,
            "{failed} failed starts"
        );
        let heads = if skip { 3 } else { 0 };
        assert_eq!(origin.heads(), heads, "with deny nothing gets through");
    }
}

//! Filters that misbehave hurt themselves alone: the counters say so, the next request works, nothing hangs.

use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Frame;
use portcullis_tests::hostile::{Callback, Fault, bad_allocator, faulty, wild_pointers};
use portcullis_tests::metrics::Metrics;
use portcullis_tests::origin::{Body, full, parts};
use portcullis_tests::{Config, Filter, Origin, Proxy};
use serde_json::json;

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(a_panic, a_loop, a_memory_eater);

/// An origin whose answers have headers, a body and trailers, so that every callback is reached.
async fn origin() -> Origin {
    Origin::handling(|_| async {
        let (sender, body) = parts();
        tokio::spawn(async move {
            let trailers = HeaderMap::from_iter([(
                "x-end".parse().expect("a name"),
                HeaderValue::from_static("1"),
            )]);
            let _ = sender.send(Ok(Frame::data("body".into()))).await;
            let _ = sender.send(Ok(Frame::trailers(trailers))).await;
        });
        Response::new(body)
    })
    .await
}

/// One proxy with a route for each callback, `/NAME`, whose one filter has the fault there; and a route `/fine`.
async fn with_every_callback(origin: &Origin, callee: &Origin, fault: Fault, skip: bool) -> Proxy {
    let mut config = Config::new()
        .origin(origin.address())
        .upstream("callee", callee.address())
        .set("/upstreams/origin/protocol", json!("h2"));
    for callback in Callback::RUNNING {
        let name = callback.name();
        let filter = Filter::wat(&faulty(callback, fault))
            .limit("cpu_per_call", "20ms")
            .may_call(&["callee"]);
        let filter = if skip { filter.skip() } else { filter };
        config = config.filter(name, filter).route(
            name,
            json!({ "path": { "exact": format!("/{name}") } }),
            &[name],
        );
    }
    config.route("fine", json!({}), &[]).start().await
}

fn request(path: &str) -> Request<Body> {
    Request::post(path)
        .body(full("a question"))
        .expect("request")
}

async fn check_every_callback(fault: Fault, skip: bool) {
    let (origin, callee) = (origin().await, Origin::echo().await);
    let proxy = with_every_callback(&origin, &callee, fault, skip).await;
    for callback in Callback::RUNNING {
        let name = callback.name();
        let answer = proxy
            .h2()
            .await
            .try_send(request(&format!("/{name}")))
            .await;
        let status = answer.as_ref().map(|answer| answer.status);
        match (callback.is_awaited(), skip, &answer) {
            (true, false, Ok(answer)) => {
                assert_eq!(answer.status, 503, "{name}: {fault:?} with on_fault: deny")
            }
            (true, true, Ok(answer)) => {
                assert_eq!(answer.status, 200, "{name}: {fault:?} with on_fault: skip")
            }
            // The answer had begun: it may be complete or broken off, but not another one.
            (false, _, Ok(answer)) => {
                assert!([200, 503].contains(&answer.status), "{name}: {status:?}")
            }
            (awaited, _, Err(error)) => assert!(!awaited && !skip, "{name}: {error}"),
        }
        assert_eq!(
            proxy.h2().await.send(request("/fine")).await.status,
            200,
            "after {name}"
        );
    }
    for callback in Callback::RUNNING {
        let (name, kind) = (callback.name(), fault.kind());
        let what = format!("a fault of kind {kind} of the filter {name}");
        let counted = |metrics: &Metrics| {
            metrics.sum(
                "portcullis_filter_faults_total",
                &[("filter", name), ("kind", kind)],
            ) >= 1.0
        };
        proxy.until_metrics(&what, counted).await;
    }
    assert_eq!(proxy.h2().await.send(request("/fine")).await.status, 200);
}

#[tokio::test]
async fn traps_in_every_callback_deny() {
    check_every_callback(Fault::Trap, false).await;
}

#[tokio::test]
async fn traps_in_every_callback_skip() {
    check_every_callback(Fault::Trap, true).await;
}

#[tokio::test]
async fn endless_loops_in_every_callback() {
    check_every_callback(Fault::Loop, false).await;
}

#[tokio::test]
async fn memory_eaters_in_every_callback() {
    check_every_callback(Fault::Memory, false).await;
}

#[tokio::test]
async fn stack_overflows_in_every_callback() {
    check_every_callback(Fault::Stack, false).await;
}

/// A module that fails while it starts is refused: by `check` and at the start, and a reload with it changes nothing.
#[tokio::test]
async fn a_start_that_fails_is_refused() {
    let origin = Origin::echo().await;
    let good = Config::new().origin(origin.address());
    let proxy = good.clone().start().await;
    for callback in Callback::STARTING {
        for fault in Fault::ALL {
            let filter = Filter::wat(&faulty(callback, fault)).limit("cpu_start", "50ms");
            let (status, answer) = proxy.reload(&good.clone().filter("bad", filter)).await;
            assert_eq!(status, 422, "{callback:?} {fault:?}: {answer}");
            assert!(
                answer["problems"][0]["line"]
                    .as_u64()
                    .is_some_and(|line| line > 1),
                "{answer}"
            );
            assert_eq!(proxy.get("/").await.status, 200);
        }
    }
    let failing = Filter::rust(json!({ "configure": ["fail"] }));
    let (status, answer) = proxy
        .reload(&good.clone().filter("bad", failing.clone()))
        .await;
    assert_eq!(status, 422, "{answer}");
    let refused = Proxy::try_start(&good.filter("bad", failing))
        .await
        .err()
        .expect("it does not start");
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    assert!(
        refused.log.contains("bad"),
        "names the filter: {}",
        refused.log
    );
}

/// Not one of some 450 calls with bad pointers, in every callback, has any effect on anything.
#[tokio::test]
async fn wild_pointers_to_every_host_function() {
    let (origin, callee) = (origin().await, Origin::echo().await);
    let mut proxy = Config::new()
        .origin(origin.address())
        .upstream("callee", callee.address())
        .set("/upstreams/origin/protocol", json!("h2"))
        .filter("wild", Filter::wat(&wild_pointers()).may_call(&["callee"]))
        .start()
        .await;
    for _ in 0..3 {
        let answer = proxy.h2().await.send(request("/")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
    }
    for callback in Callback::STARTING.into_iter().chain(Callback::RUNNING) {
        let label = callback.name().replace('_', "-");
        let attacked = |metrics: &Metrics| {
            metrics.sum("portcullis_guest_attacks_total", &[("callback", &label)]) >= 1.0
        };
        proxy
            .until_metrics(&format!("an attack in {label}"), attacked)
            .await;
    }
    let faults = proxy
        .metrics()
        .await
        .sum("portcullis_filter_faults_total", &[]);
    assert!(faults.abs() < f64::EPSILON, "{faults} faults");
    assert!(proxy.is_running());
}

#[tokio::test]
async fn an_allocator_that_lies() {
    let origin = Origin::echo().await;
    for answer in [0, 1, 0xffff_ffff, 0x8000_0000, 131_072, 131_071] {
        let proxy = Config::new()
            .origin(origin.address())
            .filter("liar", Filter::wat(&bad_allocator(answer)))
            .start()
            .await;
        let mut client = proxy.client().await;
        for _ in 0..2 {
            let status = client.get("/").await.status;
            assert!([200, 503].contains(&status), "{answer:#x}: {status}");
        }
    }
}

async fn a_panic(guest: Guest) {
    check_fault_of_a_sdk(
        script!(guest, { "request_headers": [{ "when": ["fault", ["panic"]] }] }),
        "trap",
    )
    .await;
}

async fn a_loop(guest: Guest) {
    let filter = script!(guest, { "request_headers": [{ "when": ["fault", ["loop"]] }] })
        .limit("cpu_per_call", "200ms");
    check_fault_of_a_sdk(filter, "cpu").await;
}

async fn a_memory_eater(guest: Guest) {
    let filter = script!(guest, { "request_headers": [{ "when": ["fault", ["eat_memory"]] }] })
        .limit("cpu_per_call", "20s");
    check_fault_of_a_sdk(filter, "memory").await;
}

/// Three faults, each followed by a request that works.
async fn check_fault_of_a_sdk(filter: Filter, kind: &str) {
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let faulty = || {
        Request::get("/")
            .header("x-do", "fault")
            .body(full(""))
            .expect("request")
    };
    for _ in 0..3 {
        assert_eq!(proxy.client().await.send(faulty()).await.status, 503);
        assert_eq!(proxy.get("/").await.status, 200, "the next request works");
    }
    let labels = [("filter", "guest"), ("kind", kind)];
    let counted = proxy
        .metrics()
        .await
        .sum("portcullis_filter_faults_total", &labels);
    assert!(
        (counted - 3.0).abs() < f64::EPSILON,
        "{counted} faults of kind {kind}\n{}",
        proxy.metrics().await.text
    );
    assert_eq!(
        origin.heads(),
        3,
        "a denied request does not reach the origin"
    );
}

/// A module that needs a function of tomorrow is loaded with a warning, and faults when it calls it.
#[tokio::test]
async fn an_unknown_host_function_is_a_trap_when_it_is_called() {
    let module = r#"(module
        (import "env" "proxy_of_tomorrow" (func $tomorrow (param i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (if (local.get 2) (then (return (i32.const 0))))
            (call $tomorrow (i32.const 0))))"#;
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("tomorrow", Filter::wat(module))
        .start()
        .await;
    assert_eq!(proxy.client().await.post("/", "a body").await.status, 503);
    assert_eq!(
        proxy.get("/").await.status,
        200,
        "a request without a body does not call it"
    );
    assert!(
        proxy.log().contains("proxy_of_tomorrow"),
        "the warning names it"
    );
}
